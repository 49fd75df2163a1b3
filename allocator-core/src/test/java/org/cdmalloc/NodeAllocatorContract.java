/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicReference;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.topology.NodeMask;
import org.cdmalloc.topology.Zonelist.Kind;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * What {@link NodeAllocator} and {@link DeviceNode} promise on every memory source. A subclass
 * gives the source; node 0 must have memory and CPUs. Above each assertion stands the sentence it
 * checks.
 */
public abstract class NodeAllocatorContract {
  private static final long MEBIBYTE = 1 << 20;
  private static final int PAGE = 4096;

  /** The node of the designated arena, in use on no machine. */
  private static final int ARENA = 1023;

  private static final long CAPACITY = 16 * MEBIBYTE;
  private static final long ARENA_BYTES = 8 * MEBIBYTE;

  private NodeAllocator memory;

  /**
   * Opens the source under test.
   *
   * @return a source that is real or emulated, whose node 0 has at least 64 MiB free
   */
  protected abstract MemorySource source();

  @BeforeEach
  void open() {
    memory = builder().deviceArena(ARENA, 0, ARENA_BYTES).open();
  }

  @AfterEach
  void close() {
    memory.close();
  }

  private NodeAllocator.Builder builder() {
    return NodeAllocator.builder()
        .source(source())
        .deviceNodes(NodeMask.EMPTY)
        .capacity(0, CAPACITY);
  }

  private NodeReport report(int node) {
    return memory.report().stream().filter(r -> r.node() == node).findFirst().orElseThrow();
  }

  /** Takes node 0 until nothing is left above its low mark. */
  private List<Long> exhaustNode0(int bytes) {
    List<Long> blocks = new ArrayList<>();
    Placement preferred = Placement.preferred(0);
    for (long block = memory.tryAllocate(bytes, preferred);
        block != 0;
        block = memory.tryAllocate(bytes, preferred)) {
      blocks.add(block);
      assertTrue(blocks.size() <= 1 << 20, "exhaustion never comes");
    }
    return blocks;
  }

  @Test
  void aBufferIsDirectBigEndianExactAndZeroed() {
    for (int bytes : new int[] {0, 1, 4095, 4096, 4097, 67 << 10, 1 << 20}) {
      ByteBuffer dirty = memory.allocateBuffer(bytes, Placement.onNode(0));
      fill(dirty, (byte) 0x5a);
      memory.free(dirty);

      ByteBuffer buffer = memory.allocateBuffer(bytes, Placement.onNode(0));
      // A direct, big-endian buffer of exactly that capacity.
      assertTrue(buffer.isDirect());
      assertEquals(ByteOrder.BIG_ENDIAN, buffer.order());
      assertEquals(bytes, buffer.capacity());
      assertEquals(bytes, buffer.remaining());
      assertEquals(-1, firstOther(buffer, (byte) 0), "bytes=" + bytes);
      memory.free(buffer);
    }
  }

  @Test
  void aBlockCostsItsPagesAndNoMore() {
    long block = memory.allocate(67 << 10, Placement.onNode(0));
    // Rounded up to whole pages of 4 KiB.
    assertEquals(68 << 10, report(0).usedBytes());
    assertEquals(0, block % PAGE);
    memory.free(block);
    assertEquals(0, report(0).usedBytes());
    assertEquals(0, report(0).liveBlocks());
  }

  @Test
  void whatANamedPlacementGivesLiesOnThatNode() {
    for (Placement placement :
        List.of(Placement.onNode(0), Placement.preferred(0), Placement.bind(NodeMask.of(0)))) {
      ByteBuffer buffer = memory.allocateBuffer(3 << 20, placement);
      assertTrue(memory.residency(buffer).isAllOn(0), () -> memory.residency(buffer).toString());
      memory.free(buffer);
    }
  }

  @Test
  void anImplicitRequestIsServedAndLiesOnSystemMemory() {
    long block = memory.allocate(64 << 10);
    memory
        .residency(block)
        .pagesByNode()
        .keySet()
        .forEach(node -> assertTrue(memory.source().machine().withMemory().contains(node)));
    assertEquals(0, report(ARENA).usedBytes());
    memory.free(block);
  }

