/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import org.cdmalloc.spi.AddressOnlySource;
import org.cdmalloc.spi.Region;
import org.cdmalloc.topology.NodeMask;

/**
 * A random life of one to three allocators on one machine, whose memory they and others share: with
 * its own mixture of steps, placements and sizes, some of them left out altogether.
 */
final class ModelEpisode {
  private static final int PAGE_BYTES = NaiveZone.PAGE_BYTES;

  /** Steps in which it more often grows or more often shrinks. */
  private static final int PHASE_STEPS = 128;

  private static final int MOST_ARENAS = 6;
  private static final int LARGE_PAGES = 256;

  private enum Step {
    BLOCK(8),
    BLOCK_OF_ARENA(8),
    CLOSE_ARENA(2),
    TRIM(2),
    PURGE_IDLE(2),
    ONLINE(2),
    OTHERS(2),
    MISTAKE(2);

    /** How often it is in a mixture at most. */
    private final int most;

    Step(int most) {
      this.most = most;
    }
  }

  /** What a test knows of a block. */
  private record Held(ModelAllocator allocator, ModelAllocator.Block block, NodeArena arena) {}

  /** An arena and where it allocates. */
  private record OpenArena(ModelAllocator allocator, NodeArena arena, Placement placement) {}

  private final SplittableRandom random;
  private final ModelMachine machine;
  private final List<ModelAllocator> allocators = new ArrayList<>();
  private final Map<ModelAllocator, List<Placement>> placements = new HashMap<>();
  private final List<Step> mixture = new ArrayList<>();
  private final List<Held> held = new ArrayList<>();
  private final List<OpenArena> arenas = new ArrayList<>();

  /** What other processes use of each node. */
  private final Map<Integer, Region> others = new TreeMap<>();

  private final Map<ModelAllocator.Outcome, Integer> outcomes;
  private final long limitBytes;

  /** One of so many calls of the source fails; none if 0. */
  private int failsIn;

  private int growth;
  private String last = "open";

  /**
   * Draws machine, allocators and mixture.
   *
   * @param random decides all
   * @param outcomes counts what came of requests
   */
  ModelEpisode(SplittableRandom random, Map<ModelAllocator.Outcome, Integer> outcomes) {
    this.random = random;
    this.outcomes = outcomes;
    this.machine = new ModelMachine(random);
    this.failsIn = random.nextInt(4) == 0 ? 32 : 0;
    int count = 1 + random.nextInt(3);
    for (int i = 0; i < count; i++) {
      ModelAllocator allocator = new ModelAllocator(machine, this::fails);
      allocators.add(allocator);
      placements.put(allocator, drawPlacements(allocator));
    }
    long largest = 0;
    for (ModelAllocator allocator : allocators) {
      for (long bytes : allocator.options().capacities.values()) {
        largest = Math.max(largest, bytes);
      }
    }
    int leastBits = random.nextInt(3) == 0 ? 1 : 16;
    this.limitBytes = 1L << random.nextInt(leastBits, bits(2 * largest));
    for (Step step : Step.values()) {
      int times = random.nextInt(3) == 0 ? 0 : 1 + random.nextInt(step.most);
      mixture.addAll(Collections.nCopies(times, step));
    }
    mixture.addAll(Collections.nCopies(16, Step.BLOCK));
  }

  private static int bits(long number) {
    return Long.SIZE - Long.numberOfLeadingZeros(number);
  }

  private boolean fails() {
    return failsIn != 0 && random.nextInt(failsIn) == 0;
  }

  private List<Placement> drawPlacements(ModelAllocator allocator) {
    List<Placement> drawn = new ArrayList<>(List.of(Placement.LOCAL));
    int count = random.nextInt(10);
    // Now and then interleavings only, or striped zones hardly get a share.
    int kinds = random.nextInt(3) == 0 ? 2 : 8;
    for (int i = 0; i < count; i++) {
      drawn.add(drawSystemPlacement(random.nextInt(kinds)));
    }
    allocator.devices().stream()
        .filter(node -> random.nextInt(4) != 0)
        .forEach(node -> drawn.add(allocator.memory().device(node).placement()));
    return drawn;
  }

