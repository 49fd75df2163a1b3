/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.cdmalloc.DeviceNode;
import org.cdmalloc.NaivePlacement;
import org.cdmalloc.NodeAccessException;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.NodeMemoryExhaustedException;
import org.cdmalloc.Placement;
import org.cdmalloc.stubs.PlacementTable.Filling;
import org.cdmalloc.stubs.PlacementTable.Shape;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The seven placements, each against the kernel's rules: where every page of every block lies, for
 * callers on every node, on two machines with small and large OS pages, with every set of system
 * nodes full in three ways.
 */
final class PlacementTableTest {
  private static final long NODE_BYTES = 8 << 20;

  /**
   * Machines, and for the CPUs of each node the system nodes in the order of the kernel's lists,
   * worked out by hand.
   */
  private static final List<Shape> SHAPES =
      List.of(
          new Shape(
              "line",
              line(),
              Map.of(
                  0, List.of(0, 1, 2),
                  // 0 and 2 are as near; the lower number costs one more.
                  1, List.of(1, 2, 0),
                  2, List.of(2, 1, 0),
                  3, List.of(2, 1, 0),
                  4, List.of(2, 1, 0),
                  5, List.of(2, 1, 0))),
          new Shape(
              "sparse",
              sparse(),
              Map.of(
                  2, List.of(2, 64, 7),
                  // 2 costs 21 + 1 and 64 costs 22; node 2's list has put load on 64.
                  7, List.of(7, 2, 64),
                  64, List.of(64, 7, 2),
                  130, List.of(7, 2, 64),
                  200, List.of(2, 64, 7),
                  900, List.of(7, 2, 64))));

  /** A line of nodes: 0 - 1 - 2 have CPUs, 3 has CPUs and no memory, 4 and 5 are devices. */
  private static Machine line() {
    return Machine.builder()
        .node(Node.of(0, "0-1", NODE_BYTES))
        .node(Node.of(1, "2-3", NODE_BYTES))
        .node(Node.of(2, "4-5", NODE_BYTES))
        .node(Node.of(3, "6-7", 0))
        .node(Node.memoryOnly(4, NODE_BYTES))
        .node(Node.memoryOnly(5, NODE_BYTES))
        .distances((from, to) -> 10 + 10 * Math.abs(from - to))
        .build();
  }

  /** Numbers with gaps, and ways that are longer there than back; a node has a device nearest. */
  private static Machine sparse() {
    return Machine.builder()
        .node(Node.of(2, "0-1", NODE_BYTES))
        .node(Node.of(7, "2-3", NODE_BYTES))
        .node(Node.of(64, "4-5", NODE_BYTES))
        .node(Node.of(130, "6-7", 0))
        .node(Node.memoryOnly(200, NODE_BYTES))
        .node(Node.memoryOnly(900, NODE_BYTES))
        .distances(
            new int[] {10, 40, 20, 30, 15, 60},
            new int[] {21, 10, 22, 30, 60, 15},
            new int[] {50, 30, 10, 30, 60, 60},
            new int[] {30, 20, 40, 10, 60, 60},
            new int[] {15, 80, 16, 90, 10, 60},
            new int[] {80, 15, 70, 90, 60, 10})
        .build();
  }

  private static final List<PlacementTable> TABLES =
      SHAPES.stream()
          .flatMap(
              shape ->
                  IntStream.of(4 << 10, 64 << 10)
                      .boxed()
                      .flatMap(
                          osPageBytes ->
                              Stream.of(Filling.values())
                                  .map(filling -> new PlacementTable(shape, osPageBytes, filling))))
          .toList();

  static List<PlacementTable> tables() {
    return TABLES;
  }

  @AfterAll
  static void close() {
    TABLES.forEach(PlacementTable::close);
  }

  /** Every set of the three system nodes of a shape that has at least as many members. */
  private static List<NodeMask> masks(Shape shape, int leastSize) {
    return shape.subsets().stream().filter(mask -> mask.size() >= leastSize).toList();
  }

