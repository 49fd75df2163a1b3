/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.IntSupplier;
import java.util.function.LongConsumer;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.cdmalloc.Checks;
import org.cdmalloc.DeviceLoan;
import org.cdmalloc.DeviceNode;
import org.cdmalloc.DevicePin;
import org.cdmalloc.DrainReport;
import org.cdmalloc.DrainReport.Blocker;
import org.cdmalloc.DrainReport.Cause;
import org.cdmalloc.HolderReport;
import org.cdmalloc.NativeCallException;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.NodeArena;
import org.cdmalloc.NodeAttributes;
import org.cdmalloc.NodeMemoryExhaustedException;
import org.cdmalloc.NodeReport;
import org.cdmalloc.NodeState;
import org.cdmalloc.Placement;
import org.cdmalloc.SpillBudget;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;

/**
 * The life of blocks that are pinned, lent and drained, in one thread, the same steps each time, of
 * which any may fail once: what failed leaves nothing behind, and may be asked for again.
 */
final class HeldWorkload {
  /** The source under the faults. */
  interface Books {
    /** Limits what can be locked. */
    LongConsumer limitLocks();

    /** Tells what is locked. */
    LongSupplier lockedBytes();
  }

  private static final long MEBIBYTE = 1 << 20;
  private static final int DEVICE = 2;
  private static final int ARENA = 9;
  private static final long CAPACITY = 4 * MEBIBYTE;
  private static final long ARENA_BYTES = 2 * MEBIBYTE;
  private static final int BLOCK = 32 << 10;
  private static final Placement NODE_0 = Placement.onNode(0);
  private static final Placement NODE_1 = Placement.onNode(1);

  private final MemorySource source;
  private final Books lower;
  private final boolean seesMemory;
  private final Checks checks;
  private final IntSupplier faults;

  /** What blocks are full of, by address; those that are empty are missing. */
  private final Map<Long, Integer> contents = new HashMap<>();

  /** Where blocks were allocated, by address. */
  private final Map<Long, Placement> homes = new HashMap<>();

  private NodeAllocator memory;

  /** Gives its blocks to node 0 when it is drained. */
  private DeviceNode demoted;

  /** Keeps its blocks. */
  private DeviceNode strict;

  private int lastContent;

  /**
   * Prepares the steps.
   *
   * @param source of {@link #machine()}
   * @param lower what is locked of it
   * @param seesMemory whether its regions can be viewed
   * @param checks how loans are looked after
   * @param faults tells how many calls were made to fail so far
   */
  HeldWorkload(
      MemorySource source, Books lower, boolean seesMemory, Checks checks, IntSupplier faults) {
    this.source = source;
    this.lower = lower;
    this.seesMemory = seesMemory;
    this.checks = checks;
    this.faults = faults;
  }

  /** Nodes 0 and 1 have CPUs, node 2 is a device. */
  static Machine machine() {
    return Machine.builder()
        .node(Node.of(0, "0", 4 * CAPACITY))
        .node(Node.of(1, "1", 4 * CAPACITY))
        .node(Node.memoryOnly(DEVICE, CAPACITY))
        .build();
  }

  /** Does all steps, asking again for what failed. */
  void run() {
    memory =
        again(
            () ->
                NodeAllocator.builder()
                    .source(source)
                    .capacity(0, CAPACITY)
                    .capacity(1, CAPACITY)
                    .deviceArena(ARENA, 1, ARENA_BYTES)
                    .checks(checks)
                    .purgeDelay(Duration.ZERO)
                    .auditPeriod(Duration.ZERO)
                    .open());
    demoted = memory.device(DEVICE);
    demoted.setAttributes(
        NodeAttributes.COHERENT_DEVICE
            .withReclaim(true)
            .withDemotionTarget(0)
            .withSpillCeiling(2 * BLOCK));
    strict = memory.device(ARENA);
    online(demoted);
    online(strict);
    pins();
    spilledPin();
    copies();
    loans();
    drainOfTheDemoted();
    drainOfTheStrict();
    nothingIsLeft();
    closes();
  }

