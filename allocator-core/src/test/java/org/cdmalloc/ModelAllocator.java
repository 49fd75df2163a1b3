/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.BooleanSupplier;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Residency;
import org.cdmalloc.spi.Stripe;
import org.cdmalloc.topology.NodeMask;

/**
 * An allocator and what is known of it from outside: the blocks that it gave, what it asked its
 * source for, and the kernel's rules of placement. Each request is judged by these alone.
 *
 * <p><b>What a request is promised.</b> It walks the zones of its placement. A zone has
 * <em>room</em> if its largest block is as large, so many pages of its node are in no block and not
 * lent to striped zones that the floor stays free, and a free block of the size holds it. It
 * <em>surely</em> serves if moreover the memory that is missing under the first fitting block is to
 * be had at once: within the capacity, beside what is committed here and in striped zones, and from
 * the source; of a striped zone at each node, above its low mark. The first such zone serves at
 * that block, unless one before it does, which has room and whose memory was idle elsewhere. A
 * request is refused only if then, with all idle memory given back, no zone of its path has room
 * and memory for it, be it under the first fitting block or committed already.
 */
final class ModelAllocator {
  private static final int PAGE_BYTES = NaiveZone.PAGE_BYTES;
  private static final int PAGES_PER_MIN_MARK = 256;

  /** A zone of a request's path. */
  private record Stop(NaiveZone zone, int node, boolean isStriped, int floorPages) {}

  /** What came of a request. */
  enum Outcome {
    /** Pages of all nodes, from a striped zone. */
    DEALT_OUT,
    /** Pages of the node that was wanted, or of a device. */
    FIRST_CHOICE,
    /** Pages of another node of the path, the first that surely had room. */
    LATER_CHOICE,
    /** Pages of a zone that had room, but whose memory had to be found or was committed already. */
    FOUND,
    /** Nothing: the path was full. */
    REFUSED
  }

  /** A live block. */
  record Block(NaiveZone zone, NaiveZone.Run run, long address) {}

  /** A node of this allocator. */
  private static final class Account {
    private final int node;
    private final int backingNode;
    private final int capacityPages;
    private final int lowPages;
    private NaiveZone zone;
    private long hit;
    private long miss;
    private long foreign;
    private long interleaveHit;
    private long local;
    private long other;

    Account(int node, int backingNode, int capacityPages, int lowPages) {
      this.node = node;
      this.backingNode = backingNode;
      this.capacityPages = capacityPages;
      this.lowPages = lowPages;
    }

    void countPlace(int caller) {
      if (node == caller) {
        local++;
      } else {
        other++;
      }
    }

    NumaCounters counters() {
      return new NumaCounters(hit, miss, foreign, interleaveHit, local, other);
    }
  }

  private final ModelMachine machine;
  private final ModelMachine.Options options;
  private final ObservedSource source;
  private final NodeAllocator memory;
  private final NaivePlacement rules;
  private final NodeMask devices;
  private final Map<Integer, Account> accounts = new TreeMap<>();

  /** Striped zones by their round. */
  private final Map<List<Integer>, NaiveZone> striped = new HashMap<>();

  /** How many blocks of an interleaving went round. */
  private final Map<Placement, Long> turns = new HashMap<>();

  private final Map<Placement, SystemMemory> views = new HashMap<>();

  /** Whether requests failed since the last look for idle memory; they may have touched any. */
  private boolean disturbed;

  private Outcome outcome;

  ModelAllocator(ModelMachine machine, BooleanSupplier fails) {
    this.machine = machine;
    this.source = new ObservedSource(machine.source(), fails);
    this.options = machine.drawOptions();
    this.memory = open(machine, options, source);
    this.devices = machine.devices().or(mask(options.arenas.keySet()));
    this.rules = new NaivePlacement(memory.machine(), devices);
    options.capacities.forEach(
        (node, bytes) -> {
          int pages = (int) (machine.pageBytes(bytes) / PAGE_BYTES);
          int min = pages / PAGES_PER_MIN_MARK;
          Marks marks = options.marks.get(node);
          int low = marks == null ? min + min / 4 : (int) (marks.lowBytes() / PAGE_BYTES);
          ModelMachine.Arena arena = options.arenas.get(node);
          int backing = arena == null ? node : arena.host();
          accounts.put(node, new Account(node, backing, pages, low));
        });
    int next = 0;
    for (int node : machine.system().stream().toArray()) {
      accounts.get(node).zone = source.zones().get(next++);
    }
    assertEquals(next, source.zones().size(), "reserved before it is needed");
  }

