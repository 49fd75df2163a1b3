/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.cdmalloc.Checks;
import org.cdmalloc.MemoryCorruptionError;
import org.cdmalloc.MemoryReport;
import org.cdmalloc.MoveReport;
import org.cdmalloc.NodeAttributes;
import org.cdmalloc.NodeMemoryExhaustedException;
import org.cdmalloc.NodeReport;
import org.cdmalloc.Placement;
import org.cdmalloc.PlacementAudit;
import org.cdmalloc.Zeroing;
import org.cdmalloc.spi.AddressOnlySource;
import org.cdmalloc.spi.Region;
import org.cdmalloc.spi.Residency;
import org.cdmalloc.spi.Stripe;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Random lives of an allocator whose blocks are moved between small nodes that others fill too,
 * held against what is known of each block. {@code -Dmove.seed} begins elsewhere, {@code
 * -Dmove.seeds} makes it longer.
 */
final class MoveModelTest {
  private static final long FIRST_SEED = Long.getLong("move.seed", 1);
  private static final int SEEDS = Integer.getInteger("move.seeds", 40);
  private static final int STEPS = 400;
  private static final int THREADS = 4;
  private static final long MIB = 1L << 20;
  private static final int DEVICE = 3;
  private static final int ARENA = 9;

  /** A block, and where each of its OS pages is to be. */
  private record Held(long address, int bytes, List<Integer> nodes, Scope scope) {}

  private static final class Episode {
    private final long seed;
    private final SplittableRandom random;
    private final int osPageBytes;
    private final AddressOnlySource source;
    private final Assembly parts;
    private final AllocationPath allocation;
    private final List<Placement> placements;
    private final List<BackedZone> targets = new ArrayList<>();
    private final List<Held> blocks = new ArrayList<>();
    private final List<Region> others = new ArrayList<>();
    private int moved;
    private int refused;
    private int freedAway;
    private long demotedBefore;

    /** Whether blocks give way on the device, in every third life. */
    private final boolean evicts;

    /** How often memory was out and nowhere in: of runs that were freed and could not come home. */
    private int stranded;

    Episode(long seed, int osPageBytes) {
      this.seed = seed;
      this.evicts = seed % 3 == 0;
      this.random = new SplittableRandom(seed);
      this.osPageBytes = osPageBytes;
      Machine machine =
          Machine.builder()
              .node(Node.of(0, "0", 48 * MIB))
              .node(Node.of(1, "1", 24 * MIB))
              .node(Node.of(2, "2", 24 * MIB))
              .node(Node.memoryOnly(DEVICE, 16 * MIB))
              .build();
      this.source = AddressOnlySource.of(machine, osPageBytes, () -> random.nextInt(3));
      source.pin(this::isPinned);
      // Capacities beyond what is there: either may be what runs out.
      this.parts =
          Assembly.of(
              source,
              NodeMask.of(DEVICE),
              List.of(new Assembly.Arena(ARENA, 0, 12 * MIB)),
              new Assembly.Settings(
                  Map.of(0, 12 * MIB, 1, 16 * MIB + 64 * 1024, 2, 24 * MIB),
                  Map.of(),
                  Map.of(
                      DEVICE,
                      NodeAttributes.COHERENT_DEVICE
                          .withReclaim(true)
                          .withDemotionTarget(1)
                          .withEvict(evicts)),
                  Zeroing.NEVER,
                  Checks.STANDARD,
                  Duration.ZERO,
                  Duration.ZERO,
                  0));
      this.allocation = parts.allocation();
      this.placements =
          List.of(
              Placement.LOCAL,
              Placement.onNode(0),
              Placement.onNode(1),
              Placement.onNode(2),
              Placement.interleave(NodeMask.of(0, 1, 2)),
              Placement.weightedInterleave(Map.of(1, 3, 2, 1)));
      parts.devices().values().forEach(DeviceZone::online);
      for (int node = 0; node < 3; node++) {
        targets.add(parts.system().of(Placement.onNode(node)).choose(1).zone(0));
      }
      parts.devices().values().forEach(device -> targets.add(device.choose(1).zone(0)));
    }

