/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zone;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

/** What is counted of allocations, and when. */
final class NumaEventsTest {
  private static final int[] KINDS = {
    NumaEvents.HIT,
    NumaEvents.MISS,
    NumaEvents.FOREIGN,
    NumaEvents.INTERLEAVE_HIT,
    NumaEvents.LOCAL,
    NumaEvents.OTHER
  };

  private final Zone zone = new Zone(64, 5, 16, new Watermarks(0, 0, 0));

  @Test
  void eachKindHasABitAndACountOfItsOwn() {
    NumaEvents events = new NumaEvents();
    int all = 0;
    for (int i = 0; i < KINDS.length; i++) {
      assertEquals(1 << i, KINDS[i]);
      all |= KINDS[i];
      for (int times = 0; times <= i; times++) {
        events.count(KINDS[i]);
      }
    }
    assertArrayEquals(new long[] {1, 2, 3, 4, 5, 6}, events.counts());
    events.count(all);
    events.count(NumaEvents.NONE);
    assertArrayEquals(new long[] {2, 3, 4, 5, 6, 7}, events.counts());
    // A copy: what somebody does with it changes nothing.
    events.counts()[0] = 100;
    assertArrayEquals(new long[] {2, 3, 4, 5, 6, 7}, events.counts());
  }

  @Test
  void aRunIsCountedOnceAndOnlyIfItIsCommitted() {
    int hit = NumaEvents.HIT | NumaEvents.LOCAL;
    int page = Zone.page(zone.take(1, 0, 0, hit, null));
    assertArrayEquals(new long[6], zone.events());
    // Its taker commits it and counts it then.
    zone.markCommitted(page, 1);
    zone.count(hit);
    zone.take(1, 0, 0, NumaEvents.MISS | NumaEvents.OTHER, null);
    zone.takeCommitted(1, 0, 0, hit | NumaEvents.INTERLEAVE_HIT, null);
    assertArrayEquals(new long[] {2, 1, 0, 1, 2, 1}, zone.events());
  }

  @Test
  void whatIsNotTakenIsNotCounted() {
    zone.markCommitted(0, 64);
    assertEquals(Zone.NONE, zone.take(33, 0, 0, NumaEvents.HIT, null));
    assertEquals(Zone.NONE, zone.takeCommitted(1, 64, 0, NumaEvents.HIT, null));
    zone.free(Zone.page(zone.take(1, 0)));
    zone.close();
    assertEquals(Zone.CLOSED, zone.take(1, 0, 0, NumaEvents.HIT, null));
    assertArrayEquals(new long[6], zone.events());
    // A walk may count at a zone that was closed meanwhile.
    zone.count(NumaEvents.FOREIGN);
    assertArrayEquals(new long[] {0, 0, 1, 0, 0, 0}, zone.events());
  }
}
