/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import org.cdmalloc.spi.AddressOnlySource;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.Diagnosis;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.MoveResult;
import org.cdmalloc.spi.Region;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What holders of a device pay for when a call of the source fails, refuses, or lets others in. */
final class DeviceFailureTest {
  private static final long MIB = 1L << 20;
  private static final int DEVICE = 2;
  private static final int ARENA = 9;
  private static final long DEVICE_BYTES = 128 * MIB;

  /** A block of two windows of a move. */
  private static final long BLOCK = 64 * MIB;

  private final MemorySource source =
      AddressOnlySource.of(
          Machine.builder()
              .node(Node.of(0, "0", 1024 * MIB))
              .node(Node.memoryOnly(DEVICE, DEVICE_BYTES))
              .build());

  /** What is done before a call of the source, by its name; true refuses a move. */
  private Map<String, BooleanSupplier> before = Map.of();

  private final NodeAllocator memory = open();

  private NodeAllocator open() {
    NodeAllocator opened =
        NodeAllocator.builder()
            .source(hooked())
            .capacity(0, 256 * MIB)
            .deviceArena(ARENA, 0, DEVICE_BYTES)
            .purgeDelay(Duration.ZERO)
            .open();
    opened.device(DEVICE).online();
    opened.device(ARENA).online();
    return opened;
  }

  @AfterEach
  void close() {
    memory.close();
  }

  private MemorySource hooked() {
    return new ForwardingSource(source) {
      @Override
      public CommitResult commit(Region region, long offset, long bytes) {
        before("commit");
        return super.commit(region, offset, bytes);
      }

      @Override
      public MoveResult move(Region region, long offset, long bytes, int node) {
        return before("move")
            ? MoveResult.refused("full", super.residency(region, offset, bytes), node)
            : super.move(region, offset, bytes, node);
      }

      @Override
      public Diagnosis diagnosis() {
        before("diagnosis");
        return super.diagnosis();
      }

      @Override
      public long purge(Region region, long offset, long bytes) {
        before("purge");
        return super.purge(region, offset, bytes);
      }
    };
  }

  private boolean before(String call) {
    return before.getOrDefault(call, () -> false).getAsBoolean();
  }

  /** Refuses, or whatever else is done, the second time. */
  private static BooleanSupplier second(BooleanSupplier then) {
    AtomicInteger calls = new AtomicInteger();
    return () -> calls.incrementAndGet() == 2 && then.getAsBoolean();
  }

  private static long used(DeviceNode holder) {
    return holder.holders().get(0).usedBytes();
  }

  /** Spills a block because a device is full, which it is no more afterwards. */
  private long spilled(DeviceNode root, DeviceNode holder) {
    long all = root.allocate(DEVICE_BYTES);
    long block = holder.allocate(BLOCK);
    root.free(all);
    return block;
  }

  @Test
  void aBlockInWorkIsNeitherListedNorFreed() {
    DeviceNode holder = memory.device(DEVICE).named("holder");
    long first = holder.allocate(4096);
    memory.free(first);
    memory.trim();
    List<DeviceBlock> listed = new ArrayList<>();
    before =
        Map.of(
            "commit",
            () -> {
              listed.addAll(holder.outstanding());
              assertThrows(MemoryCorruptionError.class, () -> memory.free(first));
              assertThrows(
                  MemoryCorruptionError.class, () -> memory.move(first, Placement.onNode(0)));
              return false;
            });
    assertEquals(first, holder.allocate(4096));
    assertEquals(List.of(), listed);
    assertEquals(List.of(new DeviceBlock(holder.holder(), first, 4096, 0)), holder.outstanding());
    assertEquals(4096, used(holder));
  }

