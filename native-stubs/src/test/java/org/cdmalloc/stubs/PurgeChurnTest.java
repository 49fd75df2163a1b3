/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.cdmalloc.MemoryReport;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.NodeReport;
import org.cdmalloc.Placement;
import org.cdmalloc.StripeReport;
import org.cdmalloc.Zeroing;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.Timeout.ThreadMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Four threads allocate, fill, check and free while a fifth trims without a pause, and the decay
 * thread looks as often as it can. Blocks of a unit and more are common, so that whole units go
 * while others next to them are taken.
 */
@Timeout(value = 300, threadMode = ThreadMode.SEPARATE_THREAD)
final class PurgeChurnTest {
  private static final long MEBIBYTE = 1 << 20;
  private static final int THREADS = 4;
  private static final int STEPS = 1500;
  private static final int MOST_BLOCKS = 6;
  private static final long SEED = Long.getLong("seed", 20170308L);

  private final EmulatedSource emulated = EmulatedSource.of(Machines.twoSocketsAndADevice());
  private final RecordingSource source = new RecordingSource(emulated, 1000);

  @ParameterizedTest
  @EnumSource(
      value = Zeroing.class,
      names = {"ON_ALLOCATE", "ON_FREE"})
  void blocksKeepTheirContentWhileTheMemoryAroundThemComesAndGoes(Zeroing zeroing)
      throws Exception {
    List<Long> free = freeBytes();
    try (NodeAllocator memory =
        NodeAllocator.builder()
            .source(source)
            .capacity(0, 32 * MEBIBYTE)
            .capacity(1, 32 * MEBIBYTE)
            .zeroing(zeroing)
            .purgeDelay(Duration.ofMillis(10))
            .open()) {
      memory.device(4).online();
      for (int round = 0; round < 2; round++) {
        churn(memory, SEED + 100L * round);
        assertNothingIsLeft(memory, free);
      }
      // How often a trim finds something between two takes is the scheduler's business.
      int purges = source.count(SourceCall.PURGE);
      assertTrue(purges > 10, "purges=" + purges);
      // All of each node can be used again.
      for (int node = 0; node < 2; node++) {
        memory.free(memory.allocate(32 * MEBIBYTE, Placement.onNode(node)));
      }
    }
    assertEquals(free, freeBytes());
  }

  private List<Long> freeBytes() {
    return List.of(emulated.freeBytes(0), emulated.freeBytes(1), emulated.freeBytes(4));
  }

  private void assertNothingIsLeft(NodeAllocator memory, List<Long> free) {
    memory.trim();
    MemoryReport report = memory.report();
    for (NodeReport node : report.nodes()) {
      assertEquals(0, node.usedBytes(), node::toString);
      assertEquals(0, node.liveBlocks(), node::toString);
      assertEquals(0, node.stripedBytes(), node::toString);
      assertEquals(0, node.committedBytes(), node::toString);
    }
    for (StripeReport stripe : report.stripes()) {
      assertEquals(0, stripe.committedBytes(), stripe::toString);
    }
    assertEquals(free, freeBytes());
  }

  private void churn(NodeAllocator memory, long seed) throws Exception {
    List<Placement> placements =
        List.of(
            Placement.LOCAL,
            Placement.onNode(0),
            Placement.preferred(1),
            Placement.interleave(NodeMask.of(0, 1)),
            memory.device(4).placement());
    CountDownLatch running = new CountDownLatch(THREADS);
    List<Callable<Void>> tasks = new ArrayList<>();
    for (int thread = 0; thread < THREADS; thread++) {
      SplittableRandom random = new SplittableRandom(seed + thread);
      tasks.add(
          () -> {
            try {
              allocateAndFree(memory, placements, random);
            } finally {
              running.countDown();
            }
            return null;
          });
    }
    tasks.add(
        () -> {
          while (running.getCount() > 0) {
            memory.trim();
          }
          return null;
        });
    List<Thread> started = Collections.synchronizedList(new ArrayList<>());
    ExecutorService threads =
        Executors.newFixedThreadPool(
            tasks.size(),
            task -> {
              Thread thread = new Thread(task);
              started.add(thread);
              return thread;
            });
    try {
      for (Future<Void> done : threads.invokeAll(tasks)) {
        done.get();
      }
    } catch (ExecutionException e) {
      throw new AssertionError("replay with -Dseed=" + SEED, e.getCause());
    } finally {
      threads.shutdownNow();
    }
    // What a thread keeps ready is taken from it once it is dead.
    for (Thread thread : started) {
      thread.join();
    }
  }

  private static void allocateAndFree(
      NodeAllocator memory, List<Placement> placements, SplittableRandom random) {
    List<ByteBuffer> live = new ArrayList<>();
    for (int step = 0; step < STEPS; step++) {
      if (live.size() < MOST_BLOCKS && random.nextInt(5) < 3) {
        Placement placement = placements.get(random.nextInt(placements.size()));
        int bytes = 8 + random.nextInt(1 << (3 + random.nextInt(20)));
        ByteBuffer buffer = memory.tryAllocateBuffer(bytes, placement);
        if (buffer != null) {
          assertHolds(0, buffer);
          mark(random.nextLong() | 1, buffer);
          live.add(buffer);
        }
      } else if (!live.isEmpty()) {
        ByteBuffer buffer = live.remove(random.nextInt(live.size()));
        assertHolds(buffer.getLong(0), buffer);
        memory.free(buffer);
      }
    }
    for (ByteBuffer buffer : live) {
      assertHolds(buffer.getLong(0), buffer);
      memory.free(buffer);
    }
  }

  /** Writes a number at the start of each page, and at the end of the buffer. */
  private static void mark(long number, ByteBuffer buffer) {
    for (int at = 0; at <= buffer.capacity() - 8; at += 4096) {
      buffer.putLong(at, number);
    }
    buffer.put(buffer.capacity() - 1, buffer.get(7));
  }

  private static void assertHolds(long number, ByteBuffer buffer) {
    for (int at = 0; at <= buffer.capacity() - 8; at += 4096) {
      assertEquals(number, buffer.getLong(at), "at=" + at);
    }
    assertEquals((byte) number, buffer.get(buffer.capacity() - 1));
  }
}
