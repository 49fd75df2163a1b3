/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** What {@link NodeArena} promises. */
abstract class ArenaContract extends SpillContract {
  private static final int THREADS = 4;
  private static final int ROUNDS = 25;

  private List<NodeArena> arenas() {
    return List.of(
        memory.arena(Placement.LOCAL),
        memory.arena(NODE_0),
        memory.systemView().arena(NODE_0),
        memory.at(NODE_0).arena(device().placement()),
        device().arena());
  }

  private static void assertClosed(Executable request) {
    String message = assertThrows(IllegalStateException.class, request).getMessage();
    assertTrue(message.contains("arena is closed"), message);
  }

  @Test
  void closingAnArenaFreesAllOfItsBlocksAndNoOthers() {
    for (NodeArena arena : arenas()) {
      // "a new arena without blocks"
      assertEquals(0, arena.liveBlocks());
      long other = memory.allocate(PAGE);
      List<Long> blocks = new ArrayList<>();
      for (int i = 0; i < 10; i++) {
        blocks.add(arena.allocate(1L << (10 + i)));
        blocks.add(arena.tryAllocate(PAGE));
        blocks.add(arena.allocate(PAGE, 1L << (2 * i)));
      }
      // "how many blocks close would free"
      assertEquals(30, arena.liveBlocks());
      assertEquals("NodeArena[" + arena.placement() + ", liveBlocks=30]", arena.toString());
      // "Frees all blocks and refuses all further requests."
      arena.close();
      assertEquals(0, arena.liveBlocks());
      for (long block : blocks) {
        assertThrows(MemoryCorruptionError.class, () -> memory.free(block));
      }
      assertClosed(() -> arena.allocate(1));
      assertClosed(() -> arena.allocate(1, PAGE));
      assertClosed(() -> arena.tryAllocate(1));
      assertClosed(() -> arena.allocateBuffer(1));
      assertClosed(() -> arena.allocateBufferUninitialized(1));
      assertClosed(() -> arena.tryAllocateBuffer(1));
      assertEquals(PAGE, memory.usableBytes(other));
      // "Does nothing the second time"
      arena.close();
      // A closed arena is still a way to the allocator's free.
      arena.free(other);
      assertNothingTaken();
    }
  }

  @Test
  void anArenaTellsWhereItsBlocksLie() {
    // "the placement that it was opened with"
    assertSame(NODE_0, memory.arena(NODE_0).placement());
    assertSame(device().placement(), device().arena().placement());
    try (NodeArena arena = device().arena()) {
      arena.allocate(MEBIBYTE);
      assertEquals(MEBIBYTE, report(ARENA).usedBytes());
    }
    try (NodeArena arena = memory.arena(device().placement())) {
      arena.allocate(MEBIBYTE);
      assertEquals(MEBIBYTE, report(ARENA).usedBytes());
      assertEquals(0, report(0).usedBytes());
    }
    assertNothingTaken();
  }

  @Test
  void aBlockThatIsFreedByHandIsTheArenasNoMore() {
    for (NodeArena arena : arenas()) {
      List<Door> hands = new ArrayList<>(doors());
      hands.add(Door.of("the arena itself", arena));
      List<Long> blocks = new ArrayList<>();
      hands.forEach(hand -> blocks.add(arena.allocate(3 * PAGE)));
      long kept = arena.allocate(PAGE);
      // From the middle, then from both ends, so that every link is mended.
      for (int i = hands.size() / 2, left = hands.size(); left > 0; left--) {
        long block = blocks.remove(i);
        // "may be freed before, through the arena, the allocator or any view of it"
        hands.remove(i).free(block);
        // "it then is the arena's no more"
        assertEquals(left, arena.liveBlocks());
        assertThrows(MemoryCorruptionError.class, () -> arena.free(block));
        i = left % 2 == 0 ? 0 : Math.max(0, blocks.size() - 1);
      }
      arena.close();
      assertThrows(MemoryCorruptionError.class, () -> memory.free(kept));
      assertNothingTaken();
    }
  }

  @Test
  void anAddressThatAnotherGotMeanwhileIsNotFreedByTheArena() {
    for (NodeArena arena : List.of(memory.arena(NODE_0), device().arena())) {
      long block = arena.allocate(PAGE);
      memory.free(block);
      try (NodeArena next = memory.arena(arena.placement())) {
        // The lowest free page is the one that was freed.
        assertEquals(block, next.allocate(PAGE));
        arena.close();
        assertEquals(PAGE, memory.usableBytes(block));
        assertEquals(1, next.liveBlocks());
        next.free(block);
        // The same for a block that is nobody's.
        assertEquals(block, memory.allocate(PAGE, arena.placement()));
      }
      assertEquals(PAGE, memory.usableBytes(block));
      memory.free(block);
      assertNothingTaken();
    }
  }

