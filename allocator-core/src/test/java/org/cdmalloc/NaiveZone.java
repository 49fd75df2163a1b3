/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import org.cdmalloc.spi.Region;

/**
 * A region, what its source was asked for it, and the blocks that its test was given of it: which
 * pages are committed, and which are in live blocks. Finds room by looking at all pages, and knows
 * of no buddies but that blocks of 2<sup>k</sup> pages begin at multiples of that. Shares nothing
 * with the zone that it judges. Not safe for use by several threads, except that what the source is
 * asked may come from any.
 */
final class NaiveZone {
  static final int PAGE_BYTES = 4096;

  /** The pages that are committed together. */
  static final int UNIT_PAGES = 512;

  /** No page. */
  static final int NONE = -1;

  /** The pages of a block, as an allocator gave it. */
  record Run(int page, int pages) {}

  private final Region region;
  private final int pagesPerOsPage;
  private final int capacityPages;

  /** The nodes of one round, each as many times as its weight. */
  private final List<Integer> round = new ArrayList<>();

  private final BitSet live = new BitSet();
  private int livePages;
  private int liveBlocks;

  // Guarded by this.
  private final BitSet committed = new BitSet();
  private final Map<Integer, Integer> committedByNode = new TreeMap<>();

  /** What the source would not take back: nobody may use it, the source counts it as used. */
  private final BitSet stuck = new BitSet();

  private final Map<Integer, Integer> stuckByNode = new TreeMap<>();

  /**
   * Units that were committed and free as a whole when last looked at, and not in a block since.
   */
  private final BitSet idleUnits = new BitSet();

  NaiveZone(Region region, int osPageBytes) {
    this.region = region;
    this.pagesPerOsPage = osPageBytes / PAGE_BYTES;
    this.capacityPages = Math.toIntExact(region.bytes() / PAGE_BYTES);
    for (int node : region.stripe().nodes().stream().toArray()) {
      for (int turn = 0; turn < region.stripe().weight(node); turn++) {
        round.add(node);
      }
    }
  }

  int capacityPages() {
    return capacityPages;
  }

  int livePages() {
    return livePages;
  }

  int liveBlocks() {
    return liveBlocks;
  }

  List<Integer> round() {
    return round;
  }

  boolean holds(long address) {
    return address >= region.address() && address < region.address() + region.bytes();
  }

  long address(int page) {
    return region.address() + (long) page * PAGE_BYTES;
  }

  /** Returns the node that a page shall lie on. */
  int nodeOf(int page) {
    return round.get(page / pagesPerOsPage % round.size());
  }

  synchronized int committedPages() {
    return committed.cardinality();
  }

  synchronized int committedPages(int node) {
    return committedByNode.getOrDefault(node, 0);
  }

  /** Returns the pages that the source counts as used of a node. */
  synchronized int heldPages(int node) {
    return committedByNode.getOrDefault(node, 0) + stuckByNode.getOrDefault(node, 0);
  }

  synchronized void committed(long offset, long bytes) {
    int from = page(offset);
    int to = page(offset + bytes);
    require(from % UNIT_PAGES == 0, "a commit that begins inside a unit", from);
    require(to % UNIT_PAGES == 0 || to == capacityPages, "a commit that ends inside a unit", to);
    require(nextSet(committed, from, to) == to, "what is committed is committed again", from);
    set(stuck, stuckByNode, from, to, false);
    set(committed, committedByNode, from, to, true);
  }

  /**
   * Remembers that memory was offered to the source.
   *
   * @param isTaken whether the source took it
   */
  synchronized void purged(long offset, long bytes, boolean isTaken) {
    int from = page(offset);
    int to = page(offset + bytes);
    require(nextSet(live, from, to) == to, "memory of a live block is given back", from);
    for (int page = from; page < to; page++) {
      boolean had = committed.get(page) || stuck.get(page);
      set(stuck, stuckByNode, page, page + 1, had && !isTaken);
    }
    set(committed, committedByNode, from, to, false);
  }

  private void set(BitSet pages, Map<Integer, Integer> byNode, int from, int to, boolean value) {
    for (int page = from; page < to; page++) {
      if (pages.get(page) != value) {
        pages.set(page, value);
        byNode.merge(nodeOf(page), value ? 1 : -1, Integer::sum);
      }
    }
  }

  /** Remembers a block that was handed out. */
  Run take(long address, long bytes) {
    long offset = address - region.address();
    require(offset % PAGE_BYTES == 0, "a block that is not at a page", offset);
    Run run = new Run(page(offset), (int) ((Math.max(1, bytes) - 1) / PAGE_BYTES + 1));
    int end = run.page + run.pages;
    require(end <= capacityPages, "a block that ends behind its region", offset);
    require(nextSet(live, run.page, end) == end, "a block that overlaps another", offset);
    require(committed.nextClearBit(run.page) >= end, "a block without memory", offset);
    live.set(run.page, end);
    livePages += run.pages;
    liveBlocks++;
    idleUnits.clear(run.page / UNIT_PAGES, (end - 1) / UNIT_PAGES + 1);
    return run;
  }

