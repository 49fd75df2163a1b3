/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.cdmalloc.DrainReport.Cause;
import org.cdmalloc.NodeMemoryExhaustedException.Attempt;
import org.cdmalloc.NodeMemoryExhaustedException.Reason;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** What {@link DeviceNode#pin} promises. */
abstract class PinContract extends LifeCycleContract {
  private static final long BLOCK = MEBIBYTE;

  @Test
  void aPinnedBlockOfTheDeviceStays() {
    DeviceNode device = device();
    long block = device.allocate(BLOCK);
    DevicePin pin = device.pin(block);
    assertEquals(block, pin.address());
    assertEquals(BLOCK, pin.bytes());
    assertEquals(ARENA, pin.node());
    assertTrue(pin.isInPlace());
    assertEquals(List.of(), pin.displaced());
    pin.hazards();
    // "Until the pin is closed the block is not moved by this allocator"
    String refused =
        assertThrows(IllegalStateException.class, () -> memory.move(block, NODE_0)).getMessage();
    assertTrue(refused.contains("it is pinned"), refused);
    // "the node does not go offline"
    DrainReport drained = device.offline();
    assertEquals(1, drained.blockers().size());
    assertEquals(Cause.PINNED, drained.blockers().get(0).cause());
    assertEquals(block, drained.blockers().get(0).address());
    assertEquals(device.holder(), drained.blockers().get(0).holder());
    // No block can be pinned on a node that is to go.
    long other = memory.allocate(BLOCK, NODE_0);
    assertThrows(IllegalStateException.class, () -> device.pin(other));
    device.online();
    pin.close();
    pin.close();
    assertEquals(Cause.OUTSTANDING, device.offline().blockers().get(0).cause());
    memory.move(block, NODE_0);
    assertTrue(device.offline().isOffline());
    memory.free(block);
    memory.free(other);
  }

  @Test
  void aBlockOfSystemMemoryComesForThePinAndGoesHomeAfterIt() {
    DeviceNode holder = device().named("pins");
    long block = memory.allocate(BLOCK, NODE_0);
    NodeArena arena = memory.arena(NODE_0);
    long scoped = arena.allocate(BLOCK);
    try (DevicePin pin = holder.pin(block);
        DevicePin ofScope = holder.pin(scoped)) {
      assertTrue(pin.isInPlace());
      assertTrue(ofScope.isInPlace());
      assertEquals(2 * BLOCK, report(ARENA).movedInBytes());
      // "charged to this capability while it lies here"
      assertEquals(2 * BLOCK, used(holder));
      DrainReport drained = device().offline();
      assertEquals(2, drained.blockers().size());
      assertEquals(Cause.PINNED, drained.blockers().get(0).cause());
      assertEquals(holder.holder(), drained.blockers().get(0).holder());
      assertEquals(BLOCK, drained.blockers().get(0).bytes());
      device();
      MoveReport moved = memory.move(arena, NODE_0);
      assertEquals("block is pinned", moved.unmoved().get(0).reason());
    }
    assertEquals(0, report(ARENA).movedInBytes());
    assertEquals(0, used(holder));
    assertEquals(2 * BLOCK, report(0).usedBytes());
    memory.free(block);
    memory.free(scoped);
    assertNothingTaken();
  }

  @Test
  void aFreeWaitsForTheLastPin() {
    DeviceNode device = device();
    NodeArena arena = device.arena();
    NodeArena ofSystem = memory.arena(NODE_0);
    for (Door door :
        List.of(
            Door.of("device", device),
            Door.of("node 0", memory.at(NODE_0)),
            Door.of("arena of the device", arena),
            Door.of("arena", ofSystem))) {
      long block = door.allocate(BLOCK);
      DevicePin first = device.pin(block);
      DevicePin second = device.pin(block);
      memory.free(block);
      // It is no more its user's.
      assertThrows(MemoryCorruptionError.class, () -> memory.free(block));
      assertThrows(MemoryCorruptionError.class, () -> device.pin(block));
      assertThrows(MemoryCorruptionError.class, () -> memory.move(block, NODE_0));
      assertEquals(BLOCK, report(ARENA).usedBytes() + report(ARENA).movedInBytes());
      first.close();
      assertTrue(second.isInPlace());
      assertEquals(BLOCK, report(ARENA).usedBytes() + report(ARENA).movedInBytes());
      second.close();
      assertThrows(MemoryCorruptionError.class, () -> memory.free(block));
      assertEquals(0, used(device));
      assertNothingTaken();
    }
  }

  @Test
  void anArenaThatIsClosedLeavesPinnedBlocksToTheirPins() {
    DeviceNode device = device();
    for (NodeArena arena : List.of(device.arena(), memory.arena(NODE_0))) {
      long block = arena.allocate(BLOCK);
      DevicePin pin = device.pin(block);
      arena.close();
      assertTrue(pin.isInPlace());
      assertThrows(MemoryCorruptionError.class, () -> memory.free(block));
      pin.close();
      assertNothingTaken();
      assertEquals(0, used(device));
    }
  }

  @Test
  void whatCannotBePinnedStaysWhereItWas() {
    DeviceNode device = device();
    long block = memory.allocate(2 * BLOCK, NODE_0);
    long interior = block + PAGE;
    assertThrows(IllegalArgumentException.class, () -> device.pin(interior));
    assertThrows(IllegalArgumentException.class, () -> device.pin(1));
    DeviceNode small = device.withQuota(BLOCK);
    assertThrows(NodeMemoryExhaustedException.class, () -> small.pin(block));
    long all = device.allocate(ARENA_BYTES);
    assertThrows(NodeMemoryExhaustedException.class, () -> device.pin(block));
    small.revoke();
    assertThrows(NodeAccessException.class, () -> small.pin(block));
    device.free(all);
    assertEquals(2 * BLOCK, report(0).usedBytes());
    assertEquals(0, used(device));
    memory.free(block);
    assertThrows(MemoryCorruptionError.class, () -> device.pin(block));
    assertThrows(
        IllegalStateException.class,
        () -> {
          device.offline();
          device.pin(memory.allocate(BLOCK, NODE_0));
        });
  }

  /** Opens the allocator under test over a source whose locks can be refused. */
  final LimitedLocks limitLocks() {
    memory.close();
    LimitedLocks source = new LimitedLocks(source());
    memory = builder(source).deviceArena(ARENA, 0, ARENA_BYTES).open();
    return source;
  }

  /** What a pin that fails must leave as it is: blocks, held pages, quotas, budgets. */
  final List<Object> books() {
    List<Object> books = new ArrayList<>(memory.device(ARENA).outstanding());
    for (HolderReport holder : memory.device(ARENA).holders()) {
      books.add(List.of(holder.holder(), holder.usedBytes(), holder.spilledBytes()));
    }
    for (int node : new int[] {0, ARENA}) {
      NodeReport report = report(node);
      books.add(List.of(node, report.usedBytes(), report.liveBlocks(), report.freeBytes()));
      books.add(List.of(node, report.movedInBytes(), report.movedOutBytes()));
    }
    return books;
  }

  /** "if so much memory must not be locked" */
  static void assertNotLocked(Executable pin) {
    NodeMemoryExhaustedException refused = assertThrows(NodeMemoryExhaustedException.class, pin);
    assertEquals(1, refused.attempts().size());
    Attempt attempt = refused.attempts().get(0);
    assertEquals(Reason.LOCK_REFUSED, attempt.reason());
    assertEquals(ARENA, attempt.node());
    assertEquals(LimitedLocks.DETAIL, attempt.detail());
    String message = refused.getMessage();
    assertTrue(message.contains("cannot be locked in memory"), message);
    assertTrue(message.contains(LimitedLocks.DETAIL), message);
  }

  @Test
  void aPinThatMayNotLockChangesNothing() {
    LimitedLocks locks = limitLocks();
    DeviceNode device = device();
    SpillBudget budget = SpillBudget.ofBytes(BLOCK);
    DeviceNode holder = device.withQuota(4 * BLOCK).spilling(budget);
    long all = device.allocate(ARENA_BYTES);
    long spilled = holder.allocate(BLOCK);
    device.free(all);
    NodeArena arena = memory.arena(NODE_0);
    NodeArena ofDevice = holder.arena();
    List<Long> blocks =
        List.of(
            spilled,
            memory.allocate(BLOCK, NODE_0),
            arena.allocate(BLOCK),
            holder.allocate(BLOCK),
            ofDevice.allocate(BLOCK));
    for (long block : blocks) {
      List<Object> before = books();
      locks.refuse(true);
      assertNotLocked(() -> holder.pin(block));
      // "The block is where it was"
      assertEquals(before, books());
      assertEquals(0, locks.locked());
      // Nothing holds it: it can be moved, and pinned as soon as it may be locked.
      assertTrue(memory.move(block, holder.placement()).isComplete());
      assertNotLocked(() -> holder.pin(block));
      assertTrue(memory.move(block, NODE_0).isComplete());
      assertNotLocked(() -> holder.pin(block));
      locks.refuse(false);
      try (DevicePin pin = holder.pin(block)) {
        assertEquals(1, locks.locked());
        // What is locked already needs no more of the limit.
        locks.refuse(true);
        try (DevicePin second = device.pin(block)) {
          assertTrue(second.isInPlace());
        }
        assertEquals(1, locks.locked());
        assertTrue(pin.isInPlace());
        assertThrows(IllegalStateException.class, () -> memory.move(block, NODE_0));
      }
      assertEquals(0, locks.locked());
    }
    assertNotLocked(() -> holder.pin(blocks.get(0)));
    memory.free(blocks.get(0));
    memory.free(blocks.get(1));
    memory.free(blocks.get(3));
    arena.close();
    ofDevice.close();
    assertEquals(0, used(device));
    assertEquals(0, budget.spilledBytes());
    assertNothingTaken();
    assertTrue(device.offline().isOffline());
  }

  @Test
  void aPinOutlivesItsAllocator() {
    DeviceNode device = device();
    DevicePin pin = device.pin(device.allocate(BLOCK));
    DevicePin came = device.pin(memory.allocate(BLOCK, NODE_0));
    memory.close();
    pin.close();
    came.close();
    assertThrows(IllegalStateException.class, () -> device.pin(BLOCK));
  }
}
