/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zone;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class PageMapTest {
  @Test
  void aRunIsWrittenAsItsPowersOfTwoInDescendingOrder() {
    PageMap map = new PageMap(64);
    map.cover(32);
    map.write(32, 21, false);
    assertEquals(0x80 | 0x20 | 4, map.entry(32));
    assertEquals(0x80 | 0x40 | 2, map.entry(48));
    assertEquals(0x40, map.entry(52));
    assertEquals(3, map.pieces());
  }

  @Test
  void everyLengthIsReadBackAsItWasWritten() {
    for (int pages = 1; pages <= 300; pages++) {
      PageMap map = new PageMap(512);
      map.cover(0);
      map.write(0, pages, false);
      assertEquals(pages, map.runPages(0));
      assertEquals(Integer.bitCount(pages), map.pieces());
    }
  }

  @Test
  void aSinglePageIsToldFromNoPage() {
    PageMap map = new PageMap(8);
    map.cover(0);
    map.write(5, 1, false);
    assertTrue(PageMap.isHead(map.entry(5)));
    assertFalse(PageMap.hasMore(map.entry(5)));
    assertFalse(PageMap.isPiece(map.entry(4)));
  }

  @Test
  void thePagesOfARunAreLiveAndItsNeighboursAreNot() {
    PageMap map = new PageMap(128);
    map.cover(0);
    map.write(32, 17, false);
    for (int page = 0; page < 128; page++) {
      assertEquals(page >= 32 && page < 49, map.isLive(page), "page " + page);
    }
  }

  @Test
  void aPieceThatEndsBeforeThePageDoesNotHideThatItIsNotLive() {
    PageMap map = new PageMap(16);
    map.cover(0);
    map.write(0, 3, false);
    map.write(4, 1, false);
    assertFalse(map.isLive(3));
    assertTrue(map.isLive(2));
    assertFalse(map.isLive(5));
  }

  @Test
  void theLargestRunNeedsOnlyTheGroupOfItsFirstPage() {
    PageMap map = new PageMap(Integer.MAX_VALUE);
    map.cover(0);
    map.write(0, 1 << 30, false);
    assertEquals(1 << 30, map.runPages(0));
    assertTrue(map.isLive((1 << 30) - 1));
    assertFalse(map.isLive(1 << 30));
    assertTrue(map.metadataBytes() < 2 * PageMap.GROUP_PAGES);
  }

  @Test
  void theLastPageOfTheLargestZoneHasAnEntry() {
    PageMap map = new PageMap(Integer.MAX_VALUE);
    int last = Integer.MAX_VALUE - 1;
    assertEquals(0, map.entry(last));
    map.cover(last);
    map.write(last, 1, false);
    assertEquals(1, map.runPages(last));
    map.clear(last);
    assertFalse(map.isLive(last));
  }
}
