/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.cdmalloc.DeviceNode;
import org.cdmalloc.DevicePin;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.NodeAllocatorContract;
import org.cdmalloc.NodeMemoryExhaustedException;
import org.cdmalloc.NodeReport;
import org.cdmalloc.Placement;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;

/** The allocator on emulated machines: the contract, and what only several nodes can show. */
final class EmulatedAllocatorTest {
  private static final long MEBIBYTE = 1 << 20;

  private abstract static class Contract extends NodeAllocatorContract {
    private final int osPageBytes;
    private final Machine machine;

    Contract(Machine machine, int osPageBytes) {
      this.machine = machine;
      this.osPageBytes = osPageBytes;
    }

    @Override
    protected MemorySource source() {
      return EmulatedSource.of(machine, osPageBytes);
    }
  }

  private static Machine oneNode() {
    return Machine.builder().node(Node.of(0, "0-1", 256 * MEBIBYTE)).build();
  }

  /** A line of nodes: 0 - 1 - 2 have CPUs, 3 has CPUs and no memory, 4 and 5 are devices. */
  private static Machine line() {
    return Machine.builder()
        .node(Node.of(0, "0-1", 256 * MEBIBYTE))
        .node(Node.of(1, "2-3", 256 * MEBIBYTE))
        .node(Node.of(2, "4-5", 256 * MEBIBYTE))
        .node(Node.of(3, "6-7", 0))
        .node(Node.memoryOnly(4, 256 * MEBIBYTE))
        .node(Node.memoryOnly(5, 256 * MEBIBYTE))
        .distances((from, to) -> 10 + 10 * Math.abs(from - to))
        .build();
  }

  @Nested
  final class OneNode extends Contract {
    OneNode() {
      super(oneNode(), 4 << 10);
    }
  }

  @Nested
  final class OneNodeOfLargePages extends Contract {
    OneNodeOfLargePages() {
      super(oneNode(), 64 << 10);
    }
  }

  @Nested
  final class OneNodeOfWhichThreadsKeepBlocks extends Contract {
    OneNodeOfWhichThreadsKeepBlocks() {
      super(oneNode(), 4 << 10);
    }

    @Override
    protected long magazineBytes() {
      return 4 * MEBIBYTE;
    }
  }

  @Nested
  final class ManyNodesOfWhichThreadsKeepBlocks extends Contract {
    ManyNodesOfWhichThreadsKeepBlocks() {
      super(line(), 64 << 10);
    }

    @Override
    protected long magazineBytes() {
      return 4 * MEBIBYTE;
    }
  }

  @Nested
  final class ManyNodes extends Contract {
    ManyNodes() {
      super(line(), 4 << 10);
    }
  }

  private final AtomicInteger caller = new AtomicInteger();
  private final EmulatedSource source = EmulatedSource.of(line(), 4 << 10, caller::get);

  private NodeAllocator open() {
    NodeAllocator.Builder builder = NodeAllocator.builder().source(source);
    line().withMemory().stream().forEach(node -> builder.capacity(node, 4 * MEBIBYTE));
    return builder.open();
  }

  /** Allocates 1 MiB blocks until none is left, and returns the nodes in the order they came. */
  private static List<Integer> nodesInOrder(NodeAllocator memory, Placement placement) {
    List<Integer> nodes = new ArrayList<>();
    List<Long> blocks = new ArrayList<>();
    for (long block = memory.tryAllocate(MEBIBYTE, placement);
        block != 0;
        block = memory.tryAllocate(MEBIBYTE, placement)) {
      blocks.add(block);
      int node = memory.residency(block).node(0);
      assertTrue(memory.residency(block).isAllOn(node));
      if (nodes.isEmpty() || nodes.get(nodes.size() - 1) != node) {
        nodes.add(node);
      }
    }
    blocks.forEach(memory::free);
    return nodes;
  }

  @Test
  void eachPlacementTriesItsNodesInTheKernelsOrder() {
    try (NodeAllocator memory = open()) {
      caller.set(0);
      assertEquals(List.of(0, 1, 2), nodesInOrder(memory, Placement.LOCAL));
      assertEquals(List.of(1, 2), nodesInOrder(memory, Placement.bind(NodeMask.of(2, 1))));
      assertEquals(List.of(2, 1, 0), nodesInOrder(memory, Placement.preferred(2)));
      assertEquals(List.of(1), nodesInOrder(memory, Placement.onNode(1)));
      // Nodes that the machine lacks are left out.
      assertEquals(List.of(1), nodesInOrder(memory, Placement.bind(NodeMask.of(1, 99))));
      caller.set(2);
      assertEquals(List.of(2, 1, 0), nodesInOrder(memory, Placement.LOCAL));
      assertEquals(List.of(1, 0), nodesInOrder(memory, Placement.bind(NodeMask.of(0, 1))));
    }
  }

  @Test
  void callersWithoutMemoryOrOnADeviceUseTheNearestSystemNode() {
    try (NodeAllocator memory = open()) {
      for (int without : new int[] {3, 4, 5}) {
        caller.set(without);
        assertEquals(List.of(2, 1, 0), nodesInOrder(memory, Placement.LOCAL));
        assertEquals(List.of(1, 0), nodesInOrder(memory, Placement.bind(NodeMask.of(0, 1))));
      }
      // preferred on a node without memory: the machine has it, its memory it has not.
      assertThrows(
          IllegalArgumentException.class, () -> memory.allocate(1, Placement.preferred(3)));
    }
  }