  void free(Run run) {
    live.clear(run.page, run.page + run.pages);
    livePages -= run.pages;
    liveBlocks--;
  }

  /** The largest order of a block that begins at a page and ends in a zone of that many pages. */
  private int orderAt(int page, int end) {
    int order = 0;
    while (page % (2L << order) == 0
        && page + (2L << order) <= end
        && 2L << order <= capacityPages) {
      order++;
    }
    return order;
  }

  /**
   * Returns where a block goes that may lie anywhere: in the smallest free block that holds it, of
   * those in the lowest.
   *
   * @param order log2 of the pages of which it begins at a multiple, and which it is cut from
   */
  int firstFit(int order) {
    int best = NONE;
    int bestOrder = Integer.MAX_VALUE;
    for (int from = live.nextClearBit(0); from < capacityPages; ) {
      int to = nextSet(live, from, capacityPages);
      for (int page = from; page < to; ) {
        int found = orderAt(page, to);
        if (found >= order && found < bestOrder) {
          best = page;
          bestOrder = found;
        }
        page += 1 << found;
      }
      from = live.nextClearBit(to);
    }
    return best;
  }

  /** Returns whether a block would find room in memory that is committed already. */
  synchronized boolean hasCommittedFit(int pages, int order) {
    int size = 1 << order;
    for (long page = 0; page + size <= capacityPages; page += size) {
      int from = (int) page;
      if (nextSet(live, from, from + size) == from + size
          && committed.nextClearBit(from) >= from + pages) {
        return true;
      }
    }
    return false;
  }

  /** Returns the order of the largest block that this zone can ever have. */
  int maxOrder() {
    return orderAt(0, capacityPages);
  }

  /** Counts the free blocks of each order. */
  List<Integer> freeBlocksPerOrder() {
    Integer[] counts = new Integer[maxOrder() + 1];
    java.util.Arrays.fill(counts, 0);
    for (int from = live.nextClearBit(0); from < capacityPages; ) {
      int to = nextSet(live, from, capacityPages);
      for (int page = from; page < to; ) {
        int order = orderAt(page, to);
        counts[order]++;
        page += 1 << order;
      }
      from = live.nextClearBit(to);
    }
    return List.of(counts);
  }

  /**
   * Returns the pages of the units under a run that are not committed, by node.
   *
   * @param known whether to count those too that the source has not taken back
   */
  synchronized Map<Integer, Integer> missing(int page, int pages, boolean known) {
    Map<Integer, Integer> missing = new TreeMap<>();
    for (int unit = page / UNIT_PAGES; unit <= (page + pages - 1) / UNIT_PAGES; unit++) {
      if (!committed.get(unit * UNIT_PAGES)) {
        for (int at = unit * UNIT_PAGES; at < unitEnd(unit); at++) {
          missing.merge(nodeOf(at), known || !stuck.get(at) ? 1 : 0, Integer::sum);
        }
      }
    }
    return missing;
  }

  private int unitEnd(int unit) {
    return Math.min(capacityPages, (unit + 1) * UNIT_PAGES);
  }

  private boolean isFree(int unit) {
    return nextSet(live, unit * UNIT_PAGES, unitEnd(unit)) == unitEnd(unit);
  }

  /** Returns the committed units that are in no block. */
  synchronized BitSet idle() {
    BitSet idle = new BitSet();
    for (int unit = 0; unit * UNIT_PAGES < capacityPages; unit++) {
      idle.set(unit, committed.get(unit * UNIT_PAGES) && isFree(unit));
    }
    return idle;
  }

  /**
   * Checks what became of the idle units when somebody looked for those that were idle before too.
   *
   * @param before the idle units before the look
   * @param disturbed whether a request may have touched units without a block of them
   */
  void looked(BitSet before, boolean disturbed) {
    BitSet after = idle();
    BitSet gone = (BitSet) before.clone();
    gone.andNot(after);
    gone.andNot(idleUnits);
    require(gone.isEmpty(), "units were given back that were used since the last look", gone);
    BitSet kept = (BitSet) after.clone();
    kept.and(idleUnits);
    require(disturbed || kept.isEmpty(), "units were kept that nobody used", kept);
    idleUnits.clear();
    idleUnits.or(after);
  }

  /** Remembers that a look for idle units failed, somewhere: some units may count as seen. */
  void lookedInVain() {
    idleUnits.or(idle());
  }

  private static int page(long offset) {
    return (int) (offset / PAGE_BYTES);
  }

  private static int nextSet(BitSet bits, int from, int end) {
    int next = bits.nextSetBit(from);
    return next < 0 ? end : Math.min(next, end);
  }

  private void require(boolean holds, String what, Object where) {
    if (!holds) {
      throw new AssertionError(what + ": at=" + where + ", " + this);
    }
  }

  @Override
  public String toString() {
    return String.format(
        Locale.ROOT,
        "zone[stripe=%s, pages=%d, live=%d, committed=%d]",
        region.stripe(),
        capacityPages,
        livePages,
        committedPages());
  }
}
