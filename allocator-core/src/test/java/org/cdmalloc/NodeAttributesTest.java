/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.OptionalInt;
import org.cdmalloc.spi.AddressOnlySource;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.Test;

final class NodeAttributesTest {
  private static final long MIB = 1L << 20;
  private static final int WITHOUT_MEMORY = 2;
  private static final int DEVICE = 3;
  private static final int OTHER_DEVICE = 4;
  private static final int ARENA = 9;
  private static final int ABSENT = 11;
  private static final NodeMask SYSTEM = NodeMask.of(0, 1);
  private static final NodeMask DEVICES = NodeMask.of(DEVICE, OTHER_DEVICE, ARENA);

  private final MemorySource source =
      AddressOnlySource.of(
          Machine.builder()
              .node(Node.of(0, "0", 64 * MIB))
              .node(Node.memoryOnly(1, 64 * MIB))
              .node(Node.of(WITHOUT_MEMORY, "1", 0))
              .node(Node.memoryOnly(DEVICE, 64 * MIB))
              .node(Node.memoryOnly(OTHER_DEVICE, 64 * MIB))
              .build());

  private NodeAllocator.Builder builder() {
    return NodeAllocator.builder()
        .source(source)
        .deviceNodes(NodeMask.of(DEVICE, OTHER_DEVICE))
        .deviceArena(ARENA, 0, 8 * MIB)
        .purgeDelay(Duration.ZERO);
  }

  private static OptionalInt[] targets() {
    int[] nodes = {0, 1, WITHOUT_MEMORY, DEVICE, OTHER_DEVICE, ARENA, ABSENT, -1};
    OptionalInt[] targets = new OptionalInt[nodes.length + 1];
    targets[0] = OptionalInt.empty();
    for (int i = 0; i < nodes.length; i++) {
      targets[i + 1] = OptionalInt.of(nodes[i]);
    }
    return targets;
  }

  /** By the words of the Javadoc, not by how it is checked. */
  private static boolean isValue(boolean reclaim, OptionalInt target, boolean evict, long ceiling) {
    return ceiling >= 0 && (target.isEmpty() ? !evict : reclaim);
  }

  private static boolean fits(int node, OptionalInt target, long ceiling) {
    if (SYSTEM.contains(node)) {
      return ceiling == 0 && target.isEmpty();
    }
    return DEVICES.contains(node) && (target.isEmpty() || SYSTEM.contains(target.getAsInt()));
  }

  @Test
  void everyCombinationIsTakenOrRefusedByItsRule() {
    int[] nodes = {0, 1, WITHOUT_MEMORY, DEVICE, ARENA, ABSENT, -1};
    long[] ceilings = {Long.MIN_VALUE, -1, 0, 1, MIB, NodeAttributes.UNLIMITED};
    int taken = 0;
    int refused = 0;
    for (int flags = 0; flags < 8; flags++) {
      boolean reclaim = (flags & 1) != 0;
      boolean pin = (flags & 2) != 0;
      boolean evict = (flags & 4) != 0;
      for (OptionalInt target : targets()) {
        for (long ceiling : ceilings) {
          if (!isValue(reclaim, target, evict, ceiling)) {
            assertThrows(
                IllegalArgumentException.class,
                () -> new NodeAttributes(reclaim, target, evict, pin, ceiling));
            continue;
          }
          NodeAttributes attributes = new NodeAttributes(reclaim, target, evict, pin, ceiling);
          for (int node : nodes) {
            String row = node + " " + attributes;
            if (fits(node, target, ceiling)) {
              try (NodeAllocator memory = builder().attributes(node, attributes).open()) {
                assertEquals(attributes, memory.attributes(node), row);
              }
              taken++;
            } else {
              NodeAllocator.Builder wrong = builder().attributes(node, attributes);
              String message =
                  assertThrows(IllegalArgumentException.class, wrong::open, row).getMessage();
              assertTrue(message.contains("node=" + node), message);
              assertTrue(message.contains("; "), message);
              refused++;
            }
          }
        }
      }
    }
    // System nodes: reclaim and pins alone. Devices: no target with or without reclaim, or one of
    // two, with or without eviction; and four ceilings.
    assertEquals(2 * 4 + 2 * 2 * 4 * (2 + 2 * 2), taken);
    assertEquals(2 * 4 * (2 + 8 * 2) * nodes.length - taken, refused);
  }

