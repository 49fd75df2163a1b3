/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import org.cdmalloc.NativeCallException;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.NodeReport;
import org.cdmalloc.Placement;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.junit.jupiter.api.Test;

/** Nothing is lost on a failure: what was reserved is returned, and later requests work. */
final class FailureTest {
  private static final long MEBIBYTE = 1 << 20;
  private static final int UNITS = 8;

  private final EmulatedSource machine =
      EmulatedSource.of(
          Machine.builder()
              .node(Node.of(0, "0", 64 * MEBIBYTE))
              .node(Node.of(1, "1", 64 * MEBIBYTE))
              .build());
  private final FailingSource source = new FailingSource(machine);

  private NodeAllocator open() {
    return NodeAllocator.builder()
        .source(source)
        .capacity(0, 32 * MEBIBYTE)
        .capacity(1, 32 * MEBIBYTE)
        .open();
  }

  private void assertAsNew(NodeAllocator memory) {
    for (NodeReport report : memory.report()) {
      assertEquals(0, report.usedBytes());
      assertEquals(0, report.liveBlocks());
      assertEquals(0, report.committedBytes());
    }
    assertEquals(64 * MEBIBYTE, machine.freeBytes(0));
    long block = memory.allocate(UNITS * 2 * MEBIBYTE, Placement.onNode(0));
    memory.free(block);
  }

  @Test
  void aCommitThatThrowsAtAnyUnitLeavesNothingBehind() {
    for (int unit = 1; unit <= UNITS; unit++) {
      try (NodeAllocator memory = open()) {
        source.fail(FailingSource.Call.COMMIT, unit);
        assertThrows(
            NativeCallException.class,
            () -> memory.allocate(UNITS * 2 * MEBIBYTE, Placement.onNode(0)));
        assertAsNew(memory);
      }
    }
  }

  @Test
  void aCommitThatIsRefusedAtAnyUnitLeavesNothingBehind() {
    for (int unit = 1; unit <= UNITS; unit++) {
      try (NodeAllocator memory = open()) {
        source.fail(FailingSource.Call.COMMIT_FULL, unit);
        assertEquals(0, memory.tryAllocate(UNITS * 2 * MEBIBYTE, Placement.onNode(0)));
        assertAsNew(memory);
      }
    }
  }

  @Test
  void aViewThatFailsFreesItsBlock() {
    try (NodeAllocator memory = open()) {
      source.fail(FailingSource.Call.VIEW, 1);
      assertThrows(
          NativeCallException.class, () -> memory.allocateBuffer(4096, Placement.onNode(0)));
      assertEquals(0, memory.report().get(0).usedBytes());
      memory.free(memory.allocateBuffer(4096, Placement.onNode(0)));
    }
  }

  @Test
  void anAllocatorThatCannotReserveAllItsNodesReleasesWhatItGot() {
    source.fail(FailingSource.Call.RESERVE, 2);
    assertThrows(NativeCallException.class, this::open);
    try (NodeAllocator memory = open()) {
      assertAsNew(memory);
    }
  }

  @Test
  void aDeviceThatCannotBeReservedCanBeTriedAgain() {
    try (NodeAllocator memory =
        NodeAllocator.builder().source(source).deviceArena(9, 1, 8 * MEBIBYTE).open()) {
      source.fail(FailingSource.Call.RESERVE, 1);
      assertThrows(NativeCallException.class, () -> memory.device(9).online());
      assertThrows(IllegalStateException.class, () -> memory.device(9).allocate(1));
      memory.device(9).online();
      memory.device(9).free(memory.device(9).allocate(8 * MEBIBYTE));
      assertEquals(
          List.of(0L, 0L, 0L), memory.report().stream().map(NodeReport::usedBytes).toList());
    }
  }
}
