/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.Test;

/** Where blocks lie, which placements are refused, and memory with a default of its own. */
abstract class PlacementContract extends AlignmentContract {
  /** Every way to make a request at a placement. */
  private static Map<String, BiConsumer<SystemMemory, Placement>> requests() {
    Map<String, BiConsumer<SystemMemory, Placement>> requests = new LinkedHashMap<>();
    requests.put("allocate", (memory, placement) -> memory.allocate(1, placement));
    requests.put("tryAllocate", (memory, placement) -> memory.tryAllocate(1, placement));
    requests.put("allocateBuffer", (memory, placement) -> memory.allocateBuffer(1, placement));
    requests.put(
        "allocateBufferUninitialized",
        (memory, placement) -> memory.allocateBufferUninitialized(1, placement));
    requests.put(
        "tryAllocateBuffer", (memory, placement) -> memory.tryAllocateBuffer(1, placement));
    return requests;
  }

  private void assertRefused(Class<? extends Exception> expected, Placement placement) {
    for (SystemMemory view : List.of(memory, memory.systemView(), memory.at(NODE_0))) {
      requests()
          .forEach(
              (name, request) -> {
                Exception refused =
                    assertThrows(
                        expected, () -> request.accept(view, placement), name + " " + placement);
                assertEquals(expected, refused.getClass());
              });
    }
    assertNothingTaken();
  }

  /** Where a placement is resolved before there is a request. */
  private void assertCannotBeResolved(Class<? extends Exception> expected, Placement placement) {
    assertThrows(expected, () -> memory.at(placement));
    assertThrows(expected, () -> memory.arena(placement));
    assertThrows(expected, () -> memory.systemView().arena(placement));
  }

