/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.cdmalloc.DrainReport.Blocker;
import org.cdmalloc.DrainReport.Cause;
import org.cdmalloc.NodeMemoryExhaustedException.Reason;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.Test;

/** What {@link DeviceNode} promises of a node that comes and goes. */
abstract class LifeCycleContract extends MoveContract {
  private static final long BLOCK = MEBIBYTE;

  /** As large as OS pages are anywhere. */
  private static final int LARGE_PAGE = 64 << 10;

  private void assertNothingThere() {
    NodeReport report = report(ARENA);
    assertFalse(report.online());
    assertEquals(0, report.committedBytes());
    assertEquals(0, report.usedBytes());
    assertEquals(0, report.movedInBytes());
  }

  private static Blocker outstanding(String holder, long address) {
    return new Blocker(
        Cause.OUTSTANDING, holder, address, BLOCK, "free it, or move it to another node");
  }

  @Test
  void anEmptyNodeGoesOfflineAndOnlineAgain() {
    DeviceNode device = memory.device(ARENA);
    assertEquals(NodeState.POSSIBLE, device.state());
    assertEquals(NodeState.POSSIBLE, report(ARENA).state());
    // "IllegalStateException if the node was never online"
    assertThrows(IllegalStateException.class, device::offline);
    for (int round = 0; round < 3; round++) {
      device.online();
      assertEquals(NodeState.ONLINE, device.state());
      long block = device.allocate(BLOCK);
      device.free(block);
      DrainReport drained = device.offline();
      assertEquals(new DrainReport(ARENA, NodeState.OFFLINE, 0, List.of()), drained);
      assertTrue(drained.isOffline());
      assertEquals(NodeState.OFFLINE, device.state());
      assertNothingThere();
      assertEquals(0, report(ARENA).reservedBytes());
      // Whatever lay there is of nobody now.
      assertThrows(IllegalArgumentException.class, () -> memory.free(block));
      String offline =
          assertThrows(IllegalStateException.class, () -> device.allocate(1)).getMessage();
      assertTrue(offline.contains("state=OFFLINE; call DeviceNode.online()"), offline);
      assertEquals(drained, device.offline(), "a second time");
    }
  }

  @Test
  void aDrainNamesWhatBlocksItAndWhoPays() {
    DeviceNode root = device();
    DeviceNode cache = root.named("cache");
    long kept = root.allocate(BLOCK);
    long cached = cache.allocate(BLOCK);
    NodeArena arena = cache.arena();
    long scoped = arena.allocate(BLOCK);
    String holder = root.holder();
    List<Blocker> all =
        List.of(
            outstanding(holder, kept),
            outstanding(holder + "/cache", cached),
            outstanding(holder + "/cache", scoped));
    assertEquals(new DrainReport(ARENA, NodeState.DRAINING, 0, all), root.offline());
    assertEquals(NodeState.DRAINING, report(ARENA).state());
    assertTrue(report(ARENA).online());
    // "what lies there can be used as before"
    assertEquals(BLOCK, memory.usableBytes(cached));
    assertTrue(memory.residency(cached).isAllOn(0));
    memory.free(cached);
    arena.close();
    assertEquals(all.subList(0, 1), root.offline().blockers());
    root.free(kept);
    assertTrue(root.offline().isOffline());
    assertNothingThere();
  }

  @Test
  void aDrainingNodeIsFullToItsHolders() {
    DeviceNode root = device();
    SpillBudget budget = SpillBudget.ofBytes(BLOCK);
    DeviceNode spilling = root.spilling(budget);
    long block = root.allocate(BLOCK);
    root.offline();
    assertEquals(0, root.tryAllocate(1));
    NodeMemoryExhaustedException full =
        assertThrows(NodeMemoryExhaustedException.class, () -> root.allocate(1));
    assertEquals(Reason.DRAINING, full.attempts().get(0).reason());
    assertTrue(full.getMessage().contains("is being taken offline"), full::getMessage);
    assertThrows(
        NodeMemoryExhaustedException.class,
        () -> memory.move(memory.allocate(BLOCK, NODE_0), root.placement()));
    long spilled = spilling.allocate(BLOCK);
    assertEquals(BLOCK, budget.spilledBytes());
    // Whoever needs the node after all ends the drain.
    root.online();
    assertEquals(NodeState.ONLINE, root.state());
    root.free(root.allocate(BLOCK));
    root.free(block);
    root.free(spilled);
    assertTrue(root.offline().isOffline());
    root.online();
    assertNotEquals(0, root.tryAllocate(ARENA_BYTES));
  }

