/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Predicate;
import org.cdmalloc.spi.AddressOnlySource;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Devices that come, are drained, go and are lost while blocks are allocated, moved, pinned and
 * freed, against a model that knows each block's place by name.
 */
final class LifeCycleModelTest {
  private static final long FIRST_SEED = Long.getLong("seed", 1);
  private static final int SEEDS = Integer.getInteger("lifecycle.seeds", 60);
  private static final int STEPS = 400;
  private static final long MEBIBYTE = 1 << 20;
  private static final int HOME = 0;
  private static final int FIRST_DEVICE = 1;
  private static final int DEVICES = 2;

  private static Machine machine() {
    Machine.Builder machine = Machine.builder().node(Node.of(HOME, "0-3", 1024 * MEBIBYTE));
    for (int node = FIRST_DEVICE; node < FIRST_DEVICE + DEVICES; node++) {
      machine.node(Node.memoryOnly(node, 64 * MEBIBYTE));
    }
    return machine.build();
  }

  private static NodeAllocator open() {
    return NodeAllocator.builder()
        .source(AddressOnlySource.of(machine()))
        .capacity(HOME, 1024 * MEBIBYTE)
        .watermarks(HOME, Marks.NONE)
        .magazineBytes(0)
        .open();
  }

  private static final class Block {
    private final long address;
    private final long bytes;

    /** The node of its zone. */
    private final int home;

    private int place;
    private DevicePin pin;
    private boolean cameForPin;

    Block(long address, long bytes, int home) {
      this.address = address;
      this.bytes = bytes;
      this.home = home;
      this.place = home;
    }
  }

  private static final class Episode {
    private final SplittableRandom random;
    private final NodeAllocator memory = open();
    private final NodeState[] states = {NodeState.ONLINE, NodeState.POSSIBLE, NodeState.POSSIBLE};
    private final List<Block> blocks = new ArrayList<>();
    private final Set<NodeState> seen = EnumSet.noneOf(NodeState.class);
    private int drained;
    private int blocked;

    Episode(long seed) {
      this.random = new SplittableRandom(seed);
    }

    void run() {
      for (int step = 0; step < STEPS; step++) {
        int node = FIRST_DEVICE + random.nextInt(DEVICES);
        switch (random.nextInt(20)) {
          case 0, 1, 2 -> online(node);
          case 3, 4, 5 -> offline(node);
          case 6 -> fail(node);
          case 7, 8, 9, 10, 11 -> allocate(random.nextInt(3) == 0 ? HOME : node);
          case 12, 13, 14 -> move(random.nextInt(2) == 0 ? HOME : node);
          case 15, 16 -> pin(node);
          default -> free();
        }
        check();
      }
      while (!blocks.isEmpty()) {
        free(blocks.size() - 1);
      }
      check();
      memory.close();
    }

    private boolean is(int node, NodeState state) {
      return states[node] == state;
    }

    private void online(int node) {
      DeviceNode device = memory.device(node);
      if (is(node, NodeState.FAILED)) {
        assertThrows(NodeFailedException.class, device::online);
      } else {
        device.online();
        states[node] = NodeState.ONLINE;
      }
    }

    private void offline(int node) {
      DeviceNode device = memory.device(node);
      switch (states[node]) {
        case FAILED -> assertThrows(NodeFailedException.class, device::offline);
        case POSSIBLE -> assertThrows(IllegalStateException.class, device::offline);
        default -> {
          DrainReport report = device.offline();
          long away = 0;
          for (Block block : blocks) {
            if (block.place == node && goesHome(block)) {
              block.place = block.home;
              away += block.bytes;
            }
          }
          List<Block> left = blocks.stream().filter(block -> block.place == node).toList();
          assertEquals(away, report.movedBytes());
          assertEquals(
              left.stream().map(block -> block.address).sorted().toList(),
              report.blockers().stream().map(DrainReport.Blocker::address).toList());
          states[node] = left.isEmpty() ? NodeState.OFFLINE : NodeState.DRAINING;
          drained += left.isEmpty() ? 1 : 0;
          blocked += left.isEmpty() ? 0 : 1;
        }
      }
    }

