/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.magazine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.cdmalloc.internal.slab.ReadyBlock;
import org.cdmalloc.internal.slab.SizeClasses;
import org.cdmalloc.internal.zone.NumaEvents;
import org.cdmalloc.internal.zone.Seeds;
import org.cdmalloc.internal.zone.Watermarks;
import org.cdmalloc.internal.zone.Zone;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Magazines and a depot over a zone without memory. */
final class MagazinesTest {
  private static final int PAGES = 1 << 14;
  private static final long BASE = 1L << 40;
  private static final long LIMIT = 1 << 20;
  private static final int BATCH = 256;
  private static final int ROUNDS = 20;

  private final Zone zone = new Zone(PAGES, 30, 512, new Watermarks(0, 0, 0));
  private final ThreadMagazines threads = new ThreadMagazines();
  private Runnable onView = () -> {};
  private final Depot depot = depot(zone, PAGES, LIMIT);
  private final Magazines magazines = threads.of(threads.enter(), 0, depot);

  static LongStream seeds() {
    return Seeds.upTo(10);
  }

  private Depot depot(Zone zone, int pages, long limitBytes) {
    Depot.Memory memory =
        new Depot.Memory() {
          @Override
          public long take(int count, int floorPages) {
            return zone.take(count, floorPages);
          }

          @Override
          public void giveBack(int page) {
            assertTrue(zone.free(page) > 0);
          }

          @Override
          public ByteBuffer view(long offset, int bytes) {
            onView.run();
            throw new UnsupportedOperationException("no memory");
          }

          @Override
          public void zero(long offset, long bytes) {
            throw new UnsupportedOperationException("no memory");
          }
        };
    return new Depot(memory, BASE, pages, limitBytes);
  }

  private static int classOf(long bytes) {
    return SizeClasses.of(bytes);
  }