  @Test
  void aRequestThatFailsLeavesNothingInItsArena() {
    try (NodeArena arena = memory.arena(NODE_0)) {
      assertExhausted(CAPACITY + 1, () -> arena.allocate(CAPACITY + 1));
      assertEquals(0, arena.tryAllocate(CAPACITY + 1));
      assertIllegal("negative", () -> arena.allocate(-1));
      assertIllegal("alignment", () -> arena.allocate(1, 3));
      assertEquals(0, arena.liveBlocks());
      assertNotEquals(0, arena.allocate(CAPACITY));
    }
    assertNothingTaken();
  }

  @Test
  void anArenaThatIsForgottenKeepsItsBlocks() {
    long block = memory.arena(NODE_0).allocate(PAGE);
    System.gc();
    // "An arena that is forgotten keeps its blocks until the allocator is closed."
    assertEquals(PAGE, memory.usableBytes(block));
    assertEquals(1, report(0).liveBlocks());
    memory.free(block);
  }

  @Test
  void requestsThatMeetACloseReturnABlockThatItFreesOrFailAndLeaveNothing() throws Exception {
    long seed = Long.getLong("seed", 20170308L);
    for (int round = 0; round < ROUNDS; round++) {
      for (NodeArena arena : List.of(memory.arena(NODE_0), device().arena())) {
        CountDownLatch taken = new CountDownLatch(new SplittableRandom(seed + round).nextInt(200));
        List<Callable<Void>> tasks = new ArrayList<>();
        for (int thread = 0; thread < THREADS; thread++) {
          SplittableRandom random = new SplittableRandom(seed + 1000L * round + thread);
          tasks.add(
              () -> {
                allocateUntilClosed(arena, random, taken);
                return null;
              });
        }
        tasks.add(
            () -> {
              taken.await();
              arena.close();
              assertEquals(0, arena.liveBlocks());
              return null;
            });
        atOnce("replay with -Dseed=" + seed + ", round=" + round, tasks);
        // "either returns a block before, which close frees, or throws IllegalStateException and
        // leaves nothing behind"
        assertNothingTaken();
      }
    }
    memory.free(memory.allocate(CAPACITY, NODE_0));
  }

  private static void allocateUntilClosed(
      NodeArena arena, SplittableRandom random, CountDownLatch taken) {
    // Ends by the exception of the closed arena.
    assertClosed(
        () -> {
          while (true) {
            long bytes = 1L + random.nextInt(1 << (12 + random.nextInt(5)));
            long block = random.nextBoolean() ? arena.tryAllocate(bytes) : one(arena, random);
            taken.countDown();
            if (block != 0 && random.nextInt(3) == 0) {
              freeUnlessClosed(arena, block);
            }
          }
        });
  }

  private static long one(NodeArena arena, SplittableRandom random) {
    try {
      return arena.allocate(1, 1L << random.nextInt(22));
    } catch (NodeMemoryExhaustedException e) {
      return 0;
    }
  }

  /** Whoever frees by hand while the arena is closed may come second, and hears so. */
  private static boolean freeUnlessClosed(NodeArena arena, long block) {
    try {
      arena.free(block);
      return true;
    } catch (MemoryCorruptionError e) {
      return false;
    }
  }

  @Test
  void handsThatMeetACloseFreeEachBlockOnce() throws Exception {
    long seed = Long.getLong("seed", 20170308L);
    int count = 64;
    for (int round = 0; round < ROUNDS; round++) {
      NodeArena arena = memory.arena(NODE_0);
      List<Long> blocks = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        blocks.add(arena.allocate(PAGE));
      }
      AtomicIntegerArray freed = new AtomicIntegerArray(count);
      CyclicBarrier start = new CyclicBarrier(3);
      int closeAfter = new SplittableRandom(seed + round).nextInt(count);
      List<Callable<Void>> tasks = new ArrayList<>();
      for (int step : new int[] {1, count - 1}) {
        tasks.add(
            () -> {
              start.await();
              for (int i = 0, at = 0; i < count; i++, at = (at + step) % count) {
                if (freeUnlessClosed(arena, blocks.get(at))) {
                  freed.incrementAndGet(at);
                }
              }
              return null;
            });
      }
      tasks.add(
          () -> {
            start.await();
            for (int i = 0; i < closeAfter; i++) {
              Thread.onSpinWait();
            }
            arena.close();
            return null;
          });
      atOnce("replay with -Dseed=" + seed + ", round=" + round, tasks);
      for (int i = 0; i < count; i++) {
        assertTrue(freed.get(i) <= 1, "freed by two hands");
      }
      assertNothingTaken();
      memory.free(memory.allocate(CAPACITY, NODE_0));
    }
  }
}