    /** Home has to take it; a device that is its home may be full by now. */
    private boolean goesHome(Block block) {
      boolean may =
          block.place != block.home
              && block.pin == null
              && (block.home == HOME || is(block.home, NodeState.ONLINE));
      return may && (block.home == HOME || memory.residency(block.address).isAllOn(block.home));
    }

    private void fail(int node) {
      // A failure is for good: seldom, or there would be little else.
      if (random.nextInt(10) == 0) {
        memory.device(node).fail("seeded");
        states[node] = NodeState.FAILED;
      }
    }

    private void allocate(int node) {
      long bytes = (1 + random.nextInt(600)) * 4096L;
      if (node == HOME) {
        blocks.add(new Block(memory.allocate(bytes), bytes, HOME));
        return;
      }
      DeviceNode device = memory.device(node);
      switch (states[node]) {
        case ONLINE -> {
          long address = device.tryAllocate(bytes);
          if (address != 0) {
            blocks.add(new Block(address, bytes, node));
          }
        }
        case DRAINING -> assertEquals(0, device.tryAllocate(bytes));
        case FAILED -> assertThrows(NodeFailedException.class, () -> device.allocate(bytes));
        default -> assertThrows(IllegalStateException.class, () -> device.allocate(bytes));
      }
    }

    private Block any() {
      return blocks.isEmpty() ? null : blocks.get(random.nextInt(blocks.size()));
    }

    private void move(int target) {
      Block block = any();
      if (block == null) {
        return;
      }
      Placement placement =
          target == HOME ? Placement.onNode(HOME) : memory.device(target).placement();
      boolean serves = states[target].isServing();
      if (!serves || is(block.place, NodeState.FAILED) || block.pin != null) {
        assertThrows(IllegalStateException.class, () -> memory.move(block.address, placement));
        return;
      }
      try {
        assertEquals(block.bytes, memory.move(block.address, placement).movedBytes());
        assertTrue(block.place == target || is(target, NodeState.ONLINE), "it took a new block");
        block.place = target;
      } catch (NodeMemoryExhaustedException e) {
        assertFalse(target == HOME, e::getMessage);
      }
    }

    private void pin(int node) {
      Block block = any();
      if (block == null) {
        return;
      }
      if (block.pin != null) {
        unpin(block);
        return;
      }
      DeviceNode device = memory.device(node);
      if (!is(node, NodeState.ONLINE) || is(block.place, NodeState.FAILED)) {
        assertThrows(IllegalStateException.class, () -> device.pin(block.address));
        return;
      }
      try {
        block.cameForPin = block.place != node;
        block.pin = device.pin(block.address);
        block.place = node;
      } catch (NodeMemoryExhaustedException e) {
        assertTrue(block.cameForPin, e::getMessage);
      }
    }

    private void unpin(Block block) {
      block.pin.close();
      block.pin = null;
      // Home, if home takes it.
      if (block.cameForPin && (block.home == HOME || is(block.home, NodeState.ONLINE))) {
        int now = memory.residency(block.address).node(0);
        assertTrue(now == block.home || block.home != HOME, "there is room at home");
        block.place = now;
      }
    }

    private void free() {
      if (!blocks.isEmpty()) {
        free(random.nextInt(blocks.size()));
      }
    }

    private void free(int index) {
      Block block = blocks.remove(index);
      memory.free(block.address);
      if (block.pin != null) {
        assertThrows(MemoryCorruptionError.class, () -> memory.free(block.address));
        block.pin.close();
      }
    }

    private void check() {
      MemoryReport report = memory.report();
      for (int i = FIRST_DEVICE; i < FIRST_DEVICE + DEVICES; i++) {
        int node = i;
        NodeReport of = report.node(node);
        assertSame(states[node], memory.device(node).state());
        assertSame(states[node], of.state());
        seen.add(states[node]);
        assertEquals(bytes(block -> block.place == node && block.home == node), of.usedBytes());
        assertEquals(bytes(block -> block.place == node && block.home != node), of.movedInBytes());
        assertEquals(bytes(block -> block.place != node && block.home == node), of.movedOutBytes());
        if (is(node, NodeState.POSSIBLE) || is(node, NodeState.OFFLINE)) {
          assertEquals(0, of.committedBytes());
        }
      }
      for (Block block : blocks) {
        assertTrue(memory.residency(block.address).isAllOn(block.place));
        assertEquals(block.bytes, memory.usableBytes(block.address));
      }
    }

