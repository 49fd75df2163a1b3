/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.topology;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class MachineTest {
  @Test
  void memoryThatMayNotBeUsedIsTakenAway() {
    Machine host =
        Machine.builder()
            .node(Node.of(0, "0", 1 << 20))
            .node(Node.of(1, "1", 1 << 20))
            .node(Node.memoryOnly(2, 1 << 20))
            .distances((from, to) -> 10 + Math.abs(from - to))
            .build();
    Machine seen = host.withMemoryOn(NodeMask.of(1, 7));
    assertEquals(NodeMask.of(1), seen.withMemory());
    assertEquals(host.withCpus(), seen.withCpus());
    assertEquals(host.distances(), seen.distances());
    assertEquals(host, host.withMemoryOn(NodeMask.parse("0-1023")));
  }

  private static final long GIB = 1L << 30;

  /** Two sockets, a node without memory, a device and a placeholder. */
  private static Machine.Builder builder() {
    return Machine.builder()
        .node(Node.memoryOnly(255, 16 * GIB))
        .node(Node.of(0, "0-3", 4 * GIB))
        .node(Node.of(8, "4-7", 2 * GIB))
        .node(Node.of(9, "8", 0))
        .node(Node.memoryOnly(10, 0))
        .distances((from, to) -> from == to ? 10 : 20 + Math.abs(from - to) % 100);
  }

  @Test
  void masksFollowFromCpusAndMemory() {
    Machine machine = builder().build();
    assertEquals(NodeMask.of(0, 8, 9, 10, 255), machine.online());
    assertEquals(NodeMask.of(0, 8, 255), machine.withMemory());
    assertEquals(NodeMask.of(0, 8, 9), machine.withCpus());
    assertEquals(NodeMask.of(255), machine.memoryOnly());
    assertEquals(machine.online(), machine.possible());
  }

  @Test
  void nodesComeAscending() {
    Machine machine = builder().build();
    assertEquals(
        machine.online().stream().boxed().toList(),
        machine.nodes().stream().map(Node::id).toList());
    assertEquals(Node.of(8, "4-7", 2 * GIB), machine.node(8));
  }

  @Test
  void theNodeOfACpuIsTheOneThatHasIt() {
    Machine machine = builder().build();
    assertEquals(0, machine.nodeOfCpu(0));
    assertEquals(0, machine.nodeOfCpu(3));
    assertEquals(8, machine.nodeOfCpu(4));
    assertEquals(9, machine.nodeOfCpu(8));
    assertEquals(-1, machine.nodeOfCpu(9));
    assertEquals(-1, machine.nodeOfCpu(-1));
    assertEquals(-1, machine.nodeOfCpu(Integer.MAX_VALUE));
  }

  @ParameterizedTest
  @ValueSource(ints = {-1, 1, 254, 256, 1024})
  void aNodeThatIsNotOnlineIsRefused(int id) {
    Machine machine = builder().build();
    assertThrows(IllegalArgumentException.class, () -> machine.node(id));
  }

  @Test
  void possibleNodesIncludeTheOnlineOnes() {
    Machine machine = builder().possible(NodeMask.of(3)).build();
    assertEquals(NodeMask.of(0, 3, 8, 9, 10, 255), machine.possible());
    assertFalse(machine.online().contains(3));
  }

  @Test
  void theBuilderRefusesWhatIsNoMachine() {
    assertThrows(IllegalArgumentException.class, () -> Machine.builder().build());
    assertThrows(
        IllegalArgumentException.class, () -> builder().node(Node.memoryOnly(255, GIB)).build());
    assertThrows(
        IllegalArgumentException.class, () -> builder().node(Node.of(1, "3", GIB)).build());
    assertThrows(
        IllegalArgumentException.class, () -> builder().distances(new int[][] {{10}}).build());
    assertThrows(
        IllegalArgumentException.class, () -> builder().distances((from, to) -> 0).build());
    assertThrows(NullPointerException.class, () -> Machine.builder().node(null));
    assertThrows(NullPointerException.class, () -> Machine.builder().origin(null));
    assertThrows(NullPointerException.class, () -> Machine.builder().possible(null));
  }

  @Test
  void theLastDistancesGivenHoldAndUniformIsTheDefault() {
    Machine.Builder pair = Machine.builder().node(Node.of(0, "0", GIB)).node(Node.of(1, "1", GIB));
    assertEquals(DistanceMatrix.uniform(NodeMask.of(0, 1)), pair.build().distances());
    pair.distances((from, to) -> from == to ? 10 : 40);
    assertEquals(40, pair.build().distances().between(0, 1));
    pair.distances(new int[] {10, 30}, new int[] {31, 10});
    assertEquals(31, pair.build().distances().between(1, 0));
    pair.distances((from, to) -> from == to ? 10 : 50);
    assertEquals(50, pair.build().distances().between(0, 1));
  }

  @Test
  void aDeviceArenaTakesItsBytesAndStandsWhereItsHostStands() {
    Machine host = builder().possible(NodeMask.of(77)).build();
    Machine machine = host.withDeviceArena(3, 8, GIB / 2);
    assertEquals(new Node(3, CpuMask.EMPTY, GIB / 2, false, NodePerformance.NONE), machine.node(3));
    assertEquals(Node.of(8, "4-7", 2 * GIB - GIB / 2), machine.node(8));
    assertEquals(NodeMask.of(0, 3, 8, 9, 10, 255), machine.online());
    assertEquals(NodeMask.of(0, 3, 8, 9, 10, 77, 255), machine.possible());
    assertEquals(NodeMask.of(3, 255), machine.memoryOnly());
    DistanceMatrix distances = machine.distances();
    assertEquals(10, distances.between(3, 3));
    assertEquals(20, distances.between(3, 8));
    assertEquals(20, distances.between(8, 3));
    for (int other : new int[] {0, 9, 10, 255}) {
      assertEquals(host.distances().between(8, other), distances.between(3, other));
      assertEquals(host.distances().between(other, 8), distances.between(other, 3));
      assertEquals(host.distances().between(8, other), distances.between(8, other));
    }
    assertEquals(host.origin(), machine.origin());
  }

  @Test
  void twoDeviceArenasOfOneHostStandApart() {
    Machine machine = builder().build().withDeviceArena(3, 0, GIB).withDeviceArena(4, 0, GIB);
    assertEquals(2 * GIB, machine.node(0).bytes());
    assertEquals(20, machine.distances().between(3, 4));
  }

  @Test
  void aDeviceArenaThatDoesNotFitIsRefused() {
    Machine machine = builder().build();
    assertThrows(IllegalArgumentException.class, () -> machine.withDeviceArena(255, 0, GIB));
    assertThrows(IllegalArgumentException.class, () -> machine.withDeviceArena(1024, 0, GIB));
    assertThrows(IllegalArgumentException.class, () -> machine.withDeviceArena(3, 7, GIB));
    assertThrows(IllegalArgumentException.class, () -> machine.withDeviceArena(3, 0, 4 * GIB));
    assertThrows(IllegalArgumentException.class, () -> machine.withDeviceArena(3, 0, 0));
    assertThrows(IllegalArgumentException.class, () -> machine.withDeviceArena(3, 0, -1));
    assertThrows(IllegalArgumentException.class, () -> machine.withDeviceArena(3, 9, 1));
    assertEquals(1, machine.withDeviceArena(3, 0, 4 * GIB - 1).node(0).bytes());
  }

  @Test
  void equalityIsOfWhatTheMachineIsAndNotOfItsOrigin() {
    Machine machine = builder().build();
    assertEquals(machine, builder().origin("elsewhere").build());
    assertEquals(machine.hashCode(), builder().origin("elsewhere").build().hashCode());
    assertNotEquals(machine, builder().possible(NodeMask.of(3)).build());
    assertNotEquals(machine, builder().distances((from, to) -> 10).build());
    assertNotEquals(machine, builder().node(Node.of(1, "", 1)).build());
    assertTrue(machine.toString().contains("origin=builder"), machine.toString());
  }

  @Test
  void aNodeHasAtMostFourPebibytes() {
    assertEquals(1L << 52, Node.memoryOnly(0, Node.MAX_BYTES).bytes());
    assertThrows(IllegalArgumentException.class, () -> Node.memoryOnly(0, Node.MAX_BYTES + 1));
    assertThrows(IllegalArgumentException.class, () -> Node.memoryOnly(0, -1));
    assertThrows(IllegalArgumentException.class, () -> Node.memoryOnly(1024, 0));
    assertThrows(IllegalArgumentException.class, () -> Node.of(0, "x", 0));
    assertEquals(1L << 62, Math.multiplyExact(Node.MAX_BYTES, (long) NodeMask.MAX_NODES));
  }

  @Test
  void figuresAreKnownOrUnknownAndNeverNegative() {
    assertThrows(
        IllegalArgumentException.class, () -> new NodePerformance(NodeMask.EMPTY, -2, 0, 0, 0, 0));
    assertThrows(
        IllegalArgumentException.class,
        () -> new NodePerformance(NodeMask.EMPTY, 0, 0, 0, 0, Integer.MIN_VALUE));
    assertThrows(NullPointerException.class, () -> new NodePerformance(null, 0, 0, 0, 0, 0));
    assertEquals(NodePerformance.UNKNOWN, NodePerformance.NONE.tier());
  }
}
