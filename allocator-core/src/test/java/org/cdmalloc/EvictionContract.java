/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import org.cdmalloc.NodeMemoryExhaustedException.Reason;
import org.junit.jupiter.api.Test;

/** What {@link NodeAttributes#evict()} promises. */
abstract class EvictionContract extends LoanContract {
  private static final long BLOCK = MEBIBYTE;
  private static final int BLOCKS = (int) (ARENA_BYTES / BLOCK);

  private static NodeAttributes demoting() {
    return NodeAttributes.COHERENT_DEVICE.withReclaim(true).withDemotionTarget(0);
  }

  private DeviceNode evicting(long ceilingBytes) {
    DeviceNode device = memory.device(ARENA);
    device.setAttributes(demoting().withEvict(true).withSpillCeiling(ceilingBytes));
    device.online();
    return device;
  }

  private static List<Long> fill(DeviceNode device) {
    List<Long> blocks = new ArrayList<>();
    for (int i = 0; i < BLOCKS; i++) {
      blocks.add(device.allocate(BLOCK));
    }
    return blocks;
  }

  private void use(DeviceNode device, long block) {
    assertTrue(device.lend(block).complete());
  }

  private long promoted() {
    return report(ARENA).promotedBytes();
  }

  private boolean isMemory() {
    return !memory.source().name().equals("addresses");
  }

  private void write(long block, long value) {
    if (isMemory()) {
      memory.buffer(block, PAGE).putLong(0, value);
    }
  }

  private void assertHolds(long block, long value) {
    if (isMemory()) {
      assertEquals(value, memory.buffer(block, PAGE).getLong(0));
    }
  }

  @Test
  void theBlocksGiveWayThatWereNotUsedForTheLongestTime() {
    DeviceNode device = evicting(NodeAttributes.UNLIMITED);
    List<Long> blocks = fill(device);
    blocks.forEach(block -> write(block, block));
    use(device, blocks.get(0));
    memory.move(blocks.get(2), device.placement());
    device.pin(blocks.get(3)).close();
    // Memory comes in units of 2 MiB, so two blocks give way to one.
    long more = device.allocate(BLOCK);
    assertEquals(2 * BLOCK, report(ARENA).movedOutBytes());
    assertEquals(2 * BLOCK, report(ARENA).demotedBytes());
    assertEquals(2 * BLOCK, report(0).movedInBytes());
    assertEquals((BLOCKS + 1) * BLOCK, only(device).usedBytes(), "all are still charged");
    assertEquals(0, promoted());
    for (int used : new int[] {0, 2, 3, 5, 6, 7}) {
      use(device, blocks.get(used));
      assertEquals(0, promoted(), "block " + used + " gave way");
    }
    // "comes back when it is lent", as far as others give way again.
    for (int evicted : new int[] {1, 4}) {
      long before = promoted();
      use(device, blocks.get(evicted));
      assertEquals(before + BLOCK, promoted(), "block " + evicted);
    }
    blocks.forEach(block -> assertHolds(block, block));
    blocks.forEach(memory::free);
    memory.free(more);
    assertNothingTaken();
    assertEquals(0, report(0).movedInBytes());
    assertNotEquals(0, device.tryAllocate(ARENA_BYTES), "nothing was lost");
  }

  @Test
  void nothingGivesWayUnlessItIsTold() {
    assertEquals(false, NodeAttributes.COHERENT_DEVICE.evict());
    DeviceNode device = memory.device(ARENA);
    device.setAttributes(demoting());
    device.online();
    List<Long> blocks = fill(device);
    assertEquals(0, device.tryAllocate(1));
    assertEquals(ARENA_BYTES, report(ARENA).reservedBytes());
    assertEquals(0, report(ARENA).demotedBytes());
    blocks.forEach(memory::free);
  }

  @Test
  void blocksGiveWayBelowTheCeilingOnly() {
    DeviceNode device = evicting(2 * BLOCK);
    assertEquals(ARENA_BYTES + 2 * BLOCK, report(ARENA).reservedBytes());
    List<Long> blocks = fill(device);
    blocks.add(device.allocate(2 * BLOCK));
    NodeMemoryExhaustedException full =
        assertThrows(NodeMemoryExhaustedException.class, () -> device.allocate(1));
    assertEquals(Reason.FULL, full.attempts().get(0).reason());
    String detail = full.attempts().get(0).detail();
    assertTrue(
        detail.contains("evicted_bytes=0, wanted_bytes=2097152, node=0: spill_ceiling_bytes="),
        detail);
    blocks.forEach(memory::free);
    // What gave way is given back to the ceiling.
    blocks.clear();
    blocks.addAll(fill(device));
    blocks.add(device.allocate(BLOCK));
    blocks.forEach(memory::free);
    assertNothingTaken();
  }