    private long bytes(Predicate<Block> which) {
      return blocks.stream().filter(which).mapToLong(block -> block.bytes).sum();
    }
  }

  @Test
  void nodesComeAndGoAsTheModelDoes() {
    Set<NodeState> seen = EnumSet.noneOf(NodeState.class);
    int drained = 0;
    int blocked = 0;
    for (long seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
      Episode episode = new Episode(seed);
      try {
        episode.run();
      } catch (RuntimeException | Error e) {
        throw new AssertionError("replay with -Dseed=" + seed + " -Dlifecycle.seeds=1", e);
      }
      seen.addAll(episode.seen);
      drained += episode.drained;
      blocked += episode.blocked;
    }
    // The test is worth nothing if these do not happen.
    assertEquals(EnumSet.allOf(NodeState.class), seen);
    assertTrue(drained > 2 * SEEDS && blocked > 2 * SEEDS, drained + " drained, " + blocked);
  }

  @Test
  void everyStepThatTheTableLacksIsRefused() {
    int legal = 0;
    for (NodeState from : NodeState.values()) {
      for (NodeState to : NodeState.values()) {
        legal += from.canBecome(to) ? 1 : 0;
      }
    }
    assertEquals(3 + 1 + 1 + 4, legal);
    assertFalse(NodeState.POSSIBLE.canBecome(NodeState.DRAINING));
    assertFalse(NodeState.ONLINE.canBecome(NodeState.OFFLINE));
    assertFalse(NodeState.FAILED.canBecome(NodeState.ONLINE));
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 3})
  void requestsGoOnWhileANodeComesAndGoes(int threads) throws InterruptedException {
    long seed = FIRST_SEED + threads;
    try (NodeAllocator memory = open()) {
      DeviceNode device = memory.device(FIRST_DEVICE);
      AtomicBoolean over = new AtomicBoolean();
      List<Callable<Void>> tasks = new ArrayList<>();
      for (int thread = 0; thread < threads; thread++) {
        SplittableRandom random = new SplittableRandom(seed * 31 + thread);
        tasks.add(() -> holders(device, random, over));
      }
      tasks.add(() -> implicit(memory, new SplittableRandom(seed), over));
      tasks.add(() -> comeAndGo(device, over));
      AllocatorFixture.atOnce("-Dseed=" + FIRST_SEED, tasks);
      assertTrue(device.offline().isOffline());
      assertEquals(0, device.holders().get(0).usedBytes());
      assertEquals(0, memory.report().node(HOME).usedBytes());
      assertEquals(0, memory.report().node(FIRST_DEVICE).committedBytes());
    }
  }

  private static Void comeAndGo(DeviceNode device, AtomicBoolean over) {
    int offline = 0;
    try {
      for (int round = 0; round < 20_000 && offline < 300; round++) {
        device.online();
        Thread.onSpinWait();
        DrainReport report = device.offline();
        offline += report.isOffline() ? 1 : 0;
        assertEquals(report.isOffline(), report.blockers().isEmpty(), report::toString);
      }
    } finally {
      over.set(true);
      device.online();
    }
    assertTrue(offline > 10, "it never went offline");
    return null;
  }

  private static Void holders(DeviceNode device, SplittableRandom random, AtomicBoolean over) {
    List<Long> held = new ArrayList<>();
    while (!over.get()) {
      try {
        long block = device.tryAllocate(1 + random.nextInt(3 << 20));
        if (block != 0) {
          held.add(block);
        }
      } catch (IllegalStateException e) {
        assertTrue(e.getMessage().contains("not online"), e::getMessage);
      }
      while (held.size() > random.nextInt(3)) {
        device.free(held.remove(held.size() - 1));
      }
    }
    held.forEach(device::free);
    return null;
  }

  private static Void implicit(NodeAllocator memory, SplittableRandom random, AtomicBoolean over) {
    while (!over.get()) {
      long block = memory.allocate(1 + random.nextInt(1 << 20));
      assertTrue(memory.residency(block).isAllOn(HOME));
      memory.free(block);
    }
    return null;
  }
}