  @Test
  void whatTheValueItselfCanKnowIsRefusedThere() {
    assertRefused(
        "demotion without reclaim: demotionTarget=0, reclaim=false;"
            + " call withReclaim(true) first, or leave the target out",
        () -> NodeAttributes.COHERENT_DEVICE.withDemotionTarget(0));
    NodeAttributes demoting = NodeAttributes.SYSTEM.withDemotionTarget(1);
    assertThrows(IllegalArgumentException.class, () -> demoting.withReclaim(false));
    assertEquals(NodeAttributes.SYSTEM, demoting.withoutDemotionTarget());
    assertRefused(
        "eviction without a place to go: evict=true, demotionTarget=none;"
            + " call withDemotionTarget(node) first, or withEvict(false)",
        () -> NodeAttributes.COHERENT_DEVICE.withEvict(true));
    NodeAttributes evicting = demoting.withEvict(true);
    assertThrows(IllegalArgumentException.class, evicting::withoutDemotionTarget);
    assertEquals(demoting, evicting.withEvict(false));
    assertRefused(
        "spill ceiling is negative: spillCeilingBytes=-1;"
            + " give 0 or more, or NodeAttributes.UNLIMITED",
        () -> NodeAttributes.SYSTEM.withSpillCeiling(-1));
  }

  @Test
  void messagesSayWhatToDo() {
    assertRefused(
        "a system node does not spill: node=0, spillCeilingBytes="
            + Long.MAX_VALUE
            + "; give withSpillCeiling(0), as NodeAttributes.SYSTEM has",
        () -> builder().attributes(0, NodeAttributes.COHERENT_DEVICE).open());
    assertRefused(
        "a system node is not demoted: node=0, demotionTarget=1; call withoutDemotionTarget()",
        () -> builder().attributes(0, NodeAttributes.SYSTEM.withDemotionTarget(1)).open());
    assertRefused(
        "demotion target is no system node with memory: node=3, demotionTarget=3;"
            + " name one of nodes 0-1",
        () -> builder().attributes(DEVICE, NodeAttributes.SYSTEM.withDemotionTarget(3)).open());
    assertRefused(
        "attributes are for no node with memory: node=2, attributes="
            + NodeAttributes.SYSTEM
            + "; name one of nodes 0-1,3-4,9",
        () -> builder().attributes(WITHOUT_MEMORY, NodeAttributes.SYSTEM).open());
    NodeAttributes evicting =
        NodeAttributes.COHERENT_DEVICE.withReclaim(true).withDemotionTarget(0).withEvict(true);
    assertRefused(
        "a device as small as that cannot evict: node=9, capacity_bytes=2093056,"
            + " unit_bytes=2097152; raise capacity(node, bytes), or call withEvict(false)",
        () -> builder().capacity(ARENA, 2 * MIB - 4096).attributes(ARENA, evicting).open());
    builder().capacity(ARENA, 2 * MIB).attributes(ARENA, evicting).open().close();
    try (NodeAllocator memory = builder().open()) {
      assertRefused(
          "node has no capacity here: node=2; name one of nodes [0, 1, 3, 4, 9]",
          () -> memory.attributes(WITHOUT_MEMORY));
    }
  }

  private static void assertRefused(String message, Runnable call) {
    assertEquals(
        message, assertThrows(IllegalArgumentException.class, call::run).getMessage(), message);
  }

  @Test
  void theDefaultFollowsFromTheKindOfNode() {
    try (NodeAllocator memory = builder().open()) {
      SYSTEM.stream().forEach(node -> assertEquals(NodeAttributes.SYSTEM, memory.attributes(node)));
      DEVICES.stream()
          .forEach(node -> assertEquals(NodeAttributes.COHERENT_DEVICE, memory.attributes(node)));
    }
    // They differ in what follows from the kind of node.
    NodeAttributes device = NodeAttributes.SYSTEM.withReclaim(false).withLongTermPin(false);
    assertEquals(
        NodeAttributes.COHERENT_DEVICE,
        device.withLongTermPin(true).withSpillCeiling(NodeAttributes.UNLIMITED));
  }
}