    void run() {
      int step = 0;
      try {
        for (; step < STEPS; step++) {
          switch (random.nextInt(16)) {
            case 0, 1, 2, 3, 4 -> allocate();
            case 5, 6, 7 -> free();
            case 8, 9, 10, 11 -> move();
            case 12 -> others();
            case 13 -> moveScope();
            default -> allocation.trim(random.nextBoolean());
          }
          check();
        }
        end();
      } catch (RuntimeException | Error e) {
        throw new AssertionError("seed=" + seed + ", step=" + step + ": " + e, e);
      }
    }

    Requests requests(Paths paths) {
      return paths instanceof DeviceZone device
          ? new DeviceRequests(allocation, Placement.LOCAL, device, device.account())
          : new SystemRequests(allocation, Placement.LOCAL, paths);
    }

    private Paths paths() {
      return paths(random);
    }

    Paths paths(SplittableRandom random) {
      int choice = random.nextInt(placements.size() + 2);
      return choice < placements.size()
          ? parts.system().of(placements.get(choice))
          : parts.devices().get(choice == placements.size() ? DEVICE : ARENA);
    }

    private void allocate() {
      int bytes =
          random.nextInt(8) == 0 ? random.nextInt((int) (9 * MIB)) : random.nextInt(1 << 20);
      bytes = Math.max(osPageBytes, bytes / osPageBytes * osPageBytes);
      Scope scope = random.nextInt(4) == 0 ? new Scope(allocation) : null;
      Requests requests = scope == null ? requests(paths()) : requests(paths()).in(scope);
      long address = requests.tryAllocate(bytes, osPageBytes);
      if (address != 0) {
        blocks.add(new Held(address, bytes, nodes(address), scope));
      }
    }

    private List<Integer> nodes(long address) {
      Residency residency = allocation.residency(address);
      return new ArrayList<>(
          IntStream.range(0, residency.pages()).mapToObj(residency::node).toList());
    }

    private void free() {
      if (blocks.isEmpty()) {
        return;
      }
      Held block = blocks.remove(random.nextInt(blocks.size()));
      long away = movedOut();
      if (block.scope != null && random.nextBoolean()) {
        block.scope.close();
      } else {
        allocation.free(block.address);
      }
      freedAway += away != movedOut() ? 1 : 0;
      stranded += hasStranded() ? 1 : 0;
      assertThrows(MemoryCorruptionError.class, () -> allocation.free(block.address));
      assertThrows(MemoryCorruptionError.class, () -> allocation.usableBytes(block.address));
      assertThrows(MemoryCorruptionError.class, () -> allocation.buffer(block.address, 1));
    }

    private long movedOut() {
      return parts.report().nodes().stream().mapToLong(NodeReport::movedOutBytes).sum();
    }

    private BackedZone target() {
      return targets.get(random.nextInt(targets.size()));
    }

    private void move() {
      if (blocks.isEmpty()) {
        return;
      }
      Held block = blocks.get(random.nextInt(blocks.size()));
      BackedZone target = target();
      Placement placement = Placement.onNode(target.node());
      try {
        MoveReport report =
            new BlockMoves(allocation)
                .move(block.address, new Destination(target, null), placement);
        assertEquals(target.node(), report.node());
        arrived(block, target, report);
        moved++;
      } catch (NodeMemoryExhaustedException e) {
        assertEquals(block.bytes, e.requestedBytes());
        refused++;
      }
    }

    private void moveScope() {
      List<Held> scoped = blocks.stream().filter(block -> block.scope != null).toList();
      if (scoped.isEmpty()) {
        return;
      }
      Held block = scoped.get(random.nextInt(scoped.size()));
      BackedZone target = target();
      MoveReport report =
          block.scope.move(new Destination(target, null), Placement.onNode(target.node()));
      if (report.unmoved().stream().noneMatch(part -> part.node() == Residency.UNKNOWN)) {
        arrived(block, target, report);
      } else {
        // No room: the whole block stayed.
        assertEquals(block.bytes, report.unmoved().get(0).bytes());
      }
    }

