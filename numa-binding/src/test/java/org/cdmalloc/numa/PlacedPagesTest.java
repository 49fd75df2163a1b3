/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import org.cdmalloc.DeviceNode;
import org.cdmalloc.NodeAccessException;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.Placement;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Residency;
import org.cdmalloc.spi.Stripe;
import org.cdmalloc.topology.LoadRule;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.NodeMask;
import org.cdmalloc.topology.SpillMode;
import org.cdmalloc.topology.Zonelist;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * On which node each page of each block lies, as the kernel says it, for every placement: on hosts
 * with several nodes of ordinary memory. {@code .ci/guest} makes one of any host.
 */
final class PlacedPagesTest {
  private static final int PAGE = 4096;
  private static final long CAPACITY = 32L << 20;

  /** From less than a page to more than a chunk that is committed at a time. */
  private static final List<Long> SIZES = List.of(100L, 4096L, 5 * 4096L, 5L << 20);

  private final MemorySource source = ThisHost.source();
  private final Machine machine = source.machine();
  private final NodeMask devices = machine.memoryOnly();
  private final NodeMask system = machine.withMemory().without(devices);
  private NodeAllocator memory;

  @BeforeEach
  void open() {
    assumeTrue(system.size() > 1, "this host has one node of ordinary memory: " + system);
    NodeAllocator.Builder builder = NodeAllocator.builder().source(source);
    machine.withMemory().stream().forEach(node -> builder.capacity(node, CAPACITY));
    memory = builder.open();
  }

  @AfterEach
  void close() {
    if (memory != null) {
      memory.close();
    }
  }

  /** The node of each page of a block that was just allocated. */
  private List<Integer> nodes(long block) {
    Residency residency = memory.residency(block);
    List<Integer> nodes = new ArrayList<>();
    for (int page = 0; page < residency.pages(); page++) {
      nodes.add(residency.node(page));
    }
    memory.free(block);
    return nodes;
  }

  private void assertAllOn(int node, Placement placement) {
    for (long bytes : SIZES) {
      for (int on : nodes(memory.allocate(bytes, placement))) {
        assertEquals(node, on, () -> placement + ", bytes=" + bytes);
      }
    }
  }

  @Test
  void blocksOnANodeAndBlocksThatPreferOneLieThere() {
    for (int node : system.stream().toArray()) {
      assertAllOn(node, Placement.onNode(node));
      assertAllOn(node, Placement.preferred(node));
      assertAllOn(node, Placement.bind(NodeMask.of(node)));
      assertAllOn(node, Placement.preferredMany(NodeMask.of(node)));
    }
  }

  @Test
  void blocksOfSeveralNodesLieOnTheOneThatIsNearestToTheirHome() {
    for (Zonelist list : machine.zonelists(devices, LoadRule.ACCUMULATE, SpillMode.STRICT)) {
      if (system.contains(list.node())) {
        NodeMask others = system.without(NodeMask.of(list.node()));
        int nearest = list.fallback().stream().filter(others::contains).findFirst().orElseThrow();
        assertAllOn(list.node(), Placement.bind(system).withHomeNode(list.node()));
        assertAllOn(list.node(), Placement.preferredMany(system).withHomeNode(list.node()));
        assertAllOn(nearest, Placement.bind(others).withHomeNode(list.node()));
        assertAllOn(nearest, Placement.preferredMany(others).withHomeNode(list.node()));
      }
    }
  }

  @Test
  void localBlocksLieOnNodesOfOrdinaryMemory() {
    for (long bytes : SIZES) {
      for (int node : nodes(memory.allocate(bytes))) {
        assertTrue(system.contains(node), "node=" + node);
      }
    }
  }

  /** Where in a round a block begins is the zone's choice; from there on no page is out of turn. */
  @Test
  void interleavedBlocksAreDealtOutPageByPage() {
    Map<Integer, Integer> weights = new HashMap<>();
    system.stream().forEach(node -> weights.put(node, 1 + 2 * weights.size()));
    Map<Placement, Stripe> stripes =
        Map.of(
            Placement.interleave(system), Stripe.even(system),
            Placement.weightedInterleave(weights), Stripe.weighted(weights));
    assumeTrue(source.osPageBytes() == PAGE, "pages are dealt out by OS pages");
    stripes.forEach(
        (placement, stripe) -> {
          for (long bytes : List.of(4096L, 5 * 4096L, 5L << 20)) {
            List<Integer> nodes = nodes(memory.allocate(bytes, placement));
            assertTrue(isDealt(nodes, stripe), () -> placement + ": " + nodes);
          }
        });
  }

  private static boolean isDealt(List<Integer> nodes, Stripe stripe) {
    for (int phase = 0; phase < stripe.roundPages(); phase++) {
      boolean dealt = true;
      for (int page = 0; page < nodes.size() && dealt; page++) {
        dealt = nodes.get(page) == stripe.node(phase + page);
      }
      if (dealt) {
        return true;
      }
    }
    return false;
  }

  @Test
  void smallInterleavedBlocksGoRoundTheNodes() {
    Map<Integer, Integer> blocks = new TreeMap<>();
    for (int i = 0; i < 3 * system.size(); i++) {
      nodes(memory.allocate(100, Placement.interleave(system)))
          .forEach(node -> blocks.merge(node, 1, Integer::sum));
    }
    system.stream().forEach(node -> assertEquals(3, blocks.get(node), blocks::toString));
  }

  @Test
  void deviceBlocksLieOnTheirDeviceAndNobodyElseGetsThere() {
    assumeTrue(!devices.isEmpty(), "this host has no memory without CPUs");
    for (int node : devices.stream().toArray()) {
      long free = source.freeBytes(node);
      assertThrows(NodeAccessException.class, () -> memory.allocate(1, Placement.onNode(node)));
      DeviceNode device = memory.device(node);
      device.online();
      assertAllOn(node, device.placement());
      memory.trim();
      assertTrue(free > 0, "node=" + node);
    }
    for (Placement placement :
        List.of(Placement.LOCAL, Placement.interleave(system), Placement.preferredMany(system))) {
      List<Long> blocks = new ArrayList<>();
      TreeSet<Integer> seen = new TreeSet<>();
      for (long block = memory.tryAllocate(1 << 20, placement);
          block != 0;
          block = memory.tryAllocate(1 << 20, placement)) {
        blocks.add(block);
        seen.addAll(memory.residency(block).pagesByNode().keySet());
      }
      blocks.forEach(memory::free);
      assertTrue(blocks.size() > 10, placement::toString);
      assertTrue(seen.stream().allMatch(system::contains), () -> placement + ": " + seen);
    }
  }
}
