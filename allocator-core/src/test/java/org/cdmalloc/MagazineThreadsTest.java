/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.LongStream;
import org.cdmalloc.internal.zone.Seeds;
import org.cdmalloc.spi.AddressOnlySource;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Threads that keep blocks ready, free each other's, die, trim, and meet full nodes and faults.
 * Whether blocks overlap is seen at once, by a map of all that are live; accounts are compared
 * whenever all threads rest. A seed replays what each thread wants, not in which order they come.
 */
final class MagazineThreadsTest {
  private static final int THREADS = 4;
  private static final int STEPS = 320_000;
  private static final int STEPS_PER_ROUND = 8_000;
  private static final int DEVICE = 2;
  private static final long MEBIBYTE = 1 << 20;

  private static final Map<Integer, Long> CAPACITIES =
      Map.of(0, 16 * MEBIBYTE, 1, 8 * MEBIBYTE, DEVICE, 4 * MEBIBYTE);

  private static final ThreadLocal<Integer> CALLER = ThreadLocal.withInitial(() -> 0);
  private static final ThreadLocal<SplittableRandom> FAULTS = new ThreadLocal<>();

  static LongStream seeds() {
    return Seeds.upTo(2);
  }

  private final CyclicBarrier start = new CyclicBarrier(THREADS);

  private final AddressOnlySource machine =
      AddressOnlySource.of(
          Machine.builder()
              .node(Node.of(0, "0", 16 * MEBIBYTE))
              .node(Node.of(1, "1", 8 * MEBIBYTE))
              .node(Node.memoryOnly(DEVICE, 4 * MEBIBYTE))
              .build(),
          4096,
          CALLER::get);

  private final ConcurrentSkipListMap<Long, Long> live = new ConcurrentSkipListMap<>();
  private final ConcurrentLinkedQueue<Long> handedOver = new ConcurrentLinkedQueue<>();
  private final Queue<Thread> started = new ConcurrentLinkedQueue<>();
  private final NodeAllocator memory = open();
  private final List<Placement> placements =
      List.of(
          Placement.LOCAL,
          Placement.LOCAL,
          Placement.onNode(1),
          Placement.bind(NodeMask.of(0, 1)),
          Placement.preferred(1),
          Placement.interleave(NodeMask.of(0, 1)),
          memory.device(DEVICE).placement());

  private static boolean fails() {
    SplittableRandom random = FAULTS.get();
    return random != null && random.nextInt(64) == 0;
  }

  private NodeAllocator open() {
    NodeAllocator.Builder builder =
        NodeAllocator.builder()
            .source(new ObservedSource(machine, MagazineThreadsTest::fails))
            .purgeDelay(Duration.ZERO)
            .magazineBytes(MEBIBYTE);
    CAPACITIES.forEach(builder::capacity);
    NodeAllocator opened = builder.open();
    opened.device(DEVICE).online();
    return opened;
  }

  @ParameterizedTest
  @MethodSource("seeds")
  void noTwoBlocksOverlapAndAllAccountsAgreeWhenThreadsRest(long seed) throws Exception {
    boolean isFaulty = seed % 2 != 0;
    List<Worker> workers = new ArrayList<>();
    for (int thread = 0; thread < THREADS; thread++) {
      workers.add(new Worker(new SplittableRandom(seed * THREADS + thread), thread % 2, isFaulty));
    }
    int rounds = Math.max(1, Integer.getInteger("model.steps", STEPS) / STEPS_PER_ROUND / THREADS);
    ExecutorService threads = pool();
    try {
      for (int round = 0; round < rounds; round++) {
        if (round % 4 == 3) {
          // Others go on with what these leave behind.
          threads.shutdown();
          threads = pool();
        }
        for (Future<Void> done : threads.invokeAll(workers)) {
          done.get();
        }
        check();
      }
      for (Worker worker : workers) {
        threads.submit(worker::freeAll).get();
      }
      handedOver.forEach(this::free);
      assertTrue(live.isEmpty());
      threads.shutdown();
      for (Thread thread : started) {
        thread.join();
      }
      emptyAndWhole(isFaulty);
    } catch (Exception | AssertionError failure) {
      throw Seeds.failure(seed, failure);
    } finally {
      threads.shutdownNow();
    }
  }

  private ExecutorService pool() {
    return Executors.newFixedThreadPool(
        THREADS,
        task -> {
          Thread thread = new Thread(task);
          started.add(thread);
          return thread;
        });
  }

