/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Residency;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.Test;

/** What {@link NodeAllocator#move} promises. */
abstract class MoveContract extends TrimContract {
  private static final long BLOCK = 3 * MEBIBYTE;

  /** Nodes that blocks can be moved to: node 0, at most two others, and the device last. */
  private List<Placement> targets() {
    List<Placement> targets = new ArrayList<>();
    for (NodeReport node : memory.report().nodes()) {
      if (node.node() != ARENA && targets.size() < 3) {
        targets.add(Placement.onNode(node.node()));
      }
    }
    targets.add(device().placement());
    return targets;
  }

  private static int backing(Placement target) {
    int node = target.nodes().first();
    return node == ARENA ? 0 : node;
  }

  private void assertMoved(long address, long bytes, Placement target) {
    MoveReport report = memory.move(address, target);
    assertEquals(new MoveReport(target.nodes().first(), bytes, List.of()), report);
    assertTrue(report.isComplete());
    assertTrue(memory.residency(address).isAllOn(backing(target)));
  }

  private void assertNothingAway() {
    memory.trim();
    for (NodeReport node : memory.report().nodes()) {
      assertEquals(0, node.movedInBytes() + node.movedOutBytes(), node::toString);
      assertEquals(node.capacityBytes(), node.freeBytes(), node::toString);
      assertEquals(0, node.committedBytes(), node::toString);
    }
    assertNothingTaken();
  }

  @Test
  void aMovedBlockIsPaidForByTheNodeOnWhichItLies() {
    for (Placement target : targets()) {
      boolean stays = target.equals(NODE_0);
      long block = memory.allocate(BLOCK, NODE_0);
      NodeReport before = report(0);
      assertMoved(block, BLOCK, target);
      // "it counts as used at the node on which it lies"
      NodeReport own = report(0);
      assertEquals(stays ? 0 : BLOCK, own.movedOutBytes());
      assertEquals(stays ? BLOCK : 0, own.usedBytes());
      assertEquals(before.freeBytes() + own.movedOutBytes(), own.freeBytes());
      assertEquals(before.committedBytes() - own.movedOutBytes(), own.committedBytes());
      assertEquals(1, own.liveBlocks());
      if (!stays) {
        NodeReport other = report(target.nodes().first());
        assertEquals(BLOCK, other.movedInBytes());
        assertEquals(other.capacityBytes() - BLOCK, other.freeBytes());
        assertEquals(0, other.liveBlocks());
      }
      // "The address stays, and all that goes with it"
      assertEquals(BLOCK, memory.usableBytes(block));
      // "to its own node moves it back"
      assertMoved(block, BLOCK, NODE_0);
      assertEquals(before, report(0));
      assertMoved(block, BLOCK, target);
      memory.free(block);
      assertThrows(MemoryCorruptionError.class, () -> memory.free(block));
      assertNothingAway();
    }
  }

  @Test
  void blocksAreMovedFromAnywhereToAnywhere() {
    List<Placement> targets = targets();
    List<Placement> from = new ArrayList<>(targets);
    from.add(Placement.LOCAL);
    from.add(Placement.interleave(NodeMask.of(0, targets.get(targets.size() - 2).nodes().first())));
    for (Placement placement : from) {
      for (Placement target : targets) {
        long block = memory.allocate(BLOCK, placement);
        long neighbour = memory.allocate(BLOCK, placement);
        Residency where = memory.residency(neighbour);
        assertMoved(block, BLOCK, target);
        assertEquals(where.toString(), memory.residency(neighbour).toString());
        targets.forEach(next -> assertMoved(block, BLOCK, next));
        memory.free(neighbour);
        memory.free(block);
        // The same addresses come again, on their own nodes.
        long again = memory.allocate(BLOCK, placement);
        if (placement.mode() == Placement.Mode.ON_NODE
            || placement.mode() == Placement.Mode.DEVICE) {
          assertTrue(memory.residency(again).isAllOn(backing(placement)));
        }
        memory.free(again);
      }
    }
    assertNothingAway();
  }

  @Test
  void aPlacementThatNamesNoNodeIsRefused() {
    long block = memory.allocate(BLOCK, NODE_0);
    for (Placement placement :
        List.of(
            Placement.LOCAL,
            Placement.preferred(0),
            Placement.bind(NodeMask.of(0)),
            Placement.preferredMany(NodeMask.of(0)),
            Placement.interleave(NodeMask.of(0)))) {
      String message =
          assertThrows(IllegalArgumentException.class, () -> memory.move(block, placement))
              .getMessage();
      assertTrue(message.contains("placement=" + placement), message);
    }
    // "to a device node leads only DeviceNode.placement()"
    device();
    assertThrows(NodeAccessException.class, () -> memory.move(block, Placement.onNode(ARENA)));
    assertThrows(
        IllegalArgumentException.class, () -> memory.move(block, Placement.onNode(NO_SUCH_NODE)));
    assertTrue(memory.residency(block).isAllOn(0));
    memory.free(block);
    assertNothingAway();
  }