  @Test
  void aDeviceNodeIsReachedByItsCapabilityOnly() {
    // NodeAccessException if the placement names a device node without its capability.
    for (Placement placement :
        List.of(
            Placement.onNode(ARENA),
            Placement.preferred(ARENA),
            Placement.bind(NodeMask.of(0, ARENA)))) {
      NodeAccessException refused =
          assertThrows(NodeAccessException.class, () -> memory.allocate(1, placement));
      assertTrue(refused.getMessage().contains("device(" + ARENA + ")"), refused.getMessage());
    }
    DeviceNode device = memory.device(ARENA);
    // The same object each time.
    assertSame(device, memory.device(ARENA));
    // IllegalStateException if the node is not online.
    assertThrows(IllegalStateException.class, () -> device.allocate(1));
    assertThrows(IllegalStateException.class, () -> memory.allocate(1, device.placement()));
    assertFalse(report(ARENA).online());
    device.online();
    device.online();
    ByteBuffer buffer = device.allocateBuffer(1 << 20);
    assertTrue(memory.residency(buffer).isAllOn(0));
    assertEquals(MEBIBYTE, report(ARENA).usedBytes());
    assertEquals(Kind.DEVICE, report(ARENA).kind());
    assertEquals(0, report(ARENA).backingNode());
    device.free(buffer);
    // Whoever is handed the placement may allocate here.
    memory.free(memory.allocate(1, device.placement()));
    assertEquals(0, report(ARENA).usedBytes());
    // IllegalArgumentException if it is not a device node of this allocator.
    assertThrows(IllegalArgumentException.class, () -> memory.device(0));
  }

  @Test
  void aFullDeviceNeverFallsBackToSystemMemory() {
    DeviceNode device = memory.device(ARENA);
    device.online();
    long all = device.allocate(ARENA_BYTES);
    // A request through it is served by that node or not at all.
    NodeMemoryExhaustedException full =
        assertThrows(NodeMemoryExhaustedException.class, () -> device.allocate(1));
    assertEquals(1, full.attempts().size());
    assertEquals(ARENA, full.attempts().get(0).node());
    assertEquals(0, device.tryAllocate(1));
    assertNull(device.tryAllocateBuffer(1));
    assertEquals(0, report(0).usedBytes());
    device.free(all);
    assertEquals(0, report(ARENA).usedBytes());
    device.free(device.allocate(ARENA_BYTES));
  }

  @Test
  void exhaustedSystemMemoryLeavesDevicesUntouched() {
    DeviceNode device = memory.device(ARENA);
    device.online();
    List<Long> blocks = exhaustNode0(64 << 10);
    NodeMemoryExhaustedException refused =
        assertThrows(
            NodeMemoryExhaustedException.class,
            () -> memory.allocate(CAPACITY, Placement.preferred(0)));
    assertEquals(CAPACITY, refused.requestedBytes());
    refused.attempts().forEach(attempt -> assertTrue(attempt.node() != ARENA));
    assertTrue(refused.getMessage().contains("bytes=" + CAPACITY), refused.getMessage());
    assertEquals(0, report(ARENA).usedBytes());
    assertEquals(0, report(ARENA).committedBytes());
    blocks.forEach(memory::free);
    assertEquals(0, report(0).usedBytes());
  }

  @Test
  void requestsThatDoNotInsistStopAtTheLowMark() {
    List<Long> blocks = exhaustNode0(PAGE);
    NodeReport report = report(0);
    assertEquals(report.lowMarkBytes(), report.capacityBytes() - report.usedBytes());
    assertTrue(report.lowMarkBytes() > 0);
    // What is below it serves those that insist.
    long rest = 0;
    for (long block = memory.tryAllocate(PAGE, Placement.onNode(0));
        block != 0;
        block = memory.tryAllocate(PAGE, Placement.onNode(0))) {
      blocks.add(block);
      rest += PAGE;
    }
    assertEquals(report.lowMarkBytes(), rest);
    blocks.forEach(memory::free);
  }

