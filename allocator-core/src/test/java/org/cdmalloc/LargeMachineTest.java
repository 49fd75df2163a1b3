/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.cdmalloc.spi.AddressOnlySource;
import org.cdmalloc.topology.LoadRule;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;
import org.cdmalloc.topology.SpillMode;
import org.cdmalloc.topology.Zonelist;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The allocator on machines larger than any that runs tests: nodes of 64 GiB, and 64 of them, over
 * addresses that have no memory behind them.
 */
final class LargeMachineTest {
  private static final long PAGE = 4096;
  private static final long GIBIBYTE = 1L << 30;
  private static final long NODE_BYTES = 64 * GIBIBYTE;

  /** A node that is hardly used costs the heap no more, with what the test itself allocates. */
  private static final long HEAP_BYTES_PER_NODE = 64 << 10;

  /** In a mask of longs: the last bit of the first word, the first of the second, and far away. */
  private static final int[] SPARSE = {63, 64, 255};

  private static final int[] DEVICES = {100, 101, 102, 103, 1000};

  private static Machine oneNode() {
    return Machine.builder().node(Node.of(0, "0-127", NODE_BYTES)).build();
  }

  /** 56 system nodes without gaps, three of them sparse, and five devices. */
  private static Machine sixtyFourNodes() {
    Machine.Builder builder = Machine.builder();
    IntStream.concat(IntStream.range(0, 56), IntStream.of(SPARSE))
        .forEach(node -> builder.node(Node.of(node, Integer.toString(node), NODE_BYTES)));
    IntStream.of(DEVICES).forEach(node -> builder.node(Node.memoryOnly(node, NODE_BYTES)));
    Machine machine =
        builder
            .distances((from, to) -> from == to ? 10 : 20 + Math.abs(from % 64 - to % 64))
            .build();
    assertEquals(64, machine.online().size());
    return machine;
  }

  private static NodeAllocator open(AddressOnlySource source) {
    return open(source, 0);
  }

  private static NodeAllocator open(AddressOnlySource source, long magazineBytes) {
    NodeAllocator.Builder builder =
        NodeAllocator.builder().source(source).magazineBytes(magazineBytes);
    source.machine().withMemory().stream().forEach(node -> builder.capacity(node, NODE_BYTES));
    return builder.purgeDelay(Duration.ZERO).open();
  }

  private static long allocatedBytes() {
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    return threads.getThreadAllocatedBytes(Thread.currentThread().getId());
  }

  /** The first byte of a node's region: where a block of all of it begins. */
  private static long firstByte(NodeAllocator memory, Placement placement) {
    long all = memory.allocate(NODE_BYTES, placement);
    memory.free(all);
    return all;
  }

  private static void assertWhole(NodeAllocator memory, AddressOnlySource source, int node) {
    NodeReport report = memory.report().node(node);
    assertEquals(NODE_BYTES, report.capacityBytes());
    assertEquals(0, report.usedBytes());
    assertEquals(0, report.liveBlocks());
    assertEquals(1, report.freeBlocksPerOrder().get(report.freeBlocksPerOrder().size() - 1));
    assertEquals(NODE_BYTES - report.committedBytes(), source.freeBytes(node));
  }

  /** Takes all of node 0 in blocks of one size, and gives it back from both ends. */
  private static void useUp(NodeAllocator memory, long first, long blockBytes) {
    int blocks = (int) (NODE_BYTES / blockBytes);
    Placement node = Placement.onNode(0);
    BitSet taken = new BitSet(blocks);
    for (int i = 0; i < blocks; i++) {
      long offset = memory.allocate(blockBytes, node) - first;
      assertTrue(offset >= 0 && offset <= NODE_BYTES - blockBytes, "offset=" + offset);
      assertEquals(0, offset % blockBytes);
      assertFalse(taken.get((int) (offset / blockBytes)), "handed out twice: offset=" + offset);
      taken.set((int) (offset / blockBytes));
    }
    assertEquals(blocks, taken.cardinality());
    assertEquals(NODE_BYTES, memory.report().node(0).usedBytes());
    assertEquals(0, memory.tryAllocate(1, node));
    for (int low = 0, high = blocks - 1; low <= high; low++, high--) {
      memory.free(first + low * blockBytes);
      if (low < high) {
        memory.free(first + high * blockBytes);
      }
    }
  }