  @Test
  void whatIsPinnedOrLentStays() {
    DeviceNode device = evicting(NodeAttributes.UNLIMITED);
    long pinned = device.allocate(BLOCK);
    long lent = device.allocate(BLOCK);
    List<Long> rest = new ArrayList<>();
    for (int i = 2; i < BLOCKS; i++) {
      rest.add(device.allocate(BLOCK));
    }
    DevicePin pin = device.pin(pinned);
    DeviceLoan loan = device.lend(lent);
    // All others give way, but no more.
    List<Long> more = new ArrayList<>();
    List<DeviceLoan> loans = new ArrayList<>(List.of(loan));
    for (int i = 2; i < BLOCKS; i++) {
      long block = device.allocate(BLOCK);
      more.add(block);
      loans.add(device.lend(block));
    }
    assertEquals(0, device.tryAllocate(BLOCK));
    assertEquals((BLOCKS - 2) * BLOCK, report(ARENA).movedOutBytes());
    assertTrue(pin.isInPlace());
    // One that gave way finds nobody to give way to it, and is lent where it lies.
    assertTrue(device.lend(rest.get(0)).complete());
    assertEquals(0, promoted());
    assertThrows(NodeMemoryExhaustedException.class, () -> device.pin(rest.get(1)));
    loans.forEach(DeviceLoan::complete);
    assertTrue(device.lend(rest.get(0)).complete());
    assertEquals(BLOCK, promoted());
    pin.close();
    more.forEach(memory::free);
    rest.forEach(memory::free);
    memory.free(lent);
    memory.free(pinned);
    assertNothingTaken();
  }

  @Test
  void blocksGiveWayToWhatIsMovedAndPinnedHere() {
    DeviceNode device = evicting(NodeAttributes.UNLIMITED);
    List<Long> blocks = fill(device);
    long moved = memory.allocate(BLOCK, NODE_0);
    assertTrue(memory.move(moved, device.placement()).isComplete());
    assertEquals(BLOCK, report(ARENA).movedInBytes());
    long pinned = memory.allocate(BLOCK, NODE_0);
    DevicePin pin = device.pin(pinned);
    assertTrue(pin.isInPlace());
    assertEquals(2 * BLOCK, report(ARENA).movedInBytes());
    assertEquals(2 * BLOCK, report(ARENA).demotedBytes());
    // One that gave way is pinned: it comes back, and others go.
    DevicePin back = device.pin(blocks.get(0));
    assertTrue(back.isInPlace());
    assertEquals(BLOCK, promoted());
    back.close();
    pin.close();
    blocks.forEach(memory::free);
    memory.free(moved);
    memory.free(pinned);
    assertNothingTaken();
  }

  @Test
  void theDeviceMakesRoomBeforeAHolderSpillsAndSpillsWhereItCannot() {
    DeviceNode device = evicting(2 * BLOCK);
    SpillBudget budget = SpillBudget.ofBytes(4 * BLOCK);
    DeviceNode spilling = device.spilling(budget);
    List<Long> blocks = fill(device);
    blocks.add(spilling.allocate(BLOCK));
    assertEquals(0, budget.spilledBytes());
    blocks.add(spilling.allocate(BLOCK));
    assertEquals(0, budget.spilledBytes());
    // The ceiling is one for both.
    assertEquals(0, spilling.tryAllocate(BLOCK));
    memory.free(blocks.remove(0));
    memory.free(blocks.remove(0));
    long spilled = spilling.allocate(2 * BLOCK);
    assertEquals(2 * BLOCK, budget.spilledBytes() + report(ARENA).movedOutBytes());
    memory.free(spilled);
    blocks.forEach(memory::free);
    assertNothingTaken();
  }

  @Test
  void theTargetKeepsItsLowMark() {
    DeviceNode device = evicting(NodeAttributes.UNLIMITED);
    List<Long> blocks = fill(device);
    List<Long> rest = exhaustSystemMemory((int) BLOCK);
    String full =
        assertThrows(NodeMemoryExhaustedException.class, () -> device.allocate(1)).getMessage();
    assertTrue(full.contains("evicted_bytes=0"), full);
    assertEquals(0, report(ARENA).movedOutBytes());
    rest.forEach(memory::free);
    blocks.add(device.allocate(1));
    blocks.forEach(memory::free);
    assertNothingTaken();
  }