  /** A placement on each of some masks, from the caller's node and from each possible home. */
  private static List<Placement> withHomes(Shape shape, Function<NodeMask, Placement> placement) {
    List<Placement> all = new ArrayList<>();
    for (NodeMask mask : masks(shape, 1)) {
      all.add(placement.apply(mask));
      for (int home : shape.callers()) {
        if (!shape.devices().contains(home)) {
          all.add(placement.apply(mask).withHomeNode(home));
        }
      }
    }
    return all;
  }

  @Test
  void theKernelsListsAreThoseWorkedOutByHand() {
    for (Shape shape : SHAPES) {
      NaivePlacement rules = shape.rules();
      Map<Integer, List<Integer>> lists = new TreeMap<>();
      shape.callers().forEach(caller -> lists.put(caller, rules.fallback(caller)));
      assertEquals(shape.listsByHand(), lists, shape.name());
    }
  }

  @Test
  void theKernelsWalksAreThoseWorkedOutByHand() {
    NaivePlacement rules = SHAPES.get(1).rules();
    NodeMask far = NodeMask.of(7, 64);
    assertEquals(List.of(64, 7), rules.order(Placement.bind(far), 2, 0));
    assertEquals(List.of(7, 64), rules.order(Placement.bind(far).withHomeNode(130), 2, 0));
    assertEquals(List.of(64, 7, 2), rules.order(Placement.preferredMany(far), 2, 0));
    assertEquals(
        List.of(64, 7, 2),
        rules.order(Placement.preferredMany(NodeMask.of(64)).withHomeNode(7), 2, 0));
    assertEquals(List.of(64, 7, 2), rules.order(Placement.preferred(64), 2, 0));
    assertEquals(
        List.of(2, 2, 2, 64), rules.round(Placement.weightedInterleave(Map.of(64, 1, 2, 3))));
    assertEquals(List.of(64, 7, 2), rules.order(Placement.interleave(far), 2, 3));
  }

  @ParameterizedTest
  @MethodSource("tables")
  void localBlocksLieOnTheFirstNodeOfTheCallersListWithRoom(PlacementTable table) {
    table.check(List.of(Placement.LOCAL));
  }

  @ParameterizedTest
  @MethodSource("tables")
  void blocksOnANodeLieThereOrNowhere(PlacementTable table) {
    table.check(table.shape().system().stream().mapToObj(Placement::onNode).toList());
  }

  @ParameterizedTest
  @MethodSource("tables")
  void preferredBlocksFollowTheListOfTheNodeThatIsNamed(PlacementTable table) {
    table.check(table.shape().system().stream().mapToObj(Placement::preferred).toList());
  }

  @ParameterizedTest
  @MethodSource("tables")
  void boundBlocksLieOnTheNearestAllowedNodeOrNowhere(PlacementTable table) {
    table.check(withHomes(table.shape(), Placement::bind));
  }

  @ParameterizedTest
  @MethodSource("tables")
  void preferredManyTriesTheNamedNodesAndThenTheOthersEachNearestFirst(PlacementTable table) {
    table.check(withHomes(table.shape(), Placement::preferredMany));
  }

  @ParameterizedTest
  @MethodSource("tables")
  void interleavedPagesAreDealtOutOneByOneAndSmallerBlocksGoRound(PlacementTable table) {
    table.check(masks(table.shape(), 1).stream().map(Placement::interleave).toList());
  }

  @ParameterizedTest
  @MethodSource("tables")
  void aHeavierNodeGetsAsManyPagesOrSmallerBlocksInARowAsItsWeight(PlacementTable table) {
    int[] nodes = table.shape().system().stream().toArray();
    table.check(
        Stream.of(
                Map.of(nodes[0], 3, nodes[1], 1, nodes[2], 2),
                Map.of(nodes[1], 5, nodes[2], 1),
                // A node that the machine lacks gets no turn.
                Map.of(nodes[0], 1, nodes[2], 2, 1000, 7),
                Map.of(nodes[2], 255),
                // A round that is no divisor of what is committed at a time, and longer than some
                // blocks.
                Map.of(nodes[0], 255, nodes[1], 254, nodes[2], 1))
            .map(Placement::weightedInterleave)
            .toList());
  }

