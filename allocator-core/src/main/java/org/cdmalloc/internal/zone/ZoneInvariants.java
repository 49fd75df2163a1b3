/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zone;

/**
 * One walk over a buddy system from its first page to its last, which owner by owner checks the
 * invariants I1 to I6 of {@link Zone}. It reads only, trusts no count, and is used once. Not safe
 * for use while another thread changes what it reads.
 */
final class ZoneInvariants {
  private static final int NONE = -1;

  private final int regionPages;
  private final FreeArea[] areas;
  private final PageMap map;
  private int blocks;
  private int freePages;
  private int runs;
  private int pieces;

  ZoneInvariants(int regionPages, FreeArea[] areas, PageMap map) {
    this.regionPages = regionPages;
    this.areas = areas;
    this.map = map;
  }

  /**
   * Checks everything.
   *
   * @param filledOrders the orders said to have free blocks, a bit each
   * @param freePagesCounted the pages said to be free
   * @param liveRunsCounted the runs said to be live
   * @throws AssertionError naming the first invariant that does not hold
   */
  void run(int filledOrders, int freePagesCounted, int liveRunsCounted) {
    checkAreas(filledOrders);
    int page = 0;
    while (page < regionPages) {
      page = map.entry(page) == 0 ? passBlock(page) : passRun(page);
    }
    int counted = 0;
    for (FreeArea area : areas) {
      counted += area.count();
    }
    // What the walk stepped over without meeting it lies inside another block or run.
    require(blocks == counted, "I1: free blocks overlap, inside another owner", counted - blocks);
    require(pieces == map.pieces(), "I4: entries inside another owner", map.pieces() - pieces);
    require(freePages == freePagesCounted, "I5: free pages miscounted", freePagesCounted);
    require(runs == liveRunsCounted, "I5: live runs miscounted", liveRunsCounted);
  }

  private void checkAreas(int filledOrders) {
    for (int order = 0; order < areas.length; order++) {
      try {
        areas[order].validate();
      } catch (AssertionError disagreement) {
        throw new AssertionError("I3: " + disagreement.getMessage(), disagreement);
      }
      boolean filled = (filledOrders >>> order & 1) != 0;
      require(filled == (areas[order].count() != 0), "I3: filled orders disagree", order);
    }
  }

  private int passBlock(int page) {
    int owner = NONE;
    for (int order = 0; order < areas.length; order++) {
      if ((page & ((1 << order) - 1)) == 0 && areas[order].test(page)) {
        require(owner == NONE, "I1: two free blocks start", page);
        owner = order;
      }
    }
    require(owner != NONE, "I1: no owner", page);
    boolean merged = owner == areas.length - 1 || !areas[owner].test(page ^ 1 << owner);
    require(merged, "I2: two buddies are free", page);
    blocks++;
    freePages += 1 << owner;
    return end(page, owner);
  }

  private int passRun(int page) {
    int start = page;
    int entry = map.entry(start);
    require(PageMap.isHead(entry), "I4: a run without a head", start);
    int order = PageMap.order(entry);
    start = passPiece(start, entry);
    while (PageMap.hasMore(entry)) {
      entry = map.entry(start);
      require(PageMap.isPiece(entry) && !PageMap.isHead(entry), "I4: a run is cut", start);
      require(PageMap.order(entry) < order, "I4: pieces do not descend", start);
      order = PageMap.order(entry);
      start = passPiece(start, entry);
    }
    runs++;
    return start;
  }

  private int passPiece(int page, int entry) {
    int order = PageMap.order(entry);
    require((page & ((1 << order) - 1)) == 0, "I4: a piece is not aligned", page);
    for (FreeArea area : areas) {
      require(area.covers(page), "I6: free would have to allocate", page);
    }
    pieces++;
    return end(page, order);
  }

  private int end(int page, int order) {
    require(1 << order <= regionPages - page, "I1: an owner ends outside the zone", page);
    return page + (1 << order);
  }

  private static void require(boolean holds, String what, int value) {
    if (!holds) {
      throw new AssertionError(what + ": at=" + value);
    }
  }
}
