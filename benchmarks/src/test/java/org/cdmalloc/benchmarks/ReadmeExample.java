/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import org.cdmalloc.DeviceNode;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.NodeArena;
import org.cdmalloc.Placement;
import org.cdmalloc.SpillBudget;
import org.cdmalloc.SystemMemory;
import org.cdmalloc.topology.NodeMask;

/** The example of the README, between the two lines that say so, with what it must lead to. */
final class ReadmeExample {
  private ReadmeExample() {}

  static void run() {
    // README begins
    try (NodeAllocator memory = NodeAllocator.builder().deviceArena(9, 0, 8 << 20).open()) {
      // Implicit: near the caller, on system RAM only, zeroed.
      ByteBuffer near = memory.allocateBuffer(64 * 1024);
      memory.free(near);

      // A raw address, on node 0 or an exception.
      long block = memory.allocate(4096, Placement.onNode(0));
      memory.free(block);

      // Memory for others: on node 0 unless they name another, and not theirs to close.
      SystemMemory onNode0 = memory.at(Placement.onNode(0));
      onNode0.free(onNode0.allocate(4096, 2 << 20)); // at a multiple of 2 MiB

      // Page by page over nodes, and all of it freed at the end.
      try (NodeArena scope = memory.arena(Placement.interleave(NodeMask.of(0, 1)))) {
        scope.allocateBuffer(1 << 20);
      }
      memory.trim(); // what is free goes back to the kernel now, and not in a second
      memory.audit(); // how much lies elsewhere by now, and what probably moved it

      // The capability is the only way to a device node; nothing of it was reserved before.
      DeviceNode device = memory.device(9);
      device.online();
      ByteBuffer named = device.allocateBuffer(1 << 20); // on node 9 or an exception
      memory.move(named, Placement.onNode(0)); // while others use it; the address stays
      device.free(named);

      // A narrower one for a tenant: a quota, and how much of it may spill into RAM.
      DeviceNode tenant = device.withQuota(4 << 20).spilling(SpillBudget.ofBytes(1 << 20));
      tenant.free(tenant.allocate(2 << 20));
      tenant.revoke(); // serves nothing more; its blocks live until they are freed
    }
    // README ends
  }

  static void check() {
    try (NodeAllocator memory = NodeAllocator.builder().deviceArena(9, 0, 8 << 20).open()) {
      DeviceNode device = memory.device(9);
      device.online();
      ByteBuffer named = device.allocateBuffer(1 << 20);
      assertEquals(1 << 20, named.capacity());
      assertTrue(memory.residency(named).isAllOn(0));
      device.free(named);

      SystemMemory onNode0 = memory.at(Placement.onNode(0));
      long block = onNode0.allocate(4096, 2 << 20);
      assertEquals(0, block % (2 << 20));
      assertTrue(memory.residency(block).isAllOn(0));
      onNode0.free(block);
      try (NodeArena scope = memory.arena(Placement.interleave(NodeMask.of(0, 1)))) {
        assertEquals(0, memory.residency(scope.allocateBuffer(1 << 20)).node(0));
        assertEquals(1, scope.liveBlocks());
      }
      assertTrue(memory.trim() > 0);
      assertEquals(0, memory.report().system().usedBytes());
      assertEquals(0, memory.report().system().committedBytes());
    }
  }
}
