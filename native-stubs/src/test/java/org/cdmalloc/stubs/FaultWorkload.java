/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.IntSupplier;
import java.util.function.Supplier;
import org.cdmalloc.DeviceNode;
import org.cdmalloc.HolderReport;
import org.cdmalloc.MoveReport;
import org.cdmalloc.NativeCallException;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.NodeMemoryExhaustedException;
import org.cdmalloc.NodeReport;
import org.cdmalloc.Placement;
import org.cdmalloc.Placement.Mode;
import org.cdmalloc.SpillBudget;
import org.cdmalloc.internal.address.BufferAddress;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Residency;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;

/**
 * A life of an allocator in one thread, the same steps each time, of which any may fail: what it
 * was given may not overlap, what failed may be asked for again, and at the end all is as it was.
 */
final class FaultWorkload {
  private static final long MEBIBYTE = 1 << 20;
  private static final int PAGE = 4096;
  private static final int DEVICE = 2;
  private static final int ARENA = 9;
  private static final long DEVICE_BYTES = 8 * MEBIBYTE;

  /** One fault fails one step once. */
  private static final int MOST_TRIES = 2;

  private static final List<Placement> SYSTEM =
      List.of(
          Placement.LOCAL,
          Placement.onNode(0),
          Placement.onNode(1),
          Placement.preferred(1),
          Placement.bind(NodeMask.of(0, 1)));

  /** What others use of node 0, so that its zone of 32 MiB is promised more than there is. */
  static final long OTHERS_BYTES = 44 * MEBIBYTE;

  /** Live blocks: start to end. */
  private final TreeMap<Long, Long> live = new TreeMap<>();

  private final List<NativeCallException> surfaced = new ArrayList<>();
  private final MemorySource source;
  private final boolean seesMemory;
  private final IntSupplier faults;
  private NodeAllocator memory;
  private int refusals;
  private int putOff;

  /**
   * Prepares the steps.
   *
   * @param source of {@link #machine()}
   * @param seesMemory whether its regions can be viewed, so that steps with buffers take part;
   *     those that commit much, to fill a node, do not: an emulated machine reads all that was
   *     committed when it takes it back
   * @param faults tells how many calls were made to fail so far
   */
  FaultWorkload(MemorySource source, boolean seesMemory, IntSupplier faults) {
    this.source = source;
    this.faults = faults;
    this.seesMemory = seesMemory;
  }

  /** Nodes 0 and 1 have CPUs, node 2 is a device. */
  static Machine machine() {
    return Machine.builder()
        .node(Node.of(0, "0-1", 64 * MEBIBYTE))
        .node(Node.of(1, "2-3", 64 * MEBIBYTE))
        .node(Node.memoryOnly(DEVICE, DEVICE_BYTES))
        .build();
  }

  /** Returns the failed calls that steps threw, in order. */
  List<NativeCallException> surfaced() {
    return surfaced;
  }

  /** Returns how many calls failed that no step threw. */
  int putOff() {
    return putOff;
  }

  /** Returns how many steps found no memory. */
  int refusals() {
    return refusals;
  }

  /** Does all steps, asking again for what failed. */
  void run() {
    memory =
        again(
            () ->
                NodeAllocator.builder()
                    .source(source)
                    .capacity(0, 32 * MEBIBYTE)
                    .capacity(1, 16 * MEBIBYTE)
                    .deviceArena(ARENA, 1, DEVICE_BYTES)
                    .magazineBytes(0)
                    .open());
    if (!seesMemory) {
      fillBeyondTheNode();
    }
    List<Placement> placements = new ArrayList<>(SYSTEM);
    for (int node : new int[] {DEVICE, ARENA}) {
      DeviceNode device = memory.device(node);
      again(
          () -> {
            device.online();
            return device;
          });
      placements.add(device.placement());
    }
    placements.add(memory.device(DEVICE).withQuota(DEVICE_BYTES).placement());
    long blockBytes = seesMemory ? 16 * PAGE : MEBIBYTE;
    List<Long> blocks = new ArrayList<>();
    List<ByteBuffer> buffers = new ArrayList<>();
    for (Placement placement : placements) {
      blocks.add(block(PAGE, placement));
      blocks.add(block(blockBytes, placement));
      if (seesMemory) {
        buffers.add(buffer(10_000, placement));
      }
    }
    for (int i = 0; i < blocks.size(); i += 2) {
      free(blocks.get(i));
      blocks.set(i, block(2 * PAGE, placements.get(i / 2)));
    }
    move(blocks, placements);
    spill(blockBytes);
    buffers.forEach(this::free);
    blocks.forEach(this::free);
    everythingIsFree();
    again(memory::trim);
    nothingIsAway();
    placements.forEach(placement -> free(block(blockBytes, placement)));
    everythingIsFree();
    closes();
  }

