/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.cdmalloc.NodeAccessException;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.NodeAllocatorContract;
import org.cdmalloc.Placement;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.Test;

/** The allocator on this host's kernel. */
final class LinuxAllocatorTest extends NodeAllocatorContract {
  private static final int NODE = ThisHost.NODE;

  @Override
  protected MemorySource source() {
    return ThisHost.source();
  }

  @Test
  void whereBindingIsRefusedOnlyRequestsThatNameANodeFail() {
    LinuxSource unbound = ThisHost.source(ThisHost.unbound(), MappingBudget.PROCESS);
    try (NodeAllocator memory =
        NodeAllocator.builder()
            .source(unbound)
            .capacity(NODE, 16 << 20)
            .deviceArena(1000, NODE, 4 << 20)
            .open()) {
      long implicit = memory.allocate(1 << 20);
      memory.free(implicit);
      memory.free(memory.allocate(1 << 20, Placement.preferred(NODE)));
      for (Placement named :
          new Placement[] {Placement.onNode(NODE), Placement.bind(NodeMask.of(NODE))}) {
        NodeAccessException refused =
            assertThrows(NodeAccessException.class, () -> memory.allocate(1, named));
        assertTrue(refused.getMessage().contains("EPERM"), refused.getMessage());
      }
      assertThrows(NodeAccessException.class, () -> memory.device(1000).online());
      assertEquals(0, memory.report().nodes().get(0).usedBytes());
    }
  }
}