  static NodeAllocator open(
      ModelMachine machine, ModelMachine.Options options, MemorySource source) {
    NodeAllocator.Builder builder =
        NodeAllocator.builder()
            .magazineBytes(0)
            .source(source)
            .deviceNodes(machine.devices())
            .purgeDelay(Duration.ZERO);
    options.capacities.forEach(builder::capacity);
    options.arenas.forEach((id, arena) -> builder.deviceArena(id, arena.host(), arena.bytes()));
    options.marks.forEach(builder::watermarks);
    return builder.open();
  }

  private static NodeMask mask(Iterable<Integer> nodes) {
    NodeMask mask = NodeMask.EMPTY;
    for (int node : nodes) {
      mask = mask.or(NodeMask.of(node));
    }
    return mask;
  }

  NodeAllocator memory() {
    return memory;
  }

  ModelMachine.Options options() {
    return options;
  }

  NodeMask devices() {
    return devices;
  }

  /** Tells whether a call of the source failed since this was last asked, and not for want. */
  boolean hasFailed() {
    return source.hasFailed();
  }

  /** The memory at a placement, which is resolved when it is first asked for. */
  SystemMemory view(Placement placement) {
    SystemMemory view = views.get(placement);
    if (view == null) {
      int before = source.zones().size();
      view = memory.at(placement);
      views.put(placement, view);
      if (source.zones().size() > before) {
        NaiveZone zone = source.zones().get(before);
        assertEquals(rules.round(placement), zone.round());
        assertTrue(striped.put(zone.round(), zone) == null, "two striped zones of one kind");
        assertEquals(stripedPages(zone), zone.capacityPages(), zone::toString);
      }
    }
    return view;
  }

  /** What all nodes can give together: whole rounds, until the first has given its capacity. */
  private int stripedPages(NaiveZone zone) {
    int pagesPerOsPage = source.osPageBytes() / PAGE_BYTES;
    Map<Integer, Integer> weights = new HashMap<>();
    zone.round().forEach(node -> weights.merge(node, 1, Integer::sum));
    int rounds = Integer.MAX_VALUE;
    for (int node : weights.keySet()) {
      int osPages = accounts.get(node).capacityPages / pagesPerOsPage;
      rounds = Math.min(rounds, osPages / weights.get(node));
    }
    int pages = Math.max(1, rounds) * zone.round().size() * pagesPerOsPage;
    return pages < NaiveZone.UNIT_PAGES
        ? pages
        : pages / NaiveZone.UNIT_PAGES * NaiveZone.UNIT_PAGES;
  }

  boolean isOnline(int device) {
    return accounts.get(device).zone != null;
  }

  void online(int device) {
    int before = source.zones().size();
    memory.device(device).online();
    if (!isOnline(device)) {
      assertEquals(before + 1, source.zones().size());
      accounts.get(device).zone = source.zones().get(before);
    }
  }

  private Account account(Stop stop) {
    return accounts.get(stop.node);
  }

  private int lentPages(int node) {
    return striped.values().stream().mapToInt(zone -> zone.committedPages(node)).sum();
  }

  private int freePages(Account account) {
    return account.capacityPages - account.zone.livePages() - lentPages(account.node);
  }

  /** What of a node's capacity is neither committed in its own zone nor in striped ones. */
  private int unbackedPages(Account account) {
    return account.capacityPages - account.zone.committedPages() - lentPages(account.node);
  }