  /** Commits 12 MiB with a hole of two units, then asks for 32 MiB, of which the node has 20. */
  private void fillBeyondTheNode() {
    long low = block(4 * MEBIBYTE, Placement.onNode(0));
    long high = block(8 * MEBIBYTE, Placement.onNode(0));
    free(low);
    free(high);
    assertEquals(
        0L, again(() -> memory.tryAllocate(32 * MEBIBYTE, Placement.onNode(0))).longValue());
  }

  private long block(long bytes, Placement placement) {
    long address = again(() -> memory.allocate(bytes, placement));
    handedOut(address, bytes);
    if (placement.mode() == Mode.ON_NODE || placement.mode() == Mode.DEVICE) {
      int node = placement.nodes().first();
      Residency residency = again(() -> memory.residency(address));
      assertTrue(residency.isAllOn(node == ARENA ? 1 : node), residency::toString);
    }
    return address;
  }

  private ByteBuffer buffer(int bytes, Placement placement) {
    ByteBuffer buffer = again(() -> memory.allocateBuffer(bytes, placement));
    assertEquals(bytes, buffer.capacity());
    handedOut(BufferAddress.of(buffer), bytes);
    for (int i = 0; i < bytes; i++) {
      assertEquals(0, buffer.get(i));
    }
    return buffer.putLong(0, bytes);
  }

  /** Moves some blocks to a node, their own or another; they are freed where they then are. */
  private void move(List<Long> blocks, List<Placement> placements) {
    List<Placement> targets =
        placements.stream()
            .filter(to -> to.mode() == Mode.ON_NODE || to.mode() == Mode.DEVICE)
            .toList();
    for (int i = 0; i < blocks.size(); i += 3) {
      long block = blocks.get(i);
      Placement target = targets.get(i % targets.size());
      MoveReport report = again(() -> memory.move(block, target));
      assertTrue(report.isComplete(), report::toString);
      int node = target.nodes().first();
      Residency residency = again(() -> memory.residency(block));
      assertTrue(residency.isAllOn(node == ARENA ? 1 : node), residency::toString);
    }
  }

  /** Takes all that is left of a device, and one block more; its budgets end as they began. */
  private void spill(long bytes) {
    SpillBudget budget = SpillBudget.ofBytes(bytes);
    Placement spilling = memory.device(DEVICE).spilling(budget).placement();
    List<Long> blocks = new ArrayList<>();
    while (budget.spilledBytes() == 0) {
      long address = again(() -> memory.allocate(bytes, spilling));
      handedOut(address, bytes);
      blocks.add(address);
    }
    assertEquals(bytes, budget.spilledBytes());
    blocks.forEach(this::free);
    assertEquals(0, budget.spilledBytes());
  }

  private void nothingIsAway() {
    for (NodeReport report : memory.report().nodes()) {
      assertEquals(0, report.movedInBytes(), report::toString);
      assertEquals(0, report.movedOutBytes(), report::toString);
    }
    // What lies on a device is paid for until its memory went back.
    for (HolderReport report : memory.report().holders()) {
      assertEquals(0, report.usedBytes(), report::toString);
      assertEquals(0, report.spilledBytes(), report::toString);
    }
  }

  private void handedOut(long address, long bytes) {
    Map.Entry<Long, Long> below = live.floorEntry(address);
    Long above = live.ceilingKey(address);
    assertTrue(address != 0, "no address");
    assertTrue(below == null || below.getValue() <= address, "blocks overlap");
    assertTrue(above == null || address + bytes <= above, "blocks overlap");
    live.put(address, address + bytes);
  }

  /** Free needs the platform for moved blocks only, and then puts off what fails. */
  private void free(long address) {
    int before = faults.getAsInt();
    memory.free(address);
    putOff += faults.getAsInt() - before;
    live.remove(address);
  }

  private void free(ByteBuffer buffer) {
    live.remove(BufferAddress.of(buffer));
    memory.free(buffer);
  }

  private void everythingIsFree() {
    for (NodeReport report : memory.report().nodes()) {
      assertEquals(0, report.usedBytes(), report::toString);
      assertEquals(0, report.liveBlocks(), report::toString);
    }
  }

  private void closes() {
    again(
        () -> {
          memory.close();
          return memory;
        });
    memory.close();
    assertThrows(
        IllegalStateException.class, () -> again(() -> memory.allocate(1, Placement.onNode(1))));
  }

  /** Does a step until it succeeds; what it may throw is what its documentation says. */
  private <T> T again(Supplier<T> step) {
    RuntimeException last = null;
    for (int tries = 1; tries <= MOST_TRIES; tries++) {
      try {
        return step.get();
      } catch (NativeCallException e) {
        surfaced.add(e);
        last = e;
      } catch (NodeMemoryExhaustedException e) {
        refusals++;
        last = e;
      }
    }
    throw new AssertionError("a step fails for good: surfaced=" + surfaced, last);
  }
}