  @Test
  void aDrainAndALaterLifeLeaveWhatGaveWayWhereItIs() {
    DeviceNode device = evicting(NodeAttributes.UNLIMITED);
    List<Long> blocks = fill(device);
    blocks.forEach(block -> write(block, block));
    blocks.add(device.allocate(BLOCK));
    write(blocks.get(BLOCKS), blocks.get(BLOCKS));
    assertTrue(device.offline().isOffline());
    assertEquals((BLOCKS + 1) * BLOCK, report(0).movedInBytes());
    // Evicting or not is settled before the first block has its address.
    device.setAttributes(demoting());
    String refused =
        assertThrows(
                IllegalStateException.class, () -> device.setAttributes(demoting().withEvict(true)))
            .getMessage();
    assertTrue(refused.contains("live_blocks=9; free"), refused);
    device.online();
    blocks.forEach(block -> assertHolds(block, block));
    for (long block : blocks.subList(0, BLOCKS - 1)) {
      memory.move(block, device.placement());
    }
    // Its node does not evict any more.
    assertThrows(
        NodeMemoryExhaustedException.class,
        () -> memory.move(blocks.get(BLOCKS), device.placement()));
    blocks.forEach(memory::free);
    assertTrue(device.offline().isOffline());
    device.setAttributes(demoting().withEvict(true));
    device.online();
    List<Long> again = fill(device);
    again.add(device.allocate(BLOCK));
    again.forEach(memory::free);
    assertNothingTaken();
  }

  @Test
  void anybodysBlockGivesWayAndIsFreedByAnybody() {
    DeviceNode device = evicting(NodeAttributes.UNLIMITED);
    DeviceNode tenant = device.named("tenant");
    NodeArena arena = tenant.arena();
    for (int i = 0; i < BLOCKS; i++) {
      arena.allocate(BLOCK);
    }
    tenant.revoke();
    List<Long> blocks = fill(device);
    assertEquals(ARENA_BYTES, report(ARENA).movedOutBytes());
    arena.close();
    assertEquals(0, report(ARENA).movedOutBytes());
    assertEquals(0, report(0).movedInBytes());
    blocks.forEach(memory::free);
    assertNothingTaken();
  }

  @Test
  void moreThanTheDeviceHasIsNeverMadeRoomFor() {
    DeviceNode device = evicting(NodeAttributes.UNLIMITED);
    List<Long> blocks = fill(device);
    assertEquals(0, device.tryAllocate(ARENA_BYTES + 1));
    assertEquals(0, report(ARENA).demotedBytes());
    long whole = device.allocate(ARENA_BYTES);
    assertEquals(ARENA_BYTES, report(ARENA).demotedBytes());
    memory.free(whole);
    blocks.forEach(memory::free);
    assertNothingTaken();
  }

  @Test
  void nothingGivesWayInVain() {
    DeviceNode device = evicting(NodeAttributes.UNLIMITED);
    List<Long> blocks = fill(device);
    List<DevicePin> pins = new ArrayList<>();
    blocks.subList(0, BLOCKS - 3).forEach(block -> pins.add(device.pin(block)));
    // Three blocks may go, and four would have to.
    String full =
        assertThrows(NodeMemoryExhaustedException.class, () -> device.allocate(4 * BLOCK))
            .getMessage();
    assertTrue(full.contains("evicted_bytes=0"), full);
    assertEquals(0, report(ARENA).demotedBytes());
    blocks.add(device.allocate(2 * BLOCK));
    assertEquals(3 * BLOCK, report(ARENA).demotedBytes(), "above the high mark");
    pins.forEach(DevicePin::close);
    blocks.forEach(memory::free);
    assertNothingTaken();
  }

  @Test
  void aCeilingMayBeAnyNumberOfBytes() {
    DeviceNode device = evicting(BLOCK + 1);
    long region = report(ARENA).reservedBytes();
    assertEquals(ARENA_BYTES + UNIT, region, "in whole units");
    List<Long> blocks = fill(device);
    assertEquals(0, device.tryAllocate(BLOCK), "one may give way, and memory comes for two");
    assertEquals(BLOCK, report(ARENA).demotedBytes());
    blocks.forEach(memory::free);
    assertNothingTaken();
  }

