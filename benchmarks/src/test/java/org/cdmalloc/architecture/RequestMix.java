/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.architecture;

import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicInteger;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.NodeArena;
import org.cdmalloc.Placement;
import org.cdmalloc.SystemMemory;
import org.cdmalloc.stubs.EmulatedSource;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;

/**
 * Many requests of all kinds and sizes on a machine of six nodes. Which of them are devices is a
 * scenario's own; the machine is the same, and nodes 0 to 3, on which requests are made, have CPUs.
 */
abstract class RequestMix implements Scenario {
  private static final int NODES = 6;
  private static final long NODE_BYTES = 8 << 20;
  private static final int RESIDENT_BYTES = 1 << 20;
  private static final int PAGE = 4096;
  private static final int CALLERS = 4;

  /** So often memory goes back to the platform that must then be asked for again. */
  private static final int TRIM_EVERY = 20;

  private static final int BATCH = 64;
  private static final int FEW = 8;
  private static final int MOST_LIVE = 12;
  private static final int[] SIZES = {0, 1, PAGE, PAGE + 1, 12 << 10, 67 << 10, 300 << 10};
  private static final int MOST_SHARED = 16 << 10;
  private static final int[] ALIGNMENTS = {1, PAGE, 64 << 10};

  final NodeAllocator memory;
  private final AtomicInteger caller = new AtomicInteger();
  private final SplittableRandom random;
  private final List<Runnable> frees = new ArrayList<>();

  /** Blocks that live as long as the allocator. */
  private final List<Long> residents = new ArrayList<>();

  RequestMix(int[] devices, long seed, long magazineBytes) {
    Machine.Builder machine = Machine.builder();
    for (int node = 0; node < NODES; node++) {
      machine.node(
          node < CALLERS
              ? Node.of(node, Integer.toString(node), NODE_BYTES)
              : Node.memoryOnly(node, NODE_BYTES));
    }
    random = new SplittableRandom(seed);
    NodeAllocator.Builder builder =
        NodeAllocator.builder()
            .source(EmulatedSource.of(machine.build(), PAGE, caller::get))
            .deviceNodes(NodeMask.of(devices))
            .magazineBytes(magazineBytes)
            .purgeDelay(Duration.ZERO)
            .auditPeriod(Duration.ZERO);
    for (int node = 0; node < NODES; node++) {
      builder.capacity(node, NODE_BYTES);
    }
    memory = builder.open();
    for (int device : devices) {
      memory.device(device).online();
      reside(memory.device(device).placement());
    }
  }

  /** Takes a block that stays. */
  final void reside(Placement placement) {
    residents.add(memory.allocate(RESIDENT_BYTES, placement));
  }

  /** Takes blocks of a page until there is no room, and returns what frees them. */
  final Runnable fill(Placement placement) {
    caller.set(0);
    List<Long> blocks = new ArrayList<>();
    for (long block = tryPage(placement); block != 0; block = tryPage(placement)) {
      blocks.add(block);
    }
    return () -> blocks.forEach(memory::free);
  }

  /** Takes and frees more of each size than a thread keeps ready, and again of what it left. */
  final void exchange(Placement placement) {
    caller.set(0);
    takeCleanAndUsed(memory.at(placement));
    List<Long> blocks = new ArrayList<>();
    for (int bytes : SIZES) {
      for (int alignment : ALIGNMENTS) {
        for (int i = 0; i < 2 * BATCH; i++) {
          long block = memory.at(placement).allocate(Math.min(bytes, MOST_SHARED), alignment);
          blocks.add(block);
          if (blocks.size() == BATCH) {
            blocks.forEach(memory::free);
            blocks.clear();
          }
        }
      }
    }
  }

  /** Takes buffers of memory that is new, and of memory that was used. */
  private void takeCleanAndUsed(SystemMemory there) {
    memory.trim();
    for (int bytes : SIZES) {
      for (int i = 0; i < 2 * FEW; i++) {
        List<ByteBuffer> buffers = new ArrayList<>();
        while (buffers.size() < FEW) {
          buffers.add(there.allocateBufferUninitialized(bytes));
          buffers.add(there.allocateBuffer(bytes));
        }
        buffers.forEach(memory::free);
      }
    }
  }

  private long tryPage(Placement placement) {
    return memory.tryAllocate(PAGE, placement);
  }

  /** Makes requests of each placement, and frees what they took. */
  final void mix(int requests, Placement... placements) {
    for (int i = 0; i < requests; i++) {
      if (i % TRIM_EVERY == 0) {
        memory.trim();
      }
      caller.set(i % CALLERS);
      request(placements[random.nextInt(placements.length)]);
      if (frees.size() > MOST_LIVE) {
        frees.remove(random.nextInt(frees.size())).run();
      }
    }
    frees.forEach(Runnable::run);
    frees.clear();
  }

  private void request(Placement placement) {
    int bytes = SIZES[random.nextInt(SIZES.length)];
    SystemMemory there = placement.mode() == Placement.Mode.LOCAL ? memory : memory.at(placement);
    switch (random.nextInt(9)) {
      case 0 -> taken(memory.allocate(bytes, placement));
      case 1 -> taken(memory.tryAllocate(bytes, placement));
      case 2 -> taken(memory.allocateBuffer(bytes, placement));
      case 3 -> taken(memory.tryAllocateBuffer(bytes, placement));
      case 4 -> taken(there.allocateBufferUninitialized(bytes));
      case 5 -> taken(there.allocate(bytes));
      case 6 -> taken(there.allocate(bytes, ALIGNMENTS[random.nextInt(ALIGNMENTS.length)]));
      case 7 -> taken(there.tryAllocate(bytes));
      default -> takeInArena(placement, bytes);
    }
  }

  /** Takes two blocks, one of which goes with the arena. */
  private void takeInArena(Placement placement, int bytes) {
    try (NodeArena arena = memory.arena(placement)) {
      arena.allocate(bytes);
      memory.free(arena.allocateBuffer(bytes));
    }
  }

  private void taken(long block) {
    frees.add(() -> memory.free(block));
  }

  private void taken(ByteBuffer buffer) {
    frees.add(() -> memory.free(buffer));
  }

  @Override
  public void close() {
    residents.forEach(memory::free);
    memory.close();
  }
}
