/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.stream.LongStream;
import org.cdmalloc.NodeMemoryExhaustedException.Reason;
import org.cdmalloc.internal.zone.Seeds;
import org.cdmalloc.spi.AddressOnlySource;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Region;
import org.cdmalloc.spi.Stripe;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Random lives of holders of two devices who allocate, spill, move, free and are revoked, held
 * after each step against a list of blocks and who pays for each.
 */
final class AccountModelTest {
  private static final int STEPS = 1500;
  private static final int MOST_HOLDERS = 14;
  private static final long MIB = 1L << 20;
  private static final int DEVICE = 2;
  private static final int ARENA = 9;
  private static final int PAGE = 4096;

  /** Of the one device; no more than the smallest budget. */
  private static final long CEILING_BYTES = MIB;

  private static final Map<String, Integer> reached = new TreeMap<>();

  /** Says how often a life came to what the model is for; not of a single one. */
  @AfterAll
  static void allWasReached() {
    boolean isWhole = Long.getLong("seed") == null;
    assertTrue(!isWhole || reached.values().stream().allMatch(n -> n > 250), reached::toString);
  }

  static LongStream seeds() {
    return Seeds.upTo(40);
  }

  @ParameterizedTest
  @MethodSource("seeds")
  void accountsAgreeWithTheListOfBlocks(long seed) {
    Episode episode = new Episode(seed);
    try (NodeAllocator memory = episode.memory) {
      for (int step = 0; step < STEPS; step++) {
        String at = seed + ", step=" + step;
        try {
          episode.step();
          episode.compare();
        } catch (RuntimeException | AssertionError e) {
          throw new AssertionError("-Dseed=" + at + ": " + e.getMessage(), e);
        }
      }
      reached.merge("spilled", episode.spilled, Integer::sum);
      reached.merge("quotas", episode.quotas, Integer::sum);
      reached.merge("ceilings", episode.ceilings, Integer::sum);
      reached.merge("moved", episode.moved, Integer::sum);
      episode.freeAll();
      memory.report().holders().forEach(holder -> assertEquals(0, holder.usedBytes()));
    }
  }

  /** A capability as the model knows it. */
  private static final class Holder {
    final DeviceNode device;
    final Holder parent;
    final long quotaBytes;
    final Set<SpillBudget> budgets;
    boolean revoked;

    Holder(DeviceNode device, Holder parent, long quotaBytes, Set<SpillBudget> budgets) {
      this.device = device;
      this.parent = parent;
      this.quotaBytes = quotaBytes;
      this.budgets = budgets;
    }

    boolean isRevoked() {
      return revoked || (parent != null && parent.isRevoked());
    }

    boolean isWithin(Holder other) {
      return this == other || (parent != null && parent.isWithin(other));
    }
  }

  /** A live block: who pays for it, and for its pages where it was moved to. */
  private static final class Held {
    final long address;
    final long bytes;
    final Holder holder;
    final NodeArena arena;
    long spilledBytes;
    Holder mover;

    Held(long address, long bytes, Holder holder, NodeArena arena, long spilledBytes) {
      this.address = address;
      this.bytes = bytes;
      this.holder = holder;
      this.arena = arena;
      this.spilledBytes = spilledBytes;
    }
  }

  private static final class Episode {
    final NodeAllocator memory;
    private final SplittableRandom random;
    private final List<Region> regions = new ArrayList<>();
    private final List<Region> devices = new ArrayList<>();
    private final List<Holder> holders = new ArrayList<>();
    private final List<SpillBudget> budgets = new ArrayList<>();
    private final List<Held> blocks = new ArrayList<>();
    private final List<NodeArena> arenas = new ArrayList<>();
    private final List<Holder> arenaHolders = new ArrayList<>();
    int spilled;
    int quotas;
    int ceilings;
    int moved;

    Episode(long seed) {
      random = new SplittableRandom(seed);
      Machine machine =
          Machine.builder()
              .node(Node.of(0, "0", 24 * MIB))
              .node(Node.of(1, "1", 12 * MIB))
              .node(Node.memoryOnly(DEVICE, 4 * MIB))
              .build();
      memory =
          NodeAllocator.builder()
              .source(watched(AddressOnlySource.of(machine)))
              .deviceNodes(NodeMask.of(DEVICE))
              .deviceArena(ARENA, 0, 2 * MIB)
              .capacity(0, 14 * MIB)
              .capacity(1, 8 * MIB)
              .attributes(DEVICE, NodeAttributes.COHERENT_DEVICE.withSpillCeiling(CEILING_BYTES))
              .purgeDelay(Duration.ZERO)
              .magazineBytes(0)
              .open();
      for (int node : new int[] {DEVICE, ARENA}) {
        memory.device(node).online();
        devices.add(regions.get(regions.size() - 1));
        holders.add(new Holder(memory.device(node), null, Long.MAX_VALUE, Set.of()));
      }
      for (long mib = 1; mib <= 4; mib++) {
        budgets.add(SpillBudget.ofBytes(mib * MIB));
      }
    }