    private boolean hasStranded() {
      return allocation.zones().stream()
          .map(BackedZone::zone)
          .anyMatch(zone -> zone.awayPages() > zone.liveAwayPages());
    }

    /** All pages are there but for the pinned ones, which are where they were. */
    private void arrived(Held block, BackedZone target, MoveReport report) {
      int there = 0;
      for (int page = 0; page < block.nodes.size(); page++) {
        if (!isPinned(block.address + (long) page * osPageBytes)) {
          block.nodes.set(page, target.backingNode());
        }
        there += block.nodes.get(page) == target.backingNode() ? 1 : 0;
      }
      assertEquals((long) there * osPageBytes, report.movedBytes(), report::toString);
      long rest = report.unmoved().stream().mapToLong(MoveReport.Unmoved::bytes).sum();
      assertEquals(block.bytes - report.movedBytes(), rest, report::toString);
    }

    /** In every other life every fifth page. */
    private boolean isPinned(long address) {
      return seed % 2 == 0 && address / osPageBytes % 5 == 0;
    }

    /** Somebody else takes what is free of a node, or gives it back. */
    private void others() {
      if (!others.isEmpty() && random.nextBoolean()) {
        Region region = others.remove(random.nextInt(others.size()));
        source.release(region);
        return;
      }
      int node = random.nextInt(4);
      long free = source.freeBytes(node) / osPageBytes;
      if (free > 0) {
        long pages = random.nextInt(3) == 0 ? free : 1 + random.nextInt((int) free);
        Region region = source.reserve(Stripe.of(node), pages * osPageBytes);
        assertTrue(source.commit(region, 0, region.bytes()).isCommitted());
        others.add(region);
      }
    }

    /** What gave way is where its node's blocks are demoted to, and nothing else went anywhere. */
    private void followEvicted() {
      long most = demoted() - demotedBefore;
      long gone = 0;
      for (Held block : blocks) {
        List<Integer> now = nodes(block.address);
        for (int page = 0; page < now.size(); page++) {
          if (!now.get(page).equals(block.nodes.get(page))) {
            assertEquals(1, now.get(page));
            assertTrue(evicts && allocation.require(block.address).zone().node() == DEVICE);
            block.nodes.set(page, 1);
            gone += osPageBytes;
          }
        }
      }
      assertTrue(gone <= most, () -> "some went that did not give way: " + most);
      demotedBefore += most;
    }

    private long demoted() {
      return parts.report().node(DEVICE).demotedBytes();
    }

    /** What nodes have given is what is reported of them, and blocks lie where they were put. */
    private void check() {
      Map<Integer, Long> taken = new TreeMap<>();
      MemoryReport report = parts.report();
      for (NodeReport node : report.nodes()) {
        long bytes = node.committedBytes() + node.movedInBytes() + node.stripedBytes();
        taken.merge(node.backingNode(), bytes, Long::sum);
        assertTrue(
            node.usedBytes() >= 0 && node.usedBytes() <= node.committedBytes(), node::toString);
        assertTrue(bytes <= node.capacityBytes(), node::toString);
      }
      others.forEach(region -> taken.merge(region.node(), region.bytes(), Long::sum));
      for (int node = 0; node <= DEVICE; node++) {
        long given = source.machine().node(node).bytes() - source.freeBytes(node);
        assertEquals(given, taken.getOrDefault(node, 0L), "node=" + node);
      }
      for (BackedZone zone : allocation.zones()) {
        zone.zone().validate();
      }
      followEvicted();
      for (Held block : blocks) {
        assertEquals(block.bytes, allocation.usableBytes(block.address));
      }
      PlacementAudit audit = parts.audit();
      assertEquals(List.of(), audit.displacements());
      assertEquals(0, audit.unknownBytes());
      long live = report.nodes().stream().mapToLong(NodeReport::liveBlocks).sum();
      live += report.stripes().stream().mapToLong(stripe -> stripe.liveBlocks()).sum();
      assertEquals(blocks.size(), live);
    }

