/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zone;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.BitSet;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What of a zone's runs is away, and the addresses that it has for others meanwhile. */
final class ZoneAwayTest {
  private static final Watermarks NO_MARKS = new Watermarks(0, 0, 0);

  /** 32 pages in units of 16, in a region of 64. */
  private final Zone zone = new Zone(64, 32, 6, 16, NO_MARKS);

  @AfterEach
  void metadataIsWhole() {
    zone.validate();
  }

  private int take(int pages) {
    long run = zone.take(pages, 0);
    assertTrue(run >= 0, "taken");
    zone.markCommitted(Zone.page(run), pages);
    return Zone.page(run);
  }

  private void moveAway(int page) {
    int pages = zone.beginAway(page, null);
    assertTrue(zone.setAway(page, pages));
  }

  private void strandAway(int page) {
    moveAway(page);
    assertTrue(zone.strand(page, null) > 0);
  }

  @Test
  void aRegionSmallerThanTheCapacityIsRefused() {
    assertThrows(IllegalArgumentException.class, () -> new Zone(31, 32, 6, 16, NO_MARKS));
    assertEquals(64, zone.regionPages());
    assertEquals(32, zone.capacityPages());
    assertEquals(5, zone.maxOrder(), "no block is larger than the capacity");
  }

  @Test
  void whatIsAwayMakesRoomAtOtherAddresses() {
    int first = take(32);
    assertEquals(Zone.NONE, zone.take(1, 0));
    assertEquals(0, zone.unbackedPages());
    moveAway(first);
    assertEquals(32, zone.freePages());
    assertEquals(32, zone.unbackedPages());
    int second = take(32);
    assertEquals(32, second);
    assertEquals(0, zone.unbackedPages());
    assertFalse(zone.setAway(first, 31), "its place is taken");
    assertEquals(32, zone.usedPages());
    assertEquals(Zone.NONE, zone.take(1, 0), "no capacity is left");
    moveAway(second);
    assertEquals(32, zone.freePages());
    assertEquals(Zone.NONE, zone.take(1, 0), "no address is left");
    assertTrue(zone.setAway(first, 0));
    assertEquals(Zone.AWAY, zone.free(first));
    zone.endAway(first);
    assertEquals(32, zone.free(first));
  }

  @Test
  void aUnitOfWhichNothingIsLiveIsEmptied() {
    int[] runs = {take(4), take(4), take(2)};
    strandAway(runs[0]);
    assertNull(zone.emptyUnit(0), "others are live");
    strandAway(runs[2]);
    zone.free(runs[1]);
    Zone.EmptiedUnit emptied = zone.emptyUnit(0);
    assertEquals(List.of(runs[0], runs[2]), emptied.runs());
    BitSet free = new BitSet();
    free.set(4, 8);
    free.set(10, 16);
    assertEquals(free, emptied.pages());
    assertEquals(0, zone.committedPages());
    // Until their memory went back, so much less can come.
    assertEquals(32 - 10, zone.unbackedPages());
    zone.validate();
    assertEquals(4, zone.nextWritten(4, 16, true));
    zone.emptied(0, free.cardinality(), true);
    assertEquals(16, zone.nextWritten(0, 16, true), "what went back was zeroed");
    assertEquals(32, zone.unbackedPages());
    assertEquals(0, zone.awayPages());
    assertEquals(32, zone.freePages());
    assertEquals(Zone.NOT_LIVE, zone.free(runs[0]));
  }

  @Test
  void aLongRunGoesWithTheUnitInWhichItEnds() {
    int run = take(20);
    int beside = take(4);
    assertEquals(20, beside);
    strandAway(run);
    assertNull(zone.emptyUnit(1), "a run beside it is live");
    moveAway(beside);
    assertNull(zone.emptyUnit(1), "it is live though it is away");
    assertEquals(4, zone.strand(beside, null));
    assertTrue(zone.setAway(beside, 3));
    assertNull(zone.emptyUnit(1), "a page of it has memory");
    assertTrue(zone.setAway(beside, 4));
    Zone.EmptiedUnit emptied = zone.emptyUnit(1);
    assertEquals(List.of(run, beside), emptied.runs());
    assertEquals(8, emptied.pages().cardinality());
    zone.emptied(1, 8, false);
    assertEquals(0, zone.committedPages());
    assertEquals(32, zone.unbackedPages());
    assertEquals(16, zone.nextWritten(16, 32, true), "nobody says that it was zeroed");
  }
}