  private long take(int sizeClass) {
    return magazines.take(sizeClass, NumaEvents.HIT, 0) & ~ReadyBlock.CLEAN;
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

  /**
   * A thread that wants one block of each class gets one, and who wants many gets more each time.
   */
  @Test
  void aMissTakesOneBlockFirstAndTwiceAsManyEachTimeUntilTheClassIsShed() {
    long bytes = 0;
    for (int sizeClass = 0; sizeClass < SizeClasses.count(); sizeClass++) {
      if (SizeClasses.isObject(sizeClass)) {
        magazines.put(sizeClass, take(sizeClass));
        bytes += SizeClasses.bytes(sizeClass);
      }
    }
    assertEquals(bytes, kept().threadBytes());
    // Where one of 64 neighbours would be left, or of a slab, it comes too.
    assertEquals(List.of(2, 4, 8, 16, 33, 64, 64), fills(classOf(64), 7));
    assertEquals(List.of(2, 4, 9), fills(classOf(8192), 3));
    // Two full magazines of each are more than a thread may keep: those of 7168 bytes go.
    for (int size : new int[] {5120, 6144, 7168, 8192}) {
      batch(magazines, classOf(size), new long[64]);
    }
    depot.flush(false);
    assertEquals(List.of(1, 2, 4), fills(classOf(7168), 3));
    assertEquals(List.of(12, 10), fills(classOf(6144), 2));
    assertEquals(List.of(64), fills(classOf(64), 1));
  }

  @Test
  void whatIsTooMuchIsHandedOverOfTheLargestClassesThatHoldMuch() {
    int[] sizes = {256, 8192, 16384, 32768, 65536, 7168};
    int[] counts = {100, 32, 16, 8, 3, 6};
    List<List<Long>> blocks = new ArrayList<>();
    for (int i = 0; i < sizes.length; i++) {
      List<Long> mine = new ArrayList<>();
      for (int k = 0; k < counts[i]; k++) {
        mine.add(take(classOf(sizes[i])));
      }
      blocks.add(mine);
    }
    threads.bringBack();
    long bytes = 0;
    for (int i = 0; i < sizes.length; i++) {
      for (long block : blocks.get(i)) {
        magazines.put(classOf(sizes[i]), block);
        bytes += sizes[i];
      }
    }
    assertTrue(bytes > LIMIT && bytes - 7168 <= LIMIT, "the last block is too much: " + bytes);
    assertEquals(bytes - 3 * 65536 - 8 * 32768, kept().threadBytes());
    long before = kept().lockings();
    for (int i = 0; i < 3; i++) {
      for (int k = 0; k < counts[i]; k++) {
        take(classOf(sizes[i]));
      }
    }
    assertEquals(before, kept().lockings());
    take(classOf(65536));
    assertEquals(before + 1, kept().lockings());
  }

  @Test
  void whereMagazinesWereAskedBackAMissTakesOneBlockFirstAgain() {
    assertEquals(List.of(1, 2, 4, 8, 16), fills(classOf(64), 5));
    depot.moveEpoch();
    magazines.put(classOf(1024), take(classOf(1024)));
    depot.flush(false);
    magazines.put(classOf(64), take(classOf(64)));
    assertEquals(1024 + 64, kept().threadBytes());
    assertEquals(List.of(2, 4), fills(classOf(64), 2));
  }

  @Test
  void zonesAreNumberedOneAfterTheOther() {
    ThreadMagazines none = new ThreadMagazines();
    assertEquals(0, none.addZone());
    assertEquals(1, none.addZone());
    assertEquals(2, none.addZone());
  }

  /** Returns how many blocks of a class came with each of its next misses; they are not freed. */
  private List<Integer> fills(int sizeClass, int count) {
    List<Integer> fills = new ArrayList<>();
    long before = kept().lockings();
    take(sizeClass);
    while (fills.size() < count) {
      if (kept().lockings() == before) {
        take(sizeClass);
        continue;
      }
      int blocks = 0;
      before = kept().lockings();
      while (kept().lockings() == before) {
        take(sizeClass);
        blocks++;
      }
      fills.add(blocks);
    }
    return fills;
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
    assertEquals(8 * LIMIT, kept().idleBytes(), "an eighth of the region");
  }

  @Test
  void theDepotOfALargeRegionKeeps32TimesWhatAThreadMay() {
    int pages = 1 << 17;
    Depot large = depot(new Zone(pages, 30, 512, new Watermarks(0, 0, 0)), pages, LIMIT);
    ThreadMagazines others = new ThreadMagazines();
    Magazines own = others.of(others.enter(), 0, large);
    int sizeClass = classOf(65536);
    List<Long> blocks = new ArrayList<>();
    for (long bytes = 0; bytes < 40 * LIMIT; bytes += 65536) {
      blocks.add(own.take(sizeClass, NumaEvents.HIT, 0) & ~ReadyBlock.CLEAN);
    }
    blocks.forEach(block -> own.put(sizeClass, block));
    others.bringBack();
    // What is too much goes on to the zone: a run has one block here.
    assertEquals(32 * LIMIT, others.kept(0, large).idleBytes());
    large.validate();
  }

  @Test
  void whereManyClassesHoldLittleTheyAreHandedOverToo() {
    long little = LIMIT / 32;
    List<Integer> classes = new ArrayList<>();
    for (int sizeClass = SizeClasses.count() - 1; sizeClass >= 0; sizeClass--) {
      int bytes = SizeClasses.bytes(sizeClass);
      if (bytes <= little && 128L * bytes >= little) {
        classes.add(sizeClass);
      }
    }
    List<List<Long>> blocks = new ArrayList<>();
    for (int sizeClass : classes) {
      List<Long> mine = new ArrayList<>();
      for (int i = 0; i < little / SizeClasses.bytes(sizeClass); i++) {
        mine.add(take(sizeClass));
      }
      blocks.add(mine);
    }
    threads.bringBack();
    long freed = 0;
    for (int i = 0; i < classes.size(); i++) {
      for (long block : blocks.get(i)) {
        magazines.put(classes.get(i), block);
        freed += SizeClasses.bytes(classes.get(i));
        assertTrue(kept().threadBytes() <= LIMIT);
      }
    }
    assertTrue(freed > LIMIT, "it was never too much: " + freed);
    assertTrue(kept().threadBytes() < freed, "nothing was handed over");
  }

  @Test
  void sizesThatAreMoreThanAThreadMayKeepAreNotServed() {
    assertTrue(depot.serves(classOf(LIMIT / 8)));
    assertFalse(depot.serves(classOf(LIMIT / 8 + 1)));
    assertEquals(Magazines.NONE, magazines.take(classOf(LIMIT / 8 + 1), NumaEvents.HIT, 0));
    assertEquals(0, zone.liveRuns());
  }

  @Test
  void whoOnlyFreesPassesOnAllButTwoMagazines() {
    int sizeClass = classOf(256);
    List<Long> blocks = new ArrayList<>();
    for (int i = 0; i < 1000; i++) {
      blocks.add(take(sizeClass));
    }
    ThreadMagazines others = new ThreadMagazines();
    Magazines its = others.of(others.enter(), 0, depot);
    blocks.forEach(block -> its.put(sizeClass, block));
    assertEquals((128 + 1000 % 128) * 256, others.kept(0, depot).threadBytes());
    assertEquals(1000 / 128 - 1, fulls(sizeClass));
  }

  /** Returns how many magazines of a class wait in the depot. */
  private long fulls(int sizeClass) {
    long blocks = kept().idleBytes() / SizeClasses.bytes(sizeClass);
    return blocks / 128;
  }

  @Test
  void aThreadIsGivenTheMagazineThatItHandedOverItself() {
    int sizeClass = classOf(256);
    ThreadMagazines others = new ThreadMagazines();
    Magazines its = others.of(others.enter(), 0, depot);
    List<Magazines> both = List.of(magazines, its);
    List<Set<Long>> blocks = List.of(new HashSet<>(), new HashSet<>());
    for (int i = 0; i < 128; i++) {
      for (int k = 0; k < 2; k++) {
        blocks.get(k).add(both.get(k).take(sizeClass, NumaEvents.HIT, 0) & ~ReadyBlock.CLEAN);
      }
    }
    for (int k = 0; k < 2; k++) {
      Magazines one = both.get(k);
      blocks.get(k).forEach(block -> one.put(sizeClass, block));
      one.bringAllBack();
    }
    // The one of the other lies on top.
    assertTrue(blocks.get(0).contains(magazines.take(sizeClass, NumaEvents.HIT, 0)));
    assertTrue(blocks.get(1).contains(its.take(sizeClass, NumaEvents.HIT, 0)));
    depot.validate();
  }

  /** Waits with open eyes, so that both go on at once. */
  private static void meet(AtomicInteger both) {
    both.incrementAndGet();
    while (both.get() < 2) {
      Thread.onSpinWait();
    }
  }

  /** A thread that finds its depot closed forgets what it has, while the closing one counts it. */
  @Test
  void closingMeetsAThreadThatForgetsItsMagazines() throws Exception {
    ExecutorService other = Executors.newSingleThreadExecutor();
    try {
      for (int round = 0; round < 500; round++) {
        Depot closed = depot(zone, PAGES, LIMIT);
        ThreadMagazines met = new ThreadMagazines();
        AtomicInteger both = new AtomicInteger();
        Future<?> forgets =
            other.submit(
                () -> {
                  for (int number = 0; number < 512; number++) {
                    met.of(met.enter(), number, closed);
                  }
                  closed.close();
                  meet(both);
                  met.choose(new Object(), 0, closed, NumaEvents.HIT);
                  return null;
                });
        meet(both);
        met.close();
        forgets.get();
      }
    } finally {
      other.shutdownNow();
    }
  }

  @Test
  void manyThreadsKeepAnEighthOfTheRegionTogetherOr4MebibytesEach() {
    int pages = 1 << 17;
    Depot large = depot(new Zone(pages, 30, 512, new Watermarks(0, 0, 0)), pages, 16 << 20);
    List<Long> limits = new ArrayList<>();
    for (int i = 0; i < 18; i++) {
      large.join();
      limits.add(large.limitBytes() >> 20);
    }
    List<Long> first = LongStream.of(16, 16, 16, 16, 12, 10, 9, 8).boxed().toList();
    assertEquals(first, limits.subList(0, 8));
    assertEquals(List.of(4L, 4L, 4L), limits.subList(15, 18));
    for (int i = 0; i < 17; i++) {
      large.retire(new Kept());
    }
    assertEquals(16 << 20, large.limitBytes());
  }

  @Test
  void aThreadKeepsNoMoreOnceOthersCame() {
    int pages = 1 << 17;
    Depot large = depot(new Zone(pages, 30, 512, new Watermarks(0, 0, 0)), pages, 16 << 20);
    ThreadMagazines others = new ThreadMagazines();
    Magazines own = others.of(others.enter(), 0, large);
    List<Long> blocks = new ArrayList<>();
    int sizeClass = classOf(1 << 20);
    for (int i = 0; i < 15; i++) {
      blocks.add(own.take(sizeClass, NumaEvents.HIT, 0) & ~ReadyBlock.CLEAN);
    }
    for (int i = 0; i < ROUNDS; i++) {
      batch(own, classOf(65536), new long[200]);
    }
    assertTrue(others.kept(0, large).threadBytes() > 8 << 20);
    for (int i = 0; i < 30; i++) {
      large.join();
    }
    for (long block : blocks) {
      own.put(sizeClass, block);
      long keptBytes = others.kept(0, large).threadBytes();
      assertTrue(keptBytes <= 4 << 20, "kept=" + keptBytes);
    }
    large.validate();
  }

  /** What a thread costs others; docs/performance.md has this table. */
  @ParameterizedTest
  @CsvSource({
    "64, 0, 0, 0, 0",
    "4096, 0, 0, 0, 0",
    "16384, 0, 0, 0, 0",
    "65536, 0, 0, 0, 54",
    "262144, 0, 0, 217, 242",
    "524288, 0, 368, 467, 854"
  })
  void locksAreTakenOncePerMagazineAndNotOncePerBlock(
      int bytes, int of1, int of64, int of256, int of1024) {
    assertEquals(
        List.of(of1, of64, of256, of1024),
        IntStream.of(1, 64, 256, 1024).mapToObj(blocks -> lockings(bytes, blocks)).toList());
  }

  /** Returns how often the depot is locked for 1000 calls, once magazines are as they stay. */
  private int lockings(int bytes, int blocks) {
    int pages = 1 << 19;
    Depot depot = depot(new Zone(pages, 30, 512, new Watermarks(0, 0, 0)), pages, 16 << 20);
    ThreadMagazines threads = new ThreadMagazines();
    Magazines own = threads.of(threads.enter(), 0, depot);
    long[] live = new long[blocks];
    for (int i = 0; i < ROUNDS; i++) {
      batch(own, classOf(bytes), live);
    }
    long before = threads.kept(0, depot).lockings();
    for (int i = 0; i < ROUNDS; i++) {
      batch(own, classOf(bytes), live);
    }
    long lockings = threads.kept(0, depot).lockings() - before;
    return (int) Math.round(lockings * 1000.0 / (ROUNDS * 2 * blocks));
  }

  private static void batch(Magazines own, int sizeClass, long[] live) {
    for (int i = 0; i < live.length; i++) {
      live[i] = own.take(sizeClass, NumaEvents.HIT, 0) & ~ReadyBlock.CLEAN;
    }
    for (long block : live) {
      own.put(sizeClass, block);
    }
  }

  private void batch(int sizeClass) {
    batch(magazines, sizeClass, new long[BATCH]);
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
  void nothingStaysInAThreadsPlaceWhenItsAllocatorIsClosed() {
    Choices choices = new Choices(threads);
    threads.choose(choices, 0, depot, NumaEvents.HIT);
    long address = choices.hit(100, 1);
    assertEquals(0, address);
    batch(classOf(100));
    take(classOf(100));
    assertTrue(choices.hit(100, 1) >= BASE);
    assertTrue(threads.hit(choices.hit(100, 1), false));
    assertFalse(new ThreadMagazines().hit(choices.hit(100, 1), false), "another allocator's");
    assertNotEquals(null, Latest.choice(choices));
    depot.close();
    assertEquals(0, choices.hit(100, 1));
    threads.close();
    assertNull(Latest.choice(choices));
    assertNull(Latest.magazines(threads));
    threads.choose(choices, 0, depot, NumaEvents.HIT);
    assertNull(Latest.choice(choices));
    assertNull(Latest.magazines(threads));
    assertEquals(3, kept().liveBlocks());
  }

  @Test
  void aBlockOfWhichNoBufferCanBeMadeIsFreeAgain() {
    Choices choices = new Choices(threads);
    threads.choose(choices, 0, depot, NumaEvents.HIT);
    magazines.put(classOf(100), take(classOf(100)));
    onView =
        () -> {
          depot.moveEpoch();
          throw new OutOfMemoryError("injected");
        };
    assertThrows(OutOfMemoryError.class, () -> choices.hitBuffer(100, true));
    assertEquals(0, kept().liveBlocks());
    depot.validate();
    threads.bringBack();
    depot.flush(false);
    assertEquals(0, kept().runs());
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
