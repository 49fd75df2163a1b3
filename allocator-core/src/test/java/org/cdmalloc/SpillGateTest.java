/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.cdmalloc.NodeMemoryExhaustedException.Attempt;
import org.cdmalloc.NodeMemoryExhaustedException.Reason;
import org.cdmalloc.spi.AddressOnlySource;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.junit.jupiter.api.Test;

/** The second gate of a spill: what the platform says of the node on which it would land. */
final class SpillGateTest {
  private static final long MIB = 1L << 20;
  private static final int DEVICE = 2;

  /** The nodes that have no room by the platform's account. */
  private final Set<Integer> shortOfMemory = new HashSet<>();

  private final MemorySource source =
      AddressOnlySource.of(
          Machine.builder()
              .node(Node.of(0, "0", 64 * MIB))
              .node(Node.of(1, "1", 64 * MIB))
              .node(Node.memoryOnly(DEVICE, 4 * MIB))
              .distances(new int[][] {{10, 20, 20}, {20, 10, 30}, {20, 30, 10}})
              .build());

  private MemorySource gated() {
    return new ForwardingSource(source) {
      @Override
      public CommitResult room(int node, long bytes) {
        return shortOfMemory.contains(node)
            ? new CommitResult(CommitResult.Outcome.NODE_FULL, "free_bytes=0")
            : super.room(node, bytes);
      }
    };
  }

  @Test
  void aSpillStopsWhereTheKernelHasNoRoom() {
    try (NodeAllocator memory =
        NodeAllocator.builder().source(gated()).purgeDelay(Duration.ZERO).open()) {
      memory.device(DEVICE).online();
      memory.device(DEVICE).allocate(4 * MIB);
      SpillBudget budget = SpillBudget.ofBytes(8 * MIB);
      DeviceNode holder = memory.device(DEVICE).spilling(budget);
      // Memory that our zone has and nobody uses: the kernel is to get it back, not a device.
      memory.free(memory.allocate(2 * MIB, Placement.onNode(0)));
      assertEquals(2 * MIB, memory.report().node(0).committedBytes());
      shortOfMemory.add(0);
      long block = holder.allocate(MIB);
      assertEquals(0, memory.report().node(0).usedBytes());
      assertEquals(MIB, memory.report().node(1).usedBytes());
      shortOfMemory.add(1);
      assertEquals(0, holder.tryAllocate(MIB));
      NodeMemoryExhaustedException refused =
          assertThrows(NodeMemoryExhaustedException.class, () -> holder.allocate(MIB));
      assertEquals(List.of(DEVICE, 0, 1), refused.attempts().stream().map(Attempt::node).toList());
      for (Attempt system : refused.attempts().subList(1, 3)) {
        assertEquals(Reason.MEMORY_REFUSED, system.reason());
        assertTrue(system.detail().contains("NODE_FULL free_bytes=0"), system.detail());
      }
      assertEquals(MIB, budget.spilledBytes());
      // Others are served as ever.
      assertNotEquals(0, memory.tryAllocate(MIB));
      memory.free(block);
      assertEquals(0, budget.spilledBytes());
      shortOfMemory.clear();
      holder.allocate(MIB);
      assertEquals(MIB, budget.spilledBytes());
    }
  }
}
