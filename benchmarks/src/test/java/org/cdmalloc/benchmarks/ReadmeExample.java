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

  // spotless:off
  static void run() {
    // README begins
    try (NodeAllocator memory = NodeAllocator.builder().deviceArena(9, 0, 8 << 20).open()) {
      ByteBuffer near =
          memory.allocateBuffer(64 * 1024); // implicit: near the caller, system RAM only, zeroed
      memory.free(near);

      long block =
          memory.allocate(4096, Placement.onNode(0)); // a raw address, on node 0 or an exception
      memory.free(block);

      DeviceNode device = memory.device(9); // the capability: the only way to a device node
      device.online(); // nothing of it was reserved or listed before
      ByteBuffer named =
          device.allocateBuffer(1 << 20); // on node 9, or an exception that says why not
      device.free(named);
    }
    // README ends
  }

  // spotless:on

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