  @Test
  void whatIsNotTheFirstByteOfALiveBlockIsDetected() {
    long block = memory.allocate(5 * PAGE, Placement.onNode(0));
    // The address is foreign, misaligned, or inside a block.
    for (long wrong : new long[] {0, 1, 12345, -1, block + 1, block + PAGE, block + 4 * PAGE}) {
      assertThrows(
          IllegalArgumentException.class, () -> memory.free(wrong), () -> "address=" + wrong);
    }
    assertThrows(IllegalArgumentException.class, () -> memory.free(ByteBuffer.allocate(16)));
    assertThrows(IllegalArgumentException.class, () -> memory.free(ByteBuffer.allocateDirect(16)));
    assertEquals(5 * PAGE, report(0).usedBytes());
    memory.free(block);
    // MemoryCorruptionError if the block that began there was freed before.
    assertThrows(MemoryCorruptionError.class, () -> memory.free(block));
    assertThrows(MemoryCorruptionError.class, () -> memory.residency(block));
    assertEquals(0, report(0).usedBytes());
  }

  @Test
  void anyViewWithTheSameIndexZeroFreesTheBlock() {
    // Position, limit, order, duplicates and read-only views make no difference.
    ByteBuffer buffer = memory.allocateBuffer(10_000);
    memory.free(buffer.position(17).limit(99).order(ByteOrder.LITTLE_ENDIAN));
    memory.free(memory.allocateBuffer(10_000).duplicate().position(5));
    memory.free(memory.allocateBuffer(10_000).asReadOnlyBuffer());
    ByteBuffer inner = memory.allocateBuffer(10_000);
    assertThrows(IllegalArgumentException.class, () -> memory.free(inner.slice(1, 10)));
    memory.free(inner);
    assertEquals(0, report(0).usedBytes());
  }

  @Test
  void anyThreadFreesAnyBlock() throws InterruptedException {
    long block = memory.allocate(PAGE);
    AtomicReference<Throwable> failure = new AtomicReference<>();
    Thread other = new Thread(() -> memory.free(block));
    other.setUncaughtExceptionHandler((thread, thrown) -> failure.set(thrown));
    other.start();
    other.join();
    assertNull(failure.get());
    assertThrows(MemoryCorruptionError.class, () -> memory.free(block));
  }

  @Test
  void sizesAtTheEdge() {
    // IllegalArgumentException if bytes is negative.
    assertThrows(IllegalArgumentException.class, () -> memory.allocate(-1));
    assertThrows(IllegalArgumentException.class, () -> memory.tryAllocateBuffer(-1));
    // 0 counts as 1.
    long empty = memory.allocate(0, Placement.onNode(0));
    assertEquals(PAGE, report(0).usedBytes());
    memory.free(empty);
    assertNull(memory.tryAllocateBuffer(Integer.MAX_VALUE, Placement.onNode(0)));
    // 0 if no system node has room above its low mark.
    assertEquals(0, memory.tryAllocate(Long.MAX_VALUE));
    assertThrows(
        NodeMemoryExhaustedException.class,
        () -> memory.allocate(Long.MAX_VALUE, Placement.onNode(0)));
  }

  @Test
  void placementsThatCannotBeAreRefused() {
    // IllegalArgumentException if the machine has none of the nodes.
    assertThrows(IllegalArgumentException.class, () -> memory.allocate(1, Placement.onNode(1000)));
    assertThrows(
        IllegalArgumentException.class,
        () -> memory.allocate(1, Placement.bind(NodeMask.of(1000, 1001))));
    assertThrows(IllegalArgumentException.class, () -> Placement.bind(NodeMask.EMPTY));
    assertThrows(IllegalArgumentException.class, () -> Placement.onNode(-1));
    try (NodeAllocator other = builder().deviceArena(ARENA, 0, ARENA_BYTES).open()) {
      other.device(ARENA).online();
      // … or the placement is of another allocator's device.
      Placement foreign = other.device(ARENA).placement();
      assertThrows(IllegalArgumentException.class, () -> memory.allocate(1, foreign));
    }
  }

  @Test
  void aClosedAllocatorRefusesAndItsBuffersReadZeros() {
    ByteBuffer buffer = memory.allocateBuffer(1 << 20);
    fill(buffer, (byte) 0x5a);
    long block = memory.allocate(PAGE);
    DeviceNode device = memory.device(ARENA);
    device.online();
    memory.close();
    memory.close();
    // A buffer that is still reachable reads zeros.
    assertEquals(-1, firstOther(buffer, (byte) 0));
    assertThrows(IllegalStateException.class, () -> memory.allocate(1));
    assertThrows(IllegalStateException.class, () -> memory.tryAllocateBuffer(1));
    assertThrows(IllegalStateException.class, () -> memory.free(block));
    assertThrows(IllegalStateException.class, () -> memory.free(block + 1));
    assertThrows(IllegalStateException.class, () -> memory.residency(block));
    assertThrows(IllegalStateException.class, () -> device.online());
  }

