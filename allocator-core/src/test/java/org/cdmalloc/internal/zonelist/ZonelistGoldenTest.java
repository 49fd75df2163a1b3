/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zonelist;

import static org.cdmalloc.topology.LoadRule.ACCUMULATE;
import static org.cdmalloc.topology.LoadRule.ASSIGN;
import static org.cdmalloc.topology.SpillMode.RAM;
import static org.cdmalloc.topology.SpillMode.STRICT;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.stream.Collectors;
import org.cdmalloc.topology.LoadRule;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;
import org.cdmalloc.topology.SpillMode;
import org.junit.jupiter.api.Test;

/** Fallback orders that were published, or worked out on paper from mm/page_alloc.c. */
class ZonelistGoldenTest {
  private static final long GIB = 1L << 30;

  private static final Machine MAIL =
      Machine.builder()
          .node(Node.of(0, "0", GIB))
          .node(Node.of(1, "1", GIB))
          .node(Node.memoryOnly(2, GIB))
          .node(Node.memoryOnly(3, GIB))
          .node(Node.memoryOnly(4, GIB))
          .distances((from, to) -> from == to ? 10 : 40)
          .build();

  private static final Machine FOUR_EQUAL = withCpus(4).build();

  /** The machine in the changelog of Linux commit 54d032ced983. */
  private static final Machine TWO_PAIRS =
      withCpus(4)
          .distances(
              new int[] {10, 12, 32, 32},
              new int[] {12, 10, 32, 32},
              new int[] {32, 32, 10, 12},
              new int[] {32, 32, 12, 10})
          .build();

  /** Published: A. Khandual, linux-mm, 8 March 2017. */
  @Test
  void theFiveNodesOfTheMailUnderTheRuleOfItsKernel() {
    assertOrders("0:[0, 1] 1:[1, 0] 2:[2, 0, 1] 3:[3, 0, 1] 4:[4, 0, 1]", MAIL, "2-4", ASSIGN, RAM);
  }

  @Test
  void theFiveNodesOfTheMailUnderTheRuleOfToday() {
    assertOrders(
        "0:[0, 1] 1:[1, 0] 2:[2, 0, 1] 3:[3, 1, 0] 4:[4, 0, 1]", MAIL, "2-4", ACCUMULATE, RAM);
  }

  @Test
  void theFiveNodesOfTheMailWithStrictDevices() {
    String expected = "0:[0, 1] 1:[1, 0] 2:[2] 3:[3] 4:[4]";

    assertOrders(expected, MAIL, "2-4", ASSIGN, STRICT);
    assertOrders(expected, MAIL, "2-4", ACCUMULATE, STRICT);
  }

  /** Published: the tables of a four-node POWER8 guest in the debugging mail of the same series. */
  @Test
  void fourEqualNodesTurnRoundUnderEitherRule() {
    String expected = "0:[0, 1, 2, 3] 1:[1, 2, 3, 0] 2:[2, 3, 0, 1] 3:[3, 0, 1, 2]";

    assertOrders(expected, FOUR_EQUAL, "", ASSIGN, STRICT);
    assertOrders(expected, FOUR_EQUAL, "", ACCUMULATE, STRICT);
  }

  /** Published: changelog of Linux commit 54d032ced983, the order it calls unexpected. */
  @Test
  void twoPairsUnderTheAssigningRuleTurnToTheSameNode() {
    assertOrders(
        "0:[0, 1, 2, 3] 1:[1, 0, 3, 2] 2:[2, 3, 0, 1] 3:[3, 2, 0, 1]", TWO_PAIRS, "", ASSIGN, RAM);
  }

  /** Published: the same changelog, the order that it brings. */
  @Test
  void twoPairsUnderTheAccumulatingRuleShareTheLoad() {
    assertOrders(
        "0:[0, 1, 2, 3] 1:[1, 0, 3, 2] 2:[2, 3, 0, 1] 3:[3, 2, 1, 0]",
        TWO_PAIRS,
        "",
        ACCUMULATE,
        RAM);
  }

  /** A row of the matrix is what the row's node sees; a column would give 0:[0, 2, 1]. */
  @Test
  void anAsymmetricMatrixIsReadByRows() {
    Machine machine =
        withCpus(3)
            .distances(new int[] {10, 20, 30}, new int[] {40, 10, 22}, new int[] {15, 25, 10})
            .build();

    assertOrders("0:[0, 1, 2] 1:[1, 2, 0] 2:[2, 0, 1]", machine, "", ACCUMULATE, STRICT);
    assertOrders("0:[0, 1, 2] 1:[1, 2, 0] 2:[2, 0, 1]", machine, "", ASSIGN, STRICT);
  }

  @Test
  void aNodeWithoutAPathComesLast() {
    Machine machine =
        withCpus(3)
            .distances(new int[] {10, 255, 20}, new int[] {255, 10, 254}, new int[] {20, 254, 10})
            .build();

    assertOrders("0:[0, 2, 1] 1:[1, 2, 0] 2:[2, 0, 1]", machine, "", ACCUMULATE, STRICT);
  }

