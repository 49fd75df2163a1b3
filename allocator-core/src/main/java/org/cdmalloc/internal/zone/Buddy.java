/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zone;

/**
 * Splitting and merging: the free areas of all orders and the page map, always in step with each
 * other. Invariants I1 to I6 of {@link Zone} are this class's.
 *
 * <p>Every operation takes O(maxOrder) steps if it does not say otherwise. Only {@link #take} and
 * {@link #takeWhereCommitted} allocate on the Java heap, and they do so before they change anything
 * else. Not safe for use by more than one thread.
 */
final class Buddy {
  private static final int NONE = Zone.NONE;

  private final int regionPages;
  private final int maxOrder;
  private final FreeArea[] areas;
  private final PageMap map;
  private final WrittenMap written;

  /** Bit k is set if the free area of order k is not empty. */
  private int filledOrders;

  /** Makes a buddy system whose pages are all free. */
  Buddy(int regionPages, int maxOrder) {
    this.regionPages = regionPages;
    this.maxOrder = maxOrder;
    this.areas = new FreeArea[maxOrder + 1];
    this.map = new PageMap(regionPages);
    this.written = new WrittenMap(regionPages);
    for (int order = 0; order <= maxOrder; order++) {
      areas[order] = new FreeArea(order, regionPages);
    }
    int page = 0;
    for (int rest = regionPages; rest != 0; ) {
      int order = Math.min(maxOrder, floorLog2(rest));
      areas[order].cover(page);
      put(page, order);
      page += 1 << order;
      rest -= 1 << order;
    }
  }

  /** Returns the order of the largest block that is not larger than a number of pages. */
  static int floorLog2(int pages) {
    return Integer.SIZE - 1 - Integer.numberOfLeadingZeros(pages);
  }

  /** Returns the order of the smallest block that holds a number of pages. */
  static int ceilingLog2(int pages) {
    return Integer.SIZE - Integer.numberOfLeadingZeros(pages - 1);
  }

  /**
   * Takes a run from the lowest block of the smallest order that fits.
   *
   * @param order of the block that it is cut from at least, and thereby its alignment; holds all
   *     pages
   * @param marked whether the run is marked
   * @return its first page, or NONE
   */
  int take(int pages, int order, boolean marked) {
    int fitting = filledOrders & -1 << order;
    if (fitting == 0) {
      return NONE;
    }
    int blockOrder = Integer.numberOfTrailingZeros(fitting);
    int page = areas[blockOrder].first();
    claim(page, pages, order, blockOrder, marked);
    return page;
  }

  /** Returns the pages of the free block that begins at a page, or NONE; or if it has more. */
  int freePagesAt(int page, int most) {
    int order = freeOrder(page);
    boolean begins = order != NONE && (page & ((1 << order) - 1)) == 0;
    return begins && 1 << order <= most ? 1 << order : NONE;
  }

  /** Takes the free block of so many pages that begins at a page, as a run that is marked. */
  void takeAt(int page, int pages) {
    int order = floorLog2(pages);
    claim(page, pages, order, order, true);
  }

  /**
   * Takes the lowest run that lies in one free block at a multiple of the size which {@link #take}
   * would cut for it, and all of whose pages are committed. Takes O(free blocks) steps at worst.
   *
   * @return its first page, or NONE
   */
  int takeWhereCommitted(int pages, int order, boolean marked, CommitMap committed) {
    int lowest = regionPages;
    int lowestOrder = NONE;
    int fitting = filledOrders & -1 << order;
    for (; fitting != 0; fitting &= fitting - 1) {
      int blockOrder = Integer.numberOfTrailingZeros(fitting);
      int page = firstCommitted(pages, order, areas[blockOrder], lowest, committed);
      if (page != NONE) {
        lowest = page;
        lowestOrder = blockOrder;
      }
    }
    if (lowestOrder == NONE) {
      return NONE;
    }
    claim(lowest, pages, order, lowestOrder, marked);
    return lowest;
  }

  private int firstCommitted(int pages, int order, FreeArea area, int limit, CommitMap committed) {
    long page = 0;
    while (page < limit) {
      int block = area.next((int) page);
      if (block == NONE || block >= limit) {
        return NONE;
      }
      int candidate = Math.max((int) page, block);
      int hole = committed.firstUnmarked(candidate, pages);
      if (hole < 0) {
        return candidate;
      }
      int marked = committed.nextMarkedPage(hole);
      if (marked < 0) {
        return NONE;
      }
      page = ceiling(Math.max(marked, candidate), order);
    }
    return NONE;
  }

  private static long ceiling(int page, int order) {
    return ((long) page + (1L << order) - 1) >>> order << order;
  }

  /** Cuts a run out of a free block that holds the aligned block of the run's own order. */
  private void claim(int page, int pages, int order, int blockOrder, boolean marked) {
    cover(page, pages);
    remove(page & -(1 << blockOrder), blockOrder);
    for (int half = blockOrder - 1; half >= order; half--) {
      put(buddy(page & -(1 << half), half), half);
    }
    // The tail from `rest` on, up to the end of the block, is again a sum of aligned blocks.
    for (int rest = pages; rest != 1 << order; rest += Integer.lowestOneBit(rest)) {
      put(page + rest, Integer.numberOfTrailingZeros(rest));
    }
    map.write(page, pages, marked);
  }