  private void pins() {
    NodeArena arena = memory.arena(NODE_1);
    NodeArena ofDevice = demoted.named("arena").arena();
    List<Long> blocks =
        List.of(
            block(() -> memory.allocate(BLOCK, NODE_0)),
            block(() -> arena.allocate(BLOCK)),
            block(() -> demoted.allocate(BLOCK)),
            block(() -> ofDevice.allocate(BLOCK)));
    for (long block : blocks) {
      List<Object> before = books();
      refusedPin(demoted, block);
      DevicePin first = pin(demoted, block);
      DevicePin second = pin(demoted, block);
      close(first, demoted, true);
      close(second, demoted, true);
      assertHome(before, block);
    }
    // What came for a pin is freed meanwhile, by its user or with its scope.
    DevicePin freed = pin(strict, blocks.get(0));
    DevicePin again = pin(strict, blocks.get(0));
    DevicePin scoped = pin(strict, blocks.get(1));
    DevicePin own = pin(demoted, blocks.get(3));
    free(blocks.get(0));
    close(arena);
    close(ofDevice);
    for (DevicePin pin : List.of(freed, again, scoped, own)) {
      close(pin, strict, false);
    }
    free(blocks.get(2));
    nothingIsUsed();
  }

  /** A block that was spilled comes for its pin, and its budget pays before and after. */
  private void spilledPin() {
    SpillBudget budget = SpillBudget.ofBytes(BLOCK);
    DeviceNode spilling = strict.spilling(budget);
    long all = again(() -> strict.allocate(ARENA_BYTES));
    long spilled = block(() -> spilling.allocate(BLOCK));
    assertEquals(BLOCK, budget.spilledBytes());
    free(all);
    List<Object> before = books();
    refusedPin(spilling, spilled);
    DevicePin pin = pin(spilling, spilled);
    close(pin, spilling, true);
    assertHome(before, spilled);
    assertEquals(BLOCK, budget.spilledBytes());
    DeviceLoan loan = lend(spilling, spilled);
    free(spilled);
    complete(loan);
    assertEquals(0, budget.spilledBytes());
    nothingIsUsed();
  }

  private void copies() {
    if (!seesMemory) {
      return;
    }
    ByteBuffer content = ByteBuffer.allocate(BLOCK + 1);
    for (int i = 0; i < content.capacity(); i++) {
      content.put(i, (byte) (i % 251));
    }
    List<Object> before = books();
    lower.limitLocks().accept(BLOCK);
    refused(() -> demoted.copyOf(content));
    lower.limitLocks().accept(Long.MAX_VALUE);
    assertEquals(before, books());
    DevicePin pin = again(() -> demoted.copyOf(content), () -> assertEquals(before, books()));
    assertEquals(content, again(() -> pin.buffer(content.capacity())));
    DevicePin second = pin(demoted, pin.address());
    close(pin, demoted, false);
    assertTrue(again(second::isInPlace));
    close(second, demoted, false);
    DevicePin freed = again(() -> demoted.copyOf(content));
    free(freed.address());
    close(freed, demoted, false);
    nothingIsUsed();
  }

  private void loans() {
    NodeArena arena = demoted.arena();
    long block = block(() -> demoted.allocate(BLOCK));
    long freed = block(() -> demoted.allocate(BLOCK));
    long scoped = block(() -> arena.allocate(BLOCK));
    List<Object> before = books();
    DeviceLoan loan = lend(demoted, block);
    write(block, again(() -> seesMemory ? loan.buffer() : null));
    complete(loan);
    check(block);
    assertEquals(before, books());
    DeviceLoan recalled = lend(demoted, block);
    again(() -> recalled.recall() || recalled.isReturned());
    DeviceLoan ofFreed = lend(demoted, freed);
    DeviceLoan ofScoped = lend(demoted, scoped);
    free(freed);
    close(arena);
    complete(ofFreed);
    complete(ofScoped);
    DeviceLoan withPin = lend(demoted, block);
    DevicePin pin = pin(demoted, block);
    close(pin, demoted, true);
    complete(withPin);
    free(block);
    nothingIsUsed();
  }

  /** Two blocks are all that its ceiling lets go to node 0, each time. */
  private void drainOfTheDemoted() {
    long guest = block(() -> memory.allocate(BLOCK, NODE_1));
    long first = block(() -> demoted.allocate(BLOCK));
    long second = block(() -> demoted.allocate(BLOCK));
    move(guest, demoted.placement());
    DevicePin pin = pin(demoted, first);
    drain(demoted, Set.of(Cause.PINNED));
    close(pin, demoted, false);
    drain(demoted, Set.of());
    check(guest);
    check(first);
    check(second);
    online(demoted);
    move(first, demoted.placement());
    move(second, demoted.placement());
    check(first);
    long third = block(() -> demoted.allocate(BLOCK));
    drain(demoted, Set.of(Cause.OUTSTANDING));
    free(second);
    drain(demoted, Set.of());
    check(third);
    // One is freed while the node is offline, the other once it is online again.
    free(first);
    online(demoted);
    free(third);
    free(guest);
    nothingIsUsed();
  }