  /** Node numbers of a POWER9 host with six GPUs (Linux, ocxl and nvlink memory from 255 down). */
  @Test
  void sparseNumbersAlternateUnderTheAccumulatingRuleOnly() {
    Machine.Builder builder =
        Machine.builder().node(Node.of(0, "0-79", GIB)).node(Node.of(8, "80-159", GIB));
    for (int gpu = 250; gpu <= 255; gpu++) {
      builder.node(Node.memoryOnly(gpu, GIB));
    }
    Machine machine =
        builder
            .distances((from, to) -> from == to ? 10 : Math.max(from, to) < 250 ? 40 : 80)
            .build();

    assertOrders(
        "0:[0, 8] 8:[8, 0] 250:[250, 0, 8] 251:[251, 8, 0] 252:[252, 0, 8] 253:[253, 8, 0]"
            + " 254:[254, 0, 8] 255:[255, 8, 0]",
        machine,
        "250-255",
        ACCUMULATE,
        RAM);
    assertOrders(
        "0:[0, 8] 8:[8, 0] 250:[250, 0, 8] 251:[251, 0, 8] 252:[252, 0, 8] 253:[253, 0, 8]"
            + " 254:[254, 0, 8] 255:[255, 0, 8]",
        machine,
        "250-255",
        ASSIGN,
        RAM);
    assertOrders(
        "0:[0, 8] 8:[8, 0] 250:[250] 251:[251] 252:[252] 253:[253] 254:[254] 255:[255]",
        machine,
        "250-255",
        ACCUMULATE,
        STRICT);
  }

  @Test
  void aNodeWithoutMemoryHasAListAndIsInNone() {
    Machine machine =
        Machine.builder()
            .node(Node.of(0, "0", 0))
            .node(Node.of(1, "1", GIB))
            .node(Node.of(2, "2", GIB))
            .node(Node.memoryOnly(3, GIB))
            .build();

    assertOrders("0:[1, 2] 1:[1, 2] 2:[2, 1] 3:[3, 2, 1]", machine, "3", ACCUMULATE, RAM);
    assertOrders("0:[1, 2] 1:[1, 2] 2:[2, 1] 3:[3, 1, 2]", machine, "3", ASSIGN, RAM);
  }

  @Test
  void aDeviceMayHaveCpus() {
    Machine machine = FOUR_EQUAL;

    assertOrders("0:[0, 1, 3] 1:[1, 3, 0] 2:[2, 3, 0, 1] 3:[3, 0, 1]", machine, "2", ASSIGN, RAM);
    assertOrders(
        "0:[0, 1, 3] 1:[1, 3, 0] 2:[2, 3, 0, 1] 3:[3, 0, 1]", machine, "2", ACCUMULATE, RAM);
    assertOrders("0:[0, 1, 3] 1:[1, 3, 0] 2:[2] 3:[3, 0, 1]", machine, "2", ACCUMULATE, STRICT);
  }

  /** Grace-Hopper: one CPU node, its HBM, and seven empty nodes kept for GPU partitions. */
  @Test
  void graceHopper() {
    Machine.Builder builder =
        Machine.builder().node(Node.of(0, "0-71", 480 * GIB)).node(Node.memoryOnly(1, 96 * GIB));
    for (int partition = 2; partition <= 8; partition++) {
      builder.node(Node.memoryOnly(partition, 0));
    }
    Machine machine = builder.distances((from, to) -> from == to ? 10 : 80).build();
    String empty = " 2:[0] 3:[0] 4:[0] 5:[0] 6:[0] 7:[0] 8:[0]";

    assertEquals(NodeMask.of(1), machine.memoryOnly());
    assertOrders("0:[0] 1:[1]" + empty, machine, "1", ACCUMULATE, STRICT);
    assertOrders("0:[0] 1:[1, 0]" + empty, machine, "1", ACCUMULATE, RAM);
  }

  /**
   * PENALTY_FOR_NODE_WITH_CPUS: a CPU-less node that is not a device is tried before its equals.
   */
  @Test
  void aSystemNodeWithoutCpusIsPreferredAmongEquals() {
    Machine machine =
        Machine.builder()
            .node(Node.of(0, "0", GIB))
            .node(Node.of(1, "1", GIB))
            .node(Node.memoryOnly(2, GIB))
            .node(Node.of(3, "3", GIB))
            .build();
    String expected = "0:[0, 2, 1, 3] 1:[1, 2, 3, 0] 2:[2, 3, 0, 1] 3:[3, 2, 0, 1]";

    assertOrders(expected, machine, "", ASSIGN, RAM);
    assertOrders(expected, machine, "", ACCUMULATE, RAM);
  }

  /** The device's own walk loads node 0 once more, as it does in the patched kernel. */
  @Test
  void theWalkOfADeviceCountsForNodesBehindIt() {
    Machine machine =
        withCpus(4)
            .distances(
                new int[] {10, 20, 30, 40},
                new int[] {20, 10, 30, 40},
                new int[] {30, 30, 10, 40},
                new int[] {40, 40, 40, 10})
            .build();

    assertOrders("0:[0, 1, 3] 1:[1, 0, 3] 2:[2] 3:[3, 1, 0]", machine, "2", ACCUMULATE, STRICT);
  }

  @Test
  void devicesAloneHaveThemselvesAlone() {
    assertOrders("0:[0] 1:[1] 2:[2] 3:[3] 4:[4]", MAIL, "0-4", ACCUMULATE, RAM);
    assertOrders("0:[0] 1:[1] 2:[2] 3:[3] 4:[4]", MAIL, "0-4", ASSIGN, STRICT);
  }

  private static Machine.Builder withCpus(int nodes) {
    Machine.Builder builder = Machine.builder();
    for (int node = 0; node < nodes; node++) {
      builder.node(Node.of(node, Integer.toString(node), GIB));
    }
    return builder;
  }

  private static void assertOrders(
      String expected, Machine machine, String devices, LoadRule rule, SpillMode spill) {
    assertEquals(
        expected,
        machine.zonelists(NodeMask.parse(devices), rule, spill).stream()
            .map(list -> list.node() + ":" + list.fallback())
            .collect(Collectors.joining(" ")));
  }
}