  private Placement drawSystemPlacement(int kind) {
    int[] system = machine.system().stream().toArray();
    int node = system[random.nextInt(system.length)];
    NodeMask mask = NodeMask.of(node);
    for (int other : system) {
      mask = random.nextBoolean() ? mask.or(NodeMask.of(other)) : mask;
    }
    return switch (kind) {
      case 0 -> Placement.interleave(mask);
      case 1 -> {
        Map<Integer, Integer> weights = new TreeMap<>();
        int most = random.nextInt(4) == 0 ? 255 : 5;
        mask.stream().forEach(member -> weights.put(member, 1 + random.nextInt(most)));
        yield Placement.weightedInterleave(weights);
      }
      case 2 -> Placement.onNode(node);
      case 3 -> Placement.preferred(node);
      case 4 -> Placement.bind(mask);
      case 5 -> Placement.preferredMany(mask);
      case 6 -> Placement.bind(mask).withHomeNode(drawHome());
      default -> Placement.preferredMany(mask).withHomeNode(drawHome());
    };
  }

  private int drawHome() {
    int[] possible = machine.machine().online().without(machine.devices()).stream().toArray();
    return possible[random.nextInt(possible.length)];
  }

  void run(int steps) {
    for (int step = 0; step < steps; step++) {
      if (step % PHASE_STEPS == 0) {
        growth = random.nextInt(1, 10);
      }
      if (random.nextInt(4) == 0) {
        machine.move();
      }
      Step kind = mixture.get(random.nextInt(mixture.size()));
      last = step + " " + kind;
      take(kind);
      if (random.nextInt(8) == 0) {
        check();
      }
    }
    last = "end";
    if (random.nextBoolean()) {
      boolean hadFaults = failsIn != 0;
      freeAll();
      othersGiveBack();
      // What the source failed to take back is kept, until its next use or the end.
      if (!hadFaults) {
        aSecondAllocatorCanUseEverything();
      }
    }
    for (ModelAllocator allocator : allocators) {
      allocator.memory().close();
    }
    othersGiveBack();
    machine
        .machine()
        .nodes()
        .forEach(node -> assertEquals(node.bytes(), machine.source().freeBytes(node.id())));
  }

  private void take(Step kind) {
    ModelAllocator allocator = allocators.get(random.nextInt(allocators.size()));
    switch (kind) {
      case BLOCK, BLOCK_OF_ARENA -> {
        if (held.isEmpty() || random.nextInt(10) < growth) {
          allocate(allocator, kind == Step.BLOCK_OF_ARENA);
        } else {
          free(random.nextInt(held.size()));
        }
      }
      case CLOSE_ARENA -> {
        if (!arenas.isEmpty()) {
          close(arenas.remove(random.nextInt(arenas.size())));
        }
      }
      case TRIM -> orFail(allocator, allocator::trim);
      case PURGE_IDLE -> orFail(allocator, allocator::purgeIdle);
      case ONLINE -> {
        int[] devices = allocator.devices().stream().toArray();
        if (devices.length > 0) {
          allocator.online(devices[random.nextInt(devices.length)]);
        }
      }
      case OTHERS -> others();
      case MISTAKE -> mistake();
    }
  }

  private long drawBytes() {
    return random.nextInt(16) == 0
        ? PAGE_BYTES * random.nextLong(3)
        : random.nextLong(1L << random.nextInt(bits(limitBytes) / 2, bits(limitBytes)));
  }

  private Placement drawPlacement(ModelAllocator allocator) {
    List<Placement> drawn = placements.get(allocator);
    return drawn.get(random.nextInt(drawn.size()));
  }

