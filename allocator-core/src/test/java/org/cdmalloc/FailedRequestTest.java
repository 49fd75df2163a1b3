/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;
import org.cdmalloc.spi.AddressOnlySource;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.Test;

/**
 * What a request leaves behind that fails, and what one may find that is about to: cases that
 * {@link AllocatorModelTest} met, one by one.
 */
final class FailedRequestTest {
  private static final long PAGE = 4096;

  /** What is committed at a time. */
  private static final long UNIT = 2 << 20;

  private static final Placement INTERLEAVED = Placement.interleave(NodeMask.of(0, 1));

  /** Whether the next questions of {@link ObservedSource} are answered with a fault; then none. */
  private final Deque<Boolean> faults = new ArrayDeque<>();

  private final AddressOnlySource machine =
      AddressOnlySource.of(
          Machine.builder()
              .node(Node.of(0, "0", 5 * UNIT))
              .node(Node.of(1, "1", 2 * UNIT))
              .build());

  private NodeAllocator open() {
    return NodeAllocator.builder()
        .source(new ObservedSource(machine, () -> !faults.isEmpty() && faults.remove()))
        .capacity(0, 5 * UNIT)
        .capacity(1, 2 * UNIT)
        .watermarks(0, Marks.NONE)
        .watermarks(1, Marks.NONE)
        .purgeDelay(Duration.ZERO)
        .open();
  }

  /** All of both nodes can be had, and is given back. */
  private void assertWhole(NodeAllocator memory) {
    faults.clear();
    memory.trim();
    for (NodeReport node : memory.report().nodes()) {
      assertEquals(0, node.usedBytes() + node.committedBytes() + node.stripedBytes());
    }
    long most = memory.allocate(4 * UNIT, Placement.onNode(0));
    long rest = memory.allocate(UNIT, Placement.onNode(0));
    long other = memory.allocate(2 * UNIT, Placement.onNode(1));
    List.of(most, rest, other).forEach(memory::free);
    memory.trim();
    long striped = memory.allocate(4 * UNIT, INTERLEAVED);
    assertEquals(
        Map.of(0, 1024, 1, 1024), memory.residency(striped).pagesByNode(), "all that is dealt out");
    memory.free(striped);
    memory.trim();
    assertEquals(5 * UNIT, machine.freeBytes(0));
    assertEquals(2 * UNIT, machine.freeBytes(1));
  }

  @Test
  void nodesAreRepaidWhatTheyLentForACommitThatFailed() {
    try (NodeAllocator memory = open()) {
      // The commit fails; what is given back then is taken.
      faults.addAll(List.of(true, false));
      assertThrows(NativeCallException.class, () -> memory.allocate(UNIT, INTERLEAVED));
      assertEquals(0, memory.report().system().stripedBytes());
      assertWhole(memory);
    }
  }

  /** Leaves a unit committed in the midst of four that are not. */
  private static void commitAmidst(NodeAllocator memory, Placement placement) {
    long[] units = LongStream.generate(() -> memory.allocate(UNIT, placement)).limit(4).toArray();
    for (int i = 0; i < units.length; i++) {
      if (i != 2) {
        memory.free(units[i]);
      }
    }
    memory.trim();
    memory.free(units[2]);
  }

  @Test
  void capacityIsNotKeptForARunThatCouldNotBeGivenBackEither() {
    try (NodeAllocator memory = open()) {
      for (Placement placement : List.of(Placement.onNode(0), INTERLEAVED)) {
        for (boolean after : new boolean[] {false, true}) {
          commitAmidst(memory, placement);
          // What is before that unit is committed, what is behind it fails, and so does giving
          // back, before or after its work.
          faults.addAll(List.of(false, true, true, after));
          assertThrows(NativeCallException.class, () -> memory.allocate(4 * UNIT, placement));
          assertTrue(faults.isEmpty());
        }
      }
      assertWhole(memory);
    }
  }

  @Test
  void nodesAreRepaidIfTheNextOneFailsToGiveBackWhatIsIdle() {
    try (NodeAllocator memory = open()) {
      // All of node 1 is committed and idle.
      memory.free(memory.allocate(2 * UNIT, Placement.onNode(1)));
      faults.addAll(List.of(true, true));
      assertThrows(NativeCallException.class, () -> memory.allocate(UNIT, INTERLEAVED));
      assertEquals(0, memory.report().system().stripedBytes());
      assertWhole(memory);
    }
  }

  @Test
  void aZoneIsTriedAgainThatLackedWhatALaterOneGaveBack() {
    try (NodeAllocator memory = open()) {
      // Node 0: unit 4 is idle, units 0 and 1 are in use, 2 and 3 were never.
      long idle = memory.allocate(UNIT, Placement.onNode(0));
      memory.allocate(UNIT, Placement.onNode(0));
      memory.allocate(UNIT, Placement.onNode(0));
      memory.free(idle);
      // The nodes lend half a unit each.
      memory.allocate(PAGE, INTERLEAVED);
      // Others leave half a unit of node 0, of the one and a half that are not used here.
      machine.commit(machine.reserve(0, UNIT), 0, UNIT);
      assertEquals(UNIT / 2, machine.freeBytes(0));
      // Two more units of the stripe want a unit of node 0. That is not there; node 0's own zone
      // gives its idle unit back, to try for two others in vain; node 1's has no two units left.
      long block = memory.tryAllocate(UNIT + UNIT / 2, INTERLEAVED);
      assertNotEquals(0, block, "refused although a unit was idle");
      assertEquals(Map.of(0, 384, 1, 384), memory.residency(block).pagesByNode());
      assertTrue(memory.report().node(0).stripedBytes() > UNIT);
    }
  }
}
