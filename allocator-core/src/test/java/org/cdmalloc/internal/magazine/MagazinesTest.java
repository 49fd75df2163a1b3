/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.magazine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.LongStream;
import org.cdmalloc.internal.slab.SizeClasses;
import org.cdmalloc.internal.slab.SlabCache;
import org.cdmalloc.internal.zone.NumaEvents;
import org.cdmalloc.internal.zone.Seeds;
import org.cdmalloc.internal.zone.Watermarks;
import org.cdmalloc.internal.zone.Zone;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Magazines and a depot over a zone without memory. */
final class MagazinesTest {
  private static final int PAGES = 1 << 14;
  private static final long LIMIT = 1 << 20;
  private static final int BATCH = 256;

  private final Zone zone = new Zone(PAGES, 30, 512, new Watermarks(0, 0, 0));
  private final ThreadMagazines threads = new ThreadMagazines();

  private final Depot depot =
      new Depot(
          new Depot.Runs() {
            @Override
            public long take(int pages, int floorPages) {
              return zone.take(pages, floorPages);
            }

            @Override
            public void giveBack(int page) {
              assertTrue(zone.free(page) > 0);
            }
          },
          PAGES,
          LIMIT);

  private final Magazines magazines = threads.of(threads.enter(), 0, depot);

  static LongStream seeds() {
    return Seeds.upTo(10);
  }

  private static int classOf(long bytes) {
    return SizeClasses.of(bytes);
  }

  private long take(int sizeClass) {
    return magazines.take(sizeClass, NumaEvents.HIT, 0) & ~SlabCache.CLEAN;
  }

  private Kept kept() {
    return threads.kept(0, depot);
  }

  @ParameterizedTest
  @MethodSource("seeds")
  void aThreadKeepsNoMoreThanItMayAndNothingIsLost(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    Map<Integer, List<Long>> live = new HashMap<>();
    Set<Long> all = new HashSet<>();
    long bytes = 0;
    long blocks = 0;
    try {
      for (int step = 0; step < 200_000; step++) {
        int sizeClass = classOf(1L << random.nextInt(4, 21));
        boolean grows = random.nextInt(100) < (step / 20_000 % 2 == 0 ? 60 : 40);
        List<Long> mine = live.computeIfAbsent(sizeClass, c -> new ArrayList<>());
        if (grows) {
          long block = depot.serves(sizeClass) ? take(sizeClass) : -1;
          if (block >= 0) {
            assertTrue(all.add(block), "given twice");
            mine.add(block);
            bytes += SizeClasses.bytes(sizeClass);
            blocks++;
          }
        } else if (!mine.isEmpty()) {
          long block = mine.remove(random.nextInt(mine.size()));
          all.remove(block);
          assertTrue(magazines.put(sizeClass, block));
          bytes -= SizeClasses.bytes(sizeClass);
          blocks--;
        }
        if (step % 1000 == 0) {
          Kept kept = kept();
          assertTrue(kept.threadBytes() <= LIMIT, "kept=" + kept.threadBytes());
          assertEquals(bytes, kept.liveBytes());
          assertEquals(blocks, kept.liveBlocks());
          assertEquals(kept.runs(), zone.liveRuns());
          assertEquals(kept.runPages(), zone.usedPages());
          depot.validate();
        }
      }
      live.forEach((sizeClass, mine) -> mine.forEach(block -> magazines.put(sizeClass, block)));
      Kept kept = kept();
      assertEquals(0, kept.liveBytes());
      assertTrue(kept.threadBytes() <= LIMIT);
      // The depot, and what is left of slabs of which a thread or the depot keeps an object.
      assertTrue(kept.idleBytes() <= zone.usedPages() * (long) Zone.PAGE_BYTES);
      threads.bringBack();
      depot.flush(false);
      depot.validate();
      assertEquals(0, kept().runs() + zone.liveRuns());
      assertEquals(0, kept().threadBytes());
    } catch (RuntimeException | AssertionError failure) {
      throw Seeds.failure(seed, failure);
    }
  }