  @Test
  void closingGivesTheMemoryBack() {
    MemorySource source = source();
    NodeAllocator first =
        NodeAllocator.builder()
            .source(source)
            .deviceNodes(NodeMask.EMPTY)
            .capacity(0, CAPACITY)
            .open();
    long free = source.freeBytes(0);
    first.allocate(8 * MEBIBYTE, Placement.onNode(0));
    first.close();
    if (!source.isReal()) {
      assertEquals(free, source.freeBytes(0));
    }
    try (NodeAllocator second =
        NodeAllocator.builder()
            .source(source)
            .deviceNodes(NodeMask.EMPTY)
            .capacity(0, CAPACITY)
            .open()) {
      assertNotNull(second.allocateBuffer((int) (8 * MEBIBYTE), Placement.onNode(0)));
    }
  }

  @Test
  void optionsThatDoNotFitAreRefused() {
    assertThrows(IllegalArgumentException.class, () -> builder().capacity(0, 0));
    assertThrows(IllegalArgumentException.class, () -> builder().capacity(0, 1L << 60).open());
    assertThrows(IllegalArgumentException.class, () -> builder().capacity(1000, 1).open());
    assertThrows(
        IllegalArgumentException.class, () -> builder().deviceArena(0, 0, MEBIBYTE).open());
    assertThrows(
        IllegalArgumentException.class, () -> builder().deviceArena(ARENA, 1000, 1).open());
    assertThrows(
        IllegalArgumentException.class,
        () -> builder().deviceArena(ARENA, 0, 1).deviceArena(ARENA, 0, 1));
    assertThrows(
        IllegalArgumentException.class,
        () -> builder().deviceArena(ARENA, 0, MEBIBYTE).deviceArena(1022, ARENA, PAGE).open());
    // All nodes are devices: refused.
    assertThrows(
        IllegalArgumentException.class,
        () -> builder().deviceNodes(memory.source().machine().withMemory()).open());
  }

  @Test
  void blocksNeverOverlapUnderARandomLoad() throws InterruptedException {
    long seed = Long.getLong("seed", 20170308L);
    List<Thread> threads = new ArrayList<>();
    AtomicReference<Throwable> failure = new AtomicReference<>();
    for (int thread = 0; thread < 4; thread++) {
      SplittableRandom random = new SplittableRandom(seed + thread);
      byte mark = (byte) (thread + 1);
      Thread worker = new Thread(() -> churn(random, mark));
      worker.setUncaughtExceptionHandler((t, thrown) -> failure.compareAndSet(null, thrown));
      threads.add(worker);
      worker.start();
    }
    for (Thread thread : threads) {
      thread.join();
    }
    if (failure.get() != null) {
      throw new AssertionError("replay with -Dseed=" + seed, failure.get());
    }
    assertEquals(0, report(0).usedBytes());
    assertEquals(0, report(0).liveBlocks());
  }

  /** Holds up to 20 blocks, each filled with a mark that must still be there when it is freed. */
  private void churn(SplittableRandom random, byte mark) {
    List<ByteBuffer> live = new ArrayList<>();
    for (int step = 0; step < 2000; step++) {
      if (live.size() < 20 && random.nextBoolean()) {
        ByteBuffer buffer = memory.tryAllocateBuffer(1 << random.nextInt(17));
        if (buffer != null) {
          assertEquals(-1, firstOther(buffer, (byte) 0));
          fill(buffer, mark);
          live.add(buffer);
        }
      } else if (!live.isEmpty()) {
        ByteBuffer buffer = live.remove(random.nextInt(live.size()));
        assertEquals(-1, firstOther(buffer, mark));
        memory.free(buffer);
      }
    }
    live.forEach(memory::free);
  }

  private static void fill(ByteBuffer buffer, byte value) {
    for (int i = 0; i < buffer.capacity(); i++) {
      buffer.put(i, value);
    }
  }

  private static int firstOther(ByteBuffer buffer, byte value) {
    for (int i = 0; i < buffer.capacity(); i++) {
      if (buffer.get(i) != value) {
        return i;
      }
    }
    return -1;
  }
}
