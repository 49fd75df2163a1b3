/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import org.cdmalloc.DeviceNode;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.Placement;

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

      // The capability is the only way to a device node; nothing of it was reserved before.
      DeviceNode device = memory.device(9);
      device.online();
      ByteBuffer named = device.allocateBuffer(1 << 20); // on node 9 or an exception
      device.free(named);
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
    }
  }
}
