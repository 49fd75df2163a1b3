/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.NavigableMap;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.cdmalloc.internal.zone.Seeds;
import org.cdmalloc.internal.zone.Zone;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

final class SlabCacheTest {
  private static final int REGION_PAGES = 1 << 16;

  static IntStream classes() {
    return IntStream.range(0, SizeClasses.count());
  }

  static LongStream seeds() {
    return Seeds.upTo(20);
  }

  private final SlabCache cache = new SlabCache(REGION_PAGES);

  @ParameterizedTest
  @MethodSource("classes")
  void aSlabGivesEachObjectOnceAndItsRunBackAfterTheLast(int sizeClass) {
    int page = 512;
    int bytes = SizeClasses.bytes(sizeClass);
    int objects = SizeClasses.objects(sizeClass);
    assertFalse(cache.has(sizeClass));
    cache.open(sizeClass, page, true);
    long[] taken = new long[objects + 2];
    assertEquals(objects, takeAll(sizeClass, taken));
    assertFalse(cache.has(sizeClass));
    cache.validate();
    Set<Integer> states = new HashSet<>();
    for (int object = 0; object < objects; object++) {
      long offset = (long) page * Zone.PAGE_BYTES + (long) object * bytes;
      assertEquals(offset, ReadyBlock.offset(taken[object + 1]));
      assertTrue(states.add(ReadyBlock.state(taken[object + 1])), "two objects have one state");
      assertTrue(ReadyBlock.isClean(taken[object + 1]));
      if (SizeClasses.isObject(sizeClass) || object == 0) {
        Slab slab = cache.index().at(offset);
        for (long inside : new long[] {0, 1, bytes / 2, bytes - 1}) {
          assertEquals(object, slab.object(offset + inside));
        }
        assertEquals(offset, slab.offset(object));
        assertFalse(slab.isLive(object));
        assertFalse(slab.take(object));
        slab.give(slab.block(object));
        assertTrue(object % 2 == 0 ? slab.take(object) : slab.takeOnce(object));
        assertFalse(slab.takeOnce(object));
      }
    }
    List<Long> order = new ArrayList<>();
    for (int object = 0; object < objects; object++) {
      order.add(taken[object + 1]);
    }
    Collections.shuffle(order, new Random(sizeClass));
    for (int i = 0; i < objects; i++) {
      assertEquals(i == objects - 1 ? page : SlabCache.NONE, cache.put(order.get(i)));
      if (i % 50 == 0) {
        cache.validate();
      }
    }
    assertEquals(0, cache.runs());
    assertEquals(0, cache.pages());
    assertFalse(cache.has(sizeClass));
    Slab closed = cache.index().at((long) page * Zone.PAGE_BYTES);
    assertEquals(-1, closed.object((long) page * Zone.PAGE_BYTES));
    if (SizeClasses.runPages(sizeClass) > SlabIndex.SLOT_PAGES) {
      assertNull(cache.index().at((long) (page + SlabIndex.SLOT_PAGES) * Zone.PAGE_BYTES));
    }
  }

  /** Takes all objects of a class, lowest first, to element 1 and behind it. */
  private int takeAll(int sizeClass, long[] taken) {
    int count = 0;
    while (cache.has(sizeClass)) {
      int more = cache.take(sizeClass, taken, 1 + count, taken.length - 1 - count, 0);
      assertTrue(more > 0);
      count += more;
    }
    assertEquals(0, cache.take(sizeClass, taken, 0, 1, 0));
    return count;
  }

  @Test
  void whatIsLeftOfManyGroupsOf64ComesTogether() {
    int sizeClass = SizeClasses.of(64);
    for (int slab = 0; slab < 4; slab++) {
      cache.open(sizeClass, 16 * slab, true);
    }
    long[] taken = new long[1 + 4 * SizeClasses.objects(sizeClass)];
    assertEquals(taken.length - 1, takeAll(sizeClass, taken));
    for (int i = 1; i < taken.length; i += Long.SIZE) {
      cache.put(taken[i]);
    }
    assertEquals(2, cache.take(sizeClass, taken, 0, 8, 3));
    assertEquals(27, cache.take(sizeClass, taken, 0, 64, 3));
    assertEquals(35, cache.take(sizeClass, taken, 0, 200, 3));
    cache.validate();
  }

  /** A cache line has 64 states, if the array lies well. */
  @ParameterizedTest
  @MethodSource("classes")
  void whatTwoThreadsTakeInTurnHasStatesInDifferentCacheLines(int sizeClass) {
    int objects = SizeClasses.objects(sizeClass);
    assumeTrue(objects > 1);
    cache.open(sizeClass, 512, true);
    int most = objects >= Long.SIZE ? 4 : 2;
    List<Set<Integer>> lines = List.of(new HashSet<>(), new HashSet<>());
    for (int fill = 1; fill <= most; fill *= 2) {
      for (int place = 0; place < lines.size(); place++) {
        long[] taken = new long[fill];
        assertEquals(fill, cache.take(sizeClass, taken, 0, fill, place));
        for (long block : taken) {
          lines.get(place).add(ReadyBlock.state(block) / Long.SIZE);
        }
      }
    }
    assertTrue(Collections.disjoint(lines.get(0), lines.get(1)), "lines=" + lines);
  }