  @Test
  void aNodeOf64GibibytesIsUsedUpInBlocksOfEachSizeAndWholeAgain() {
    AddressOnlySource source = AddressOnlySource.of(oneNode());
    try (NodeAllocator memory = open(source)) {
      long first = firstByte(memory, Placement.onNode(0));
      for (long bytes : new long[] {64 << 10, 2 << 20, 32 << 20, GIBIBYTE, 32 * GIBIBYTE}) {
        useUp(memory, first, bytes);
        assertWhole(memory, source, 0);
      }
      assertEquals(first, firstByte(memory, Placement.onNode(0)));
    }
    assertEquals(NODE_BYTES, source.freeBytes(0));
  }

  /** What a thread allocates on the heap meanwhile is no less than what stays of it. */
  @Test
  void pagesOfALargeNodeCostTheHeapByWhatIsUsedOfThem() {
    AddressOnlySource source = AddressOnlySource.of(oneNode());
    long usedBytes = 4 * GIBIBYTE;
    Placement node = Placement.onNode(0);
    try (NodeAllocator memory = open(source)) {
      // All is committed once, so that no commit allocates below.
      long first = firstByte(memory, node);
      long before = allocatedBytes();
      for (long offset = 0; offset < usedBytes; offset += PAGE) {
        if (memory.allocate(PAGE, node) != first + offset) {
          throw new AssertionError("not the lowest free page: offset=" + offset);
        }
      }
      long heapBytes = allocatedBytes() - before;
      assertTrue(heapBytes <= usedBytes * 4 / 10_000, "heap=" + heapBytes);
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {0, 4 << 20})
  void blocksOfAllSizesNeverOverlap(long magazineBytes) {
    long seed = Long.getLong("seed", 20170308L);
    SplittableRandom random = new SplittableRandom(seed);
    AddressOnlySource source = AddressOnlySource.of(oneNode());
    try (NodeAllocator memory = open(source, magazineBytes)) {
      long first = firstByte(memory, Placement.onNode(0));
      TreeMap<Long, Long> live = new TreeMap<>();
      List<Long> addresses = new ArrayList<>();
      for (int step = 0; step < 100_000; step++) {
        String at = "step=" + step + "; replay with -Dseed=" + seed;
        if (random.nextInt(3) < 2) {
          long bytes = 1 + random.nextLong(1L << (4 + random.nextInt(30)));
          long address = memory.tryAllocate(bytes, Placement.onNode(0));
          if (address != 0) {
            Map.Entry<Long, Long> below = live.floorEntry(address);
            Long above = live.ceilingKey(address);
            assertTrue(address >= first && address + bytes <= first + NODE_BYTES, at);
            assertTrue(below == null || below.getValue() <= address, at);
            assertTrue(above == null || address + bytes <= above, at);
            live.put(address, address + bytes);
            addresses.add(address);
          }
        } else if (!addresses.isEmpty()) {
          int index = random.nextInt(addresses.size());
          long address = addresses.get(index);
          addresses.set(index, addresses.get(addresses.size() - 1));
          addresses.remove(addresses.size() - 1);
          live.remove(address);
          memory.free(address);
        }
      }
      addresses.forEach(memory::free);
      memory.trim();
      assertWhole(memory, source, 0);
    }
  }

  @Test
  void blocksLargerThanAnyBufferAreReachedByAddress() {
    AddressOnlySource source = AddressOnlySource.of(oneNode());
    try (NodeAllocator memory = open(source)) {
      long first = firstByte(memory, Placement.onNode(0));
      long sum = 0;
      List<Long> blocks = new ArrayList<>();
      for (long bytes : new long[] {2 * GIBIBYTE, 2 * GIBIBYTE + 1, 17 * GIBIBYTE + 12_345}) {
        long block = memory.allocate(bytes, Placement.onNode(0));
        assertTrue(block >= first && block + bytes <= first + NODE_BYTES);
        assertEquals((bytes + PAGE - 1) / PAGE, memory.residency(block).pages());
        assertTrue(memory.residency(block).isAllOn(0));
        assertThrows(
            IllegalArgumentException.class, () -> memory.free(block + Integer.MAX_VALUE / 2 + 1L));
        blocks.add(block);
        sum += (bytes + PAGE - 1) / PAGE * PAGE;
      }
      assertEquals(sum, memory.report().node(0).usedBytes());
      blocks.forEach(memory::free);
      assertWhole(memory, source, 0);
      assertEquals(0, memory.tryAllocate(NODE_BYTES + 1, Placement.onNode(0)));
      assertEquals(0, memory.tryAllocate(Long.MAX_VALUE, Placement.onNode(0)));
    }
  }

  @Test
  void bufferOfASourceThatCannotBeViewedIsRefusedAndItsBlockIsFreed() {
    AddressOnlySource source = AddressOnlySource.of(oneNode());
    try (NodeAllocator memory = open(source)) {
      assertThrows(UnsupportedOperationException.class, () -> memory.allocateBuffer(100));
      assertThrows(UnsupportedOperationException.class, () -> memory.tryAllocateBuffer(100));
      assertWhole(memory, source, 0);
    }
  }

  @Test
  void eachOf64NodesServesRequestsByItsName() {
    AddressOnlySource source = AddressOnlySource.of(sixtyFourNodes());
    long before = allocatedBytes();
    try (NodeAllocator memory = open(source)) {
      for (int node : source.machine().withCpus().stream().toArray()) {
        long block = memory.allocate(3 * PAGE, Placement.onNode(node));
        assertTrue(memory.residency(block).isAllOn(node), "node=" + node);
        assertEquals(NODE_BYTES - (2 << 20), source.freeBytes(node));
      }
      for (int node : DEVICES) {
        assertThrows(NodeAccessException.class, () -> memory.allocate(1, Placement.onNode(node)));
        assertEquals(NODE_BYTES, source.freeBytes(node));
        DeviceNode device = memory.device(node);
        device.online();
        assertTrue(memory.residency(device.allocate(PAGE)).isAllOn(node));
        assertEquals(NODE_BYTES - (2 << 20), source.freeBytes(node));
      }
      long heapBytes = allocatedBytes() - before;
      assertTrue(heapBytes < 64 * HEAP_BYTES_PER_NODE, "heap=" + heapBytes);
      memory
          .report()
          .nodes()
          .forEach(report -> assertEquals(1, report.liveBlocks(), report::toString));
    }
    source.machine().nodes().forEach(n -> assertEquals(n.bytes(), source.freeBytes(n.id())));
  }

  @Test
  void localRequestsFallBackInTheOrderOfTheirZonelistAndReachNoDevice() {
    AtomicInteger caller = new AtomicInteger();
    Machine machine = sixtyFourNodes();
    AddressOnlySource source = AddressOnlySource.of(machine, 64 << 10, caller::get);
    NodeMask devices = NodeMask.of(DEVICES);
    try (NodeAllocator memory = open(source)) {
      TreeMap<Long, Integer> nodeAt = new TreeMap<>();
      machine.withCpus().stream()
          .forEach(node -> nodeAt.put(firstByte(memory, Placement.onNode(node)), node));
      for (int device : DEVICES) {
        memory.device(device).online();
      }
      for (Zonelist list : machine.zonelists(devices, LoadRule.ACCUMULATE, SpillMode.RAM)) {
        caller.set(list.node());
        // Half a node each: the other half is more than is left above the low mark.
        long[] blocks =
            IntStream.range(0, nodeAt.size())
                .mapToLong(i -> memory.allocate(NODE_BYTES / 2))
                .toArray();
        List<Integer> nodes =
            LongStream.of(blocks).mapToObj(block -> nodeAt.floorEntry(block).getValue()).toList();
        if (!devices.contains(list.node())) {
          assertEquals(list.fallback(), nodes);
        }
        assertEquals(nodeAt.size(), nodes.stream().distinct().count());
        NodeMemoryExhaustedException full =
            assertThrows(NodeMemoryExhaustedException.class, () -> memory.allocate(NODE_BYTES / 2));
        assertEquals(nodes, full.attempts().stream().map(attempt -> attempt.node()).toList());
        LongStream.of(blocks).forEach(memory::free);
      }
      for (int device : DEVICES) {
        assertEquals(NODE_BYTES, source.freeBytes(device));
        assertNotEquals(0, memory.device(device).tryAllocate(NODE_BYTES));
      }
    }
  }
}
