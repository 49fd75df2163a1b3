/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.util.Map;
import java.util.TreeMap;

/**
 * The ranges of a region that have a policy of their own because they were moved. Each is a mapping
 * for the kernel, and cuts what lies around it. Not safe for several threads.
 */
final class MovedRanges {
  /** The mappings that a range may add. */
  static final int CUTS = 2;

  /** Start to end, exclusive; ranges that touch stay apart, as the nodes that they name may. */
  private final TreeMap<Long, Long> ranges = new TreeMap<>();

  /** Adds a range in place of what overlaps it. */
  void add(long start, long end) {
    remove(start, end);
    ranges.put(start, end);
  }

  /** Removes the bytes from start to end, exclusive. */
  void remove(long start, long end) {
    Map.Entry<Long, Long> range = ranges.lowerEntry(end);
    while (range != null && range.getValue() > start) {
      ranges.remove(range.getKey());
      if (range.getKey() < start) {
        ranges.put(range.getKey(), start);
      }
      if (range.getValue() > end) {
        ranges.put(end, range.getValue());
      }
      range = ranges.lowerEntry(range.getKey());
    }
  }

  /** Returns how many mappings more there are at most because of these. */
  int cuts() {
    return CUTS * ranges.size();
  }

  void clear() {
    ranges.clear();
  }
}
