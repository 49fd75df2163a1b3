/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.cdmalloc.topology.Zonelist.Kind;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** What {@link DeviceNode} promises, of an arena over ordinary memory. */
abstract class DeviceContract extends PlacementContract {
  private static void assertOffline(Executable request) {
    String message = assertThrows(IllegalStateException.class, request).getMessage();
    assertTrue(message.contains("DeviceNode.online()"), message);
  }

  @Test
  void nothingOfADeviceIsReservedOrServedBeforeItIsOnline() {
    DeviceNode device = memory.device(ARENA);
    // "Before, nothing of it is reserved or listed."
    assertFalse(report(ARENA).online());
    assertEquals(0, report(ARENA).reservedBytes());
    assertEquals("DeviceNode[node=1023, holder=device1023, state=POSSIBLE]", device.toString());
    // "IllegalStateException if the node is not online"
    assertOffline(() -> device.allocate(1));
    assertOffline(() -> device.allocate(1, PAGE));
    assertOffline(() -> device.tryAllocate(1));
    assertOffline(() -> device.allocateBuffer(1));
    assertOffline(() -> device.allocateBufferUninitialized(1));
    assertOffline(() -> device.tryAllocateBuffer(1));
    try (NodeArena arena = device.arena()) {
      assertOffline(() -> arena.allocate(1));
      assertOffline(() -> arena.allocate(1, PAGE));
      assertOffline(() -> arena.tryAllocate(1));
      assertOffline(() -> arena.allocateBuffer(1));
      assertOffline(() -> arena.allocateBufferUninitialized(1));
      assertOffline(() -> arena.tryAllocateBuffer(1));
      // Opened before the node was online, and good for use after it is.
      device.online();
      arena.allocate(1);
      assertEquals(1, arena.liveBlocks());
    }
    assertTrue(report(ARENA).online());
    assertEquals(ARENA_BYTES, report(ARENA).reservedBytes());
    assertEquals("DeviceNode[node=1023, holder=device1023, state=ONLINE]", device.toString());
    assertNothingTaken();
  }

  @Test
  void aPlacementOnADeviceIsServedOnceItIsOnline() {
    Placement placement = memory.device(ARENA).placement();
    SystemMemory there = memory.at(placement);
    // "IllegalStateException, if the device node is not online"
    assertOffline(() -> memory.allocate(1, placement));
    assertOffline(() -> memory.tryAllocate(1, placement));
    assertOffline(() -> memory.allocateBuffer(1, placement));
    assertOffline(() -> memory.allocateBufferUninitialized(1, placement));
    assertOffline(() -> memory.tryAllocateBuffer(1, placement));
    assertOffline(() -> there.allocate(1));
    device();
    // "Whoever is handed the placement may allocate here."
    memory.free(memory.allocate(1, placement));
    there.free(there.allocate(1));
    assertNothingTaken();
  }

  @Test
  void aDeviceIsTheSameObjectEachTime() {
    DeviceNode device = memory.device(ARENA);
    // "the same object each time"
    assertSame(device, memory.device(ARENA));
    assertSame(device.placement(), device.placement());
    assertEquals(ARENA, device.node());
    assertEquals(Placement.Mode.DEVICE, device.placement().mode());
    device.online();
    // "Does nothing if the node is online."
    long block = device.allocate(1);
    device.online();
    device.free(block);
    // "IllegalArgumentException if it is not a device node of this allocator"
    for (int node : new int[] {0, NO_SUCH_NODE, -1, Integer.MIN_VALUE, Integer.MAX_VALUE}) {
      assertThrows(IllegalArgumentException.class, () -> memory.device(node));
    }
  }

  @Test
  void blocksOfADeviceLieOnItAndAreReportedThere() {
    DeviceNode device = device();
    for (Door door : List.of(Door.of("device", device), Door.of("its arena", device.arena()))) {
      long block = door.allocate(MEBIBYTE);
      // "Allocates a block on this node."
      assertTrue(memory.residency(block).isAllOn(0));
      assertEquals(MEBIBYTE, report(ARENA).usedBytes());
      assertEquals(0, report(0).usedBytes());
      assertEquals(Kind.DEVICE, report(ARENA).kind());
      assertEquals(0, report(ARENA).backingNode());
      door.free(block);
    }
    assertNothingTaken();
  }

  @Test
  void aFullDeviceNeverFallsBackToSystemMemory() {
    DeviceNode device = device();
    long all = device.allocate(ARENA_BYTES);
    // "A request through it is served by that node or not at all"
    NodeMemoryExhaustedException full =
        assertThrows(NodeMemoryExhaustedException.class, () -> device.allocate(1));
    assertEquals(1, full.attempts().size());
    assertEquals(ARENA, full.attempts().get(0).node());
    assertThrows(NodeMemoryExhaustedException.class, () -> device.allocateBuffer(1));
    assertThrows(NodeMemoryExhaustedException.class, () -> device.allocateBufferUninitialized(1));
    assertThrows(NodeMemoryExhaustedException.class, () -> device.allocate(1, UNIT));
    assertEquals(0, device.tryAllocate(1));
    assertNull(device.tryAllocateBuffer(1));
    assertEquals(0, memory.tryAllocate(1, device.placement()));
    assertNull(memory.tryAllocateBuffer(1, device.placement()));
    assertEquals(0, report(0).usedBytes());
    device.free(all);
    assertNotEquals(0, device.tryAllocate(ARENA_BYTES));
  }
}
