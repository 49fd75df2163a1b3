/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.function.UnaryOperator;
import org.cdmalloc.GuardedSource.Caller;
import org.cdmalloc.NodeMemoryExhaustedException.Attempt;
import org.cdmalloc.spi.AddressOnlySource;
import org.cdmalloc.spi.Residency;
import org.cdmalloc.topology.LoadRule;
import org.cdmalloc.topology.NodeMask;
import org.cdmalloc.topology.SpillMode;
import org.cdmalloc.topology.Zonelist;

/**
 * Several threads that ask for everything at once on a machine drawn at random: more RAM than there
 * is, in waves; device memory as its holders; device memory without a right to it. What must not be
 * is collected, and looked for while they run and whenever all of them rest.
 */
final class IsolationFire {
  static final String IMPLICIT_ON_DEVICE = "an implicit block lies on a device";

  private static final int PAGE = NaiveZone.PAGE_BYTES;
  private static final int BOUTS = 4;
  private static final int MOST_HELD = 4096;
  private static final int MOST_HELD_OF_DEVICES = 1024;
  private static final int MOST_IN_ARENA = 64;
  private static final int EXCHANGED = 256;

  /** Of 65536 steps, those that neither allocate nor free one block. */
  private static final int SELDOM = 256;

  /** The most that is asked for: no node has as much. */
  private static final int LARGEST_BITS = 46;

  /** How many things were asked for, and what came of them. */
  static final class Figures {
    long implicit;
    long refused;
    long fellBack;
    long device;
    long deviceRefused;
    long forbidden;
    long moves;
    long outages;
    long allocators;

    void add(Figures other) {
      implicit += other.implicit;
      refused += other.refused;
      fellBack += other.fellBack;
      device += other.device;
      deviceRefused += other.deviceRefused;
      forbidden += other.forbidden;
      moves += other.moves;
      outages += other.outages;
      allocators += other.allocators;
    }

    long requests() {
      return implicit + device + forbidden;
    }

    @Override
    public String toString() {
      return "requests="
          + requests()
          + ", implicit="
          + implicit
          + ", refused="
          + refused
          + ", fell_back="
          + fellBack
          + ", device="
          + device
          + ", device_refused="
          + deviceRefused
          + ", forbidden="
          + forbidden
          + ", moves="
          + moves
          + ", outages="
          + outages
          + ", allocators="
          + allocators;
    }
  }

  /** An allocator, and the ways into it. */
  private final class Tenant {
    final NodeAllocator memory = open();
    final List<Placement> placements = new ArrayList<>();
    final SystemMemory[] ways;
    final DeviceLedger[] ledgers;

    Tenant(SplittableRandom drawn) {
      List<SystemMemory> views = new ArrayList<>(List.of(memory, memory.systemView()));
      for (int kind = 0; kind < 2 * PlacementKind.VALUES.length; kind++) {
        Placement placement =
            PlacementKind.VALUES[kind % PlacementKind.VALUES.length].draw(drawn, system, homes);
        placements.add(placement);
        views.add(memory.at(placement));
      }
      ways = views.toArray(SystemMemory[]::new);
      ledgers =
          told.stream()
              .mapToObj(node -> new DeviceLedger(memory.device(node)))
              .toArray(DeviceLedger[]::new);
      checkLists();
    }

    /** Isolation is data: this is the data. */
    private void checkLists() {
      for (Zonelist list :
          memory.machine().zonelists(told, LoadRule.ACCUMULATE, SpillMode.STRICT)) {
        NodeMask others = devices.without(NodeMask.of(list.node()));
        if (list.fallback().stream().anyMatch(others::contains)) {
          violations.add("a list names a device of others", list);
        }
      }
    }

    void online(DeviceLedger ledger) {
      Caller.current().claim(ledger.device().node());
      ledger.device().online();
      ledger.cameOnline();
      Caller.current().claimNone();
    }

    /** Compares what the devices report with what their holders know, while others go on. */
    void sample() {
      for (DeviceLedger ledger : ledgers) {
        ledger.check(memory, violations);
      }
    }