  private List<Stop> path(Placement placement, long bytes) {
    List<Stop> path = new ArrayList<>();
    List<Integer> nodes;
    if (rules.isDealtOut(placement, bytes, source.osPageBytes())) {
      List<Integer> round = rules.round(placement);
      path.add(new Stop(striped.get(round), round.get(0), true, 0));
      nodes = rules.insteadOfDealing(placement, machine.caller());
    } else {
      long turn = isInterleaving(placement) ? turns.merge(placement, 1L, Long::sum) - 1 : 0;
      nodes = rules.order(placement, machine.caller(), turn);
    }
    for (int node : nodes) {
      Account account = accounts.get(node);
      int floor = NaivePlacement.insists(placement) ? 0 : account.lowPages;
      path.add(new Stop(account.zone, node, false, floor));
    }
    return path;
  }

  private static boolean isInterleaving(Placement placement) {
    return placement.mode() == Placement.Mode.INTERLEAVE
        || placement.mode() == Placement.Mode.WEIGHTED_INTERLEAVE;
  }

  /** Returns where a stop would put a request if memory were no question, or NONE. */
  private int room(Stop stop, int pages, int order) {
    int free =
        stop.isStriped
            ? stop.zone.capacityPages() - stop.zone.livePages()
            : freePages(account(stop));
    return order > stop.zone.maxOrder() || free - pages < stop.floorPages
        ? NaiveZone.NONE
        : stop.zone.firstFit(order);
  }

  /** Tells whether the memory that is missing under a run is to be had. */
  private boolean isAffordable(Stop stop, int page, int pages) {
    // What the source failed to take back costs it nothing.
    Map<Integer, Integer> ofSource = stop.zone.missing(page, pages, false);
    for (Map.Entry<Integer, Integer> share : stop.zone.missing(page, pages, true).entrySet()) {
      // An arena's zone lies on its host.
      Account account = accounts.get(stop.isStriped ? share.getKey() : stop.node);
      int wanted = share.getValue();
      if (wanted > unbackedPages(account)
          || bytes(ofSource.get(share.getKey())) > source.freeBytes(account.backingNode)
          || (stop.isStriped && freePages(account) - wanted < account.lowPages)) {
        return false;
      }
    }
    return true;
  }

  /** How a request is made: returns the address, or 0 or an exception where there is no room. */
  interface Way {
    long allocate();
  }

  /**
   * Makes a request and judges what came of it.
   *
   * @return the block, or null if the request was refused
   */
  Block request(Placement placement, long bytes, long alignment, Way way) {
    List<Stop> path = path(placement, bytes);
    long wanted = (Math.max(1, bytes) - 1) / PAGE_BYTES + 1;
    int pages = (int) Math.min(wanted, Integer.MAX_VALUE);
    int alignOrder = Long.numberOfTrailingZeros(Math.max(1, alignment / PAGE_BYTES));
    int order = Math.max(Integer.SIZE - Integer.numberOfLeadingZeros(pages - 1), alignOrder);
    int sure = 0;
    int surePage = NaiveZone.NONE;
    while (sure < path.size()) {
      Stop stop = path.get(sure);
      surePage = room(stop, pages, order);
      if (surePage >= 0 && isAffordable(stop, surePage, pages)) {
        break;
      }
      sure++;
    }
    disturbed |= sure != 0;
    Map<Integer, Integer> lentBefore = new HashMap<>();
    path.get(0).zone.round().forEach(n -> lentBefore.put(n, path.get(0).zone.committedPages(n)));
    long address = allocate(way, path);
    if (address == 0) {
      assertEquals(path.size(), sure, () -> "refused although a zone had room: " + path);
      requireFull(path, pages, order);
      outcome = Outcome.REFUSED;
      return null;
    }
    int served = 0;
    while (served < path.size() && !path.get(served).zone.holds(address)) {
      served++;
    }
    assertTrue(served < path.size(), () -> "not in a zone of the path: " + path);
    assertTrue(served <= sure, "passed over a zone with room: served=" + served + ", sure=" + sure);
    Stop stop = path.get(served);
    Block block = new Block(stop.zone, stop.zone.take(address, bytes), address);
    if (served == sure) {
      assertEquals(surePage, block.run.page(), "not the lowest of the smallest free blocks");
    }
    assertEquals(0, address % Math.max(PAGE_BYTES, alignment), "alignment");
    assertEquals((long) block.run.pages() * PAGE_BYTES, memory.usableBytes(address));
    if (!stop.isStriped) {
      assertTrue(freePages(account(stop)) >= stop.floorPages, "below the mark");
    } else {
      lentBefore.forEach(
          (node, before) -> {
            Account account = accounts.get(node);
            assertTrue(
                stop.zone.committedPages(node) <= before || freePages(account) >= account.lowPages,
                () -> "lent below the mark: node=" + node);
          });
    }
    count(path, served, placement, block);
    if (served != sure) {
      outcome = Outcome.FOUND;
    } else if (served > 0) {
      outcome = Outcome.LATER_CHOICE;
    } else {
      outcome = stop.isStriped ? Outcome.DEALT_OUT : Outcome.FIRST_CHOICE;
    }
    return block;
  }