    /** Remembers what is reserved, in that order. */
    private MemorySource watched(MemorySource source) {
      return new ForwardingSource(source) {
        @Override
        public Region reserve(Stripe stripe, long bytes) {
          Region region = super.reserve(stripe, bytes);
          regions.add(region);
          return region;
        }
      };
    }

    private boolean isOn(Holder holder, long address) {
      Region region = devices.get(holder.device.node() == DEVICE ? 0 : 1);
      long start = region.address();
      return address >= start && address < start + region.bytes();
    }

    void step() {
      int choice = random.nextInt(100);
      if (choice < 6) {
        narrow();
      } else if (choice < 50) {
        allocate();
      } else if (choice < 55) {
        allocateOfSystem();
      } else if (choice < 80) {
        free();
      } else if (choice < 93) {
        move();
      } else if (choice < 96) {
        closeArena();
      } else if (choice < 99) {
        memory.trim();
      } else {
        revoke();
      }
    }

    private Holder someHolder() {
      return holders.get(random.nextInt(holders.size()));
    }

    private void narrow() {
      if (holders.size() == MOST_HOLDERS) {
        return;
      }
      Holder parent = someHolder();
      long quota = random.nextLong(3 * MIB / PAGE) * PAGE;
      SpillBudget budget = budgets.get(random.nextInt(budgets.size()));
      Set<SpillBudget> spilling = new LinkedHashSet<>(parent.budgets);
      spilling.add(budget);
      holders.add(
          switch (random.nextInt(3)) {
            case 0 -> new Holder(parent.device.withQuota(quota), parent, quota, parent.budgets);
            case 1 -> new Holder(parent.device.spilling(budget), parent, Long.MAX_VALUE, spilling);
            default -> new Holder(parent.device.named("x"), parent, Long.MAX_VALUE, parent.budgets);
          });
    }

    private long someBytes() {
      return random.nextInt(4) == 0 ? random.nextLong(2 * MIB) : random.nextLong(64 * PAGE);
    }

    private static long usable(long bytes) {
      return Math.max(1, (bytes + PAGE - 1) / PAGE) * PAGE;
    }

    private boolean fits(Holder holder, long bytes) {
      for (Holder at = holder; at != null; at = at.parent) {
        if (used(at) + bytes > at.quotaBytes) {
          return false;
        }
      }
      return true;
    }

    private long used(Holder holder) {
      long bytes = 0;
      for (Held block : blocks) {
        bytes += block.holder != null && block.holder.isWithin(holder) ? block.bytes : 0;
        bytes += block.mover != null && block.mover.isWithin(holder) ? block.bytes : 0;
      }
      return bytes;
    }

    private long spilledOf(SpillBudget budget) {
      return blocks.stream()
          .filter(block -> block.holder != null && block.holder.budgets.contains(budget))
          .mapToLong(block -> block.spilledBytes)
          .sum();
    }

    private long spilledOf(int device) {
      return blocks.stream()
          .filter(block -> block.holder != null && block.holder.device.node() == device)
          .mapToLong(block -> block.spilledBytes)
          .sum();
    }

    private boolean maySpill(Holder holder, long bytes) {
      boolean below = holder.device.node() != DEVICE || spilledOf(DEVICE) + bytes <= CEILING_BYTES;
      return below
          && !holder.budgets.isEmpty()
          && holder.budgets.stream()
              .allMatch(budget -> spilledOf(budget) + bytes <= budget.limitBytes());
    }