    /** The same while nobody works; and no block of RAM is lost. */
    void checkAtRest(long liveSystemBlocks) {
      for (DeviceLedger ledger : ledgers) {
        ledger.checkAtRest(memory, violations);
      }
      MemoryReport report = memory.report();
      long live = report.stripes().stream().mapToLong(StripeReport::liveBlocks).sum();
      for (NodeReport node : report.nodes()) {
        live += devices.contains(node.node()) ? 0 : node.liveBlocks();
      }
      if (live != liveSystemBlocks) {
        violations.add("blocks of RAM are not those held", live + ", held=" + liveSystemBlocks);
      }
    }

    long misses() {
      return memory.report().nodes().stream().mapToLong(n -> n.counters().numaMiss()).sum();
    }
  }

  private final SplittableRandom random;
  private final Violations violations;
  private final ModelMachine machine;
  private final ModelMachine.Options options;
  private final AddressOnlySource addresses;
  private final GuardedSource source;

  /** Of all devices, those of which allocators are told. */
  private final NodeMask told;

  private final NodeMask devices;
  private final NodeMask system;

  /** The nodes that may be named as homes. */
  private final NodeMask homes;

  private final int[] online;
  private final Duration purgeDelay;

  /** Whether blocks move; else whether calls fail as calls do. */
  private final boolean moves;

  private final Tenant tenant;
  private final AtomicLongArray exchange = new AtomicLongArray(EXCHANGED);

  /** Live blocks of RAM that are in nobody's arena. */
  private final AtomicLong liveBlocks = new AtomicLong();

  private final AtomicInteger opened = new AtomicInteger();
  private final Figures figures = new Figures();

  /**
   * Draws a machine and opens an allocator on it.
   *
   * @param random decides all
   * @param tell which of the devices allocators are told of
   * @param violations takes what must not be
   */
  IsolationFire(SplittableRandom random, UnaryOperator<NodeMask> tell, Violations violations) {
    this.random = random;
    this.violations = violations;
    ModelMachine drawn = new ModelMachine(random);
    while (drawn.devices().isEmpty()) {
      drawn = new ModelMachine(random);
    }
    this.machine = drawn;
    this.options = drawn.drawOptions();
    NodeMask arenas =
        NodeMask.of(options.arenas.keySet().stream().mapToInt(Integer::intValue).toArray());
    this.devices = machine.devices().or(arenas);
    this.told = tell.apply(machine.devices()).or(arenas);
    this.system = machine.system();
    this.homes = machine.machine().online().without(machine.devices());
    this.online = machine.machine().online().stream().toArray();
    this.moves = random.nextBoolean();
    this.purgeDelay = random.nextInt(4) == 0 ? Duration.ZERO : Duration.ofMillis(10);
    this.addresses =
        AddressOnlySource.of(
            machine.machine(), machine.source().osPageBytes(), () -> Caller.nodeOr(online[0]));
    Map<Integer, Integer> hosts = new HashMap<>();
    options.arenas.forEach((node, arena) -> hosts.put(node, arena.host()));
    this.source = new GuardedSource(addresses, devices, hosts, moves, violations);
    this.tenant = new Tenant(random);
  }

  private NodeAllocator open() {
    NodeAllocator.Builder builder =
        NodeAllocator.builder()
            .source(source)
            .deviceNodes(told.and(machine.devices()))
            .purgeDelay(purgeDelay);
    options.arenas.forEach((node, arena) -> builder.deviceArena(node, arena.host(), arena.bytes()));
    options.capacities.forEach(builder::capacity);
    options.marks.forEach(builder::watermarks);
    opened.incrementAndGet();
    return builder.open();
  }