  @Test
  void whatWasMovedAwayKeepsItsAddressAndBlocksNothing() {
    DeviceNode root = device();
    // Units of 2 MiB that the block shares with others, and one of its own.
    long before = root.allocate(BLOCK / 2);
    long away = root.allocate(3 * BLOCK, PAGE);
    long after = root.allocate(BLOCK / 2);
    memory.move(away, NODE_0);
    root.free(before);
    root.free(after);
    assertTrue(root.offline().isOffline());
    assertNothingThere();
    assertEquals(3 * BLOCK, report(ARENA).movedOutBytes());
    assertEquals(3 * BLOCK, memory.usableBytes(away));
    assertEquals(3 * BLOCK, only(root).usedBytes(), "it is still charged");
    // It cannot come back before the node does.
    assertThrows(IllegalStateException.class, () -> memory.move(away, root.placement()));
    root.online();
    memory.move(away, root.placement());
    assertEquals(3 * BLOCK, report(ARENA).usedBytes());
    assertFalse(root.offline().isOffline());
    memory.free(away);
    assertTrue(root.offline().isOffline());
    root.online();
    assertNotEquals(0, root.tryAllocate(ARENA_BYTES), "nothing was lost");
  }

  @Test
  void whatWasMovedAwayIsFreedWhileTheNodeIsOffline() {
    DeviceNode root = device();
    long small = root.allocate(LARGE_PAGE);
    long away = root.allocate(3 * BLOCK);
    memory.move(away, NODE_0);
    memory.move(small, NODE_0);
    assertTrue(root.offline().isOffline());
    memory.free(away);
    memory.free(small);
    assertThrows(MemoryCorruptionError.class, () -> memory.free(away));
    assertEquals(0, report(0).movedInBytes());
    root.online();
    assertNotEquals(0, root.tryAllocate(ARENA_BYTES));
    memory.trim();
    assertEquals(1, report(ARENA).liveBlocks());
  }

  @Test
  void blocksOfSystemMemoryGoHomeWhenTheNodeIsDrained() {
    DeviceNode root = device();
    long block = memory.allocate(BLOCK, NODE_0);
    NodeArena arena = memory.arena(NODE_0);
    long scoped = arena.allocate(BLOCK);
    memory.move(block, root.placement());
    memory.move(arena, root.placement());
    assertEquals(2 * BLOCK, report(ARENA).movedInBytes());
    assertEquals(new DrainReport(ARENA, NodeState.OFFLINE, 2 * BLOCK, List.of()), root.offline());
    assertNothingThere();
    assertEquals(2 * BLOCK, report(0).usedBytes());
    assertEquals(0, only(root).usedBytes());
    memory.free(block);
    memory.free(scoped);
    assertNothingTaken();
  }

  private DeviceNode demoting(long ceilingBytes) {
    DeviceNode root = memory.device(ARENA);
    root.setAttributes(
        NodeAttributes.COHERENT_DEVICE
            .withReclaim(true)
            .withDemotionTarget(0)
            .withSpillCeiling(ceilingBytes));
    root.online();
    return root;
  }

  @Test
  void blocksGoToTheDemotionTargetOfANodeThatIsDrained() {
    DeviceNode root = demoting(NodeAttributes.UNLIMITED);
    long block = root.allocate(BLOCK);
    long scoped = root.arena().allocate(BLOCK);
    assertEquals(new DrainReport(ARENA, NodeState.OFFLINE, 2 * BLOCK, List.of()), root.offline());
    assertNothingThere();
    assertEquals(2 * BLOCK, report(0).movedInBytes());
    assertEquals(2 * BLOCK, only(root).usedBytes(), "they are still charged");
    memory.free(scoped);
    root.online();
    memory.move(block, root.placement());
    assertEquals(0, report(0).movedInBytes());
    memory.free(block);
    assertTrue(root.offline().isOffline());
    assertNothingTaken();
  }

  @Test
  void aDrainStaysBelowTheCeilingAndTheMark() {
    DeviceNode root = demoting(BLOCK);
    long first = root.allocate(BLOCK);
    long second = root.allocate(BLOCK);
    DrainReport drained = root.offline();
    assertEquals(BLOCK, drained.movedBytes());
    assertEquals(1, drained.blockers().size());
    String reason = drained.blockers().get(0).reason();
    assertTrue(reason.contains("spill_ceiling_bytes=" + BLOCK), reason);
    memory.free(first);
    assertEquals(new DrainReport(ARENA, NodeState.OFFLINE, BLOCK, List.of()), root.offline());
    memory.free(second);
    root.setAttributes(root.attributes().withSpillCeiling(NodeAttributes.UNLIMITED));
    root.online();
    long block = root.allocate(BLOCK);
    List<Long> rest = exhaustSystemMemory((int) BLOCK);
    String full = root.offline().blockers().get(0).reason();
    assertTrue(full.contains("node=0: "), full);
    memory.free(rest.remove(0));
    rest.forEach(memory::free);
    assertTrue(root.offline().isOffline());
    memory.free(block);
    assertNothingTaken();
  }

