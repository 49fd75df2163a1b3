/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zone;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.BitSet;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class ZoneTest {
  private static final Watermarks NO_MARKS = new Watermarks(0, 0, 0);

  private Zone zone = new Zone(64, 5, 16, NO_MARKS);

  @AfterEach
  void metadataIsWhole() {
    zone.validate();
  }

  private int take(int pages) {
    long run = zone.take(pages, 0);
    assertTrue(run >= 0, "taken");
    return Zone.page(run);
  }

  @Test
  void aNewZoneIsFreeInTheLargestBlocks() {
    assertArrayEquals(new int[] {0, 0, 0, 0, 0, 2}, zone.freeBlocksPerOrder());
    assertEquals(64, zone.freePages());
    assertEquals(0, zone.usedPages());
    assertEquals(0, zone.committedPages());
    assertEquals(5, zone.largestFreeOrder());
  }

  @Test
  void aZoneOfAnySizeIsFreeInThePowersOfTwoOfItsSize() {
    zone = new Zone(64 + 8 + 4 + 1, 30, 1, NO_MARKS);
    assertEquals(6, zone.maxOrder());
    assertArrayEquals(new int[] {1, 0, 1, 1, 0, 0, 1}, zone.freeBlocksPerOrder());
  }

  @Test
  void aTakeSplitsTheLowestBlockOfTheSmallestOrderThatFits() {
    assertEquals(0, take(1));
    assertArrayEquals(new int[] {1, 1, 1, 1, 1, 1}, zone.freeBlocksPerOrder());
    assertEquals(8, take(8));
    assertEquals(16, take(9));
    assertEquals(1, take(1));
    assertEquals(32, take(32));
  }

  @Test
  void seventeenPagesCostSeventeenPages() {
    assertEquals(0, take(17));
    assertEquals(64 - 17, zone.freePages());
    assertEquals(17, zone.pages(0));
    assertArrayEquals(new int[] {1, 1, 1, 1, 0, 1}, zone.freeBlocksPerOrder());
  }

  @Test
  void freeingEverythingRestoresTheLargestBlocks() {
    int[] pages = {take(17), take(3), take(1), take(10), take(5)};
    assertEquals(5, zone.liveRuns());
    for (int page : pages) {
      assertTrue(zone.free(page) > 0);
    }
    assertArrayEquals(new int[] {0, 0, 0, 0, 0, 2}, zone.freeBlocksPerOrder());
    assertEquals(0, zone.liveRuns());
  }

  @Test
  void whatIsNoLiveRunsFirstPageIsNotFreed() {
    assertEquals(Zone.NOT_LIVE, zone.free(0));
    int run = take(11);
    for (int page = run + 1; page < run + 11; page++) {
      assertEquals(Zone.INTERIOR, zone.free(page));
      assertEquals(Zone.INTERIOR, zone.pages(page));
    }
    assertEquals(Zone.NOT_LIVE, zone.free(run + 11));
    assertEquals(11, zone.free(run));
    assertEquals(Zone.NOT_LIVE, zone.free(run));
    assertEquals(Zone.NOT_LIVE, zone.pages(run));
  }

  @Test
  void aTakeLeavesAtLeastTheFloor() {
    assertEquals(Zone.NONE, zone.take(5, 60));
    assertEquals(0, zone.take(4, 60));
    assertEquals(Zone.NONE, zone.take(1, 60));
    assertEquals(Zone.NONE, zone.takeCommitted(1, Integer.MAX_VALUE));
  }

  @Test
  void moreThanTheLargestBlockNeverFits() {
    assertEquals(Zone.NONE, zone.take(33, 0));
    assertEquals(Zone.NONE, zone.takeCommitted(33, 0));
    assertEquals(Zone.NONE, zone.take(Integer.MAX_VALUE, 0));
  }

  @Test
  void aFullZoneHasNothing() {
    take(32);
    take(32);
    assertEquals(Zone.NONE, zone.take(1, 0));
    assertEquals(-1, zone.largestFreeOrder());
    assertEquals(0, zone.freePages());
  }

  @Test
  void aRunIsCommittedIfAllUnitsThatItTouchesAre() {
    zone.markCommitted(0, 17);
    assertEquals(32, zone.committedPages());
    assertTrue(Zone.isCommitted(zone.take(32, 0)));
    zone.markCommitted(63, 1);
    assertFalse(Zone.isCommitted(zone.take(32, 0)));
    assertEquals(2, zone.uncommittedUnit(32, 32));
    assertEquals(Zone.NONE, zone.uncommittedUnit(48, 16));
  }

  @Test
  void committingUnitByUnitEnds() {
    int page = take(32);
    int rounds = 0;
    for (int unit = zone.uncommittedUnit(page, 20); unit >= 0; rounds++) {
      zone.markCommitted(unit * zone.commitPages(), 1);
      unit = zone.uncommittedUnit(page, 20);
    }
    assertEquals(2, rounds);
    zone.free(page);
    assertEquals(BitSet.valueOf(new long[] {1}), zone.retire(0, 1, false));
    assertEquals(0, zone.uncommittedUnit(page, 20));
    assertEquals(16, zone.committedPages());
  }

  @Test
  void theLastUnitCountsOnlyThePagesOfTheZone() {
    zone = new Zone(70, 6, 16, NO_MARKS);
    zone.markCommitted(69, 1);
    assertEquals(6, zone.committedPages());
    zone.markCommitted(0, 70);
    assertEquals(70, zone.committedPages());
  }

  @Test
  void aTakeOfCommittedPagesCutsThemOutOfALargerBlock() {
    assertEquals(Zone.NONE, zone.takeCommitted(1, 0));
    zone.markCommitted(48, 16);
    long run = zone.takeCommitted(3, 0);
    assertEquals(48, Zone.page(run));
    assertTrue(Zone.isCommitted(run));
    assertArrayEquals(new int[] {1, 0, 1, 1, 1, 1}, zone.freeBlocksPerOrder());
    assertEquals(Zone.NONE, zone.takeCommitted(16, 0));
    assertEquals(56, Zone.page(zone.takeCommitted(8, 0)));
    assertEquals(3, zone.free(48));
  }

  @Test
  void aClosedZoneNeitherGivesNorTakesButStillAnswers() {
    int page = take(7);
    zone.close();
    zone.close();
    assertEquals(Zone.CLOSED, zone.take(1, 0));
    assertEquals(Zone.CLOSED, zone.takeCommitted(1, 0));
    assertEquals(Zone.CLOSED, zone.free(page));
    assertEquals(7, zone.pages(page));
    assertEquals(1, zone.liveRuns());
  }

  @Test
  void aZoneOfOnePageWorks() {
    zone = new Zone(1, 30, 512, NO_MARKS);
    assertEquals(0, zone.maxOrder());
    assertEquals(0, take(1));
    assertEquals(Zone.NONE, zone.take(1, 0));
    assertEquals(1, zone.free(0));
  }

  @Test
  void theLargestZoneWorks() {
    zone = new Zone(Integer.MAX_VALUE, 30, 1 << 30, Watermarks.of(Integer.MAX_VALUE));
    assertEquals(30, zone.maxOrder());
    assertEquals(Integer.MAX_VALUE - 1, take(1));
    assertEquals(0, take(1 << 30));
    assertEquals(Zone.NONE, zone.take(1 << 30, 0));
    assertEquals(1 << 30, take((1 << 28) + 1));
    assertEquals(Zone.INTERIOR, zone.free((1 << 30) + (1 << 28)));
    zone.markCommitted(Integer.MAX_VALUE - 1, 1);
    assertEquals((1 << 30) - 1, zone.committedPages());
    assertEquals((1 << 28) + 1, zone.free(1 << 30));
    assertEquals(1 << 30, zone.free(0));
    assertEquals(1 << 30, Zone.page(zone.takeCommitted(1 << 29, 0)));
  }

  @Test
  void aTakeTellsWhetherItWentBelowTheLowMark() {
    zone = new Zone(64, 5, 16, new Watermarks(2, 8, 12));
    long run = zone.take(32, 0);
    assertFalse(Zone.isBelowLow(run));
    assertFalse(Zone.isBelowLow(zone.take(24, 0)));
    // As many as the mark says are free.
    assertEquals(8, zone.freePages());
    assertTrue(Zone.isBelowLow(zone.take(1, 0)));
    assertTrue(zone.lend(2, 0));
    zone.repay(2);
    assertEquals(2, zone.returnedPages());
    zone.markCommitted(0, 64);
    long last = zone.takeCommitted(1, 0);
    assertTrue(Zone.isBelowLow(last));
    assertEquals(57, Zone.page(last));
    // What comes back is counted once, and not what nobody could use.
    zone.undo(57, null);
    assertEquals(2, zone.returnedPages());
    zone.free(Zone.page(run));
    assertEquals(34, zone.returnedPages());
    assertFalse(Zone.isBelowLow(zone.take(30, 0)));
  }

  @Test
  void argumentsOutsideTheirRangeAreRefused() {
    assertThrows(IllegalArgumentException.class, () -> new Zone(0, 5, 16, NO_MARKS));
    assertThrows(IllegalArgumentException.class, () -> new Zone(1, -1, 16, NO_MARKS));
    assertThrows(IllegalArgumentException.class, () -> new Zone(1, 31, 16, NO_MARKS));
    assertThrows(IllegalArgumentException.class, () -> new Zone(1, 5, 0, NO_MARKS));
    assertThrows(IllegalArgumentException.class, () -> new Zone(1, 5, 24, NO_MARKS));
    assertThrows(IllegalArgumentException.class, () -> new Zone(1, 5, Integer.MIN_VALUE, NO_MARKS));
    assertThrows(IllegalArgumentException.class, () -> new Zone(1, 5, 1, new Watermarks(0, 1, 2)));
    assertThrows(IllegalArgumentException.class, () -> zone.take(0, 0));
    assertThrows(IllegalArgumentException.class, () -> zone.take(1, -1));
    assertThrows(IllegalArgumentException.class, () -> zone.takeCommitted(-1, 0));
    assertThrows(IllegalArgumentException.class, () -> zone.free(-1));
    assertThrows(IllegalArgumentException.class, () -> zone.pages(64));
    assertThrows(IllegalArgumentException.class, () -> zone.markCommitted(0, 0));
    IllegalArgumentException refused =
        assertThrows(
            IllegalArgumentException.class, () -> zone.uncommittedUnit(60, Integer.MAX_VALUE));
    assertEquals(
        "run outside the zone: page=60, pages=2147483647; give 1 to 4 pages", refused.getMessage());
  }
}