  private void drainOfTheStrict() {
    long own = block(() -> strict.allocate(BLOCK));
    long neighbour = block(() -> strict.allocate(BLOCK));
    DeviceLoan loan = lend(strict, own);
    drain(strict, Set.of(Cause.LENT, Cause.OUTSTANDING));
    complete(loan);
    drain(strict, Set.of(Cause.OUTSTANDING));
    online(strict);
    free(neighbour);
    move(own, NODE_0);
    drain(strict, Set.of());
    check(own);
    online(strict);
    move(own, strict.placement());
    check(own);
    move(own, NODE_0);
    drain(strict, Set.of());
    free(own);
    // Nothing has its address there any more: it comes back with another region.
    online(strict);
    drain(strict, Set.of());
    nothingIsUsed();
  }

  /** Gives all memory back, and takes all of it once more. */
  private void nothingIsLeft() {
    online(strict);
    again(memory::trim);
    for (NodeReport report : memory.report().nodes()) {
      assertEquals(0, report.committedBytes(), report::toString);
      assertEquals(0, report.movedInBytes() + report.movedOutBytes(), report::toString);
      assertEquals(report.capacityBytes(), report.freeBytes(), report::toString);
    }
    if (!seesMemory) {
      takeAll();
    }
    nothingIsUsed();
  }

  /** An emulated machine reads all that was committed when it takes it back: not for that. */
  private void takeAll() {
    for (Placement each : List.of(NODE_0, NODE_1, demoted.placement(), strict.placement())) {
      long bytes = each.equals(strict.placement()) ? ARENA_BYTES : CAPACITY;
      free(again(() -> memory.allocate(bytes, each)));
    }
  }

  private void closes() {
    again(
        () -> {
          memory.close();
          return memory;
        });
    memory.close();
    assertEquals(0, lower.lockedBytes().getAsLong());
  }

  private void nothingIsUsed() {
    assertEquals(0, lower.lockedBytes().getAsLong());
    if (faults.getAsInt() > 0) {
      // What was moved is paid for until its memory went back.
      memory.trim();
    }
    for (NodeReport report : memory.report().nodes()) {
      assertEquals(0, report.usedBytes(), report::toString);
      assertEquals(0, report.liveBlocks(), report::toString);
    }
    for (HolderReport report : memory.report().holders()) {
      assertEquals(0, report.usedBytes(), report::toString);
      assertEquals(0, report.spilledBytes(), report::toString);
    }
  }

  /** What a request that fails leaves as it is. */
  private List<Object> books() {
    List<Object> books = new ArrayList<>();
    books.add(lower.lockedBytes().getAsLong());
    for (NodeReport report : memory.report().nodes()) {
      books.add(
          List.of(
              report.node(),
              report.usedBytes(),
              report.liveBlocks(),
              report.freeBytes(),
              report.movedInBytes(),
              report.movedOutBytes()));
    }
    // Holders that nobody can reach any more are left out of reports at some time.
    for (HolderReport report : memory.report().holders()) {
      if (report.usedBytes() + report.spilledBytes() > 0) {
        books.add(List.of(report.holder(), report.usedBytes(), report.spilledBytes()));
      }
    }
    return books;
  }

  private long block(Supplier<Long> request) {
    long address = again(request);
    assertNotEquals(0, address);
    int node = again(() -> memory.residency(address)).node(0);
    homes.put(address, node == DEVICE ? demoted.placement() : Placement.onNode(node));
    if (seesMemory) {
      write(address, again(() -> memory.buffer(address, BLOCK)));
    }
    return address;
  }

  private void write(long address, ByteBuffer buffer) {
    if (buffer != null) {
      int content = ++lastContent;
      for (int at = 0; at < BLOCK; at += Integer.BYTES) {
        buffer.putInt(at, content);
      }
      contents.put(address, content);
    }
  }

  private void check(long address) {
    if (seesMemory) {
      ByteBuffer buffer = again(() -> memory.buffer(address, BLOCK));
      int content = contents.get(address);
      for (int at = 0; at < BLOCK; at += Integer.BYTES) {
        assertEquals(content, buffer.getInt(at), "content");
      }
    }
  }

