/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.slab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.NavigableMap;
import java.util.Random;
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
    assertEquals(objects, cache.take(sizeClass, taken, 1, objects + 1));
    assertFalse(cache.has(sizeClass));
    cache.validate();
    for (int object = 0; object < objects; object++) {
      long offset = (long) page * Zone.PAGE_BYTES + (long) object * bytes;
      assertEquals(offset, ReadyBlock.offset(taken[object + 1]));
      assertEquals(object, ReadyBlock.object(taken[object + 1]));
      assertTrue(ReadyBlock.isClean(taken[object + 1]));
      if (SizeClasses.isObject(sizeClass) || object == 0) {
        Slab slab = cache.index().at(offset);
        for (long inside : new long[] {0, 1, bytes / 2, bytes - 1}) {
          assertEquals(object, slab.object(offset + inside));
        }
        assertEquals(offset, slab.offset(object));
        assertFalse(slab.isLive(object));
        assertFalse(slab.take(object));
        slab.give(object);
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

  @Test
  void whatWasUsedOnceIsNotCleanAndLowObjectsAreTakenFirst() {
    int sizeClass = SizeClasses.of(4096);
    cache.open(sizeClass, 0, true);
    long[] taken = new long[3];
    assertEquals(3, cache.take(sizeClass, taken, 0, 3));
    cache.put(taken[1]);
    cache.put(taken[0] & ~ReadyBlock.CLEAN);
    assertEquals(3, cache.take(sizeClass, taken, 0, 3));
    assertEquals(ReadyBlock.of(0, 0), taken[0]);
    assertEquals(ReadyBlock.of(4096, 1), taken[1]);
    assertEquals(ReadyBlock.of(3 * 4096, 3) | ReadyBlock.CLEAN, taken[2]);
    cache.open(sizeClass, 16, false);
  }

  @Test
  void aSlabThatIsOpenedAgainIsTheSameIfItIsCutTheSame() {
    int sizeClass = SizeClasses.of(100_000);
    cache.open(sizeClass, 64, true);
    Slab slab = cache.index().at(64L * Zone.PAGE_BYTES);
    long[] taken = new long[1];
    cache.take(sizeClass, taken, 0, 1);
    assertEquals(64, cache.put(taken[0]));
    cache.open(sizeClass, 64, false);
    assertTrue(slab == cache.index().at(64L * Zone.PAGE_BYTES));
    assertEquals(1, cache.take(sizeClass, taken, 0, 1));
    assertEquals(64L * Zone.PAGE_BYTES, taken[0]);
    slab.give(0);
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
    try {
      for (int step = 0; step < 20_000; step++) {
        if (random.nextInt(100) < 55) {
          int sizeClass = SizeClasses.of(1L << random.nextInt(21));
          if (!cache.has(sizeClass)) {
            int page = freePage(runs, SizeClasses.runPages(sizeClass), random);
            runs.put(page, SizeClasses.runPages(sizeClass));
            cache.open(sizeClass, page, random.nextBoolean());
          }
          long[] taken = new long[4];
          int count = cache.take(sizeClass, taken, 0, 1 + random.nextInt(4));
          assertTrue(count > 0);
          for (int i = 0; i < count; i++) {
            long offset = ReadyBlock.offset(taken[i]);
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