  private void allocate(ModelAllocator allocator, boolean inArena) {
    if (inArena) {
      allocateInArena(allocator);
      return;
    }
    Placement placement = drawPlacement(allocator);
    SystemMemory view = allocator.view(placement);
    long bytes = drawBytes();
    long alignment = random.nextInt(4) == 0 ? 1L << random.nextInt(22) : 1;
    NodeAllocator memory = allocator.memory();
    if (placement.mode() == Placement.Mode.DEVICE) {
      DeviceNode device = memory.device(placement.nodes().first());
      if (!allocator.isOnline(device.node())) {
        assertThrows(IllegalStateException.class, () -> device.allocate(1));
        assertThrows(IllegalStateException.class, () -> view.tryAllocate(1));
        return;
      }
      if (random.nextBoolean()) {
        request(allocator, placement, bytes, alignment, () -> device.allocate(bytes, alignment));
        return;
      }
    }
    switch (random.nextInt(8)) {
      case 0 -> request(allocator, Placement.LOCAL, bytes, 1, () -> memory.allocate(bytes));
      case 1, 2 ->
          request(allocator, placement, bytes, 1, () -> memory.tryAllocate(bytes, placement));
      case 3, 4 ->
          request(
              allocator, placement, bytes, 1, () -> memory.systemView().allocate(bytes, placement));
      case 5 -> request(allocator, placement, bytes, 1, () -> view.tryAllocate(bytes));
      default ->
          request(allocator, placement, bytes, alignment, () -> view.allocate(bytes, alignment));
    }
  }

  private void allocateInArena(ModelAllocator allocator) {
    List<OpenArena> own = arenas.stream().filter(open -> open.allocator == allocator).toList();
    boolean more = arenas.size() < MOST_ARENAS && random.nextInt(4) == 0;
    if (own.isEmpty() || more) {
      Placement placement = drawPlacement(allocator);
      boolean isThere =
          placement.mode() != Placement.Mode.DEVICE
              || allocator.isOnline(placement.nodes().first());
      if (!isThere) {
        return;
      }
      // First, so that the model sees a striped zone come.
      allocator.view(placement);
      NodeArena arena = allocator.view(Placement.LOCAL).arena(placement);
      arenas.add(new OpenArena(allocator, arena, placement));
      return;
    }
    OpenArena open = own.get(random.nextInt(own.size()));
    long bytes = drawBytes();
    long alignment = 1L << random.nextInt(22);
    boolean exact = random.nextBoolean();
    ModelAllocator.Way way =
        exact ? () -> open.arena.allocate(bytes, alignment) : () -> open.arena.tryAllocate(bytes);
    request(allocator, open.placement, bytes, exact ? alignment : 1, way, open.arena);
  }

  private void request(
      ModelAllocator allocator,
      Placement placement,
      long bytes,
      long alignment,
      ModelAllocator.Way way) {
    request(allocator, placement, bytes, alignment, way, null);
  }

  private void request(
      ModelAllocator allocator,
      Placement placement,
      long bytes,
      long alignment,
      ModelAllocator.Way way,
      NodeArena arena) {
    last += ": bytes=" + bytes + ", alignment=" + alignment + ", " + placement;
    orFail(
        allocator,
        () -> {
          ModelAllocator.Block block = allocator.request(placement, bytes, alignment, way);
          outcomes.merge(allocator.outcome(), 1, Integer::sum);
          if (block == null) {
            allocator.check();
            return;
          }
          held.add(new Held(allocator, block, arena));
          if (block.run().pages() < LARGE_PAGES || random.nextInt(8) == 0) {
            allocator.checkResidency(block);
          }
        });
  }

  /** Does a step, which fails if and only if the source did, and leaves nothing behind then. */
  private static void orFail(ModelAllocator allocator, Runnable step) {
    try {
      step.run();
    } catch (NativeCallException failed) {
      assertTrue(allocator.hasFailed(), failed::toString);
      allocator.check();
    }
    assertFalse(allocator.hasFailed(), "the source failed and nobody was told");
  }

  private void free(int index) {
    Held one = held.get(index);
    held.set(index, held.get(held.size() - 1));
    held.remove(held.size() - 1);
    NodeAllocator memory = one.allocator.memory();
    long address = one.block.address();
    switch (random.nextInt(4)) {
      case 0 -> memory.systemView().free(address);
      case 1 -> one.allocator.view(drawPlacement(one.allocator)).free(address);
      case 2 -> {
        if (one.arena != null) {
          one.arena.free(address);
        } else {
          memory.free(address);
        }
      }
      default -> memory.free(address);
    }
    one.block.zone().free(one.block.run());
  }

  private void close(OpenArena open) {
    List<Held> own = held.stream().filter(one -> one.arena == open.arena).toList();
    assertEquals(own.size(), open.arena.liveBlocks());
    open.arena.close();
    assertThrows(IllegalStateException.class, () -> open.arena.tryAllocate(1));
    own.forEach(one -> one.block.zone().free(one.block.run()));
    held.removeIf(one -> one.arena == open.arena);
  }

