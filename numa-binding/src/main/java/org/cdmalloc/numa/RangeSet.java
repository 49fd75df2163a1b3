/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.util.Map;
import java.util.TreeMap;

/** A set of bytes kept as runs that neither overlap nor touch. Not safe for several threads. */
final class RangeSet {
  /** Receives a range. */
  @FunctionalInterface
  interface RangeConsumer {
    void accept(long start, long end);
  }

  private final TreeMap<Long, Long> runs = new TreeMap<>();

  /** Adds the bytes from start to end, exclusive. */
  void add(long start, long end) {
    long from = start;
    long to = end;
    Map.Entry<Long, Long> run = runs.floorEntry(to);
    while (run != null && run.getValue() >= from) {
      from = Math.min(from, run.getKey());
      to = Math.max(to, run.getValue());
      runs.remove(run.getKey());
      run = runs.floorEntry(to);
    }
    runs.put(from, to);
  }

  /** Removes the bytes from start to end, exclusive. */
  void remove(long start, long end) {
    Map.Entry<Long, Long> run = runs.lowerEntry(end);
    while (run != null && run.getValue() > start) {
      runs.remove(run.getKey());
      if (run.getKey() < start) {
        runs.put(run.getKey(), start);
      }
      if (run.getValue() > end) {
        runs.put(end, run.getValue());
      }
      run = runs.lowerEntry(run.getKey());
    }
  }

  /** Passes on the parts of a range that are not in the set, ascending. */
  void forEachGap(long start, long end, RangeConsumer gap) {
    long at = start;
    Map.Entry<Long, Long> run = runs.floorEntry(start);
    if (run != null && run.getValue() > at) {
      at = run.getValue();
    }
    while (at < end) {
      Map.Entry<Long, Long> next = runs.ceilingEntry(at);
      long stop = next == null ? end : Math.min(end, next.getKey());
      if (stop > at) {
        gap.accept(at, stop);
      }
      if (next == null) {
        return;
      }
      at = next.getValue();
    }
  }

  /** Returns how many bytes of a range are in the set. */
  long coveredBytes(long start, long end) {
    long[] missing = {0};
    forEachGap(start, end, (from, to) -> missing[0] += to - from);
    return end - start - missing[0];
  }

  /** Tells whether an offset is in the set. */
  boolean contains(long offset) {
    Map.Entry<Long, Long> run = runs.floorEntry(offset);
    return run != null && run.getValue() > offset;
  }

  /**
   * Returns into how many pieces the set cuts the bytes from 0 to a limit: its runs and the gaps.
   */
  int pieces(long limit) {
    if (runs.isEmpty()) {
      return 1;
    }
    int gaps = runs.size() - 1;
    gaps += runs.firstKey() > 0 ? 1 : 0;
    gaps += runs.lastEntry().getValue() < limit ? 1 : 0;
    return runs.size() + gaps;
  }

  /** Empties the set. */
  void clear() {
    runs.clear();
  }
}
