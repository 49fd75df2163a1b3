/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.cdmalloc.NodeMemoryExhaustedException.Attempt;
import org.cdmalloc.NodeMemoryExhaustedException.Reason;
import org.cdmalloc.topology.LoadRule;
import org.cdmalloc.topology.NodeMask;
import org.cdmalloc.topology.SpillMode;
import org.cdmalloc.topology.Zonelist.Kind;
import org.junit.jupiter.api.Test;

/** What {@link DeviceNode#spilling} promises. */
abstract class SpillContract extends AccountContract {
  private static final int SMALL = 64 << 10;

  /** Fills the device; what is asked of it next can only be spilled. */
  private DeviceNode full() {
    DeviceNode root = device();
    root.allocate(ARENA_BYTES);
    return root;
  }

  /** The first system node of the device's fallback list: where it spills to. */
  final int nearest() {
    return memory
        .machine()
        .zonelists(NodeMask.of(ARENA), LoadRule.ACCUMULATE, SpillMode.RAM)
        .stream()
        .filter(list -> list.node() == ARENA)
        .findFirst()
        .orElseThrow()
        .fallback()
        .get(1);
  }

  private long usedOfSystem() {
    return memory.report().system().usedBytes();
  }

  @Test
  void aSpillEndsExactlyAtItsBudget() {
    SpillBudget budget = SpillBudget.ofBytes(4 * SMALL);
    DeviceNode holder = full().spilling(budget);
    List<Long> blocks = new ArrayList<>();
    for (int i = 1; i <= 4; i++) {
      blocks.add(holder.allocate(SMALL));
      assertEquals((long) i * SMALL, budget.spilledBytes());
    }
    // "nearest node to the device first"
    assertEquals(4 * SMALL, report(nearest()).usedBytes());
    assertEquals(0, holder.tryAllocate(1));
    NodeMemoryExhaustedException refused =
        assertThrows(NodeMemoryExhaustedException.class, () -> holder.allocate(1));
    assertEquals(1, refused.attempts().size());
    String detail = refused.attempts().get(0).detail();
    assertTrue(detail.contains("not spilled, spill_budget_bytes=" + 4 * SMALL), detail);
    assertEquals(4 * SMALL, only(holder).spilledBytes());
    assertEquals(4 * SMALL, only(device()).spilledBytes());
    assertEquals(4 * SMALL, only(holder).spillBudgetBytes());
    assertEquals(
        new DeviceBlock(holder.holder(), blocks.get(0), SMALL, SMALL), holder.outstanding().get(0));
    memory.free(blocks.remove(0));
    assertEquals(3 * SMALL, budget.spilledBytes());
    assertEquals(0, holder.tryAllocate(SMALL + 1));
    blocks.add(holder.allocate(SMALL));
    assertEquals(4 * SMALL, budget.spilledBytes());
    blocks.forEach(holder::free);
    assertEquals(0, budget.spilledBytes());
    assertEquals(0, usedOfSystem());
    assertEquals(0, used(holder));
  }

  @Test
  void aBudgetOfNothingIsStrict() {
    DeviceNode root = full();
    for (DeviceNode strict :
        List.of(
            root,
            root.spilling(SpillBudget.ofBytes(0)),
            root.spilling(SpillBudget.ofBytes(MEBIBYTE)).spilling(SpillBudget.ofBytes(0)))) {
      assertEquals(0, strict.tryAllocate(1));
      NodeMemoryExhaustedException refused =
          assertThrows(NodeMemoryExhaustedException.class, () -> strict.allocate(1));
      assertEquals(List.of(ARENA), refused.attempts().stream().map(Attempt::node).toList());
      assertEquals(0, usedOfSystem());
      assertEquals(0, memory.report().system().committedBytes());
    }
    assertThrows(IllegalArgumentException.class, () -> SpillBudget.ofBytes(-1));
    assertEquals("SpillBudget[spilledBytes=0, limitBytes=7]", SpillBudget.ofBytes(7).toString());
  }

  @Test
  void nothingIsSpilledWhileTheDeviceHasRoom() {
    SpillBudget budget = SpillBudget.ofBytes(MEBIBYTE);
    DeviceNode holder = device().spilling(budget);
    long block = holder.allocate(ARENA_BYTES);
    assertEquals(0, budget.spilledBytes());
    long spilled = holder.allocate(1);
    assertEquals(PAGE, budget.spilledBytes());
    NumaCounters wanted = report(ARENA).counters();
    NumaCounters served = report(nearest()).counters();
    assertEquals(1, wanted.numaForeign());
    assertEquals(1, served.numaMiss());
    assertEquals(0, served.numaHit());
    holder.free(block);
    holder.free(holder.allocate(1));
    assertEquals(PAGE, budget.spilledBytes());
    holder.free(spilled);
    assertEquals(0, budget.spilledBytes());
    assertNothingTaken();
  }

