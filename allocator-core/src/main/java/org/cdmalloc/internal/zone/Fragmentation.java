/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zone;

/**
 * How far free pages are from being one block: the two indices that the kernel shows below {@code
 * /sys/kernel/debug/extfrag} (mm/vmstat.c, {@code unusable_free_index} and {@code
 * __fragmentation_index}; M. Gorman, linux-mm, 2010), in thousandths, with the kernel's arithmetic
 * to the last digit. Pure functions; safe for use by any number of threads; they make no garbage.
 */
public final class Fragmentation {
  /** The fragmentation index where a block is free, so that nothing has to be explained. */
  public static final int FITS = -1000;

  /** The unusable index where no free page helps. */
  private static final int ALL = 1000;

  private Fragmentation() {}

  /**
   * Returns the order of the smallest block that holds a run.
   *
   * @param pages the run's length, positive
   * @return log2 of it, rounded up: 0 … 31
   * @throws IllegalArgumentException if {@code pages} is not positive
   */
  public static int order(int pages) {
    if (pages < 1) {
      throw new IllegalArgumentException("run without pages: pages=" + pages + "; give at least 1");
    }
    return Integer.SIZE - Integer.numberOfLeadingZeros(pages - 1);
  }

  /**
   * Returns which share of the free pages cannot serve a request because they lie in smaller
   * blocks.
   *
   * @param freeBlocksPerOrder the free blocks of 2<sup>i</sup> pages, as of {@link
   *     Zone#freeBlocksPerOrder}
   * @param order the request's; more than the zone has is never served
   * @return 0, all of them can serve it, to 1000, none can; 1000 too where no page is free
   * @throws IllegalArgumentException if {@code order} is negative
   */
  public static int unusableIndex(int[] freeBlocksPerOrder, int order) {
    requireOrder(order);
    long freePages = pagesFrom(freeBlocksPerOrder, 0);
    if (freePages == 0) {
      return ALL;
    }
    return (int) ((freePages - pagesFrom(freeBlocksPerOrder, order)) * 1000 / freePages);
  }

  /**
   * Returns whether a request that fails does so for want of pages or because of fragmentation.
   *
   * @param freeBlocksPerOrder the free blocks of 2<sup>i</sup> pages, as of {@link
   *     Zone#freeBlocksPerOrder}
   * @param order the request's
   * @return {@link #FITS} if a block of that order or above is free; else towards 1000 for
   *     fragmentation and towards 0 for want of pages, below 0 where a single block is free. 0 too
   *     where no page is free, and for an order above the zone's, of which it has no block however
   *     its pages lie
   * @throws IllegalArgumentException if {@code order} is negative
   */
  public static int fragmentationIndex(int[] freeBlocksPerOrder, int order) {
    requireOrder(order);
    long blocks = 0;
    for (int count : freeBlocksPerOrder) {
      blocks += count;
    }
    if (order >= freeBlocksPerOrder.length || blocks == 0) {
      return 0;
    }
    if (pagesFrom(freeBlocksPerOrder, order) > 0) {
      return FITS;
    }
    long wantedPages = 1L << order;
    return (int) (1000 - (1000 + pagesFrom(freeBlocksPerOrder, 0) * 1000 / wantedPages) / blocks);
  }

  private static long pagesFrom(int[] freeBlocksPerOrder, int order) {
    long pages = 0;
    for (int i = order; i < freeBlocksPerOrder.length; i++) {
      pages += (long) freeBlocksPerOrder[i] << i;
    }
    return pages;
  }

  private static void requireOrder(int order) {
    if (order < 0) {
      throw new IllegalArgumentException("no such order: order=" + order + "; give 0 or more");
    }
  }
}
