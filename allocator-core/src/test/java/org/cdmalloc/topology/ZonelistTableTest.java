/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.topology;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/**
 * The five-node machine of the 2017 mails: nodes 0 and 1 with CPUs and RAM, nodes 2 to 4 devices,
 * all remote distances equal. {@code khandual-2017-03-08.txt} is the table quoted in J. Hubbard,
 * linux-mm, 8 March 2017, "Re: [PATCH 1/2] mm: Change generic FALLBACK zonelist creation process",
 * from its title to its last line. {@code five-nodes-accumulate.txt} and {@code
 * five-nodes-strict.txt} are the same table changed by hand: node 3 turns to node 1 first; devices
 * have nothing behind themselves.
 */
class ZonelistTableTest {
  private static final long GIB = 1L << 30;

  private static final NodeMask DEVICES = NodeMask.of(2, 3, 4);

  private static final Machine FIVE_NODES =
      Machine.builder()
          .node(Node.of(0, "0-79", 256 * GIB))
          .node(Node.of(1, "80-159", 256 * GIB))
          .node(Node.memoryOnly(2, 16 * GIB))
          .node(Node.memoryOnly(3, 16 * GIB))
          .node(Node.memoryOnly(4, 16 * GIB))
          .distances((from, to) -> from == to ? 10 : 40)
          .build();

  @Test
  void theTableOfTheMailComesOutByteForByte() throws IOException {
    assertEquals(
        fixture("khandual-2017-03-08.txt"),
        table(FIVE_NODES, DEVICES, LoadRule.ASSIGN, SpillMode.RAM));
  }

  @Test
  void theAccumulatingRuleTurnsNodeThreeToNodeOne() throws IOException {
    assertEquals(
        fixture("five-nodes-accumulate.txt"),
        table(FIVE_NODES, DEVICES, LoadRule.ACCUMULATE, SpillMode.RAM));
  }

  @Test
  void strictDevicesHaveNothingBehindThemselvesUnderEitherRule() throws IOException {
    String expected = fixture("five-nodes-strict.txt");

    assertEquals(expected, table(FIVE_NODES, DEVICES, LoadRule.ASSIGN, SpillMode.STRICT));
    assertEquals(expected, table(FIVE_NODES, DEVICES, LoadRule.ACCUMULATE, SpillMode.STRICT));
  }

  @Test
  void devicesNearerToNodeZeroGiveTheTableOfTheMailUnderEitherRule() throws IOException {
    Machine machine =
        Machine.builder()
            .node(Node.of(0, "0-79", 256 * GIB))
            .node(Node.of(1, "80-159", 256 * GIB))
            .node(Node.memoryOnly(2, 16 * GIB))
            .node(Node.memoryOnly(3, 16 * GIB))
            .node(Node.memoryOnly(4, 16 * GIB))
            .distances((from, to) -> from == to ? 10 : Math.min(from, to) == 0 ? 40 : 80)
            .build();
    String expected = fixture("khandual-2017-03-08.txt");

    assertEquals(expected, table(machine, DEVICES, LoadRule.ASSIGN, SpillMode.RAM));
    assertEquals(expected, table(machine, DEVICES, LoadRule.ACCUMULATE, SpillMode.RAM));
  }

  @Test
  void numbersCountZonesByNodesWithMemoryAndListsByNodes() {
    Machine machine =
        Machine.builder()
            .node(Node.of(0, "0-3", 0))
            .node(Node.of(8, "4-7", 64 * GIB))
            .node(Node.memoryOnly(250, 16 * GIB))
            .build();
    List<Zonelist> lists = machine.zonelists(NodeMask.of(250), LoadRule.ACCUMULATE, SpillMode.RAM);

    assertEquals(
        """
        Sample zonelist configuration:
        [NODE (0)]\t\t\t\t\t\tRAM
                ZONELIST_FALLBACK (0)
                        (0) (node 8) (Normal  0)
                ZONELIST_NOFALLBACK (1)
        [NODE (8)]\t\t\t\t\t\tRAM
                ZONELIST_FALLBACK (2)
                        (0) (node 8) (Normal  0)
                ZONELIST_NOFALLBACK (3)
                        (0) (node 8) (Normal  0)
        [NODE (250)]\t\t\t\t\t\tCDM
                ZONELIST_FALLBACK (4)
                        (0) (node 250) (Movable 1)
                        (1) (node 8) (Normal  0)
                ZONELIST_NOFALLBACK (5)
                        (0) (node 250) (Movable 1)
        """,
        ZonelistTable.render(lists, ZonelistTable.numbers(machine)));
  }

  @Test
  void numbersRefuseAZoneThatIsNotThere() {
    Machine machine = Machine.builder().node(Node.of(0, "0", 0)).build();
    ZonelistTable.Labels labels = ZonelistTable.numbers(machine);

    assertEquals("0", labels.fallback(0));
    assertThrows(IllegalArgumentException.class, () -> labels.zone(0));
    assertThrows(IllegalArgumentException.class, () -> labels.noFallback(1));
  }

  private static String table(Machine machine, NodeMask devices, LoadRule rule, SpillMode spill) {
    return ZonelistTable.render(machine.zonelists(devices, rule, spill), new KernelAddresses());
  }

  private static String fixture(String name) throws IOException {
    try (InputStream file = ZonelistTableTest.class.getResourceAsStream("/zonelist/" + name)) {
      return new String(file.readAllBytes(), StandardCharsets.UTF_8);
    }
  }

  /**
   * The addresses of the mail's ppc64 guest, each derived from its node's {@code struct
   * pglist_data}: the zones stand at its start, the two lists behind them.
   */
  private static final class KernelAddresses implements ZonelistTable.Labels {
    private static final Map<Integer, Long> PGDAT =
        Map.of(
            0, 0xc00000000140c000L,
            1, 0xc000000100000000L,
            2, 0xc000000001425d00L,
            3, 0xc00000000142fa00L,
            4, 0xc000000001439700L);

    private static final int ZONE_BYTES = 0x680;
    private static final List<String> ZONE_NAMES = List.of("DMA", "DMA32", "Normal", "Movable");
    private static final int MAX_NUMNODES = 256;
    private static final int ZONEREF_BYTES = 16;

    /** Every zone of every node, and the null entry behind the last. */
    private static final int ZONELIST_BYTES =
        (MAX_NUMNODES * ZONE_NAMES.size() + 1) * ZONEREF_BYTES;

    @Override
    public String zoneName(int node) {
      return ZONE_NAMES.get(zoneIndex(node));
    }

    @Override
    public String zone(int node) {
      return pointer(node, zoneIndex(node) * ZONE_BYTES);
    }

    @Override
    public String fallback(int node) {
      return pointer(node, ZONE_NAMES.size() * ZONE_BYTES);
    }

    @Override
    public String noFallback(int node) {
      return pointer(node, ZONE_NAMES.size() * ZONE_BYTES + ZONELIST_BYTES);
    }

    private static int zoneIndex(int node) {
      return ZONE_NAMES.indexOf(FIVE_NODES.node(node).movableOnly() ? "Movable" : "DMA");
    }

    private static String pointer(int node, int offset) {
      return "0x" + Long.toHexString(PGDAT.get(node) + offset);
    }
  }
}
