/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zone;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What of a zone is somebody's: runs with owners and alignments, pages lent and held, written. */
final class ZoneSharingTest {
  private static final Watermarks NO_MARKS = new Watermarks(0, 0, 0);

  private Zone zone = new Zone(64, 6, 16, NO_MARKS);
  private final Object owner = new Object();

  @AfterEach
  void metadataIsWhole() {
    zone.validate();
  }

  private int take(int pages, int alignOrder, Object of) {
    long run = zone.take(pages, 0, alignOrder, NumaEvents.NONE, of);
    assertTrue(run >= 0, "taken");
    return Zone.page(run);
  }

  @Test
  void aRunStartsAtAMultipleOfItsAlignmentAndCostsItsOwnLength() {
    assertEquals(0, take(1, 0, null));
    assertEquals(16, take(1, 4, null));
    assertEquals(32, take(3, 5, null));
    // The gaps are free: the lowest block that fits is in the first of them.
    assertEquals(2, take(2, 1, null));
    assertEquals(64 - 7, zone.freePages());
    assertEquals(Zone.NONE, zone.take(1, 0, 5, NumaEvents.NONE, null));
    assertEquals(48, take(1, 4, null));
    assertEquals(Zone.NONE, zone.take(1, 0, 6, NumaEvents.NONE, null));
    assertEquals(Zone.NONE, zone.take(1, 0, 30, NumaEvents.NONE, null));
  }

  @Test
  void anAlignedRunOfCommittedPagesIsCutOutOfALargerBlock() {
    zone.markCommitted(16, 32);
    assertEquals(16, Zone.page(zone.takeCommitted(1, 0, 4, NumaEvents.NONE, null)));
    assertEquals(32, Zone.page(zone.takeCommitted(17 - 1, 0, 5, NumaEvents.NONE, owner)));
    assertEquals(Zone.NONE, zone.takeCommitted(1, 0, 4, NumaEvents.NONE, null));
    assertEquals(24, Zone.page(zone.takeCommitted(1, 0, 3, NumaEvents.NONE, null)));
    assertSame(owner, zone.owner(32));
  }

  @Test
  void aRunIsFreedInTheNameOfItsOwnerOnly() {
    Object other = new Object();
    int owned = take(5, 0, owner);
    int free = take(5, 0, null);
    assertSame(owner, zone.owner(owned));
    assertNull(zone.owner(free));
    assertEquals(Zone.OWNED, zone.free(owned));
    assertEquals(Zone.OWNED, zone.free(owned, other));
    assertEquals(Zone.OWNED, zone.free(free, owner));
    assertEquals(2, zone.liveRuns());
    // What is no run's first page is that first, whoever asks.
    assertEquals(Zone.INTERIOR, zone.free(owned + 1, owner));
    assertNull(zone.owner(owned + 1));
    assertEquals(Zone.NOT_LIVE, zone.free(63, owner));
    assertNull(zone.owner(63));
    assertEquals(5, zone.free(owned, owner));
    assertEquals(5, zone.free(free, null));
    assertEquals(Zone.NOT_LIVE, zone.free(owned, owner));
    assertNull(zone.owner(owned));
  }

  @Test
  void ownersAreComparedByIdentity() {
    List<Integer> one = new ArrayList<>(List.of(1));
    List<Integer> same = new ArrayList<>(one);
    int page = take(1, 0, one);
    assertEquals(Zone.OWNED, zone.free(page, same));
    assertEquals(1, zone.free(page, one));
  }

  @Test
  void anAddressThatIsReusedHasItsNewOwner() {
    Object next = new Object();
    int page = take(1, 0, owner);
    zone.free(page, owner);
    assertEquals(page, take(1, 0, next));
    assertEquals(Zone.OWNED, zone.free(page, owner));
    assertEquals(1, zone.free(page, next));
    assertEquals(page, take(1, 0, null));
    assertNull(zone.owner(page));
  }

  @Test
  void aClosedZoneStillKnowsItsRuns() {
    int page = take(3, 0, owner);
    zone.close();
    assertEquals(Zone.CLOSED, zone.free(page, owner));
    assertEquals(Zone.CLOSED, zone.undo(page, owner));
    assertSame(owner, zone.owner(page));
    assertEquals(page, zone.runStart(page + 2));
    assertFalse(zone.lend(1, 0));
  }

