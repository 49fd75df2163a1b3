/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * A set of bytes kept as runs that do not overlap, and touch only where they were added apart. Not
 * safe for several threads.
 */
final class RangeSet {
  /** The bytes from start to end, exclusive. */
  record Range(long start, long end) {
    long bytes() {
      return end - start;
    }
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

  /** Adds the bytes from start to end, exclusive, as a run of their own. */
  void addApart(long start, long end) {
    remove(start, end);
    runs.put(start, end);
  }

  /** Returns how many runs there are. */
  int runs() {
    return runs.size();
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

  /** Returns the parts of a range that are not in the set, ascending. */
  List<Range> gaps(long start, long end) {
    List<Range> gaps = new ArrayList<>();
    Map.Entry<Long, Long> run = runs.floorEntry(start);
    long at = run == null ? start : Math.max(start, run.getValue());
    while (at < end) {
      Map.Entry<Long, Long> next = runs.ceilingEntry(at);
      long stop = next == null ? end : Math.min(end, next.getKey());
      if (stop > at) {
        gaps.add(new Range(at, stop));
      }
      at = next == null ? end : next.getValue();
    }
    return gaps;
  }

  /** Returns how many bytes of a range are in the set. */
  long coveredBytes(long start, long end) {
    return end - start - gaps(start, end).stream().mapToLong(Range::bytes).sum();
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