    private void end() {
      others.forEach(source::release);
      others.clear();
      while (!blocks.isEmpty()) {
        free();
      }
      // Twice: a stranded run of one zone may wait for what another one has yet to give back.
      allocation.trim(false);
      allocation.trim(false);
      check();
      for (BackedZone zone : allocation.zones()) {
        assertEquals(zone.zone().capacityPages(), zone.zone().freePages());
        assertEquals(0, zone.zone().awayPages());
        assertEquals(0, zone.zone().committedPages());
      }
      assertEquals(0, allocation.close());
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {4096, 16384, 65536})
  void movedBlocksAreAccountedForPageByPage(int osPageBytes) {
    int moved = 0;
    int refused = 0;
    int freedAway = 0;
    int stranded = 0;
    long demoted = 0;
    for (long seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
      Episode episode = new Episode(seed, osPageBytes);
      episode.run();
      moved += episode.moved;
      refused += episode.refused;
      freedAway += episode.freedAway;
      stranded += episode.stranded;
      demoted += episode.demotedBefore;
    }
    // The test is worth nothing if these do not happen.
    String counts =
        "moved="
            + moved
            + ", refused="
            + refused
            + ", freedAway="
            + freedAway
            + ", stranded="
            + stranded
            + ", demoted="
            + demoted;
    assertTrue(
        moved > 10 * SEEDS && refused > SEEDS && freedAway > SEEDS && stranded > SEEDS, counts);
    assertTrue(demoted > SEEDS * MIB / 8, counts);
  }

  /** Threads free what others move, and move what others free: every page comes home at the end. */
  @Test
  @Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void threadsMoveBlocksThatOthersFree() throws Exception {
    Episode shared = new Episode(FIRST_SEED, 4096);
    Queue<Long> blocks = new ConcurrentLinkedQueue<>();
    ExecutorService threads = Executors.newFixedThreadPool(THREADS);
    List<Future<Integer>> results = new ArrayList<>();
    for (int i = 0; i < THREADS; i++) {
      SplittableRandom random = new SplittableRandom(FIRST_SEED + i);
      results.add(threads.submit(() -> churn(shared, blocks, random)));
    }
    int moved = 0;
    for (Future<Integer> result : results) {
      moved += result.get();
    }
    threads.shutdown();
    for (Long block = blocks.poll(); block != null; block = blocks.poll()) {
      shared.allocation.free(block);
    }
    assertTrue(moved > THREADS * STEPS / 10, "moved=" + moved);
    shared.end();
  }

  private static int churn(Episode shared, Queue<Long> blocks, SplittableRandom random) {
    int moved = 0;
    for (int step = 0; step < 16 * STEPS; step++) {
      Long some = blocks.peek();
      int choice = random.nextInt(8);
      if (choice < 3 || some == null) {
        Paths paths = shared.paths(random);
        long address = shared.requests(paths).tryAllocate(4096L << random.nextInt(10), 4096);
        if (address != 0) {
          blocks.add(address);
        }
      } else if (choice < 5) {
        Long mine = blocks.poll();
        if (mine != null) {
          shared.allocation.free(mine);
        }
      } else if (choice < 7) {
        BackedZone target = shared.targets.get(random.nextInt(shared.targets.size()));
        try {
          new BlockMoves(shared.allocation)
              .move(some, new Destination(target, null), Placement.onNode(target.node()));
          moved++;
        } catch (NodeMemoryExhaustedException
            | MemoryCorruptionError
            | IllegalArgumentException e) {
          // No room, or somebody freed it first.
          assertTrue(e.getMessage().contains("="), e::toString);
        }
      } else {
        shared.allocation.trim(random.nextBoolean());
      }
    }
    return moved;
  }
}