  @Test
  void aRunThatTheDeviceCannotHoldMovesNothing() {
    NodeAllocator.Builder builder = builder().deviceArena(ARENA, 0, 6 * BLOCK);
    try (NodeAllocator other = builder.open()) {
      DeviceNode device = other.device(ARENA);
      device.setAttributes(demoting().withEvict(true));
      device.online();
      for (int i = 0; i < 6; i++) {
        device.allocate(BLOCK);
      }
      assertEquals(0, device.tryAllocate(5 * BLOCK), "its blocks are of 4 MiB");
      assertEquals(0, other.report().node(ARENA).demotedBytes());
      long larger = other.allocate(5 * BLOCK, NODE_0);
      assertTrue(other.move(larger, device.placement()).isComplete(), "it has its addresses");
      assertEquals(5 * BLOCK, other.report().node(ARENA).movedInBytes());
    }
  }

  @Test
  void memoryThatNobodyUsesGivesWayFirst() {
    DeviceNode device = evicting(NodeAttributes.UNLIMITED);
    long block = device.allocate(UNIT);
    memory.move(block, NODE_0);
    device.free(device.allocate(ARENA_BYTES));
    assertEquals(ARENA_BYTES, report(ARENA).committedBytes());
    assertTrue(memory.move(block, device.placement()).isComplete());
    assertEquals(0, report(ARENA).demotedBytes());
    memory.free(block);
    assertNothingTaken();
  }

  @Test
  void whoseBlockItIsNotBringsNothingBack() {
    DeviceNode device = evicting(NodeAttributes.UNLIMITED);
    DeviceNode one = device.named("one");
    DeviceNode other = device.named("other");
    List<Long> blocks = fill(one);
    blocks.add(one.allocate(2 * BLOCK));
    long demoted = report(ARENA).demotedBytes();
    assertThrows(NodeAccessException.class, () -> other.lend(blocks.get(0)));
    assertEquals(0, promoted());
    assertEquals(demoted, report(ARENA).demotedBytes());
    use(device, blocks.get(0));
    assertEquals(BLOCK, promoted(), "who stands above lends it");
    blocks.forEach(memory::free);
    assertNothingTaken();
  }

  /** A device of 8 MiB serves 20 MiB to threads that use their blocks as they like. */
  @Test
  void contentsAreRightWhileBlocksComeAndGo() throws InterruptedException {
    long seed = System.nanoTime();
    DeviceNode device = evicting(NodeAttributes.UNLIMITED);
    List<Callable<Void>> tasks = new ArrayList<>();
    for (int thread = 0; thread < 3; thread++) {
      SplittableRandom random = new SplittableRandom(seed + thread);
      tasks.add(
          () -> {
            churn(device, random);
            return null;
          });
    }
    atOnce("seed=" + seed, tasks);
    assertNothingTaken();
    assertEquals(0, only(device).usedBytes());
    assertEquals(0, report(0).movedInBytes());
    assertTrue(report(ARENA).promotedBytes() > 0, "nothing came back");
    assertTrue(report(ARENA).demotedBytes() >= report(ARENA).promotedBytes());
    // Twice: what was freed while it was away may need what the first one gives back.
    memory.trim();
    memory.trim();
    assertEquals(0, report(ARENA).committedBytes());
    assertNotEquals(0, device.tryAllocate(ARENA_BYTES), "nothing was lost");
  }

  private void churn(DeviceNode device, SplittableRandom random) {
    List<Long> blocks = new ArrayList<>();
    for (int step = 0; step < 400; step++) {
      if (blocks.size() < 12 && random.nextInt(3) > 0) {
        long block = device.tryAllocate((1 + random.nextInt(16)) * (64L << 10));
        if (block != 0) {
          write(block, block);
          blocks.add(block);
        }
      } else if (!blocks.isEmpty()) {
        int which = random.nextInt(blocks.size());
        long block = blocks.get(which);
        assertHolds(block, block);
        switch (random.nextInt(3)) {
          case 0 -> memory.free(blocks.remove(which));
          case 1 -> lend(device, block);
          default -> memory.residency(block);
        }
      }
    }
    blocks.forEach(block -> assertHolds(block, block));
    blocks.forEach(memory::free);
  }

  private void lend(DeviceNode device, long block) {
    DeviceLoan loan = device.lend(block);
    if (isMemory()) {
      ByteBuffer view = loan.buffer();
      assertEquals(block, view.getLong(0));
    }
    loan.complete();
  }
}
