/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zone;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.BitSet;
import java.util.SplittableRandom;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Which pages were written, against a set of pages. */
final class WrittenMapTest {
  private static final int GROUP = PageMap.GROUP_PAGES;

  static LongStream seeds() {
    return Seeds.upTo(4);
  }

  @ParameterizedTest
  @MethodSource("seeds")
  void theBitsAreThoseOfASet(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    try {
      for (int episode = 0; episode < 50; episode++) {
        int pages = 1 + random.nextInt(1 << (1 + random.nextInt(17)));
        runEpisode(random, pages);
      }
    } catch (RuntimeException | AssertionError failure) {
      throw Seeds.failure(seed, failure);
    }
  }

  private static void runEpisode(SplittableRandom random, int capacityPages) {
    WrittenMap map = new WrittenMap(capacityPages);
    BitSet model = new BitSet();
    for (int step = 0; step < 300; step++) {
      int page = random.nextInt(capacityPages);
      int most = Math.min(capacityPages - page, 1 << random.nextInt(18));
      int pages = 1 + random.nextInt(most);
      switch (random.nextInt(4)) {
        case 0 -> {
          map.cover(page, pages);
          map.set(page, pages);
          model.set(page, page + pages);
        }
        case 1 -> {
          map.clear(page, pages);
          model.clear(page, page + pages);
        }
        case 2 -> map.cover(page, pages);
        default -> {
          int end = page + pages;
          int written = model.nextSetBit(page);
          assertEquals(
              written < 0 ? end : Math.min(written, end), map.next(page, end, true), "written");
          assertEquals(Math.min(model.nextClearBit(page), end), map.next(page, end, false), "not");
          int bits = model.get(page, end).cardinality();
          int some = bits == 0 ? WrittenMap.NONE : WrittenMap.SOME;
          assertEquals(bits == pages ? WrittenMap.ALL : some, map.of(page, pages), "how many");
        }
      }
    }
    assertSame(model, map, capacityPages);
  }

  private static void assertSame(BitSet model, WrittenMap map, int capacityPages) {
    BitSet found = new BitSet();
    for (int from = map.next(0, capacityPages, true); from < capacityPages; ) {
      int to = map.next(from, capacityPages, false);
      assertTrue(to > from, "a run without pages");
      found.set(from, to);
      from = to == capacityPages ? to : map.next(to, capacityPages, true);
    }
    assertEquals(model, found);
  }

  @Test
  void pagesThatWereNeverCoveredAreNotWrittenAndCostNothing() {
    WrittenMap map = new WrittenMap(Integer.MAX_VALUE);
    assertEquals(Integer.MAX_VALUE, map.next(0, Integer.MAX_VALUE, true));
    assertEquals(5, map.next(5, Integer.MAX_VALUE, false));
    map.clear(0, Integer.MAX_VALUE);
    assertTrue(map.metadataBytes() < 100, () -> "bytes=" + map.metadataBytes());
  }

  @Test
  void theEdgesOfWordsAndGroupsAreExact() {
    int capacity = 3 * GROUP + 7;
    for (int page :
        new int[] {0, 1, 63, 64, GROUP - 1, GROUP, 2 * GROUP, 3 * GROUP, capacity - 1}) {
      for (int pages : new int[] {1, 2, 63, 64, 65, GROUP, GROUP + 1}) {
        if (pages <= capacity - page) {
          WrittenMap map = new WrittenMap(capacity);
          map.cover(page, pages);
          map.set(page, pages);
          BitSet model = new BitSet();
          model.set(page, page + pages);
          assertSame(model, map, capacity);
          // Only the middle goes.
          if (pages > 2) {
            map.clear(page + 1, pages - 2);
            model.clear(page + 1, page + pages - 1);
            assertSame(model, map, capacity);
          }
        }
      }
    }
  }

  @Test
  void theLastPageOfTheLargestZoneHasABit() {
    WrittenMap map = new WrittenMap(Integer.MAX_VALUE);
    int last = Integer.MAX_VALUE - 1;
    map.cover(last, 1);
    map.set(last, 1);
    assertEquals(last, map.next(0, Integer.MAX_VALUE, true));
    assertEquals(last, map.next(last, Integer.MAX_VALUE, true));
    assertEquals(Integer.MAX_VALUE, map.next(last, Integer.MAX_VALUE, false));
  }
}