    private void allocate() {
      Holder holder = someHolder();
      long bytes = someBytes();
      long usable = usable(bytes);
      NodeArena arena = null;
      if (random.nextInt(4) == 0) {
        int index = arenaHolders.indexOf(holder);
        if (index < 0) {
          arenas.add(holder.device.arena());
          arenaHolders.add(holder);
          index = arenas.size() - 1;
        }
        arena = arenas.get(index);
      }
      boolean fits = fits(holder, usable);
      boolean maySpill = maySpill(holder, usable);
      try {
        long address = arena != null ? arena.allocate(bytes) : holder.device.allocate(bytes);
        assertTrue(!holder.isRevoked() && fits, "served in no right");
        boolean isSpilled = !isOn(holder, address);
        assertTrue(!isSpilled || maySpill, "spilled beyond a budget");
        spilled += isSpilled ? 1 : 0;
        blocks.add(new Held(address, usable, holder, arena, isSpilled ? usable : 0));
      } catch (NodeAccessException e) {
        assertTrue(holder.isRevoked(), "refused although not revoked");
      } catch (NodeMemoryExhaustedException e) {
        assertTrue(!holder.isRevoked(), "exhausted although revoked");
        boolean byQuota = e.attempts().get(0).reason() == Reason.QUOTA_REACHED;
        assertEquals(!fits, byQuota);
        assertEquals(fits && maySpill ? 3 : 1, e.attempts().size());
        ceilings += e.attempts().get(0).detail().contains("spill_ceiling_bytes=1048576") ? 1 : 0;
        quotas += byQuota ? 1 : 0;
      }
    }

    private void allocateOfSystem() {
      long bytes = someBytes();
      long address = memory.tryAllocate(bytes);
      if (address != 0) {
        blocks.add(new Held(address, usable(bytes), null, null, 0));
      }
    }

    private void free() {
      if (!blocks.isEmpty()) {
        memory.free(blocks.remove(random.nextInt(blocks.size())).address);
      }
    }

    private void move() {
      if (blocks.isEmpty()) {
        return;
      }
      Held block = blocks.get(random.nextInt(blocks.size()));
      if (random.nextInt(3) == 0) {
        try {
          memory.move(block.address, Placement.onNode(random.nextInt(2)));
          block.mover = null;
          moved++;
        } catch (NodeMemoryExhaustedException e) {
          // Where it lies, it is paid for as before.
        }
        return;
      }
      Holder target = someHolder();
      boolean family = block.holder != null && block.holder.device.node() == target.device.node();
      boolean pays = !family && block.mover != target;
      boolean fits = !pays || fits(target, block.bytes);
      try {
        memory.move(block.address, target.device.placement());
        assertTrue(!target.isRevoked() && fits, "moved in no right");
        block.mover = family ? null : target;
        block.spilledBytes = family ? 0 : block.spilledBytes;
        moved++;
      } catch (NodeAccessException e) {
        assertTrue(target.isRevoked(), "refused although not revoked");
      } catch (NodeMemoryExhaustedException e) {
        boolean byQuota = e.attempts().get(0).reason() == Reason.QUOTA_REACHED;
        assertEquals(!fits, byQuota, e.getMessage());
      }
    }

    private void closeArena() {
      if (!arenas.isEmpty()) {
        int index = random.nextInt(arenas.size());
        NodeArena arena = arenas.remove(index);
        arenaHolders.remove(index);
        arena.close();
        blocks.removeIf(block -> block.arena == arena);
      }
    }

    private void revoke() {
      Holder holder = someHolder();
      if (holder.parent != null) {
        holder.device.revoke();
        holder.revoked = true;
        if (random.nextInt(3) > 0) {
          holders.removeIf(other -> other.isWithin(holder) && used(other) == 0);
        }
      }
    }

    void compare() {
      for (Holder holder : holders) {
        HolderReport report = holder.device.holders().get(0);
        assertEquals(used(holder), report.usedBytes(), report::toString);
        assertEquals(holder.isRevoked(), report.revoked(), report::toString);
        long all =
            blocks.stream()
                .filter(block -> block.holder != null && block.holder.isWithin(holder))
                .mapToLong(block -> block.spilledBytes)
                .sum();
        assertEquals(all, report.spilledBytes(), report::toString);
      }
      budgets.forEach(budget -> assertEquals(spilledOf(budget), budget.spilledBytes()));
      Holder listed = someHolder();
      assertEquals(sorted(expected(listed)), sorted(listed.device.outstanding()));
    }

    private List<DeviceBlock> expected(Holder listed) {
      List<DeviceBlock> expected = new ArrayList<>();
      for (Held block : blocks) {
        if (block.holder != null && block.holder.isWithin(listed)) {
          String name = block.holder.device.holder();
          expected.add(new DeviceBlock(name, block.address, block.bytes, block.spilledBytes));
        }
        if (block.mover != null && block.mover.isWithin(listed)) {
          String name = block.mover.device.holder();
          expected.add(new DeviceBlock(name, block.address, block.bytes, 0));
        }
      }
      return expected;
    }

    private static List<DeviceBlock> sorted(List<DeviceBlock> blocks) {
      return blocks.stream()
          .sorted(Comparator.comparingLong(DeviceBlock::address).thenComparing(DeviceBlock::holder))
          .toList();
    }

    void freeAll() {
      blocks.forEach(block -> memory.free(block.address));
      blocks.clear();
    }
  }
}
