/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;

/**
 * An allocator over the source under test, with 16 MiB of each node and a designated device of 8
 * MiB, and every object through which its blocks are taken and given back.
 */
public abstract class AllocatorFixture {
  static final long MEBIBYTE = 1 << 20;
  static final int PAGE = 4096;

  /** What is committed, and given back, at a time. */
  static final long UNIT = 2 * MEBIBYTE;

  /** The node of the designated arena, in use on no machine. */
  static final int ARENA = 1023;

  /** In use on no machine, and designated by no test. */
  static final int NO_SUCH_NODE = 1000;

  static final long CAPACITY = 16 * MEBIBYTE;
  static final long ARENA_BYTES = 8 * MEBIBYTE;
  static final Placement NODE_0 = Placement.onNode(0);

  /** The allocator under test; nothing of it is in use when a test begins. */
  NodeAllocator memory;

  /**
   * Opens the source under test.
   *
   * @return a source that is real or emulated, whose node 0 has CPUs and at least 64 MiB free
   */
  protected abstract MemorySource source();

  /**
   * Says what a thread may keep ready of each node.
   *
   * @return bytes; 0 for nothing, so that a block takes its pages and no more
   */
  protected long magazineBytes() {
    return 0;
  }

  @BeforeEach
  final void open() {
    memory = builder().deviceArena(ARENA, 0, ARENA_BYTES).open();
  }

  @AfterEach
  final void close() {
    memory.close();
  }

  /** Starts an allocator like the one under test, but for the device. */
  final NodeAllocator.Builder builder() {
    return builder(source()).magazineBytes(magazineBytes());
  }

  static NodeAllocator.Builder builder(MemorySource source) {
    NodeAllocator.Builder builder =
        NodeAllocator.builder().source(source).deviceNodes(NodeMask.EMPTY).magazineBytes(0);
    for (Node node : source.machine().nodes()) {
      if (node.hasMemory()) {
        builder.capacity(node.id(), Math.min(CAPACITY, node.bytes()));
      }
    }
    return builder;
  }

  final NodeReport report(int node) {
    return memory.report().node(node);
  }

  /** The device, online. */
  final DeviceNode device() {
    DeviceNode device = memory.device(ARENA);
    device.online();
    return device;
  }

  /** Every kind of object through which blocks are taken and given back, new ones where it can. */
  final List<Door> doors() {
    return List.of(
        Door.of("allocator", memory),
        Door.of("system view", memory.systemView()),
        Door.of("memory at node 0", memory.at(NODE_0)),
        Door.of("arena", memory.arena(NODE_0)),
        Door.of("device", device()),
        Door.of("arena of the device", device().arena()));
  }

  /** As {@link #doors}, those alone whose blocks lie on node 0 or its arena, or nowhere. */
  final List<Door> doorsToOneNode() {
    return doors().subList(2, 6);
  }

  /** Returns what a block costs: whole pages, or an object of a slab where threads keep those. */
  final long cost(Door door, long bytes, long alignment) {
    boolean isOwned = door.name().contains("arena") || door.name().contains("device");
    if (magazineBytes() == 0 || isOwned || bytes > 16 << 10 || alignment > PAGE) {
      return (Math.max(1, bytes) + PAGE - 1) / PAGE * PAGE;
    }
    long cost = 16;
    while (cost < bytes || cost % alignment != 0) {
      cost += cost < 128 ? 16 : Long.highestOneBit(cost) / 8;
    }
    return cost;
  }

  /** Asserts that the allocator holds no block. */
  final void assertNothingTaken() {
    MemoryReport report = memory.report();
    for (NodeReport node : report.nodes()) {
      assertEquals(0, node.usedBytes(), node::toString);
      assertEquals(0, node.liveBlocks(), node::toString);
    }
    for (StripeReport stripe : report.stripes()) {
      assertEquals(0, stripe.usedBytes(), stripe::toString);
      assertEquals(0, stripe.liveBlocks(), stripe::toString);
    }
  }

  /** Takes system memory until nothing is left above the low marks. */
  final List<Long> exhaustSystemMemory(int bytes) {
    List<Long> blocks = new ArrayList<>();
    for (long block = memory.tryAllocate(bytes); block != 0; block = memory.tryAllocate(bytes)) {
      blocks.add(block);
      assertTrue(blocks.size() <= 1 << 20, "exhaustion never comes");
    }
    return blocks;
  }

  static void fill(ByteBuffer buffer, int value) {
    byte[] bytes = new byte[buffer.capacity()];
    Arrays.fill(bytes, (byte) value);
    buffer.put(0, bytes);
  }

  /** Returns the index of the first byte that is another one, or −1. */
  static int firstOther(ByteBuffer buffer, int value) {
    for (int i = 0; i < buffer.capacity(); i++) {
      if (buffer.get(i) != (byte) value) {
        return i;
      }
    }
    return -1;
  }

  /** Runs tasks at once, a thread each, and waits for all; one that fails fails the test. */
  static void atOnce(String replay, List<Callable<Void>> tasks) throws InterruptedException {
    ExecutorService threads = Executors.newFixedThreadPool(tasks.size());
    try {
      for (Future<Void> done : threads.invokeAll(tasks)) {
        done.get();
      }
    } catch (ExecutionException e) {
      throw new AssertionError(replay, e.getCause());
    } finally {
      threads.shutdownNow();
    }
  }
}