  @Test
  void whatANamedPlacementGivesLiesOnThatNode() {
    for (Placement placement :
        List.of(
            NODE_0,
            Placement.preferred(0),
            Placement.preferredMany(NodeMask.of(0)),
            Placement.bind(NodeMask.of(0, NO_SUCH_NODE)),
            Placement.interleave(NodeMask.of(0, NO_SUCH_NODE)),
            Placement.weightedInterleave(Map.of(0, 3, NO_SUCH_NODE, 1)))) {
      for (long bytes : new long[] {1, 3 << 20}) {
        long block = memory.allocate(bytes, placement);
        // "Nodes that the machine lacks are left out when the placement is used."
        assertTrue(memory.residency(block).isAllOn(0), () -> memory.residency(block).toString());
        memory.free(block);
        memory.free(memory.tryAllocate(bytes, placement));
      }
    }
    assertNothingTaken();
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
  void placementsThatCannotBeAreRefused() {
    try (NodeAllocator other = builder().deviceArena(ARENA, 0, ARENA_BYTES).open()) {
      other.device(ARENA).online();
      for (Placement placement :
          List.of(
              // "IllegalArgumentException, if the machine has none of the nodes"
              Placement.onNode(NO_SUCH_NODE),
              Placement.preferred(NO_SUCH_NODE),
              Placement.bind(NodeMask.of(NO_SUCH_NODE, NO_SUCH_NODE + 1)),
              Placement.preferredMany(NodeMask.of(NO_SUCH_NODE)),
              Placement.interleave(NodeMask.of(NO_SUCH_NODE, NO_SUCH_NODE + 1)),
              Placement.weightedInterleave(Map.of(NO_SUCH_NODE, 1)),
              Placement.bind(NodeMask.of(0)).withHomeNode(NO_SUCH_NODE),
              // "or the placement is of another allocator's device"
              other.device(ARENA).placement())) {
        assertRefused(IllegalArgumentException.class, placement);
        assertCannotBeResolved(IllegalArgumentException.class, placement);
      }
    }
    assertThrows(IllegalArgumentException.class, () -> Placement.bind(NodeMask.EMPTY));
    assertThrows(IllegalArgumentException.class, () -> Placement.onNode(-1));
  }

  @Test
  void aDeviceNodeIsReachedByItsCapabilityOnly() {
    for (int round = 0; round < 2; round++) {
      for (Placement placement :
          List.of(
              Placement.onNode(ARENA),
              Placement.preferred(ARENA),
              Placement.bind(NodeMask.of(0, ARENA)),
              Placement.preferredMany(NodeMask.of(0, ARENA)),
              Placement.interleave(NodeMask.of(0, ARENA)),
              Placement.weightedInterleave(Map.of(0, 1, ARENA, 2)),
              Placement.bind(NodeMask.of(0)).withHomeNode(ARENA))) {
        // "NodeAccessException, if it names a device node without its capability"
        assertRefused(NodeAccessException.class, placement);
        assertCannotBeResolved(NodeAccessException.class, placement);
        NodeAccessException refused =
            assertThrows(NodeAccessException.class, () -> memory.allocate(1, placement));
        assertTrue(refused.getMessage().contains("device(" + ARENA + ")"), refused.getMessage());
      }
      // Online or not makes no difference.
      device();
    }
  }

  @Test
  void memoryAtAPlacementUsesItUnlessARequestNamesAnother() {
    SystemMemory there = memory.at(device().placement());
    SystemMemory here = memory.at(NODE_0);
    long device = there.allocate(PAGE);
    assertEquals(PAGE, report(ARENA).usedBytes());
    // "requests that name a placement of their own are served there"
    long node = there.allocate(PAGE, NODE_0);
    assertEquals(PAGE, report(0).usedBytes());
    long back = here.allocate(PAGE, memory.device(ARENA).placement());
    assertEquals(2 * PAGE, report(ARENA).usedBytes());
    long here0 = here.tryAllocate(PAGE);
    long aligned = here.allocate(PAGE, UNIT);
    assertEquals(3 * PAGE, report(0).usedBytes());
    for (long block : new long[] {device, node, back, here0, aligned}) {
      there.free(block);
    }
    assertNothingTaken();
    assertEquals("SystemMemory[on node 0]", here.toString());
  }

  @Test
  void theSystemViewShowsNoMoreThanItSays() {
    SystemMemory view = memory.systemView();
    // "the same object each time; it cannot be cast to an allocator"
    assertSame(view, memory.systemView());
    assertFalse((Object) view instanceof NodeAllocator);
    // "no way to device nodes, none to close"
    assertFalse((Object) view instanceof AutoCloseable);
    for (SystemMemory memoryOnly : List.of(view, memory.at(NODE_0))) {
      assertTrue(
          Arrays.stream(memoryOnly.getClass().getMethods())
              .map(Method::getName)
              .noneMatch(name -> List.of("device", "close", "at", "trim").contains(name)));
    }
    // "A device Placement handed in is honoured": whoever has it may use it.
    view.free(view.allocate(1, device().placement()));
    assertNothingTaken();
  }

  @Test
  void exhaustedSystemMemoryLeavesDevicesUntouched() {
    device();
    List<Long> blocks = exhaustSystemMemory(512 << 10);
    NodeMemoryExhaustedException refused =
        assertThrows(
            NodeMemoryExhaustedException.class,
            () -> memory.allocate(1L << 50, Placement.preferred(0)));
    assertEquals(1L << 50, refused.requestedBytes());
    refused.attempts().forEach(attempt -> assertTrue(attempt.node() != ARENA));
    assertEquals(0, report(ARENA).usedBytes());
    assertEquals(0, report(ARENA).committedBytes());
    blocks.forEach(memory::free);
    assertNothingTaken();
  }

  @Test
  void requestsThatDoNotInsistStopAtTheLowMark() {
    long lowBytes = report(0).marks().lowBytes();
    assertTrue(lowBytes > 0);
    List<Long> blocks = new ArrayList<>();
    for (long at = lowBytes; at < CAPACITY; at += PAGE) {
      blocks.add(memory.allocate(PAGE, Placement.preferred(0)));
    }
    assertEquals(lowBytes, report(0).freeBytes());
    // "Requests that insist on no node stop at the low mark"
    for (Placement placement : List.of(Placement.preferred(0), Placement.LOCAL)) {
      long elsewhere = memory.tryAllocate(PAGE, placement);
      assertEquals(lowBytes, report(0).freeBytes());
      if (elsewhere != 0) {
        blocks.add(elsewhere);
      }
    }
    // "so that the rest serves those that do"
    long rest = 0;
    for (long block = memory.tryAllocate(PAGE, NODE_0);
        block != 0;
        block = memory.tryAllocate(PAGE, NODE_0)) {
      blocks.add(block);
      rest += PAGE;
    }
    assertEquals(lowBytes, rest);
    blocks.forEach(memory::free);
    assertNothingTaken();
  }
}
