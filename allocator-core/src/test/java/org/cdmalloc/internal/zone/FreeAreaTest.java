/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zone;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.SplittableRandom;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class FreeAreaTest {
  private static final int NONE = -1;

  @Test
  void anEmptyAreaHasNoBlocksAndNoLeaves() {
    FreeArea area = new FreeArea(0, 1 << 20);
    assertEquals(0, area.count());
    assertEquals(NONE, area.first());
    assertEquals(NONE, area.next(0));
    assertFalse(area.test((1 << 20) - 1));
    assertFalse(area.covers(0));
    area.validate();
  }

  @Test
  void theLowestBlockComesFirst() {
    FreeArea area = new FreeArea(3, 1 << 20);
    for (int page : new int[] {800_000, 4096, 8, 0}) {
      area.cover(page);
      area.set(page);
      assertEquals(page, area.first(), "each is lower than those before");
    }
    area.clear(0);
    assertEquals(8, area.first());
    area.clear(8);
    assertEquals(4096, area.first());
    assertEquals(800_000, area.next(4096 + 8));
    area.validate();
  }

  @Test
  void nextFindsTheBlockThatHoldsThePage() {
    FreeArea area = new FreeArea(3, 64);
    area.cover(16);
    area.set(16);
    assertEquals(16, area.next(23));
    assertEquals(NONE, area.next(24));
  }

  @Test
  void theLastPageOfTheLargestZoneIsReached() {
    FreeArea area = new FreeArea(0, Integer.MAX_VALUE);
    int last = Integer.MAX_VALUE - 1;
    area.cover(last);
    area.set(last);
    assertEquals(last, area.first());
    assertEquals(last, area.next(1));
    assertTrue(area.test(last));
    area.clear(last);
    assertEquals(NONE, area.next(0));
  }

  @Test
  void blocksOfTheSameGroupShareALeafAndOthersDoNot() {
    FreeArea area = new FreeArea(1, 1 << 20);
    area.cover(0);
    assertTrue(area.covers(2 * FreeArea.LEAF_BLOCKS - 1));
    assertFalse(area.covers(2 * FreeArea.LEAF_BLOCKS));
    long bytes = area.metadataBytes();
    area.cover(2);
    assertEquals(bytes, area.metadataBytes());
  }

  @Test
  void settingAFreeBlockOrClearingAUsedOneIsCaughtByAssertions() {
    FreeArea area = new FreeArea(0, 8);
    area.cover(0);
    area.set(3);
    assertThrows(AssertionError.class, () -> area.set(3));
    assertThrows(AssertionError.class, () -> area.clear(4));
  }

  @ParameterizedTest
  @CsvSource({"0,1", "0,63", "0,64", "0,65", "5,4095", "0,4096", "0,4097", "2,100000", "0,600000"})
  void anySequenceLeavesWhatASortedSetHolds(int order, int capacityPages) {
    Seeds.upTo(2).forEach(seed -> compareWithSortedSet(order, capacityPages, seed));
  }

  private static void compareWithSortedSet(int order, int capacityPages, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    FreeArea area = new FreeArea(order, capacityPages);
    TreeSet<Integer> expected = new TreeSet<>();
    try {
      for (int step = 0; step < 5_000; step++) {
        int page = random.nextInt(capacityPages) >>> order << order;
        assertEquals(expected.contains(page), area.test(page), "test");
        if (expected.remove(page)) {
          area.clear(page);
        } else if (step < 2_500 || random.nextInt(8) == 0) {
          area.cover(page);
          expected.add(page);
          area.set(page);
        } else if (!expected.isEmpty()) {
          area.clear(expected.pollFirst());
        }
        assertEquals(expected.size(), area.count(), "count");
        assertEquals(expected.isEmpty() ? NONE : expected.first(), area.first(), "first");
        int from = random.nextInt(capacityPages);
        Integer next = expected.ceiling(from >>> order << order);
        assertEquals(next == null ? NONE : next, area.next(from), "next");
      }
      area.validate();
    } catch (RuntimeException | AssertionError failure) {
      throw Seeds.failure(seed, failure);
    }
  }
}