  @Test
  void whatIsNoBlockIsNotMoved() {
    long block = memory.allocate(BLOCK, NODE_0);
    Placement target = device().placement();
    assertThrows(IllegalArgumentException.class, () -> memory.move(block + 1, target));
    assertThrows(IllegalArgumentException.class, () -> memory.move(block + PAGE, target));
    assertThrows(IllegalArgumentException.class, () -> memory.move(1L, target));
    memory.free(block);
    assertThrows(MemoryCorruptionError.class, () -> memory.move(block, target));
    assertNothingAway();
  }

  @Test
  void aNodeWithoutRoomTakesNothing() {
    DeviceNode device = device();
    List<Long> full = new ArrayList<>();
    for (long bytes = 0; bytes < ARENA_BYTES - UNIT; bytes += UNIT) {
      full.add(device.allocate(UNIT));
    }
    long block = memory.allocate(BLOCK, NODE_0);
    NodeReport before = report(0);
    NodeMemoryExhaustedException refused =
        assertThrows(
            NodeMemoryExhaustedException.class, () -> memory.move(block, device.placement()));
    assertEquals(BLOCK, refused.requestedBytes());
    assertEquals(ARENA, refused.attempts().get(0).node());
    assertTrue(memory.residency(block).isAllOn(0));
    assertEquals(before, report(0));
    assertEquals(0, report(ARENA).movedInBytes());
    full.forEach(device::free);
    assertMoved(block, BLOCK, device.placement());
    // Guests count: what they hold the node's own blocks cannot have.
    assertEquals(ARENA_BYTES - BLOCK, report(ARENA).freeBytes());
    assertThrows(NodeMemoryExhaustedException.class, () -> device.allocate(ARENA_BYTES - UNIT));
    memory.free(block);
    assertNothingAway();
  }

  @Test
  void anArenaIsMovedAsAWhole() {
    Placement target = device().placement();
    try (NodeArena arena = memory.arena(NODE_0)) {
      List<Long> blocks = new ArrayList<>();
      for (int i = 0; i < 5; i++) {
        blocks.add(arena.allocate(MEBIBYTE));
      }
      long other = memory.allocate(MEBIBYTE, NODE_0);
      MoveReport report = memory.move(arena, target);
      assertEquals(new MoveReport(ARENA, 5 * MEBIBYTE, List.of()), report);
      assertEquals(5 * MEBIBYTE, report(ARENA).movedInBytes());
      assertEquals(MEBIBYTE, report(0).usedBytes());
      // "The arena goes on to allocate where it did."
      long late = arena.allocate(4 * MEBIBYTE);
      assertEquals(5 * MEBIBYTE, report(0).usedBytes());
      // "Blocks for which the node has no room stay and are reported"
      MoveReport second = memory.move(arena, target);
      assertFalse(second.isComplete());
      assertEquals(5 * MEBIBYTE, second.movedBytes());
      assertEquals(1, second.unmoved().size());
      assertEquals(late, second.unmoved().get(0).address());
      assertEquals(4 * MEBIBYTE, second.unmoved().get(0).bytes());
      // A block that is freed by hand is the arena's no more, wherever it lies.
      arena.free(blocks.get(0));
      assertEquals(4 * MEBIBYTE, report(ARENA).movedInBytes());
      assertEquals(5, arena.liveBlocks());
      memory.free(other);
    }
    assertEquals(0, report(ARENA).movedInBytes());
    try (NodeAllocator another = builder().open()) {
      assertThrows(
          IllegalArgumentException.class, () -> memory.move(another.arena(NODE_0), target));
    }
    assertNothingAway();
  }

  @Test
  void smallBlocksAreMovedIfTheyAreWholeOsPages() {
    MemorySource source = memory.source();
    long osPage = source.osPageBytes();
    Placement target = device().placement();
    // "They cannot be moved", of what threads keep ready; arenas' blocks can.
    SystemMemory kept = memory.systemView();
    if (magazineBytes() > 0) {
      long object = kept.allocate(PAGE);
      assertThrows(IllegalArgumentException.class, () -> memory.move(object, target));
      kept.free(object);
    }
    NodeArena arena = memory.arena(NODE_0);
    long whole = arena.allocate(osPage, osPage);
    long neighbour = arena.allocate(osPage, osPage);
    assertMoved(whole, osPage, target);
    assertEquals(osPage, report(ARENA).movedInBytes());
    if (osPage > PAGE) {
      long part = memory.allocate(PAGE);
      assertThrows(IllegalArgumentException.class, () -> memory.move(part, target));
      memory.free(part);
    }
    memory.free(whole);
    memory.free(neighbour);
    assertNothingAway();
  }

  @Test
  void nothingIsMovedOnceClosed() {
    long block = memory.allocate(BLOCK, NODE_0);
    NodeArena arena = memory.arena(NODE_0);
    Placement target = device().placement();
    memory.move(block, target);
    memory.close();
    assertThrows(IllegalStateException.class, () -> memory.move(block, target));
    assertThrows(IllegalStateException.class, () -> memory.move(arena, target));
    assertThrows(IllegalStateException.class, () -> memory.free(block));
  }
}
