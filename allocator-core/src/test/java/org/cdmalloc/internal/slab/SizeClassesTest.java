/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.SplittableRandom;
import org.cdmalloc.internal.zone.Zone;
import org.junit.jupiter.api.Test;

final class SizeClassesTest {
  @Test
  void everySizeHasTheSmallestClassThatHoldsIt() {
    int before = 0;
    for (int bytes = 0; bytes <= SizeClasses.MAX_RUN_BYTES; bytes++) {
      int sizeClass = SizeClasses.of(bytes);
      assertTrue(SizeClasses.bytes(sizeClass) >= bytes, "bytes=" + bytes);
      assertTrue(sizeClass == before || sizeClass == before + 1, "bytes=" + bytes);
      if (sizeClass > 0) {
        assertTrue(SizeClasses.bytes(sizeClass - 1) < Math.max(1, bytes), "bytes=" + bytes);
      }
      before = sizeClass;
    }
    assertEquals(SizeClasses.count() - 1, before);
    assertEquals(SizeClasses.NONE, SizeClasses.of(SizeClasses.MAX_RUN_BYTES + 1L));
    assertEquals(SizeClasses.NONE, SizeClasses.of(Long.MAX_VALUE));
    assertEquals(SizeClasses.NONE, SizeClasses.of(-1));
  }

  @Test
  void roundingCostsLessThanAnEighthAndShortRunsAreExact() {
    for (int bytes = 129; bytes <= SizeClasses.MAX_RUN_BYTES; bytes++) {
      int given = SizeClasses.bytes(SizeClasses.of(bytes));
      if (bytes <= SizeClasses.MAX_OBJECT_BYTES) {
        assertTrue((given - bytes) * 8 < bytes, "bytes=" + bytes + ", given=" + given);
        assertEquals(0, given % SizeClasses.OBJECT_ALIGNMENT_BYTES);
      } else {
        int pages = (bytes + Zone.PAGE_BYTES - 1) / Zone.PAGE_BYTES;
        int more = given / Zone.PAGE_BYTES - pages;
        assertEquals(0, given % Zone.PAGE_BYTES);
        assertTrue(pages <= 16 ? more == 0 : more * 8 < pages, "pages=" + pages + "+" + more);
        assertEquals(pages + more, SizeClasses.runPages(SizeClasses.of(bytes)));
        assertEquals(1, SizeClasses.objects(SizeClasses.of(bytes)));
      }
    }
  }

  @Test
  void slabsWasteLessThanASixteenthWhereTheyAreFull() {
    for (int sizeClass = 0; SizeClasses.isObject(sizeClass); sizeClass++) {
      int bytes = SizeClasses.runPages(sizeClass) * Zone.PAGE_BYTES;
      int rest = bytes - SizeClasses.objects(sizeClass) * SizeClasses.bytes(sizeClass);
      assertTrue(rest * 16 < bytes, "class=" + sizeClass + ", rest=" + rest + ", of=" + bytes);
      assertTrue(rest < SizeClasses.bytes(sizeClass));
      assertTrue(SizeClasses.objects(sizeClass) >= 16);
    }
  }

  /** Half small, a quarter to 4 KiB, and so on: what mixed programs ask for. */
  @Test
  void aMixedLoadIsRoundedUpByLessThanNinePerCent() {
    SplittableRandom random = new SplittableRandom(1994);
    double asked = 0;
    double given = 0;
    for (int i = 0; i < 1_000_000; i++) {
      int kind = random.nextInt(100);
      int low = kind < 50 ? 4 : kind < 75 ? 9 : kind < 90 ? 12 : kind < 98 ? 15 : 18;
      int high = kind < 50 ? 9 : kind < 75 ? 12 : kind < 90 ? 15 : kind < 98 ? 18 : 20;
      long bytes = Math.round(Math.pow(2, low + random.nextDouble() * (high - low)));
      int sizeClass = SizeClasses.of(bytes);
      double slab = (double) SizeClasses.runPages(sizeClass) * Zone.PAGE_BYTES;
      asked += bytes;
      given += slab / SizeClasses.objects(sizeClass);
    }
    assertTrue(given / asked < 1.09, "given/asked=" + given / asked);
  }

  @Test
  void alignedClassesHoldMultiplesOfTheAlignment() {
    for (long alignment = 1; alignment <= Zone.PAGE_BYTES; alignment *= 2) {
      for (int bytes = 0; bytes <= 40_000; bytes += 7) {
        int sizeClass = SizeClasses.of(bytes, alignment);
        int given = SizeClasses.bytes(sizeClass);
        assertTrue(given >= bytes);
        assertEquals(0, given % Math.min(alignment, SizeClasses.OBJECT_ALIGNMENT_BYTES));
        assertEquals(0, given % alignment == 0 || alignment <= 16 ? 0 : 1);
      }
      assertEquals(SizeClasses.NONE, SizeClasses.of(-1, alignment));
    }
    assertEquals(SizeClasses.NONE, SizeClasses.of(1, 2 * Zone.PAGE_BYTES));
  }
}
