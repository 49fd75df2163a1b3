/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.IntStream;
import org.cdmalloc.NativeCallException;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.NodeReport;
import org.cdmalloc.Placement;
import org.cdmalloc.internal.address.BufferAddress;
import org.cdmalloc.spi.CommitResult.Outcome;
import org.cdmalloc.stubs.FaultInjectingSource.Errno;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.Timeout.ThreadMode;

/** Several threads allocate and free while calls of the source fail at random. */
@Timeout(value = 300, threadMode = ThreadMode.SEPARATE_THREAD)
final class FaultChurnTest {
  private static final long MEBIBYTE = 1 << 20;
  private static final int THREADS = 4;
  private static final int STEPS = 1500;

  private static final long SEED = Long.getLong("seed", 20170308L);

  private final EmulatedSource emulated = EmulatedSource.of(FaultWorkload.machine());
  private final FaultInjectingSource source = new FaultInjectingSource(emulated);

  /** Live blocks of all threads: start to end. */
  private final ConcurrentSkipListMap<Long, Long> live = new ConcurrentSkipListMap<>();

  private record Block(long address, ByteBuffer buffer) {}

  @Test
  void whateverFailsNothingOverlapsAndNothingIsLost() throws InterruptedException {
    List<Long> free = freeBytes();
    NodeAllocator memory =
        NodeAllocator.builder()
            .source(source)
            .capacity(0, 16 * MEBIBYTE)
            .capacity(1, 16 * MEBIBYTE)
            .open();
    memory.device(2).online();
    List<Placement> placements =
        List.of(
            Placement.LOCAL,
            Placement.onNode(0),
            Placement.preferred(1),
            Placement.bind(NodeMask.of(0, 1)),
            memory.device(2).placement());
    source.randomly(SEED, 0.2, SourceCall.COMMIT).result(Outcome.LOST_RACE);
    source.randomly(SEED + 1, 0.1, SourceCall.COMMIT, SourceCall.PURGE).errno(Errno.ENOMEM);
    source.randomly(SEED + 2, 0.2, SourceCall.COMMIT).afterEffect().errno(Errno.EIO);
    source
        .randomly(SEED + 3, 0.05, SourceCall.VIEW, SourceCall.CURRENT_NODE, SourceCall.RESIDENCY)
        .errno(Errno.EAGAIN);
    AtomicReference<Throwable> failure = new AtomicReference<>();
    List<Thread> threads = new ArrayList<>();
    for (int thread = 0; thread < THREADS; thread++) {
      SplittableRandom random = new SplittableRandom(SEED + 10 + thread);
      Thread worker = new Thread(() -> churn(memory, placements, random));
      worker.setUncaughtExceptionHandler((t, thrown) -> failure.compareAndSet(null, thrown));
      threads.add(worker);
      worker.start();
    }
    for (Thread thread : threads) {
      thread.join();
    }
    if (failure.get() != null) {
      throw new AssertionError("replay with -Dseed=" + SEED, failure.get());
    }
    assertTrue(source.injected() > 100, "faults=" + source.injected());
    source.clear();
    assertTrue(live.isEmpty());
    for (NodeReport report : memory.report().nodes()) {
      assertEquals(0, report.usedBytes(), report::toString);
      assertEquals(0, report.liveBlocks(), report::toString);
      long all = report.capacityBytes();
      Placement placement =
          report.node() == 2 ? memory.device(2).placement() : Placement.onNode(report.node());
      memory.free(memory.allocate(all, placement));
    }
    memory.close();
    assertEquals(free, freeBytes());
  }

  private List<Long> freeBytes() {
    return IntStream.range(0, 3).mapToObj(emulated::freeBytes).toList();
  }

  private void churn(NodeAllocator memory, List<Placement> placements, SplittableRandom random) {
    List<Block> blocks = new ArrayList<>();
    for (int step = 0; step < STEPS; step++) {
      if (blocks.size() < 12 && random.nextInt(5) < 3) {
        Placement placement = placements.get(random.nextInt(placements.size()));
        int bytes = 1 + random.nextInt(1 << (8 + random.nextInt(14)));
        try {
          Block block = allocate(memory, placement, bytes, random.nextBoolean());
          if (block != null) {
            blocks.add(block);
            memory.residency(block.address());
          }
        } catch (NativeCallException e) {
          assertTrue(e.getMessage().contains("injected=true"), e.getMessage());
        }
      } else if (!blocks.isEmpty()) {
        free(memory, blocks.remove(random.nextInt(blocks.size())));
      }
    }
    blocks.forEach(block -> free(memory, block));
  }

  /** Returns a block that overlaps no other, or null if there is no memory. */
  private Block allocate(NodeAllocator memory, Placement placement, int bytes, boolean viewed) {
    ByteBuffer buffer = viewed ? memory.tryAllocateBuffer(bytes, placement) : null;
    long address =
        viewed
            ? buffer == null ? 0 : BufferAddress.of(buffer)
            : memory.tryAllocate(bytes, placement);
    if (address == 0) {
      return null;
    }
    assertNull(live.put(address, address + bytes), "handed out twice");
    Map.Entry<Long, Long> below = live.lowerEntry(address);
    Long above = live.higherKey(address);
    assertTrue(below == null || below.getValue() <= address, "blocks overlap");
    assertTrue(above == null || address + bytes <= above, "blocks overlap");
    if (viewed) {
      assertEquals(0, buffer.get(bytes - 1));
      buffer.put(0, (byte) bytes).put(bytes - 1, (byte) bytes);
    }
    return new Block(address, buffer);
  }

  private void free(NodeAllocator memory, Block block) {
    live.remove(block.address());
    if (block.buffer() == null) {
      memory.free(block.address());
    } else {
      int bytes = block.buffer().capacity();
      assertEquals((byte) bytes, block.buffer().get(0));
      assertEquals((byte) bytes, block.buffer().get(bytes - 1));
      memory.free(block.buffer());
    }
  }
}