  @Test
  void aSpillStopsAtTheLowMarkOfTheNodeItLandsOn() {
    SpillBudget budget = SpillBudget.ofBytes(Long.MAX_VALUE);
    DeviceNode holder = full().spilling(budget);
    List<Long> blocks = new ArrayList<>();
    for (long block = holder.tryAllocate(SMALL); block != 0; block = holder.tryAllocate(SMALL)) {
      blocks.add(block);
    }
    assertNotEquals(0, blocks.size());
    assertEquals((long) blocks.size() * SMALL, budget.spilledBytes());
    for (NodeReport node : memory.report().nodes()) {
      if (node.kind() == Kind.SYSTEM) {
        assertTrue(node.freeBytes() >= node.marks().lowBytes(), node::toString);
      }
    }
    NodeMemoryExhaustedException refused =
        assertThrows(NodeMemoryExhaustedException.class, () -> holder.allocate(SMALL));
    assertEquals(ARENA, refused.attempts().get(0).node());
    assertEquals(nearest(), refused.attempts().get(1).node());
    assertEquals(Reason.LOW_MARK, refused.attempts().get(1).reason());
    assertEquals((long) blocks.size() * SMALL, budget.spilledBytes());
    // What the mark keeps serves those that insist on the node.
    int node = nearest();
    memory.allocate(report(node).marks().lowBytes() / 2, Placement.onNode(node));
    blocks.forEach(memory::free);
    assertEquals(0, budget.spilledBytes());
  }

  @Test
  void aFailedRequestReturnsItsReservation() {
    SpillBudget budget = SpillBudget.ofBytes(Long.MAX_VALUE);
    SpillBudget narrow = SpillBudget.ofBytes(2 * MEBIBYTE);
    DeviceNode wide = full().withQuota(1L << 40).spilling(budget);
    DeviceNode holder = wide.spilling(narrow);
    // The second budget is too small: the first gets back what was taken of it.
    assertEquals(0, holder.tryAllocate(3 * MEBIBYTE));
    assertEquals(0, budget.spilledBytes());
    // No node has as much.
    assertEquals(0, wide.tryAllocate(1L << 36));
    assertThrows(NodeMemoryExhaustedException.class, () -> wide.allocate(1L << 36));
    List<Long> blocks = exhaustSystemMemory(SMALL);
    assertEquals(0, holder.tryAllocate(MEBIBYTE));
    NodeMemoryExhaustedException refused =
        assertThrows(NodeMemoryExhaustedException.class, () -> holder.allocate(MEBIBYTE));
    assertEquals(Reason.LOW_MARK, refused.attempts().get(1).reason());
    try (NodeArena arena = holder.arena()) {
      assertEquals(0, arena.tryAllocate(MEBIBYTE));
    }
    assertEquals(0, budget.spilledBytes() + narrow.spilledBytes());
    assertEquals(0, used(wide));
    assertEquals(0, only(wide).spilledBytes());
    blocks.forEach(memory::free);
  }

  @Test
  void aBlockThatIsMovedBackIsCredited() {
    DeviceNode root = device();
    long all = root.allocate(ARENA_BYTES);
    SpillBudget budget = SpillBudget.ofBytes(UNIT);
    DeviceNode holder = root.withQuota(UNIT).spilling(budget);
    long block = holder.allocate(UNIT);
    assertEquals(UNIT, budget.spilledBytes());
    root.free(all);
    assertEquals(0, holder.tryAllocate(1));
    // It was paid for already: its quota of one unit is enough to move it.
    memory.move(block, holder.placement());
    assertEquals(0, budget.spilledBytes());
    assertEquals(UNIT, used(holder));
    assertEquals(List.of(new DeviceBlock(holder.holder(), block, UNIT, 0)), holder.outstanding());
    // "a block of the device that is moved to system memory by name takes nothing of the budget"
    memory.move(block, NODE_0);
    assertEquals(0, budget.spilledBytes());
    memory.free(block);
    assertEquals(0, budget.spilledBytes());
    assertEquals(0, used(root));
    assertEquals(0, report(ARENA).movedInBytes());
  }