  /** Returns what came of the last request. */
  Outcome outcome() {
    return outcome;
  }

  private long allocate(Way way, List<Stop> path) {
    try {
      return way.allocate();
    } catch (NodeMemoryExhaustedException refused) {
      assertEquals(
          path.stream().map(Stop::node).toList(),
          refused.attempts().stream().map(attempt -> attempt.node()).toList());
      return 0;
    } catch (NativeCallException failed) {
      disturbed = true;
      throw failed;
    }
  }

  private void requireFull(List<Stop> path, int pages, int order) {
    for (Stop stop : path) {
      int page = room(stop, pages, order);
      if (page >= 0) {
        boolean affordable = isAffordable(stop, page, pages);
        boolean committed = stop.zone.hasCommittedFit(pages, order);
        assertTrue(
            !affordable && !committed,
            () -> "refused although there is room now: " + stop + ", pages=" + pages);
      }
    }
  }

  private void count(List<Stop> path, int served, Placement placement, Block block) {
    Stop stop = path.get(served);
    Account at = accounts.get(stop.isStriped ? block.zone.nodeOf(block.run.page()) : stop.node);
    at.countPlace(machine.caller());
    if (served == 0) {
      at.hit++;
      at.interleaveHit += isInterleaving(placement) ? 1 : 0;
    } else {
      at.miss++;
      account(path.get(0)).foreign++;
    }
  }

  /** Checks where each page of a block lies. */
  void checkResidency(Block block) {
    Residency found = memory.residency(block.address);
    int pagesPerOsPage = source.osPageBytes() / PAGE_BYTES;
    int first = block.run.page() / pagesPerOsPage;
    int last = (block.run.page() + block.run.pages() - 1) / pagesPerOsPage;
    assertEquals(last - first + 1, found.pages());
    for (int osPage = first; osPage <= last; osPage++) {
      assertEquals(block.zone.nodeOf(osPage * pagesPerOsPage), found.node(osPage - first));
    }
  }

  private long committedBytes() {
    return source.zones().stream().mapToLong(zone -> zone.committedPages()).sum() * PAGE_BYTES;
  }

  /**
   * Gives all idle memory back: what is left is under blocks.
   *
   * @throws NativeCallException if the source failed to take some
   */
  void trim() {
    long before = committedBytes();
    disturbed = true;
    long given = memory.trim();
    assertEquals(before - committedBytes(), given, "bytes that trim says it gave back");
    source.zones().forEach(zone -> assertTrue(zone.idle().isEmpty(), zone::toString));
    look(source.zones().stream().map(zone -> new BitSet()).toList(), true);
  }

  /**
   * Lets the allocator look for memory that nobody used since the last look.
   *
   * @throws NativeCallException if the source failed to take some
   */
  void purgeIdle() {
    long before = committedBytes();
    List<BitSet> idle = source.zones().stream().map(NaiveZone::idle).toList();
    boolean maybeTouched = disturbed;
    disturbed = true;
    long given;
    try {
      given = memory.purgeIdle();
    } catch (NativeCallException failed) {
      source.zones().forEach(NaiveZone::lookedInVain);
      throw failed;
    }
    assertEquals(before - committedBytes(), given, "bytes that were given back");
    look(idle, maybeTouched);
  }