  @Test
  void aWindowThatIsRefusedIsNotPaidForByTheDevice() {
    DeviceNode root = memory.device(ARENA);
    SpillBudget budget = SpillBudget.ofBytes(BLOCK);
    DeviceNode holder = root.spilling(budget);
    long block = spilled(root, holder);
    before = Map.of("move", second(() -> true));
    MoveReport report = memory.move(block, holder.placement());
    // The arena's memory is its host's: all of the block lies there, and half of it is the arena's.
    assertFalse(report.isComplete());
    assertEquals(BLOCK / 2, report.movedBytes());
    assertEquals(BLOCK / 2, report.unmoved().stream().mapToLong(MoveReport.Unmoved::bytes).sum());
    assertEquals(BLOCK / 2, memory.report().node(ARENA).movedInBytes());
    assertEquals(BLOCK / 2, memory.report().node(0).usedBytes());
    assertEquals(BLOCK / 2, budget.spilledBytes());
    memory.free(block);
    assertEquals(0, budget.spilledBytes());
  }

  @Test
  void aMoveThatFailsCreditsWhatCameBefore() {
    DeviceNode root = memory.device(DEVICE);
    SpillBudget budget = SpillBudget.ofBytes(BLOCK);
    DeviceNode holder = root.spilling(budget);
    long block = spilled(root, holder);
    before =
        Map.of(
            "move",
            second(
                () -> {
                  throw new NativeCallException("move_pages", 11, "EAGAIN", "pages=1");
                }));
    assertThrows(NativeCallException.class, () -> memory.move(block, holder.placement()));
    assertEquals(BLOCK / 2, memory.report().node(DEVICE).movedInBytes());
    assertEquals(BLOCK / 2, budget.spilledBytes());
    assertTrue(memory.move(block, holder.placement()).isComplete());
    assertEquals(0, budget.spilledBytes());
    assertEquals(BLOCK, used(root));
    memory.free(block);
    assertEquals(0, used(root));
  }

  @Test
  void aFreeThatFindsNoJavaHeapIsCredited() {
    DeviceNode holder = memory.device(DEVICE).withQuota(2 * MIB);
    long block = holder.allocate(2 * MIB);
    memory.move(block, Placement.onNode(0));
    before =
        Map.of(
            "purge",
            () -> {
              throw new OutOfMemoryError("of the test");
            });
    memory.free(block);
    assertEquals(0, used(holder));
    before = Map.of();
    memory.trim();
    assertEquals(0, memory.report().node(0).movedInBytes());
    assertEquals(0, memory.report().node(DEVICE).usedBytes());
    holder.allocate(2 * MIB);
  }

  @Test
  void aNodeThatIsLostWhileItComesBackIsNotTouched() {
    DeviceNode root = memory.device(DEVICE);
    long kept = root.allocate(4096);
    long away = root.allocate(4096);
    memory.move(away, Placement.onNode(0));
    assertFalse(root.offline().isOffline());
    before =
        Map.of(
            "diagnosis",
            () -> {
              root.fail("the link is down");
              return false;
            });
    assertThrows(IllegalStateException.class, root::online);
    assertEquals(NodeState.FAILED, root.state());
    // Both lie in one unit: where the node serves, memory is asked for in the place of the second.
    before = Map.of("commit", () -> fail("a lost node was asked for memory"));
    memory.free(away);
    memory.free(kept);
    memory.trim();
    assertEquals(0, used(root));
    before = Map.of();
  }

  @Test
  void aBudgetServesOtherAllocatorsAfterAClose() {
    SpillBudget budget = SpillBudget.ofBytes(2 * BLOCK);
    DeviceNode root = memory.device(DEVICE);
    root.allocate(DEVICE_BYTES);
    DeviceNode holder = root.spilling(budget);
    holder.allocate(BLOCK);
    NodeArena arena = holder.arena();
    arena.allocate(BLOCK);
    memory.close();
    assertEquals(0, budget.spilledBytes());
    arena.close();
    memory.close();
    assertEquals(0, budget.spilledBytes());
    try (NodeAllocator other = open()) {
      other.device(DEVICE).allocate(DEVICE_BYTES);
      other.device(DEVICE).spilling(budget).allocate(BLOCK);
      assertEquals(BLOCK, budget.spilledBytes());
    }
    assertEquals(0, budget.spilledBytes());
  }
}
