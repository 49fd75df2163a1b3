/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zone;

import java.util.BitSet;

/**
 * Which pages have memory behind them, one bit per <em>unit</em>: the pages that are committed
 * together, a power of two. The last unit may be cut short by the end of the zone. Only {@link
 * #mark} allocates on the Java heap. Not safe for use by more than one thread.
 */
final class CommitMap {
  private static final int NONE = -1;

  private final int capacityPages;
  private final int unitShift;
  private final BitSet units = new BitSet();

  CommitMap(int capacityPages, int unitPages) {
    this.capacityPages = capacityPages;
    this.unitShift = Integer.numberOfTrailingZeros(unitPages);
  }

  /** Marks every unit that a run touches; if the Java heap is exhausted, none. */
  void mark(int page, int pages) {
    units.set(page >>> unitShift, lastUnit(page, pages) + 1);
  }

  /** Unmarks every unit that a run touches. */
  void unmark(int page, int pages) {
    units.clear(page >>> unitShift, lastUnit(page, pages) + 1);
  }

  /** Returns the first unmarked unit that a run touches, or −1 if all are marked. */
  int firstUnmarked(int page, int pages) {
    int unit = units.nextClearBit(page >>> unitShift);
    return unit <= lastUnit(page, pages) ? unit : NONE;
  }

  /** Returns the first page of the first marked unit from a unit on, or −1 if there is none. */
  int nextMarkedPage(int unit) {
    int marked = units.nextSetBit(unit);
    return marked < 0 ? NONE : marked << unitShift;
  }

  /** Returns how many pages lie in marked units. */
  int pages() {
    long pages = (long) units.cardinality() << unitShift;
    long end = (long) units.length() << unitShift;
    return (int) (pages - Math.max(0, end - capacityPages));
  }

  private int lastUnit(int page, int pages) {
    return (page + (pages - 1)) >>> unitShift;
  }

  /** Returns what the bits cost on the Java heap, in bytes. */
  long metadataBytes() {
    return Footprint.ofArray(units.size() / Long.SIZE, Long.BYTES);
  }
}