  private void others() {
    AddressOnlySource source = machine.source();
    int[] nodes = machine.machine().withMemory().stream().toArray();
    int node = nodes[random.nextInt(nodes.length)];
    int page = source.osPageBytes();
    Region region =
        others.computeIfAbsent(
            node, id -> source.reserve(id, machine.machine().node(id).bytes() / page * page));
    long osPages = region.bytes() / page;
    long from = random.nextLong(osPages);
    long bytes = (1 + random.nextLong(osPages - from)) * page;
    if (random.nextBoolean()) {
      source.commit(region, from * page, bytes);
    } else {
      source.purge(region, from * page, bytes);
    }
  }

  private void othersGiveBack() {
    others.values().forEach(machine.source()::release);
    others.clear();
  }

  /** Frees what is no block, which must change nothing. */
  private void mistake() {
    if (held.isEmpty()) {
      return;
    }
    Held one = held.get(random.nextInt(held.size()));
    NodeAllocator memory = one.allocator.memory();
    long address = one.block.address();
    int pages = one.block.run().pages();
    assertThrows(IllegalArgumentException.class, () -> memory.free(address + 1));
    if (pages > 1) {
      long inside = address + (1L + random.nextInt(pages - 1)) * PAGE_BYTES;
      assertThrows(IllegalArgumentException.class, () -> memory.free(inside));
      assertThrows(IllegalArgumentException.class, () -> memory.usableBytes(inside));
    }
    if (allocators.size() > 1) {
      ModelAllocator other = allocators.get(random.nextInt(allocators.size()));
      if (other != one.allocator) {
        assertThrows(IllegalArgumentException.class, () -> other.memory().free(address));
      }
    }
    free(held.indexOf(one));
    assertThrows(MemoryCorruptionError.class, () -> memory.free(address));
  }

  private void check() {
    allocators.forEach(ModelAllocator::check);
    for (int node : machine.machine().withMemory().stream().toArray()) {
      long heldBytes = allocators.stream().mapToLong(a -> a.heldBytes(node)).sum();
      Region region = others.get(node);
      if (region != null) {
        Map<Integer, Integer> pages =
            machine.source().residency(region, 0, region.bytes()).pagesByNode();
        heldBytes += (long) pages.getOrDefault(node, 0) * machine.source().osPageBytes();
      }
      long bytes = machine.machine().node(node).bytes();
      assertEquals(bytes - heldBytes, machine.source().freeBytes(node), "node=" + node);
    }
  }

  private void freeAll() {
    while (!arenas.isEmpty()) {
      close(arenas.remove(arenas.size() - 1));
    }
    while (!held.isEmpty()) {
      free(random.nextInt(held.size()));
    }
    failsIn = 0;
    for (ModelAllocator allocator : allocators) {
      allocator.trim();
      allocator.checkUnused();
    }
    check();
  }

  private void aSecondAllocatorCanUseEverything() {
    ModelMachine.Options options = allocators.get(0).options();
    try (NodeAllocator memory = ModelAllocator.open(machine, options, machine.source())) {
      for (Map.Entry<Integer, Long> capacity : options.capacities.entrySet()) {
        int node = capacity.getKey();
        long bytes = machine.pageBytes(capacity.getValue());
        Placement placement = Placement.onNode(node);
        if (allocators.get(0).devices().contains(node)) {
          memory.device(node).online();
          placement = memory.device(node).placement();
        }
        // The free blocks of a zone of which nothing is used.
        for (long rest = bytes / PAGE_BYTES; rest > 0; rest -= Long.highestOneBit(rest)) {
          long address = memory.tryAllocate(Long.highestOneBit(rest) * PAGE_BYTES, placement);
          assertNotEquals(0, address, "node=" + node);
        }
        assertEquals(bytes, memory.report().node(node).usedBytes());
        assertEquals(0, memory.tryAllocate(1, placement));
      }
    }
  }

  @Override
  public String toString() {
    return "step "
        + last
        + ", allocators="
        + allocators.size()
        + ", osPage="
        + machine.source().osPageBytes()
        + ", devices="
        + machine.devices()
        + ", caller="
        + machine.caller()
        + ", "
        + machine.machine();
  }
}