  private void free(long address) {
    again(
        () -> {
          memory.free(address);
          return memory;
        });
  }

  private void close(NodeArena arena) {
    again(
        () -> {
          arena.close();
          return arena;
        });
  }

  private void move(long address, Placement target) {
    int before = faults.getAsInt();
    if (!again(() -> memory.move(address, target)).isComplete()) {
      assertTrue(faults.getAsInt() > before, "pages stayed");
      assertTrue(memory.move(address, target).isComplete());
    }
  }

  private DevicePin pin(DeviceNode device, long address) {
    List<Object> before = books();
    DevicePin pin = again(() -> device.pin(address), () -> assertEquals(before, books()));
    assertLocked(pin);
    return pin;
  }

  private void assertLocked(DevicePin pin) {
    assertTrue(again(pin::isInPlace));
    assertTrue(lower.lockedBytes().getAsLong() >= BLOCK, "not locked: " + pin);
  }

  /** One that could not be closed stands, or has ended: either way the block can be pinned. */
  private void close(DevicePin pin, DeviceNode device, boolean live) {
    again(
        () -> {
          pin.close();
          return pin;
        },
        () -> {
          if (live) {
            DevicePin other = device.pin(pin.address());
            assertLocked(other);
            other.close();
          }
        });
  }

  private void refusedPin(DeviceNode device, long address) {
    List<Object> before = books();
    lower.limitLocks().accept(0);
    refused(() -> device.pin(address));
    lower.limitLocks().accept(Long.MAX_VALUE);
    assertHome(before, address);
  }

  /** After a pin all is as it was; what could not go home is there once it was asked to go. */
  private void assertHome(List<Object> before, long address) {
    if (faults.getAsInt() > 0 && !before.equals(books())) {
      move(address, homes.get(address));
    }
    assertEquals(before, books());
    check(address);
  }

  private static void refused(Supplier<?> request) {
    try {
      fail("not refused: " + request.get());
    } catch (NodeMemoryExhaustedException e) {
      // The fault may be what was met first.
      String message = e.getMessage();
      assertTrue(message.contains("be locked") || message.contains("injected=true"), message);
    } catch (NativeCallException | OutOfMemoryError e) {
      requireInjected(e);
    }
  }

  private DeviceLoan lend(DeviceNode device, long address) {
    List<Object> before = books();
    DeviceLoan loan = again(() -> device.lend(address), () -> assertEquals(before, books()));
    assertFalse(loan.isReturned());
    return loan;
  }

  /** A loan that failed to end in order has ended. */
  private void complete(DeviceLoan loan) {
    again(() -> loan.complete() || loan.isReturned(), () -> assertTrue(loan.isReturned()));
    assertTrue(loan.isReturned());
  }

  private void online(DeviceNode device) {
    again(
        () -> {
          device.online();
          return device;
        });
    assertSame(NodeState.ONLINE, device.state());
  }

  /** Drains a node until nothing but these causes is in the way, which takes two tries at most. */
  private void drain(DeviceNode device, Set<Cause> causes) {
    Runnable isNotOnline = () -> assertNotEquals(NodeState.ONLINE, device.state());
    DrainReport report = again(device::offline, isNotOnline);
    if (faults.getAsInt() > 0 && !causes(report).equals(causes)) {
      report = device.offline();
    }
    assertEquals(causes, causes(report), report::toString);
    assertSame(causes.isEmpty() ? NodeState.OFFLINE : NodeState.DRAINING, report.state());
    assertSame(report.state(), device.state());
  }

  private static Set<Cause> causes(DrainReport report) {
    return report.blockers().stream().map(Blocker::cause).collect(Collectors.toSet());
  }

  private <T> T again(Supplier<T> step) {
    return again(step, () -> {});
  }

  /** Does a step, and after a fault once more; what it may throw is the fault. */
  private <T> T again(Supplier<T> step, Runnable afterFault) {
    int before = faults.getAsInt();
    try {
      return step.get();
    } catch (NodeMemoryExhaustedException e) {
      if (faults.getAsInt() == before) {
        throw e;
      }
    } catch (NativeCallException | OutOfMemoryError e) {
      requireInjected(e);
    }
    afterFault.run();
    return step.get();
  }

  private static void requireInjected(Throwable thrown) {
    assertTrue(String.valueOf(thrown.getMessage()).contains("injected=true"), thrown::toString);
  }
}
