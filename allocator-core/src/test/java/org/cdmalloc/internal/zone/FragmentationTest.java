/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zone;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Both indices, against values that were worked out by hand from the kernel's formulas. */
class FragmentationTest {
  private static int[] counts(String text) {
    return Arrays.stream(text.strip().split(" ")).mapToInt(Integer::parseInt).toArray();
  }

  @ParameterizedTest
  @CsvSource({
    // 5 pages, 4 of them in one block.
    "1 0 1, 0, 0",
    "1 0 1, 1, 200",
    "1 0 1, 2, 200",
    // 64 single pages: whatever is larger than a page finds nothing.
    "64 0 0 0 0 0 0, 0, 0",
    "64 0 0 0 0 0 0, 1, 1000",
    // 1 + 2 + 4 + 8 = 15 pages: 1, 3 and 7 of them are in smaller blocks; rounded down.
    "1 1 1 1, 1, 66",
    "1 1 1 1, 2, 200",
    "1 1 1 1, 3, 466",
    // All in one block.
    "0 0 0 1, 3, 0"
  })
  void theUnusableIndexIsTheShareOfPagesInSmallerBlocks(String free, int order, int index) {
    assertEquals(index, Fragmentation.unusableIndex(counts(free), order));
  }

  @ParameterizedTest
  @CsvSource({
    // 1000 − (1000 + 1000 · pages / wanted) / blocks, each division rounded down.
    "64 0 0 0 0 0 0, 6, 969", // 1000 − (1000 + 64000/64) / 64 = 1000 − 31
    "64 0 0 0 0 0 0, 1, 485", // 1000 − (1000 + 64000/2) / 64 = 1000 − 515
    "1 0 1 0, 3, 188", // 1000 − (1000 + 5000/8) / 2 = 1000 − 812
    "0 0 2 0, 3, 0", // 1000 − (1000 + 8000/8) / 2: as many pages as wanted, in two blocks
    "3 0 0 0, 2, 417", // 1000 − (1000 + 3000/4) / 3 = 1000 − 583
    "1 0 0 0, 3, -125", // 1000 − (1000 + 1000/8) / 1: one page, eight wanted
    "0 0 1 0, 3, -500" // 1000 − (1000 + 4000/8) / 1
  })
  void theFragmentationIndexTellsScatteredPagesFromMissingOnes(String free, int order, int index) {
    assertEquals(index, Fragmentation.fragmentationIndex(counts(free), order));
  }

  @ParameterizedTest
  @CsvSource({"1 0 1, 0", "1 0 1, 1", "1 0 1, 2", "0 0 1, 0", "1000000 0 0 1, 3"})
  void whereABlockIsFreeNothingHasToBeExplained(String free, int order) {
    assertEquals(-1000, Fragmentation.fragmentationIndex(counts(free), order));
    assertEquals(Fragmentation.FITS, Fragmentation.fragmentationIndex(counts(free), order));
  }

  @Test
  void withoutAFreePageAllIsUnusableAndNothingIsFragmented() {
    for (int[] free : new int[][] {{0}, {0, 0, 0}, {}}) {
      for (int order = 0; order < 4; order++) {
        assertEquals(1000, Fragmentation.unusableIndex(free, order));
        assertEquals(0, Fragmentation.fragmentationIndex(free, order));
      }
    }
  }

  @Test
  void anOrderThatTheZoneLacksIsNoMatterOfFragmentation() {
    for (int order : new int[] {3, 31, 63, 64, Integer.MAX_VALUE}) {
      assertEquals(1000, Fragmentation.unusableIndex(new int[] {9, 9, 9}, order));
      assertEquals(0, Fragmentation.fragmentationIndex(new int[] {9, 9, 9}, order));
    }
  }

  @Test
  void anOrderBelowZeroIsRefused() {
    IllegalArgumentException refused =
        assertThrows(
            IllegalArgumentException.class, () -> Fragmentation.unusableIndex(new int[] {1}, -1));
    assertEquals("no such order: order=-1; give 0 or more", refused.getMessage());
    assertThrows(
        IllegalArgumentException.class,
        () -> Fragmentation.fragmentationIndex(new int[] {1}, Integer.MIN_VALUE));
  }

  @Test
  void theLargestZoneDoesNotOverflow() {
    int[] scattered = new int[31];
    scattered[0] = 1 << 30;
    // 1000 − (1000 + 1000 · 2^30 / 2^30) / 2^30
    assertEquals(1000, Fragmentation.fragmentationIndex(scattered, 30));
    assertEquals(1000, Fragmentation.unusableIndex(scattered, 30));
    int[] whole = new int[31];
    whole[30] = 2;
    whole[29] = 1;
    assertEquals(200, Fragmentation.unusableIndex(whole, 30));
  }

  /** Recorded from debugfs of Linux 6.18, while buddyinfo did not change: zones DMA and Normal. */
  @ParameterizedTest
  @CsvSource({
    "0 0 0 0 0 0 0 0 1 1 3, 0 0 0 0 0 0 0 0 0 66 200",
    "33 9012 7900 6635 3863 2694 1499 872 439 120 1062, 0 0 10 28 59 95 145 201 266 331 367"
  })
  void theKernelPrintsTheSameUnusableIndices(String free, String indices) {
    int[] expected = counts(indices);
    for (int order = 0; order < expected.length; order++) {
      assertEquals(expected[order], Fragmentation.unusableIndex(counts(free), order));
    }
  }

  @ParameterizedTest
  @CsvSource({"1,0", "2,1", "3,2", "4,2", "5,3", "17,5", "1073741824,30", "2147483647,31"})
  void theOrderOfARunIsThatOfTheSmallestBlockThatHoldsIt(int pages, int order) {
    assertEquals(order, Fragmentation.order(pages));
  }

  @Test
  void aRunWithoutPagesHasNoOrder() {
    assertThrows(IllegalArgumentException.class, () -> Fragmentation.order(0));
  }

  @Test
  void aZonesOwnCountsAreUnderstood() {
    Zone zone = new Zone(64, 6, 1, Watermarks.of(64));
    assertEquals(
        Fragmentation.FITS, Fragmentation.fragmentationIndex(zone.freeBlocksPerOrder(), 6));
    for (int page = 0; page < 64; page++) {
      zone.take(1, 0);
    }
    for (int page = 0; page < 64; page += 2) {
      zone.free(page);
    }
    // 32 single pages: 1000 − (1000 + 32000/2) / 32 = 1000 − 531
    assertEquals(469, Fragmentation.fragmentationIndex(zone.freeBlocksPerOrder(), 1));
    assertEquals(1000, Fragmentation.unusableIndex(zone.freeBlocksPerOrder(), 1));
  }
}