  /**
   * Sees to it that neither this take nor the free of the run allocates: both set only bits of
   * blocks that hold a piece's first page, or of their buddies; the free marks the pages as
   * written.
   */
  private void cover(int page, int pages) {
    int last = page + (pages - 1);
    if (!map.covers(page) || page / PageMap.GROUP_PAGES != last / PageMap.GROUP_PAGES) {
      written.cover(page, pages);
    }
    int start = page;
    for (int rest = pages; rest != 0; ) {
      int piece = Integer.highestOneBit(rest);
      if (!map.covers(start)) {
        for (FreeArea area : areas) {
          area.cover(start);
        }
        map.cover(start);
      }
      start += piece;
      rest -= piece;
    }
  }

  /**
   * Frees the run that starts at a page. Never allocates on the Java heap.
   *
   * @param used whether its pages count as written from then on; else they stay as they were
   * @return its pages, or NOT_LIVE or INTERIOR
   */
  int free(int page, boolean used) {
    int entry = map.entry(page);
    if (!PageMap.isHead(entry)) {
      return mistake(page);
    }
    int start = page;
    while (true) {
      int order = PageMap.order(entry);
      map.clear(start);
      merge(start, order);
      start += 1 << order;
      if (!PageMap.hasMore(entry)) {
        if (used) {
          written.set(page, start - page);
        }
        return start - page;
      }
      entry = map.entry(start);
    }
  }

  private void merge(int page, int pieceOrder) {
    int block = page;
    int order = pieceOrder;
    while (order < maxOrder && areas[order].test(buddy(block, order))) {
      remove(buddy(block, order), order);
      block &= -(2 << order);
      order++;
    }
    put(block, order);
  }

  /** Returns the pages of the run that starts at a page, or NOT_LIVE or INTERIOR. */
  int runPages(int page) {
    return PageMap.isHead(map.entry(page)) ? map.runPages(page) : mistake(page);
  }

  /** Tells whether the run that starts at a page is marked. */
  boolean isMarked(int page) {
    return PageMap.isMarked(map.entry(page));
  }

  /** Marks the live run that starts at a page, or takes its mark. */
  void mark(int page, boolean marked) {
    map.mark(page, marked);
  }

  /** Returns the first page of the live run that a page lies in, or NONE. */
  int runStart(int page) {
    return map.runStart(page);
  }

  /** Tells whether all of some pages are free. */
  boolean isFree(int page, int pages) {
    int end = page + pages;
    int at = page;
    while (at < end) {
      int order = freeOrder(at);
      if (order == NONE) {
        return false;
      }
      at = (at & -(1 << order)) + (1 << order);
    }
    return true;
  }

  /** Returns the order of the free block that a page lies in, or NONE. */
  private int freeOrder(int page) {
    for (int rest = filledOrders; rest != 0; ) {
      int order = floorLog2(rest);
      if (areas[order].test(page & -(1 << order))) {
        return order;
      }
      rest ^= 1 << order;
    }
    return NONE;
  }

  /** Returns which pages were given back after they could be written to. */
  WrittenMap written() {
    return written;
  }

  /** Returns how many runs are marked. Takes O(pages) steps. */
  int markedRuns() {
    return map.markedRuns();
  }

  private int mistake(int page) {
    return map.isLive(page) ? Zone.INTERIOR : Zone.NOT_LIVE;
  }

  private static int buddy(int block, int order) {
    return block ^ 1 << order;
  }

  private void put(int block, int order) {
    areas[order].set(block);
    filledOrders |= 1 << order;
  }

  private void remove(int block, int order) {
    areas[order].clear(block);
    if (areas[order].count() == 0) {
      filledOrders &= ~(1 << order);
    }
  }

  /** Returns the number of free blocks of each order, 0 … maxOrder. */
  int[] freeBlocksPerOrder() {
    int[] counts = new int[areas.length];
    for (int order = 0; order < counts.length; order++) {
      counts[order] = areas[order].count();
    }
    return counts;
  }

  /** Returns the largest order with a free block, or −1. */
  int largestFreeOrder() {
    return filledOrders == 0 ? NONE : floorLog2(filledOrders);
  }

  /** Returns what all arrays cost on the Java heap, in bytes. */
  long metadataBytes() {
    long bytes =
        Footprint.ofReferences(areas.length) + map.metadataBytes() + written.metadataBytes();
    for (FreeArea area : areas) {
      bytes += area.metadataBytes();
    }
    return bytes;
  }

  /**
   * Checks I1 to I6 of {@link Zone}. Takes O(blocks × maxOrder + bytes of metadata) steps.
   *
   * @param freePages as counted by the caller
   * @param liveRuns as counted by the caller
   * @throws AssertionError naming the first invariant that does not hold
   */
  void validate(int freePages, int liveRuns) {
    new ZoneInvariants(regionPages, areas, map).run(filledOrders, freePages, liveRuns);
  }
}