  @Test
  void whatWasUsedOnceIsNotCleanAndLowObjectsAreTakenFirst() {
    int sizeClass = SizeClasses.of(4096);
    cache.open(sizeClass, 0, true);
    long[] taken = new long[3];
    assertEquals(3, cache.take(sizeClass, taken, 0, 3, 0));
    cache.put(taken[1]);
    cache.put(taken[0] & ~ReadyBlock.CLEAN);
    assertEquals(3, cache.take(sizeClass, taken, 0, 3, 0));
    Slab slab = cache.index().at(0);
    assertEquals(slab.block(0), taken[0]);
    assertEquals(slab.block(1), taken[1]);
    assertEquals(slab.block(3) | ReadyBlock.CLEAN, taken[2]);
    cache.open(sizeClass, 16, false);
  }

  @Test
  void aSlabThatIsOpenedAgainIsTheSameIfItIsCutTheSame() {
    int sizeClass = SizeClasses.of(100_000);
    cache.open(sizeClass, 64, true);
    Slab slab = cache.index().at(64L * Zone.PAGE_BYTES);
    long[] taken = new long[1];
    cache.take(sizeClass, taken, 0, 1, 0);
    assertEquals(64, cache.put(taken[0]));
    cache.open(sizeClass, 64, false);
    assertTrue(slab == cache.index().at(64L * Zone.PAGE_BYTES));
    assertEquals(1, cache.take(sizeClass, taken, 0, 1, 0));
    assertEquals(64L * Zone.PAGE_BYTES, taken[0]);
    slab.give(slab.block(0));
    cache.release(slab);
    assertEquals(-1, slab.object(taken[0]));
    assertEquals(0, cache.runs());
    cache.open(SizeClasses.of(1), 64, false);
    assertTrue(slab != cache.index().at(64L * Zone.PAGE_BYTES));
    cache.validate();
  }

  /** Against a map of what is out, with slabs of all classes side by side. */
  @ParameterizedTest
  @MethodSource("seeds")
  void aRandomLoadAgreesWithAMapOfWhatIsOut(long seed) {
    Random random = new Random(seed);
    TreeMap<Long, Integer> out = new TreeMap<>();
    TreeMap<Integer, Integer> runs = new TreeMap<>();
    TreeMap<Long, Boolean> clean = new TreeMap<>();
    try {
      for (int step = 0; step < 20_000; step++) {
        if (random.nextInt(100) < 55) {
          int sizeClass = SizeClasses.of(1L << random.nextInt(21));
          if (!cache.has(sizeClass)) {
            int page = freePage(runs, SizeClasses.runPages(sizeClass), random);
            runs.put(page, SizeClasses.runPages(sizeClass));
            boolean isClean = random.nextBoolean();
            cache.open(sizeClass, page, isClean);
            long start = (long) page * Zone.PAGE_BYTES;
            clean.subMap(start, start + (long) runs.get(page) * Zone.PAGE_BYTES).clear();
            for (int object = 0; isClean && object < SizeClasses.objects(sizeClass); object++) {
              clean.put(start + (long) object * SizeClasses.bytes(sizeClass), true);
            }
          }
          long[] taken = new long[4];
          int count = cache.take(sizeClass, taken, 0, 1 + random.nextInt(4), random.nextInt(9));
          assertTrue(count > 0);
          for (int i = 0; i < count; i++) {
            long offset = ReadyBlock.offset(taken[i]);
            assertEquals(clean.remove(offset) != null, ReadyBlock.isClean(taken[i]), "clean");
            assertNull(out.put(offset, SizeClasses.bytes(sizeClass)), "given twice");
            Long above = out.higherKey(offset);
            assertTrue(above == null || offset + SizeClasses.bytes(sizeClass) <= above, "overlap");
          }
        } else if (!out.isEmpty()) {
          Long offset = out.floorKey(out.lastKey() == 0 ? 0 : random.nextLong(out.lastKey()));
          offset = offset == null ? out.firstKey() : offset;
          out.remove(offset);
          int page = cache.put(block(offset));
          if (page != SlabCache.NONE) {
            int pages = runs.remove(page);
            long start = (long) page * Zone.PAGE_BYTES;
            assertTrue(out.subMap(start, start + (long) pages * Zone.PAGE_BYTES).isEmpty());
          }
        }
        if (step % 500 == 0) {
          cache.validate();
        }
      }
      assertEquals(runs.size(), cache.runs());
      assertEquals(runs.values().stream().mapToInt(Integer::intValue).sum(), cache.pages());
      new ArrayList<>(out.keySet()).forEach(offset -> cache.put(block(offset)));
      assertEquals(0, cache.runs());
    } catch (RuntimeException | AssertionError failure) {
      throw Seeds.failure(seed, failure);
    }
  }

  private long block(long offset) {
    Slab slab = cache.index().at(offset);
    return slab.block(slab.object(offset));
  }

  /** A place as a buddy system would choose it: at a multiple of the length, rounded up. */
  private static int freePage(NavigableMap<Integer, Integer> runs, int pages, Random random) {
    int alignment = Integer.highestOneBit(2 * pages - 1);
    while (true) {
      int page = random.nextInt(REGION_PAGES / alignment) * alignment;
      Integer below = runs.lowerKey(page + pages);
      if (below == null || below + runs.get(below) <= page) {
        return page;
      }
    }
  }
}