  /**
   * Burns.
   *
   * @param threads run the callers
   * @param count how many of them
   * @param requests of all of them together, about
   * @return what was asked for
   */
  Figures run(ExecutorService threads, int count, long requests) throws Exception {
    List<Worker> workers = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      workers.add(new Worker(random.split(), requests / count / BOUTS));
    }
    for (int bout = 0; bout < BOUTS; bout++) {
      for (Future<Void> done : threads.invokeAll(workers)) {
        done.get();
      }
      long inArenas = workers.stream().mapToLong(Worker::liveSystemBlocksOfArena).sum();
      tenant.checkAtRest(liveBlocks.get() + inArenas);
    }
    source.takeOut(NodeMask.EMPTY, false);
    if (random.nextInt(8) != 0) {
      workers.forEach(Worker::freeAll);
      for (int i = 0; i < EXCHANGED; i++) {
        free(exchange.get(i));
      }
      tenant.checkAtRest(0);
    }
    workers.forEach(worker -> figures.add(worker.own));
    figures.fellBack += tenant.misses();
    figures.allocators += opened.get();
    tenant.memory.close();
    machine
        .machine()
        .nodes()
        .forEach(node -> assertEquals(node.bytes(), addresses.freeBytes(node.id())));
    return figures;
  }

  private void free(long address) {
    if (address != 0) {
      tenant.memory.free(address);
      liveBlocks.decrementAndGet();
    }
  }

  /** Rounded as a block is; of what nobody can get, any number does. */
  private static long blockBytes(long bytes) {
    return bytes == 0 ? PAGE : (bytes + PAGE - 1) / PAGE * PAGE;
  }

  /** What one thread does. */
  private final class Worker implements Callable<Void> {
    private final SplittableRandom drawn;
    private final long requestsPerBout;
    private final Figures own = new Figures();
    private final long[] held = new long[MOST_HELD];
    private final long[] heldOfDevices = new long[MOST_HELD_OF_DEVICES];
    private final long[] bytesOfDevices = new long[MOST_HELD_OF_DEVICES];
    private final DeviceLedger[] ledgerOfDevices = new DeviceLedger[MOST_HELD_OF_DEVICES];
    private int blocks;
    private int blocksOfDevices;
    private NodeArena arena;
    private DeviceLedger ledgerOfArena;
    private long bytesOfArena;

    /** How many of 16 steps allocate, and the sizes' highest bit, until the wave turns. */
    private int growth = 12;

    private int bits = 14;

    Worker(SplittableRandom drawn, long requestsPerBout) {
      this.drawn = drawn;
      this.requestsPerBout = requestsPerBout;
    }

    @Override
    public Void call() {
      long end = own.requests() + requestsPerBout;
      while (own.requests() < end) {
        try {
          step();
        } catch (NativeCallException failed) {
          // Where blocks move, nodes that are out are full, and no call fails.
          if (moves) {
            throw failed;
          }
        }
      }
      return null;
    }

    private void step() {
      int kind = drawn.nextInt(1 << 16);
      if (kind >= SELDOM) {
        boolean grows = (kind & 15) < growth;
        boolean ofDevice = (kind >> 4 & 15) == 0;
        if (ofDevice) {
          stepOfDevice(grows);
        } else if (grows && blocks < MOST_HELD) {
          allocate();
        } else if (blocks > 0) {
          freeOne();
        } else {
          growth = 12;
        }
      } else if (kind < 32) {
        growth = drawn.nextInt(2, 15);
        bits = drawn.nextInt(8) == 0 ? drawn.nextInt(1, LARGEST_BITS) : drawn.nextInt(10, 21);
        Caller.current().runOn(online[drawn.nextInt(online.length)]);
      } else {
        stepSeldom(kind);
      }
    }

    private void stepSeldom(int kind) {
      int share = kind >> 2;
      if (share < 32) {
        forbidden();
      } else if (share < 36) {
        tenant.sample();
      } else if (share < 40) {
        residency();
      } else if (share < 45) {
        move();
      } else if (share < 55) {
        allocateInArena();
      } else {
        switch (share) {
          case 55 -> tenant.memory.audit();
          case 56, 57 -> tenant.memory.trim();
          case 58, 59 -> buffer();
          case 60 -> outage();
          case 61 -> online();
          case 62 -> closeArena();
          default -> visit();
        }
      }
    }

    private long drawBytes() {
      return drawn.nextLong(1L << drawn.nextInt(bits + 1));
    }

    private void allocate() {
      SystemMemory way = tenant.ways[drawn.nextInt(tenant.ways.length)];
      long bytes = drawBytes();
      long address;
      int how = drawn.nextInt(64);
      if (how >= 4) {
        address = way.tryAllocate(bytes);
      } else if (how == 3) {
        Placement placement = tenant.placements.get(drawn.nextInt(tenant.placements.size()));
        address = way.tryAllocate(bytes, placement);
      } else {
        address = allocateOrThrow(way, bytes, 1L << drawn.nextInt(22));
      }
      if (served(address, bytes)) {
        liveBlocks.incrementAndGet();
        held[blocks++] = address;
      }
    }

    /** An implicit request was answered: looks at the block, if there is one. */
    private boolean served(long address, long bytes) {
      own.implicit++;
      if (address == 0) {
        own.refused++;
        return false;
      }
      long last = address + Math.max(1, bytes) - 1;
      if (source.deviceAt(address) != GuardedSource.NONE
          || source.deviceAt(last) != GuardedSource.NONE) {
        violations.add(IMPLICIT_ON_DEVICE, "device=" + source.deviceAt(last) + ", bytes=" + bytes);
      }
      return true;
    }

    private long allocateOrThrow(SystemMemory way, long bytes, long alignment) {
      try {
        return way.allocate(bytes, alignment);
      } catch (NodeMemoryExhaustedException e) {
        checkAttempts(e, system);
        return 0;
      }
    }

    private void checkAttempts(NodeMemoryExhaustedException e, NodeMask allowed) {
      if (e.attempts().isEmpty() || !allowed.containsAll(nodes(e))) {
        violations.add("an exception tells of nodes that may not be tried", e);
      }
    }

    private NodeMask nodes(NodeMemoryExhaustedException e) {
      return NodeMask.of(e.attempts().stream().mapToInt(Attempt::node).toArray());
    }

    private void freeOne() {
      int at = drawn.nextInt(blocks);
      long address = held[at];
      held[at] = held[--blocks];
      // Now and then somebody else's instead.
      boolean swaps = drawn.nextInt(8) == 0;
      free(swaps ? exchange.getAndSet(drawn.nextInt(EXCHANGED), address) : address);
    }

    private void stepOfDevice(boolean grows) {
      if (grows && blocksOfDevices < MOST_HELD_OF_DEVICES && tenant.ledgers.length > 0) {
        DeviceLedger ledger = tenant.ledgers[drawn.nextInt(tenant.ledgers.length)];
        if (ledger.isOnline()) {
          allocateOnDevice(ledger);
        }
      } else if (blocksOfDevices > 0) {
        freeOneOfDevice(drawn.nextInt(blocksOfDevices));
      }
    }

    private void allocateOnDevice(DeviceLedger ledger) {
      long bytes = drawBytes();
      long address = requestOfHolder(ledger, bytes, false);
      if (address != 0) {
        heldOfDevices[blocksOfDevices] = address;
        bytesOfDevices[blocksOfDevices] = blockBytes(bytes);
        ledgerOfDevices[blocksOfDevices++] = ledger;
      }
    }

    private long requestOfHolder(DeviceLedger ledger, long bytes, boolean inArena) {
      own.device++;
      int node = ledger.device().node();
      long address = 0;
      ledger.ask(blockBytes(bytes));
      Caller.current().claim(node);
      try {
        address = inArena ? arena.tryAllocate(bytes) : allocateOnDevice(ledger.device(), bytes);
      } finally {
        Caller.current().claimNone();
        ledger.answer(blockBytes(bytes), address != 0);
      }
      if (address == 0) {
        own.deviceRefused++;
      } else if (source.deviceAt(address) != node
          || source.deviceAt(address + Math.max(1, bytes) - 1) != node) {
        violations.add("a device's block lies elsewhere", "node=" + node + ", bytes=" + bytes);
      }
      return address;
    }

    private long allocateOnDevice(DeviceNode device, long bytes) {
      int how = drawn.nextInt(16);
      if (how == 0) {
        try {
          return device.allocate(bytes, 1L << drawn.nextInt(22));
        } catch (NodeMemoryExhaustedException e) {
          checkAttempts(e, NodeMask.of(device.node()));
          return 0;
        }
      }
      if (how == 1) {
        // A placement of a device goes through every door.
        SystemMemory way = tenant.ways[drawn.nextInt(tenant.ways.length)];
        return way.tryAllocate(bytes, device.placement());
      }
      return device.tryAllocate(bytes);
    }

    private void freeOneOfDevice(int at) {
      long address = heldOfDevices[at];
      long bytes = bytesOfDevices[at];
      DeviceLedger ledger = ledgerOfDevices[at];
      blocksOfDevices--;
      heldOfDevices[at] = heldOfDevices[blocksOfDevices];
      bytesOfDevices[at] = bytesOfDevices[blocksOfDevices];
      ledgerOfDevices[at] = ledgerOfDevices[blocksOfDevices];
      ledger.leave(bytes);
      tenant.memory.free(address);
      ledger.left(bytes);
    }

    /** Names a device, alone or among others, through a door that wants no right to it. */
    private void forbidden() {
      own.forbidden++;
      PlacementKind[] kinds = PlacementKind.VALUES;
      PlacementKind kind = kinds[drawn.nextInt(1, kinds.length)];
      int device = PlacementKind.pick(drawn, devices);
      NodeMask mask = NodeMask.of(device);
      if (drawn.nextBoolean()) {
        mask = mask.or(NodeMask.of(PlacementKind.pick(drawn, system)));
      }
      boolean asHome = kind == PlacementKind.BIND_FROM && drawn.nextBoolean();
      Placement placement =
          kind.of(drawn, device, asHome ? system : mask, asHome ? device : online[0]);
      Caller.current().claim(GuardedSource.NOTHING_AT_ALL);
      try {
        ask(placement);
        violations.add("a mask that names a device was not refused", placement);
      } catch (NodeAccessException expected) {
        // As it must be.
      } catch (RuntimeException e) {
        violations.add("a mask that names a device was not refused", e);
      } finally {
        Caller.current().claimNone();
      }
    }

    private void ask(Placement placement) {
      SystemMemory way = tenant.ways[drawn.nextInt(tenant.ways.length)];
      long bytes = drawBytes();
      switch (drawn.nextInt(7)) {
        case 0 -> tenant.memory.free(way.allocate(bytes, placement));
        case 1 -> tenant.memory.at(placement);
        case 2 -> way.arena(placement);
        case 3 -> way.allocateBuffer(PAGE, placement);
        case 4 -> way.tryAllocateBuffer(PAGE, placement);
        case 5 -> {
          if (blocks > 0) {
            tenant.memory.move(held[0], Placement.onNode(PlacementKind.pick(drawn, devices)));
          } else {
            tenant.memory.at(placement);
          }
        }
        default -> {
          long address = way.tryAllocate(bytes, placement);
          if (address != 0) {
            tenant.memory.free(address);
          }
        }
      }
    }

    private void move() {
      if (!moves || blocks == 0) {
        return;
      }
      own.moves++;
      long address = held[drawn.nextInt(blocks)];
      try {
        tenant.memory.move(address, Placement.onNode(PlacementKind.pick(drawn, system)));
      } catch (NodeMemoryExhaustedException e) {
        checkAttempts(e, system);
      } catch (IllegalArgumentException e) {
        // A block that is one of several of a slab, or shares an OS page with others, stays.
        boolean isOfSlab = e.getMessage().contains("block is one of several of a slab");
        boolean mayStay =
            isOfSlab ? tenant.memory.usableBytes(address) <= 16 << 10 : source.osPageBytes() > PAGE;
        assertEquals(true, mayStay, e::toString);
      }
    }

    /** Addresses cannot be viewed: the block that was taken is given back. */
    private void buffer() {
      own.implicit++;
      SystemMemory way = tenant.ways[drawn.nextInt(tenant.ways.length)];
      int bytes = drawn.nextInt(1 << Math.min(bits, 22));
      try {
        assertEquals(null, way.tryAllocateBuffer(bytes));
        own.refused++;
        way.allocateBuffer(bytes);
      } catch (NodeMemoryExhaustedException e) {
        checkAttempts(e, system);
      } catch (UnsupportedOperationException expected) {
        // There was room.
      }
    }

    private void outage() {
      NodeMask out = NodeMask.EMPTY;
      if (drawn.nextBoolean()) {
        own.outages++;
        for (int node : online) {
          out = drawn.nextInt(3) == 0 ? out.or(NodeMask.of(node)) : out;
        }
      }
      source.takeOut(out, !moves && drawn.nextBoolean());
    }

    private void online() {
      if (tenant.ledgers.length > 0) {
        tenant.online(tenant.ledgers[drawn.nextInt(tenant.ledgers.length)]);
      }
    }

    private void residency() {
      if (blocks > 0) {
        Residency found = tenant.memory.residency(held[drawn.nextInt(blocks)]);
        if (found.pagesByNode().keySet().stream().anyMatch(devices::contains)) {
          violations.add(IMPLICIT_ON_DEVICE, found);
        }
      }
    }

    private void allocateInArena() {
      if (arena == null) {
        ledgerOfArena = null;
        if (drawn.nextInt(4) == 0 && tenant.ledgers.length > 0) {
          DeviceLedger ledger = tenant.ledgers[drawn.nextInt(tenant.ledgers.length)];
          ledgerOfArena = ledger.isOnline() ? ledger : null;
        }
        arena =
            ledgerOfArena != null
                ? ledgerOfArena.device().arena()
                : tenant.memory.arena(
                    tenant.placements.get(drawn.nextInt(tenant.placements.size())));
      } else if (arena.liveBlocks() >= MOST_IN_ARENA) {
        closeArena();
        return;
      }
      for (int i = 0; i < 4; i++) {
        long bytes = drawBytes();
        if (ledgerOfArena == null) {
          served(arena.tryAllocate(bytes), bytes);
        } else if (requestOfHolder(ledgerOfArena, bytes, true) != 0) {
          bytesOfArena += blockBytes(bytes);
        }
      }
    }

    private void closeArena() {
      if (arena == null) {
        return;
      }
      if (ledgerOfArena != null) {
        ledgerOfArena.leave(bytesOfArena);
      }
      arena.close();
      if (ledgerOfArena != null) {
        ledgerOfArena.left(bytesOfArena);
      }
      bytesOfArena = 0;
      arena = null;
    }

    long liveSystemBlocksOfArena() {
      return arena == null || ledgerOfArena != null ? 0 : arena.liveBlocks();
    }

    /** A second allocator comes, asks, and goes with what it has. */
    private void visit() {
      if (drawn.nextInt(4) != 0) {
        return;
      }
      boolean isTidy = drawn.nextInt(8) != 0;
      Tenant visitor = new Tenant(drawn);
      for (DeviceLedger ledger : visitor.ledgers) {
        visitor.online(ledger);
      }
      for (int i = 0; i < 64; i++) {
        SystemMemory way = visitor.ways[drawn.nextInt(visitor.ways.length)];
        long bytes = drawBytes();
        try {
          long address = way.tryAllocate(bytes);
          if (served(address, bytes) && isTidy) {
            visitor.memory.free(address);
          }
        } catch (NativeCallException failed) {
          assertEquals(false, moves, failed::toString);
        }
      }
      visitor.sample();
      visitor.memory.close();
    }

    void freeAll() {
      closeArena();
      for (int i = 0; i < blocks; i++) {
        free(held[i]);
      }
      while (blocksOfDevices > 0) {
        freeOneOfDevice(0);
      }
      blocks = 0;
      Arrays.fill(ledgerOfDevices, null);
    }
  }
}
