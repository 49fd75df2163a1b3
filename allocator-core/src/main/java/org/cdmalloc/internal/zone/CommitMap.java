/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zone;

import java.util.BitSet;

/**
 * Which pages have memory behind them, one bit per <em>unit</em>: the pages that are committed
 * together, a power of two; the last unit may be cut short by the end of the zone. And which of
 * those units nobody took pages of since somebody last looked. Only {@link #mark} and {@link
 * #retire} allocate on the Java heap. Not safe for use by more than one thread.
 */
final class CommitMap {
  private static final int NONE = -1;

  /** Tells whether all pages of a range are free. */
  interface FreeTest {
    boolean isFree(int page, int pages);
  }

  private final int regionPages;
  private final int unitShift;
  private final BitSet units = new BitSet();

  /** Units that were committed and free when last looked at, and not taken from since. */
  private final BitSet idle = new BitSet();

  private int pages;

  CommitMap(int regionPages, int unitPages) {
    this.regionPages = regionPages;
    this.unitShift = Integer.numberOfTrailingZeros(unitPages);
  }

  /** Marks every unit that a run touches; if the Java heap is exhausted, none. */
  void mark(int page, int count) {
    int last = lastUnit(page, count);
    int first = page >>> unitShift;
    int added = unmarkedPages(first, last + 1);
    units.set(first, last + 1);
    pages += added;
  }

  /** Unmarks units, all of which are marked, from one to another, exclusive; none if not fewer. */
  void unmark(int from, int to) {
    if (from < to) {
      units.clear(from, to);
      idle.clear(from, to);
      pages -= unmarkedPages(from, to);
    }
  }

  /** Remembers that somebody took pages of a run. */
  void touch(int page, int count) {
    if (!idle.isEmpty()) {
      idle.clear(page >>> unitShift, lastUnit(page, count) + 1);
    }
  }

  /**
   * Unmarks the units of a window that are free as a whole, and returns them.
   *
   * @param from the first unit
   * @param to the end, exclusive
   * @param onlyIdle spares those that were not free when last looked at, or taken from since; they
   *     are looked at now
   */
  BitSet retire(int from, int to, boolean onlyIdle, FreeTest test) {
    BitSet retired = new BitSet();
    for (int unit = units.nextSetBit(from); unit >= 0 && unit < to; ) {
      if (!test.isFree(unit << unitShift, unitPages(unit))) {
        idle.clear(unit);
      } else if (onlyIdle && !idle.get(unit)) {
        idle.set(unit);
      } else {
        retired.set(unit);
      }
      unit = units.nextSetBit(unit + 1);
    }
    units.andNot(retired);
    idle.andNot(retired);
    pages -= retired.stream().map(this::unitPages).sum();
    return retired;
  }

  private int unmarkedPages(int from, int to) {
    int sum = 0;
    for (int unit = units.nextClearBit(from); unit < to; unit = units.nextClearBit(unit + 1)) {
      sum += unitPages(unit);
    }
    return sum;
  }

  /** Returns the pages of a unit. */
  int unitPages(int unit) {
    return Math.min(1 << unitShift, regionPages - (unit << unitShift));
  }

  /** Returns the first unmarked unit that a run touches, or −1 if all are marked. */
  int firstUnmarked(int page, int count) {
    int last = lastUnit(page, count);
    // Bit by bit: a search for the next clear bit goes on behind the run, through the whole zone.
    for (int unit = page >>> unitShift; unit <= last; unit++) {
      if (!units.get(unit)) {
        return unit;
      }
    }
    return NONE;
  }

  /** Returns the first page of the first marked unit from a unit on, or −1 if there is none. */
  int nextMarkedPage(int unit) {
    int marked = units.nextSetBit(unit);
    return marked < 0 ? NONE : marked << unitShift;
  }

  /** Returns the first marked unit from a unit on, or −1 if there is none. */
  int nextMarked(int unit) {
    return units.nextSetBit(unit);
  }

  /** Returns the marked units of a window. */
  BitSet marked(int from, int to) {
    BitSet marked = new BitSet();
    for (int unit = units.nextSetBit(from); unit >= 0 && unit < to; ) {
      marked.set(unit);
      unit = units.nextSetBit(unit + 1);
    }
    return marked;
  }

  /** Returns how many pages lie in marked units. */
  int pages() {
    return pages;
  }

  /** Counts the pages of all marked units anew. */
  int countedPages() {
    return units.stream().map(this::unitPages).sum();
  }

  private int lastUnit(int page, int count) {
    return (page + (count - 1)) >>> unitShift;
  }

  /** Returns what the bits cost on the Java heap, in bytes. */
  long metadataBytes() {
    return Footprint.ofArray(units.size() / Long.SIZE, Long.BYTES)
        + Footprint.ofArray(idle.size() / Long.SIZE, Long.BYTES);
  }
}