  @Test
  void implicitRequestsNeverReachADeviceAndDevicesNeverReachAnotherNode() {
    try (NodeAllocator memory = open()) {
      for (int node : new int[] {4, 5}) {
        memory.device(node).online();
      }
      for (int from = 0; from <= 5; from++) {
        caller.set(from);
        List<Integer> used = nodesInOrder(memory, Placement.LOCAL);
        assertTrue(used.stream().allMatch(node -> node <= 2), used::toString);
      }
      assertEquals(256 * MEBIBYTE, source.freeBytes(4));
      assertEquals(256 * MEBIBYTE, source.freeBytes(5));
      long others = source.freeBytes(0) + source.freeBytes(5);
      DeviceNode device = memory.device(4);
      assertEquals(List.of(4), nodesInOrder(memory, device.placement()));
      assertEquals(others, source.freeBytes(0) + source.freeBytes(5));
    }
  }

  @Test
  void aPinBeyondTheLimitNamesIt() {
    try (NodeAllocator memory = open()) {
      DeviceNode device = memory.device(4);
      device.online();
      long block = device.allocate(MEBIBYTE);
      long other = memory.allocate(MEBIBYTE, Placement.onNode(0));
      source.limitLocks(MEBIBYTE);
      DevicePin first = device.pin(block);
      String refused =
          assertThrows(NodeMemoryExhaustedException.class, () -> device.pin(other)).getMessage();
      assertTrue(
          refused.contains(
              "memlock_limit_bytes=1048576, locked_bytes=1048576, wanted_bytes=1048576;"
                  + " call EmulatedSource.limitLocks"),
          refused);
      assertTrue(memory.residency(other).isAllOn(0));
      assertThrows(NodeMemoryExhaustedException.class, () -> device.copyOf(ByteBuffer.allocate(1)));
      DevicePin second = device.pin(block);
      first.close();
      assertEquals(MEBIBYTE, source.lockedBytes());
      second.close();
      assertEquals(0, source.lockedBytes());
      device.pin(other).close();
      memory.free(block);
      memory.free(other);
      assertTrue(device.offline().isOffline());
    }
  }

  @Test
  void aNodeThatOthersFilledIsExhaustedAndNothingIsLost() {
    MemorySource other = source;
    try (NodeAllocator memory = open()) {
      other.commit(other.reserve(1, 255 * MEBIBYTE), 0, 255 * MEBIBYTE);
      NodeMemoryExhaustedException full =
          assertThrows(
              NodeMemoryExhaustedException.class,
              () -> memory.allocate(MEBIBYTE, Placement.onNode(1)));
      assertTrue(full.getMessage().contains("NODE_FULL"), full.getMessage());
      assertEquals(MEBIBYTE, source.freeBytes(1));
      assertEquals(0, memory.report().nodes().get(1).usedBytes());
      assertEquals(0, memory.report().nodes().get(1).committedBytes());
      // The next node of the list serves what does not insist.
      long block = memory.allocate(MEBIBYTE, Placement.preferred(1));
      assertTrue(memory.residency(block).isAllOn(2));
    }
  }

  @Test
  void aLargeRunThatFailsHalfwayReturnsWhatItGot() {
    try (NodeAllocator memory =
        NodeAllocator.builder().source(source).capacity(1, 64 * MEBIBYTE).open()) {
      source.commit(source.reserve(1, 246 * MEBIBYTE), 0, 246 * MEBIBYTE);
      long small = memory.allocate(4096, Placement.onNode(1));
      assertEquals(0, memory.tryAllocate(32 * MEBIBYTE, Placement.onNode(1)));
      assertEquals(8 * MEBIBYTE, source.freeBytes(1));
      assertEquals(2 * MEBIBYTE, memory.report().nodes().get(1).committedBytes());
      memory.free(small);
      // What is committed already still serves.
      source.commit(source.reserve(1, 8 * MEBIBYTE), 0, 8 * MEBIBYTE);
      memory.free(memory.allocate(MEBIBYTE, Placement.onNode(1)));
    }
  }

  @Test
  void defaultCapacitiesAreAQuarterHalfOfTheRestAndAllOfADevice() {
    long gib = 1024 * MEBIBYTE;
    assertEquals(List.of(2 * gib, gib, 3 * gib), capacities(8 * gib, 4 * gib, 3 * gib));
    // Together at least 64 MiB, and not more than there is.
    assertEquals(List.of(48 * MEBIBYTE, 16 * MEBIBYTE), capacities(96 * MEBIBYTE, 32 * MEBIBYTE));
    assertEquals(List.of(16 * MEBIBYTE, 16 * MEBIBYTE), capacities(16 * MEBIBYTE, 16 * MEBIBYTE));
  }

  /** Opens a machine of two system nodes and perhaps a device, of these sizes. */
  private static List<Long> capacities(long... bytes) {
    Machine.Builder builder = Machine.builder();
    for (int node = 0; node < bytes.length; node++) {
      builder.node(
          node < 2
              ? Node.of(node, Integer.toString(node), bytes[node])
              : Node.memoryOnly(node, bytes[node]));
    }
    try (NodeAllocator memory = NodeAllocator.builder().machine(builder.build()).open()) {
      return memory.report().nodes().stream().map(NodeReport::capacityBytes).toList();
    }
  }

  @Test
  void aMachineOfDevicesOnlyIsRefused() {
    Machine devices =
        Machine.builder().node(Node.of(0, "0", 0)).node(Node.memoryOnly(1, MEBIBYTE)).build();
    IllegalArgumentException refused =
        assertThrows(
            IllegalArgumentException.class, () -> NodeAllocator.builder().machine(devices).open());
    assertTrue(refused.getMessage().contains("deviceNodes"), refused.getMessage());
  }
}