  @ParameterizedTest
  @MethodSource("tables")
  void nodesThatTheMachineLacksAreLeftOut(PlacementTable table) {
    int[] nodes = table.shape().system().stream().toArray();
    // 1000 is no node of any shape; the node without memory is one, and has none to give.
    int empty = table.shape().withoutMemory();
    NodeMask named = NodeMask.of(nodes[0], nodes[2], empty, 1000);
    table.check(
        List.of(
            Placement.bind(named),
            Placement.preferredMany(named),
            Placement.interleave(named),
            Placement.weightedInterleave(Map.of(nodes[0], 2, nodes[2], 1, empty, 9, 1000, 9))));
  }

  /** Every kind, on two of the system nodes where several may be named. */
  private static List<Placement> oneOfEachKind(Shape shape) {
    int[] nodes = shape.system().stream().toArray();
    NodeMask pair = NodeMask.of(nodes[1], nodes[2]);
    return List.of(
        Placement.LOCAL,
        Placement.onNode(nodes[1]),
        Placement.preferred(nodes[2]),
        Placement.bind(pair),
        Placement.bind(pair).withHomeNode(nodes[2]),
        Placement.preferredMany(pair),
        Placement.preferredMany(pair).withHomeNode(nodes[0]),
        Placement.interleave(pair),
        Placement.weightedInterleave(Map.of(nodes[1], 3, nodes[2], 2)));
  }

  /** Blocks of all sizes, one after another, and the nodes of each one's pages. */
  private static List<String> nodes(NodeAllocator memory, Function<Long, Long> allocate) {
    return PlacementTable.sizes(4 << 10).stream()
        .map(bytes -> memory.residency(allocate.apply(bytes)).pagesByNode().toString())
        .toList();
  }

  @Test
  void memoryAtAPlacementPlacesAsRequestsThatNameItDo() {
    for (Shape shape : SHAPES) {
      for (Placement placement : oneOfEachKind(shape)) {
        try (NodeAllocator named = shape.open();
            NodeAllocator viewed = shape.open()) {
          assertEquals(
              nodes(named, bytes -> named.allocate(bytes, placement)),
              nodes(viewed, viewed.at(placement)::allocate),
              placement::toString);
        }
      }
    }
  }

