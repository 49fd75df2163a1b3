/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zone;

import java.util.Arrays;

/**
 * The main class of a JVM with a heap of 12 MiB: takes from a zone of 64 GiB until the heap has no
 * room for its metadata, then checks that nothing happened to the zone, and frees everything while
 * the heap is still full.
 */
final class ExhaustedHeap {
  private static final int CAPACITY_PAGES = 1 << 24;
  private static final int RUN_PAGES = PageMap.GROUP_PAGES - 1;

  private ExhaustedHeap() {}

  public static void main(String[] arguments) {
    byte[] reserve = new byte[1 << 20];
    int[] runs = new int[CAPACITY_PAGES / PageMap.GROUP_PAGES];
    Zone zone = new Zone(CAPACITY_PAGES, 18, 512, new Watermarks(0, 0, 0));
    int taken = 0;
    boolean exhausted = false;
    while (!exhausted) {
      try {
        runs[taken] = Zone.page(zone.take(RUN_PAGES, 0));
        taken++;
      } catch (OutOfMemoryError expected) {
        exhausted = true;
      }
    }
    int liveRuns = zone.liveRuns();
    int freePages = zone.freePages();
    boolean allFreed = true;
    for (int run = 0; run < taken; run++) {
      allFreed &= zone.free(runs[run]) == RUN_PAGES;
    }
    if (reserve.length > 0) {
      // Only now may anything below allocate.
      reserve = null;
    }
    require(liveRuns == taken, "live runs: " + liveRuns + ", taken: " + taken);
    require(freePages == CAPACITY_PAGES - taken * RUN_PAGES, "free pages: " + freePages);
    require(allFreed, "a run was lost");
    zone.validate();
    int[] blocks = zone.freeBlocksPerOrder();
    require(blocks[18] == CAPACITY_PAGES >> 18, "free blocks: " + Arrays.toString(blocks));
    require(taken > 0, "nothing was taken before the heap was exhausted");
  }

  private static void require(boolean holds, String what) {
    if (!holds) {
      throw new AssertionError(what);
    }
  }
}