  private void emptyAndWhole(boolean isFaulty) {
    memory.trim();
    assertEquals(0, committedBytes());
    check();
    if (!isFaulty) {
      CAPACITIES.forEach(
          (node, bytes) -> {
            Placement placement =
                node == DEVICE ? memory.device(node).placement() : Placement.onNode(node);
            assertNotEquals(0, memory.tryAllocate(bytes, placement), "node=" + node);
          });
    }
    memory.close();
    for (Node node : machine.machine().nodes()) {
      assertEquals(node.bytes(), machine.freeBytes(node.id()));
    }
  }

  private long committedBytes() {
    return memory.report().nodes().stream().mapToLong(NodeReport::committedBytes).sum()
        + memory.report().stripes().stream().mapToLong(StripeReport::committedBytes).sum();
  }

  private void free(long address) {
    // First: who is given the address next must not find it here.
    assertTrue(live.remove(address) != null, "freed twice by the test");
    memory.free(address);
  }

  private void handedOut(long address, long asked) {
    long bytes = memory.usableBytes(address);
    assertTrue(bytes >= asked, "too small");
    assertTrue(live.put(address, bytes) == null, "handed out twice");
    Map.Entry<Long, Long> below = live.lowerEntry(address);
    Long above = live.higherKey(address);
    assertTrue(below == null || below.getKey() + below.getValue() <= address, "overlap");
    assertTrue(above == null || address + bytes <= above, "overlap");
  }

  /** Compares all accounts; nobody works. */
  private void check() {
    MemoryReport report = memory.report();
    long blocks = 0;
    long bytes = 0;
    for (NodeReport node : report.nodes()) {
      blocks += node.liveBlocks();
      bytes += node.usedBytes();
      assertTrue(node.usedBytes() <= node.committedBytes(), node::toString);
    }
    for (StripeReport stripe : report.stripes()) {
      blocks += stripe.liveBlocks();
      bytes += stripe.usedBytes();
    }
    assertEquals(live.size(), blocks);
    assertEquals(live.values().stream().mapToLong(Long::longValue).sum(), bytes);
    CounterInvariants.assertHold(report);
  }

  /** What one thread does; its blocks outlive a round. */
  private final class Worker implements Callable<Void> {
    private final SplittableRandom random;
    private final int node;
    private final boolean isFaulty;
    private final List<Long> own = new ArrayList<>();
    private int growth;

    Worker(SplittableRandom random, int node, boolean isFaulty) {
      this.random = random;
      this.node = node;
      this.isFaulty = isFaulty;
    }

    @Override
    public Void call() throws Exception {
      CALLER.set(node);
      FAULTS.set(isFaulty ? random.split() : null);
      start.await();
      try {
        for (int step = 0; step < STEPS_PER_ROUND; step++) {
          growth = step % 512 == 0 ? random.nextInt(2, 10) : growth;
          try {
            step();
          } catch (NativeCallException failed) {
            assertTrue(isFaulty, failed::toString);
          }
        }
      } finally {
        FAULTS.remove();
      }
      return null;
    }

    private void step() {
      int kind = random.nextInt(1000);
      if (kind < 2) {
        memory.purgeIdle();
      } else if (kind < 4) {
        memory.trim();
      } else if (kind < 6) {
        memory.report().nodes().forEach(report -> assertTrue(report.usedBytes() >= 0));
      } else if (random.nextInt(10) < growth) {
        allocate();
      } else if (!own.isEmpty()) {
        freeOne();
      }
    }

    private void allocate() {
      long bytes = random.nextLong(1L << random.nextInt(4, random.nextInt(16) == 0 ? 21 : 16));
      Placement placement = placements.get(random.nextInt(placements.size()));
      long address = memory.tryAllocate(bytes, placement);
      if (address != 0) {
        handedOut(address, bytes);
        own.add(address);
      }
    }

    private void freeOne() {
      Collections.swap(own, random.nextInt(own.size()), own.size() - 1);
      long address = own.remove(own.size() - 1);
      if (random.nextInt(4) != 0) {
        free(address);
        return;
      }
      handedOver.add(address);
      Long others = handedOver.poll();
      if (others != null) {
        free(others);
      }
    }

    Void freeAll() {
      own.forEach(MagazineThreadsTest.this::free);
      own.clear();
      return null;
    }
  }
}
