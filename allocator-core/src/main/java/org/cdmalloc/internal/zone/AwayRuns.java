/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zone;

import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;

/**
 * The runs whose memory may lie on another node than their zone's, how many pages of each do, and
 * which of them nobody uses any more. Not safe for use by more than one thread.
 */
final class AwayRuns {
  private final Map<Integer, Integer> pagesByRun = new HashMap<>();
  private final Set<Integer> stranded = new HashSet<>();
  private int pages;
  private int strandedPages;

  /** Takes a run in, without pages; one that is in already stays as it is. */
  void add(int run) {
    pagesByRun.putIfAbsent(run, 0);
  }

  boolean has(int run) {
    return pagesByRun.containsKey(run);
  }

  /** Returns how many pages of a run are away. */
  int pages(int run) {
    return pagesByRun.getOrDefault(run, 0);
  }

  /** Returns how many pages of runs are away that are not stranded. */
  int livePages() {
    return pages - strandedPages;
  }

  /** Returns how many pages of all runs are away. */
  int pages() {
    return pages;
  }

  void set(int run, int count) {
    int before = pages(run);
    pagesByRun.put(run, count);
    pages += count - before;
    strandedPages += isStranded(run) ? count - before : 0;
  }

  void strand(int run) {
    if (stranded.add(run)) {
      strandedPages += pages(run);
    }
  }

  boolean isStranded(int run) {
    return stranded.contains(run);
  }

  int strandedRuns() {
    return stranded.size();
  }

  /** Needs nothing of the Java heap. */
  void remove(Integer run) {
    if (stranded.remove(run)) {
      strandedPages -= pagesByRun.get(run);
    }
    Integer before = pagesByRun.remove(run);
    pages -= before == null ? 0 : before;
  }

  /** Returns the runs by their first pages. */
  Set<Integer> runs() {
    return pagesByRun.keySet();
  }
}