  @Test
  void budgetsAddUpAndMayBeShared() {
    SpillBudget shared = SpillBudget.ofBytes(2 * SMALL);
    SpillBudget narrow = SpillBudget.ofBytes(SMALL);
    DeviceNode root = full();
    DeviceNode first = root.spilling(shared);
    DeviceNode second = root.named("second").spilling(shared);
    // The same budget again is still one number.
    DeviceNode again = first.spilling(shared).withQuota(MEBIBYTE);
    DeviceNode narrower = second.spilling(narrow);
    long block = again.allocate(SMALL);
    assertEquals(SMALL, shared.spilledBytes());
    long other = narrower.allocate(SMALL);
    assertEquals(SMALL, narrow.spilledBytes());
    assertEquals(0, first.tryAllocate(1));
    memory.free(block);
    // The narrower one is used up, the shared one is not.
    assertEquals(0, narrower.tryAllocate(1));
    assertEquals(SMALL, shared.spilledBytes());
    assertNotEquals(0, first.tryAllocate(SMALL));
    memory.free(other);
    assertEquals(0, narrow.spilledBytes());
  }

  @Test
  void allHoldersOfADeviceStayTogetherBelowItsCeiling() {
    NodeAttributes bounded = NodeAttributes.COHERENT_DEVICE.withSpillCeiling(3 * SMALL);
    try (NodeAllocator other =
        builder().deviceArena(ARENA, 0, ARENA_BYTES).attributes(ARENA, bounded).open()) {
      assertEquals(bounded, other.attributes(ARENA));
      DeviceNode root = other.device(ARENA);
      root.online();
      root.allocate(ARENA_BYTES);
      // Each budget would do for all, and both are more than the ceiling.
      SpillBudget budget = SpillBudget.ofBytes(3 * SMALL);
      DeviceNode first = root.spilling(budget);
      DeviceNode second = root.spilling(SpillBudget.ofBytes(Long.MAX_VALUE));
      assertEquals(3 * SMALL, only(second).spillBudgetBytes());
      long block = first.allocate(SMALL);
      second.allocate(2 * SMALL);
      assertEquals(0, first.tryAllocate(1));
      assertEquals(0, second.tryAllocate(1));
      String detail =
          assertThrows(NodeMemoryExhaustedException.class, () -> first.allocate(1))
              .attempts()
              .get(0)
              .detail();
      String ceiling =
          "not spilled, spill_ceiling_bytes=" + 3 * SMALL + ", spilled_bytes=" + 3 * SMALL;
      assertTrue(detail.contains(ceiling), detail);
      assertEquals(SMALL, budget.spilledBytes());
      other.free(block);
      assertEquals(0, second.tryAllocate(SMALL + 1));
      assertNotEquals(0, second.tryAllocate(SMALL));
      assertEquals(0, budget.spilledBytes());
    }
  }

  @Test
  void aQuotaCountsWhatIsSpilled() {
    SpillBudget budget = SpillBudget.ofBytes(MEBIBYTE);
    DeviceNode holder = full().withQuota(SMALL).spilling(budget);
    try (NodeArena arena = holder.arena()) {
      arena.allocate(SMALL);
      assertEquals(0, arena.tryAllocate(1));
      assertEquals(SMALL, budget.spilledBytes());
    }
    assertEquals(0, budget.spilledBytes());
    assertEquals(0, used(holder));
  }

  @Test
  void aSpillStaysWithinItsBudgetUnderThreads() throws InterruptedException {
    SpillBudget budget = SpillBudget.ofBytes(3 * SMALL);
    DeviceNode root = full();
    List<Callable<Void>> tasks = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      DeviceNode holder = root.spilling(budget);
      tasks.add(
          () -> {
            for (int round = 0; round < 150; round++) {
              long block = holder.tryAllocate(SMALL);
              assertTrue(budget.spilledBytes() <= 3 * SMALL);
              if (block != 0) {
                memory.free(block);
              }
            }
            return null;
          });
    }
    atOnce("spill under threads", tasks);
    assertEquals(0, budget.spilledBytes());
    assertEquals(0, usedOfSystem());
    DeviceNode holder = root.spilling(budget);
    for (int i = 0; i < 3; i++) {
      holder.allocate(SMALL);
    }
    assertEquals(0, holder.tryAllocate(1));
  }
}
