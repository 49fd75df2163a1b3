/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zone;

/**
 * What an allocation was to the node that served it or did not: the kernel's counters ({@code enum
 * numa_stat_item} and {@code zone_statistics} of Linux mm/page_alloc.c; numastat(8)), as bits, so
 * that one number says all that one allocation counts.
 */
public final class NumaEvents {
  /** Nothing is counted. */
  public static final int NONE = 0;

  /** Served by the node that the request wanted. */
  public static final int HIT = 1;

  /** Served by this node although the request wanted another one. */
  public static final int MISS = 1 << 1;

  /** Wanted from this node and served by another one. */
  public static final int FOREIGN = 1 << 2;

  /** Served by the node whose turn it was in an interleaving. */
  public static final int INTERLEAVE_HIT = 1 << 3;

  /** Served by the node on which the caller ran. */
  public static final int LOCAL = 1 << 4;

  /** Served by this node while the caller ran on another one. */
  public static final int OTHER = 1 << 5;

  private static final int KINDS = 6;

  /** How many combinations of the bits there are. */
  public static final int COMBINATIONS = 1 << KINDS;

  /** How often each combination of bits was counted: one addition, however many bits. */
  private final long[] combinations = new long[COMBINATIONS];

  NumaEvents() {}

  void count(int events) {
    combinations[events]++;
  }

  /** Returns the counts; element i is that of bit i. */
  long[] counts() {
    return byKind(combinations);
  }

  /**
   * Adds up what was counted elsewhere.
   *
   * @param combinations how often each combination of bits was counted
   * @return a new array; element i counts bit i
   */
  public static long[] byKind(long[] combinations) {
    long[] counts = new long[KINDS];
    for (int events = 0; events < combinations.length; events++) {
      for (int kind = 0; kind < KINDS; kind++) {
        counts[kind] += (events >>> kind & 1) * combinations[events];
      }
    }
    return counts;
  }
}