  @Test
  void theDepotKeepsNoMoreThanItsShare() {
    int sizeClass = classOf(4096);
    List<Long> blocks = new ArrayList<>();
    for (long bytes = 0; bytes < 40 * LIMIT; bytes += 4096) {
      blocks.add(take(sizeClass));
    }
    blocks.forEach(block -> magazines.put(sizeClass, block));
    threads.bringBack();
    assertEquals(8 * LIMIT, kept().idleBytes());
  }

  @Test
  void sizesThatAreMoreThanAThreadMayKeepAreNotServed() {
    assertTrue(depot.serves(classOf(LIMIT / 8)));
    assertFalse(depot.serves(classOf(LIMIT / 8 + 1)));
    assertEquals(Magazines.NONE, magazines.take(classOf(LIMIT / 8 + 1), NumaEvents.HIT, 0));
    assertEquals(0, zone.liveRuns());
  }

  /** What a thread costs others: a pair nothing, a batch two exchanges per magazine. */
  @Test
  void locksAreTakenOncePerMagazineAndNotOncePerBlock() {
    for (long bytes : new long[] {64, 1024, 4096}) {
      int sizeClass = classOf(bytes);
      magazines.put(sizeClass, take(sizeClass));
      long before = kept().lockings();
      for (int i = 0; i < 1000; i++) {
        magazines.put(sizeClass, take(sizeClass));
      }
      assertEquals(before, kept().lockings(), "bytes=" + bytes);
      batch(sizeClass);
      before = kept().lockings();
      for (int i = 0; i < 10; i++) {
        batch(sizeClass);
      }
      long perThousand = (kept().lockings() - before) * 1000 / (10 * 2 * BATCH);
      assertTrue(perThousand <= 60, "bytes=" + bytes + ", lockings=" + perThousand);
    }
  }

  private void batch(int sizeClass) {
    long[] blocks = new long[BATCH];
    for (int i = 0; i < BATCH; i++) {
      blocks[i] = take(sizeClass);
    }
    for (long block : blocks) {
      magazines.put(sizeClass, block);
    }
  }

  @Test
  void idleMagazinesGoBackAndUsedOnesStay() {
    int sizeClass = classOf(8192);
    batch(sizeClass);
    batch(classOf(64));
    depot.flush(true);
    // Nobody took of the one since, and of the other nearly all.
    batch(classOf(64));
    int runs = kept().runs();
    depot.flush(true);
    assertTrue(kept().runs() < runs);
    long lockings = kept().lockings();
    batch(classOf(64));
    assertTrue(kept().lockings() - lockings < 10, "the magazines in use stayed");
  }

  @Test
  void anotherThreadTakesWhatThisOneBroughtBackLastFirst() throws InterruptedException {
    int sizeClass = classOf(20_000);
    Deque<Long> order = new ArrayDeque<>();
    for (int i = 0; i < 6; i++) {
      order.add(take(sizeClass));
    }
    order.forEach(block -> magazines.put(sizeClass, block));
    threads.bringBack();
    int runs = zone.liveRuns();
    Thread other =
        new Thread(
            () -> {
              Magazines its = threads.of(threads.enter(), 0, depot);
              assertNotEquals(magazines, its);
              while (!order.isEmpty()) {
                assertEquals(order.removeLast(), its.take(sizeClass, NumaEvents.HIT, 0));
              }
            });
    Throwable[] failure = new Throwable[1];
    other.setUncaughtExceptionHandler((thread, e) -> failure[0] = e);
    other.start();
    other.join();
    assertEquals(null, failure[0]);
    assertEquals(runs, zone.liveRuns());
    // Its counts outlive it.
    threads.collect();
    assertEquals(6, kept().liveBlocks());
    assertEquals(6 * 20_480, kept().liveBytes());
  }

  @Test
  void aClosedDepotServesNobody() {
    int sizeClass = classOf(100);
    long block = take(sizeClass);
    depot.close();
    assertFalse(magazines.put(sizeClass, block));
    assertEquals(Magazines.NONE, magazines.take(sizeClass, NumaEvents.HIT, 0));
    depot.moveEpoch();
    assertFalse(magazines.put(sizeClass, block));
    threads.close();
    assertFalse(threads.of(threads.enter(), 0, depot).put(sizeClass, block));
  }
}
