/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zone;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Each test breaks one invariant by hand. The zone is eight pages: 0-3 live, 4-7 free. */
class ZoneInvariantsTest {
  private final FreeArea[] areas = {
    new FreeArea(0, 8), new FreeArea(1, 8), new FreeArea(2, 8), new FreeArea(3, 8)
  };
  private final PageMap map = new PageMap(8);
  private int filledOrders = 0b100;
  private int freePages = 4;
  private int liveRuns = 1;

  @BeforeEach
  void fourPagesAreLiveAndFourAreFree() {
    for (FreeArea area : areas) {
      area.cover(0);
    }
    map.cover(0);
    map.write(0, 4, false);
    areas[2].set(4);
    check();
  }

  private void check() {
    new ZoneInvariants(8, areas, map).run(filledOrders, freePages, liveRuns);
  }

  private void assertBroken(String message) {
    assertEquals(message, assertThrows(AssertionError.class, this::check).getMessage());
  }

  @Test
  void aPageWithoutOwnerIsFound() {
    areas[2].clear(4);
    areas[1].set(6);
    filledOrders = 0b10;
    assertBroken("I1: no owner: at=4");
  }

  @Test
  void twoFreeBlocksAtOnePageAreFound() {
    areas[0].set(4);
    filledOrders = 0b101;
    assertBroken("I1: two free blocks start: at=4");
  }

  @Test
  void aFreeBlockInsideAnotherIsFound() {
    areas[0].set(7);
    filledOrders = 0b101;
    assertBroken("I1: free blocks overlap, inside another owner: at=1");
  }

  @Test
  void aFreeBlockInsideALiveRunIsFound() {
    areas[1].set(2);
    filledOrders = 0b110;
    assertBroken("I1: free blocks overlap, inside another owner: at=1");
  }

  @Test
  void anOwnerThatReachesBeyondTheZoneIsFound() {
    map.clear(0);
    map.write(0, 16, false);
    assertBroken("I1: an owner ends outside the zone: at=0");
  }

  @Test
  void buddiesThatWereNotMergedAreFound() {
    areas[2].clear(4);
    areas[1].set(4);
    areas[1].set(6);
    filledOrders = 0b10;
    assertBroken("I2: two buddies are free: at=4");
  }

  @Test
  void aWrongSetOfFilledOrdersIsFound() {
    filledOrders = 0b1100;
    assertBroken("I3: filled orders disagree: at=3");
  }

  @Test
  void aRunWithoutAHeadIsFound() {
    map.clear(0);
    map.write(0, 3, false);
    map.clear(0);
    map.write(4, 1, false);
    assertBroken("I1: no owner: at=0");
  }

  @Test
  void aPartWithoutItsHeadIsFound() {
    map.write(4, 3, false);
    map.clear(4);
    map.write(4, 2, false);
    areas[2].clear(4);
    areas[0].set(7);
    filledOrders = 0b1;
    assertBroken("I4: a run without a head: at=6");
  }

  @Test
  void aRunThatIsCutIsFound() {
    map.clear(0);
    map.write(0, 3, false);
    map.clear(2);
    assertBroken("I4: a run is cut: at=2");
  }

  @Test
  void anEntryInsideAFreeBlockIsFound() {
    map.write(6, 1, false);
    assertBroken("I4: entries inside another owner: at=1");
  }

  @Test
  void wrongCountsAreFound() {
    freePages = 5;
    assertBroken("I5: free pages miscounted: at=5");
    freePages = 4;
    liveRuns = 0;
    assertBroken("I5: live runs miscounted: at=0");
  }

  @Test
  void aRunWhoseFreeWouldAllocateIsFound() {
    areas[0] = new FreeArea(0, 8);
    assertBroken("I6: free would have to allocate: at=0");
  }
}
