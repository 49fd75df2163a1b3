/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zone;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.BitSet;
import java.util.SplittableRandom;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Which units are committed and which of them are idle, against sets of units. */
final class CommitMapTest {
  static LongStream seeds() {
    return Seeds.upTo(4);
  }

  @ParameterizedTest
  @MethodSource("seeds")
  void unitsAreThoseOfASet(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    try {
      for (int episode = 0; episode < 300; episode++) {
        new Episode(random).run();
      }
    } catch (RuntimeException | AssertionError failure) {
      throw Seeds.failure(seed, failure);
    }
  }

  /** A map and a set for each of its two, over pages that are free or not. */
  private static final class Episode {
    private final SplittableRandom random;
    private final int capacityPages;
    private final int unitPages;
    private final int units;
    private final CommitMap map;
    private final BitSet used = new BitSet();
    private final BitSet committed = new BitSet();
    private final BitSet idle = new BitSet();

    Episode(SplittableRandom random) {
      this.random = random;
      this.capacityPages = 1 + random.nextInt(400);
      this.unitPages = 1 << random.nextInt(7);
      this.units = (capacityPages - 1) / unitPages + 1;
      this.map = new CommitMap(capacityPages, unitPages);
    }

    void run() {
      for (int step = 0; step < 200; step++) {
        int page = random.nextInt(capacityPages);
        int pages = 1 + random.nextInt(capacityPages - page);
        int first = page / unitPages;
        int last = (page + pages - 1) / unitPages;
        switch (random.nextInt(5)) {
          case 0 -> {
            map.mark(page, pages);
            committed.set(first, last + 1);
          }
          case 1 -> {
            map.touch(page, pages);
            idle.clear(first, last + 1);
            used.set(page, page + pages);
          }
          case 2 -> used.clear(page, page + pages);
          case 3 -> retire(first, random.nextBoolean() ? last + 1 : Integer.MAX_VALUE);
          default -> {
            int hole = committed.nextClearBit(first);
            assertEquals(hole <= last ? hole : -1, map.firstUnmarked(page, pages));
          }
        }
        int sum = committed.stream().map(this::pagesOf).sum();
        assertEquals(sum, map.pages());
        assertEquals(sum, map.countedPages());
        int from = random.nextInt(units + 1);
        int next = committed.nextSetBit(from);
        assertEquals(next < 0 ? -1 : next * unitPages, map.nextMarkedPage(from));
      }
    }

    private int pagesOf(int unit) {
      assertEquals(
          Math.min(unitPages, capacityPages - unit * unitPages), map.unitPages(unit), "unit pages");
      return map.unitPages(unit);
    }

    private boolean isFree(int page, int pages) {
      int next = used.nextSetBit(page);
      return next < 0 || next >= page + pages;
    }

    private void retire(int from, int to) {
      boolean onlyIdle = random.nextBoolean();
      BitSet expected = new BitSet();
      for (int unit = from; unit < Math.min(to, units); unit++) {
        boolean free = isFree(unit * unitPages, pagesOf(unit));
        if (committed.get(unit) && free && (!onlyIdle || idle.get(unit))) {
          expected.set(unit);
        }
        idle.set(unit, committed.get(unit) && free && !expected.get(unit));
      }
      assertEquals(expected, map.retire(from, to, onlyIdle, this::isFree));
      committed.andNot(expected);
    }
  }

  @Test
  void whatIsAskedOfTheFreeTestIsEachUnitCutAtTheEndOfTheZone() {
    CommitMap map = new CommitMap(37, 16);
    map.mark(0, 37);
    StringBuilder asked = new StringBuilder();
    map.retire(
        0,
        3,
        false,
        (page, pages) -> {
          asked.append(page).append('+').append(pages).append(' ');
          return page == 32;
        });
    assertEquals("0+16 16+16 32+5 ", asked.toString());
    assertEquals(32, map.pages());
  }

  @Test
  void theLargestZoneHasItsLastUnit() {
    CommitMap map = new CommitMap(Integer.MAX_VALUE, 1 << 30);
    map.mark(Integer.MAX_VALUE - 1, 1);
    assertEquals((1 << 30) - 1, map.pages());
    assertEquals(0, map.firstUnmarked(0, Integer.MAX_VALUE));
    map.mark(0, Integer.MAX_VALUE);
    assertEquals(Integer.MAX_VALUE, map.pages());
    assertEquals(-1, map.firstUnmarked(0, Integer.MAX_VALUE));
  }
}