  @Test
  void everyPageKnowsTheStartOfItsRun() {
    int[] starts = {take(17, 0, null), take(1, 0, owner), take(11, 5, null)};
    int[] lengths = {17, 1, 11};
    for (int page = 0; page < 64; page++) {
      int expected = Zone.NOT_LIVE;
      for (int i = 0; i < starts.length; i++) {
        if (page >= starts[i] && page < starts[i] + lengths[i]) {
          expected = starts[i];
        }
      }
      assertEquals(expected, zone.runStart(page), "page=" + page);
    }
    assertThrows(IllegalArgumentException.class, () -> zone.runStart(64));
    assertThrows(IllegalArgumentException.class, () -> zone.owner(-1));
  }

  @Test
  void pagesThatAreLentAreNeitherFreeNorUsed() {
    assertTrue(zone.lend(60, 0));
    assertEquals(4, zone.freePages());
    assertEquals(0, zone.usedPages());
    assertEquals(60, zone.lentPages());
    assertEquals(Zone.NONE, zone.take(5, 0));
    assertEquals(0, Zone.page(zone.take(3, 0)));
    assertFalse(zone.lend(2, 0));
    assertFalse(zone.lend(1, 1));
    assertTrue(zone.lend(1, 0));
    zone.repay(61);
    assertEquals(61, zone.freePages());
    assertEquals(0, zone.lentPages());
  }

  @Test
  void whatIsCommittedHeldOrLentIsNeverMoreThanTheCapacity() {
    zone.markCommitted(0, 32);
    // All are free, and half of them hold memory.
    assertFalse(zone.lend(33, 0));
    assertTrue(zone.lend(12, 0));
    assertFalse(zone.hold(21));
    assertTrue(zone.hold(20));
    assertFalse(zone.hold(1));
    assertFalse(zone.lend(1, 0));
    zone.release(20);
    assertTrue(zone.hold(4));
    assertTrue(zone.lend(16, 0));
    zone.release(4);
    zone.repay(28);
    // What was given back is held until that is done.
    BitSet retired = zone.retire(0, 4, false);
    assertEquals(2, retired.cardinality());
    assertEquals(0, zone.committedPages());
    assertFalse(zone.hold(33));
    assertTrue(zone.hold(32));
    zone.purged(retired, true);
    assertTrue(zone.hold(32));
    zone.release(64);
    assertTrue(zone.hold(64));
    zone.release(64);
  }

  @Test
  void aPageIsWrittenFromItsFreeToItsPurge() {
    zone.markCommitted(0, 64);
    int page = take(5, 0, null);
    assertEquals(64, zone.nextWritten(0, 64, true));
    zone.free(page);
    assertEquals(0, zone.nextWritten(0, 64, true));
    assertEquals(5, zone.nextWritten(0, 64, false));
    assertEquals(5, zone.nextWritten(2, 5, false));
    long again = zone.take(8, 0);
    assertTrue(Zone.isWritten(again));
    assertFalse(Zone.isWritten(zone.take(8, 0)));
    // A run that was never used leaves them as they were.
    assertEquals(8, zone.undo(Zone.page(again), null));
    assertEquals(5, zone.nextWritten(0, 64, false));
    assertEquals(64, zone.nextWritten(5, 64, true));
    zone.free(8);
    BitSet units = zone.retire(0, 4, false);
    zone.purged(units, false);
    assertEquals(0, zone.nextWritten(0, 64, true));
    zone.markCommitted(0, 64);
    zone.purged(zone.retire(0, 4, false), true);
    assertEquals(64, zone.nextWritten(0, 64, true));
    assertThrows(IllegalArgumentException.class, () -> zone.nextWritten(0, 0, true));
    assertThrows(IllegalArgumentException.class, () -> zone.nextWritten(60, 65, true));
  }

  @Test
  void aRunThatIsTakenWhileItsUnitIsPurgedKeepsNoBit() {
    zone.markCommitted(0, 16);
    zone.free(take(16, 0, null));
    BitSet units = zone.retire(0, 1, false);
    long run = zone.take(4, 0);
    assertFalse(Zone.isCommitted(run));
    assertTrue(Zone.isWritten(run));
    zone.purged(units, true);
    // Whoever took it asks again before it zeroes.
    assertEquals(4, zone.nextWritten(0, 4, true));
  }

  @Test
  void theLastUnitMayBeShort() {
    zone = new Zone(70, 6, 16, NO_MARKS);
    zone.markCommitted(64, 6);
    BitSet last = zone.retire(4, 5, false);
    assertEquals(BitSet.valueOf(new long[] {1 << 4}), last);
    assertFalse(zone.hold(65));
    zone.purged(last, true);
    assertTrue(zone.hold(70));
    zone.release(70);
  }
}