  @Test
  void aLostNodeIsToldToThoseWhoseMemoryLiesThere() {
    DeviceNode root = device();
    DeviceNode holder = root.spilling(SpillBudget.ofBytes(ARENA_BYTES));
    long lost = holder.allocate(BLOCK);
    long moved = memory.allocate(BLOCK, NODE_0);
    memory.move(moved, root.placement());
    long saved = holder.allocate(BLOCK);
    memory.move(saved, NODE_0);
    long rest = root.allocate(4 * BLOCK);
    long last = root.allocate(2 * BLOCK);
    long spilled = holder.allocate(3 * BLOCK);
    long others = memory.allocate(BLOCK, NODE_0);
    root.fail("the link is down");
    root.fail("a second time");
    assertEquals(NodeState.FAILED, root.state());
    for (long block : new long[] {lost, moved, rest, last}) {
      NodeFailedException told =
          assertThrows(NodeFailedException.class, () -> memory.move(block, NODE_0));
      assertEquals(ARENA, told.node());
      assertTrue(told.getMessage().contains("cause=the link is down"), told::getMessage);
      assertThrows(NodeFailedException.class, () -> memory.buffer(block, 1));
    }
    for (long block : new long[] {saved, spilled, others}) {
      assertTrue(memory.residency(block).isAllOn(0) || block == spilled);
      assertEquals(block == spilled ? 3 * BLOCK : BLOCK, memory.usableBytes(block));
    }
    memory.move(others, NODE_0);
    assertThrows(NodeFailedException.class, () -> holder.allocate(1));
    assertThrows(NodeFailedException.class, () -> holder.tryAllocate(1));
    assertThrows(NodeFailedException.class, root::online);
    assertThrows(NodeFailedException.class, root::offline);
    assertThrows(NodeFailedException.class, () -> memory.move(others, root.placement()));
    assertThrows(
        NodeFailedException.class, () -> root.setAttributes(NodeAttributes.COHERENT_DEVICE));
    // Everybody can clean up, and nobody else notices.
    for (long block : new long[] {lost, moved, saved, rest, last, spilled, others}) {
      memory.free(block);
    }
    memory.free(memory.allocate(BLOCK));
    assertEquals(0, only(root).usedBytes());
    assertNothingTaken();
  }

  @Test
  void anyStateMayFail() {
    memory.device(ARENA).fail("before it ever was online");
    assertThrows(NodeFailedException.class, () -> memory.device(ARENA).online());
    for (boolean drained : new boolean[] {true, false}) {
      try (NodeAllocator other = builder().deviceArena(ARENA, 0, ARENA_BYTES).open()) {
        DeviceNode device = other.device(ARENA);
        device.online();
        long block = device.allocate(1);
        if (drained) {
          device.free(block);
        }
        assertEquals(drained, device.offline().isOffline());
        device.fail("drained=" + drained);
        assertEquals(NodeState.FAILED, device.state());
        assertThrows(NodeFailedException.class, () -> device.allocate(1));
      }
    }
  }

  @Test
  void onlyTheRootChangesTheState() {
    DeviceNode root = device();
    DeviceNode narrowed = root.withQuota(BLOCK);
    // "NodeAccessException if this is not the node's root capability"
    assertThrows(NodeAccessException.class, narrowed::online);
    assertThrows(NodeAccessException.class, narrowed::offline);
    assertThrows(NodeAccessException.class, () -> narrowed.fail(""));
    assertThrows(
        NodeAccessException.class, () -> narrowed.setAttributes(NodeAttributes.COHERENT_DEVICE));
    assertEquals(NodeState.ONLINE, narrowed.state());
  }

  @Test
  void attributesAreReadOnlyWhileTheNodeIsInUse() {
    DeviceNode root = memory.device(ARENA);
    NodeAttributes noPins = NodeAttributes.COHERENT_DEVICE.withLongTermPin(false);
    NodeAttributes reclaimed = NodeAttributes.COHERENT_DEVICE.withReclaim(true);
    assertEquals(NodeAttributes.COHERENT_DEVICE, root.attributes());
    root.setAttributes(noPins);
    assertEquals(noPins, memory.attributes(ARENA));
    root.online();
    assertThrows(IllegalStateException.class, () -> root.setAttributes(reclaimed));
    long block = root.allocate(BLOCK);
    // "NodeAccessException: no blocks may be pinned on this node"
    String refused = assertThrows(NodeAccessException.class, () -> root.pin(block)).getMessage();
    assertTrue(refused.contains("longTermPin=false"), refused);
    root.offline();
    assertThrows(IllegalStateException.class, () -> root.setAttributes(reclaimed));
    root.free(block);
    root.offline();
    root.setAttributes(reclaimed);
    assertThrows(
        IllegalArgumentException.class,
        () -> root.setAttributes(reclaimed.withDemotionTarget(NO_SUCH_NODE)));
    assertThrows(
        IllegalArgumentException.class,
        () -> root.setAttributes(reclaimed.withDemotionTarget(ARENA)));
    assertEquals(reclaimed, root.attributes());
    root.setAttributes(reclaimed.withDemotionTarget(0).withSpillCeiling(0));
    root.online();
    assertEquals(
        NodeMask.of(0),
        root.attributes().demotionTarget().stream()
            .mapToObj(NodeMask::of)
            .findFirst()
            .orElseThrow());
  }
}