  private void look(List<BitSet> before, boolean maybeTouched) {
    for (int i = 0; i < before.size(); i++) {
      source.zones().get(i).looked(before.get(i), maybeTouched);
    }
    disturbed = false;
  }

  /** Compares the report with all that is known. */
  void check() {
    MemoryReport report = memory.report();
    assertEquals(
        List.copyOf(accounts.keySet()), report.nodes().stream().map(n -> n.node()).toList());
    long misses = 0;
    long foreign = 0;
    for (Account account : accounts.values()) {
      NodeReport node = report.node(account.node);
      checkNode(account, node);
      NumaCounters counters = node.counters();
      assertEquals(
          counters.numaHit() + counters.numaMiss(), counters.localNode() + counters.otherNode());
      assertTrue(counters.interleaveHit() <= counters.numaHit());
      misses += counters.numaMiss();
      foreign += counters.numaForeign();
    }
    assertEquals(misses, foreign);
    assertEquals(striped.size(), report.stripes().size());
    for (StripeReport stripe : report.stripes()) {
      checkStripe(stripe);
    }
  }

  private void checkNode(Account account, NodeReport node) {
    assertEquals(bytes(account.capacityPages), node.capacityBytes());
    assertEquals(account.zone != null, node.online());
    assertEquals(account.backingNode, node.backingNode());
    assertEquals(account.counters(), node.counters(), node::toString);
    if (account.zone == null) {
      assertEquals(0, node.committedBytes() + node.usedBytes() + node.stripedBytes());
      return;
    }
    assertEquals(bytes(account.capacityPages), node.reservedBytes());
    assertEquals(bytes(account.zone.livePages()), node.usedBytes(), node::toString);
    assertEquals(account.zone.liveBlocks(), node.liveBlocks(), node::toString);
    assertEquals(bytes(account.zone.committedPages()), node.committedBytes(), node::toString);
    assertEquals(bytes(lentPages(account.node)), node.stripedBytes(), node::toString);
    assertEquals(bytes(account.lowPages), node.marks().lowBytes());
    assertEquals(account.zone.freeBlocksPerOrder(), node.freeBlocksPerOrder(), node::toString);
    assertEquals(node.capacityBytes(), node.usedBytes() + node.freeBytes() + node.stripedBytes());
    assertTrue(node.committedBytes() + node.stripedBytes() <= node.capacityBytes(), node::toString);
  }

  private void checkStripe(StripeReport stripe) {
    List<Integer> round = new ArrayList<>();
    Stripe dealt = stripe.stripe();
    for (int page = 0; page < dealt.roundPages(); page++) {
      round.add(dealt.node(page));
    }
    NaiveZone zone = striped.get(round);
    assertEquals(bytes(zone.capacityPages()), stripe.capacityBytes());
    assertEquals(bytes(zone.livePages()), stripe.usedBytes(), stripe::toString);
    assertEquals(zone.liveBlocks(), stripe.liveBlocks(), stripe::toString);
    assertEquals(bytes(zone.committedPages()), stripe.committedBytes(), stripe::toString);
    assertEquals(zone.freeBlocksPerOrder(), stripe.freeBlocksPerOrder(), stripe::toString);
  }

  /** Returns what this allocator holds of a node of the machine. */
  long heldBytes(int node) {
    return bytes(source.zones().stream().mapToInt(zone -> zone.heldPages(node)).sum());
  }

  /** Checks that nothing is used any more. */
  void checkUnused() {
    check();
    for (NodeReport node : memory.report().nodes()) {
      assertEquals(0, node.usedBytes() + node.committedBytes() + node.stripedBytes());
      assertEquals(0, node.liveBlocks());
    }
  }

  private static long bytes(int pages) {
    return (long) pages * PAGE_BYTES;
  }
}