  @Test
  void bothWaysToAnInterleavingShareItsTurns() {
    Shape line = SHAPES.get(0);
    Placement placement = Placement.interleave(NodeMask.of(0, 1, 2));
    try (NodeAllocator memory = line.open()) {
      List<Integer> nodes = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        nodes.add(memory.residency(memory.allocate(1, placement)).node(0));
        nodes.add(memory.residency(memory.at(placement).allocate(1)).node(0));
        nodes.add(memory.residency(memory.systemView().allocate(1, placement)).node(0));
        nodes.add(memory.residency(memory.arena(placement).allocate(1)).node(0));
      }
      assertEquals(List.of(0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2), nodes);
    }
  }

  @Test
  void aRefusedRequestTakesOneTurnOfAnInterleavingAndNamesThatTurnsNodes() {
    Placement placement = Placement.interleave(NodeMask.of(0, 1));
    try (NodeAllocator memory = SHAPES.get(0).open(64 << 10)) {
      // Below an OS page, so that it would go round; and more than is left of any node.
      List<Long> all = new ArrayList<>();
      for (int node : new int[] {0, 1, 2}) {
        all.add(memory.allocate(NODE_BYTES, Placement.onNode(node)));
      }
      List<Integer> wanted = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        NodeMemoryExhaustedException refused =
            assertThrows(NodeMemoryExhaustedException.class, () -> memory.allocate(1, placement));
        wanted.add(refused.attempts().get(0).node());
      }
      assertEquals(List.of(0, 1, 0, 1), wanted);
      all.forEach(memory::free);
      assertThrows(NodeMemoryExhaustedException.class, () -> memory.allocate(64 << 20, placement));
      assertEquals(0, memory.residency(memory.allocate(1, placement)).node(0));
    }
  }

  @Test
  void aPlacementThatNamesADeviceIsRefusedEverywhere() {
    for (Shape shape : SHAPES) {
      try (NodeAllocator memory = shape.open()) {
        int system = shape.system().first();
        for (int device : shape.devices().stream().toArray()) {
          memory.device(device).online();
          NodeMask both = NodeMask.of(system, device);
          for (Placement placement :
              List.of(
                  Placement.onNode(device),
                  Placement.preferred(device),
                  Placement.bind(both),
                  Placement.preferredMany(both),
                  Placement.interleave(both),
                  Placement.weightedInterleave(Map.of(system, 1, device, 1)),
                  Placement.bind(NodeMask.of(system)).withHomeNode(device),
                  Placement.preferredMany(NodeMask.of(system)).withHomeNode(device))) {
            NodeAccessException refused =
                assertThrows(NodeAccessException.class, () -> memory.allocate(1, placement));
            assertTrue(refused.getMessage().contains("device(" + device + ")"), refused::toString);
            assertThrows(NodeAccessException.class, () -> memory.tryAllocate(1, placement));
            assertThrows(NodeAccessException.class, () -> memory.at(placement));
            assertThrows(NodeAccessException.class, () -> memory.arena(placement));
            assertThrows(
                NodeAccessException.class, () -> memory.systemView().allocate(1, placement));
          }
          assertEquals(NODE_BYTES, memory.source().freeBytes(device));
          assertEquals(0, memory.report().node(device).liveBlocks());
        }
      }
    }
  }

  @Test
  void aPlacementWithoutAnyNodeOfTheMachineOrWithAnAbsentHomeIsRefused() {
    for (Shape shape : SHAPES) {
      try (NodeAllocator memory = shape.open()) {
        NodeMask absent = NodeMask.of(999, 1000);
        NodeMask withoutMemory = NodeMask.of(shape.withoutMemory());
        for (Placement placement :
            List.of(
                Placement.onNode(999),
                Placement.onNode(shape.withoutMemory()),
                Placement.preferred(999),
                Placement.bind(absent),
                Placement.bind(withoutMemory),
                Placement.preferredMany(absent),
                Placement.interleave(absent),
                Placement.interleave(withoutMemory),
                Placement.weightedInterleave(Map.of(999, 1)),
                Placement.bind(shape.system()).withHomeNode(999),
                Placement.preferredMany(shape.system()).withHomeNode(999))) {
          assertThrows(
              IllegalArgumentException.class,
              () -> memory.allocate(1, placement),
              placement::toString);
          assertThrows(
              IllegalArgumentException.class, () -> memory.at(placement), placement::toString);
        }
      }
    }
  }

  @Test
  void memoryAtADevicesPlacementServesFromWhenTheDeviceIsOnline() {
    for (Shape shape : SHAPES) {
      try (NodeAllocator memory = shape.open()) {
        for (int node : shape.devices().stream().toArray()) {
          DeviceNode device = memory.device(node);
          var before = memory.at(device.placement());
          var arena = memory.arena(device.placement());
          assertThrows(IllegalStateException.class, () -> before.allocate(1));
          assertThrows(IllegalStateException.class, () -> before.tryAllocateBuffer(1));
          assertThrows(IllegalStateException.class, () -> arena.allocate(1));
          assertEquals(NODE_BYTES, memory.source().freeBytes(node));
          device.online();
          for (long block :
              new long[] {
                before.allocate(3 << 20), arena.allocate(1), memory.allocate(1, device.placement())
              }) {
            assertTrue(memory.residency(block).isAllOn(node));
          }
          // It is the device's placement, and none of the system's.
          assertEquals(0, before.tryAllocate(NODE_BYTES));
          assertNotEquals(0, before.tryAllocate(3 << 20));
          assertEquals(0, memory.report().system().usedBytes());
        }
      }
    }
  }
}
