/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import org.cdmalloc.DeviceBlock;
import org.cdmalloc.DrainReport;
import org.cdmalloc.DrainReport.Blocker;
import org.cdmalloc.DrainReport.Cause;
import org.cdmalloc.HolderReport;
import org.cdmalloc.NodeAccessException;
import org.cdmalloc.NodeAttributes;
import org.cdmalloc.NodeFailedException;
import org.cdmalloc.NodeMemoryExhaustedException.Attempt;
import org.cdmalloc.NodeMemoryExhaustedException.Reason;
import org.cdmalloc.NodeState;
import org.cdmalloc.Placement;
import org.cdmalloc.internal.account.Account;
import org.cdmalloc.internal.account.Allowance;
import org.cdmalloc.internal.lifecycle.NodeStates;
import org.cdmalloc.internal.lifecycle.Ownership;
import org.cdmalloc.internal.zone.Watermarks;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.NodeMask;

/**
 * A device node's zone and where it is in its life: nothing of the node is reserved before it is
 * brought online. Its path holds itself alone, so a request that walks it can reach nothing else.
 */
public final class DeviceZone implements Paths {
  /*
   * Algorithmic notes.
   *
   * State: the node's row in the allocation's snapshot, which requests read once; the zone, or null;
   * and drainLock, which is held while the node is brought online or drained: one at a time.
   *
   * Invariants: (I1) while the row has paths, their zone is known to the allocation; (I2) the zone is
   * isolated right after the row says DRAINING or FAILED, before a drain looks at anything, and not any
   * more before the row says ONLINE again; (I3) a zone is given up only while it is isolated and has no live block.
   *
   * A request that read the row before it changed walks a zone that is isolated, finds nothing, and is
   * told why; or it had found its block before, and then the block is one of those that block the
   * drain. It never sees a zone without its addresses, nor addresses without their zone.
   *
   * What a drain moves away keeps its address, so the zone stays as long as blocks have addresses in
   * it: without memory of the node. Brought online again it serves as before.
   *
   * A node can be lost at any moment, also while it is drained: the state is the snapshot's, and a
   * drain that wants to make the last step finds that it cannot.
   *
   * Locks are taken in the order drainLock, the allocation's lock, and those of zones.
   */

  private static final long SEVERAL = -1;

  /** How often a drain looks again for blocks that are being allocated or freed. */
  private static final int LOOKS = 100;

  private static final long BETWEEN_LOOKS_NANOS = 1_000_000;

  private final int node;
  private final int backingNode;
  private final long capacityBytes;
  private final Watermarks watermarks;
  private final Machine machine;
  private final MemorySource source;
  private final AllocationPath allocation;
  private final List<BackedZone> beside;
  private final Account account;

  /** The number of the account that alone asked here, or {@link #SEVERAL}; 0 before any did. */
  private final AtomicLong user = new AtomicLong();

  private final ReentrantLock drainLock = new ReentrantLock();

  /** What is lent in the right of this device's holders. */
  private final Set<Ownership> loans = ConcurrentHashMap.newKeySet();

  /** Written under drainLock, while the node is neither online nor draining. */
  private volatile NodeAttributes attributes;

  /** Written under drainLock. */
  private volatile BackedZone zone;

  /** Null where nothing gives way; written under drainLock, before the node is online. */
  private volatile Evictor evictor;

  /**
   * Describes a device zone.
   *
   * @param node the device node
   * @param backingNode the node whose memory backs it; another one for a designated arena
   * @param capacityBytes how much will be reserved
   * @param watermarks the zone's marks
   * @param attributes what may be done with its memory
   * @param machine whose nodes its callers run on
   * @param source where from
   * @param allocation what takes the zone in once it is online
   * @param beside the zones of system nodes, nearest first, into which holders may spill
   */
  public DeviceZone(
      int node,
      int backingNode,
      long capacityBytes,
      Watermarks watermarks,
      NodeAttributes attributes,
      Machine machine,
      MemorySource source,
      AllocationPath allocation,
      List<BackedZone> beside) {
    this.node = node;
    this.backingNode = backingNode;
    this.capacityBytes = capacityBytes;
    this.watermarks = watermarks;
    this.attributes = attributes;
    this.machine = machine;
    this.source = source;
    this.allocation = allocation;
    this.beside = beside;
    this.account = Account.root(node, System::nanoTime);
    requireUnit(attributes);
    account.ceiling().limit(attributes.spillCeilingBytes());
    allocation.publish(nodes -> nodes.with(states -> states.withPossible(node)));
  }

  /**
   * Reserves the node's region, or takes its zone into use again. Does nothing if it is online.
   *
   * @throws NodeAccessException if the kernel refuses to bind the region, so that nobody could say
   *     where its memory lies; if all memory of the node is offline by the platform's account.
   *     Nothing stays reserved, and the state is as before
   * @throws NodeFailedException if the node was lost
   * @throws IllegalStateException if the allocator is closed
   */
  public void online() {
    drainLock.lock();
    try {
      allocation.requireOpen();
      requireNotFailed();
      if (state() != NodeState.ONLINE) {
        if (!source.diagnosis().binds()) {
          throw new NodeAccessException(
              "cannot bring a device node online here: node="
                  + node
                  + "; "
                  + source.diagnosis().obstacle());
        }
        requirePresent();
        if (zone == null || (state() == NodeState.OFFLINE && zone.zone().liveRuns() == 0)) {
          reserve();
        } else {
          serveAgain();
        }
      }
    } finally {
      drainLock.unlock();
    }
  }

  /** A platform binds nothing to a node whose memory is gone, and would not say why. */
  private void requirePresent() {
    if (source.presentBytes(backingNode) == 0) {
      throw new NodeAccessException(
          "device node has no memory now: node="
              + node
              + ", backing_node="
              + backingNode
              + ", state="
              + state()
              + ", present_bytes=0; the platform took it offline or denies it to this process: bring"
              + " it online there, then call DeviceNode.online() again");
    }
  }

  private void reserve() {
    BackedZone empty = zone;
    if (empty != null) {
      // Others still pay for what could not be given back when it was freed.
      empty.vacate();
    }
    zone =
        allocation.addOnline(
            () ->
                BackedZone.ofNode(
                    node, backingNode, capacityBytes, regionBytes(), watermarks, source),
            node,
            this::paths,
            empty);
    if (state() == NodeState.FAILED) {
      zone.zone().isolate(true);
    }
    if (empty != null) {
      allocation.remove(empty);
    }
  }

  /**
   * Returns the size of the region: for all that gives way others need addresses, in whole units,
   * lest a short one at the end takes the memory of a whole one.
   */
  private long regionBytes() {
    if (attributes.evict()) {
      long most = Pages.offset(demotionZone().zone().capacityPages());
      long spare = Math.min(attributes.spillCeilingBytes(), most);
      long units = (capacityBytes + spare - 1) / Backing.COMMIT_BYTES + 1;
      return Math.min(units * Backing.COMMIT_BYTES, Capacities.MOST_BYTES);
    }
    return capacityBytes;
  }

  private Paths paths(BackedZone served) {
    evictor = attributes.evict() ? new Evictor(served, demotion()) : null;
    served.makeRoomBy(evictor == null ? null : evictor::makeRoom);
    return new CallerPaths(machine, source, caller -> new ZonePath(caller, false, false, served));
  }

  private void serveAgain() {
    boolean online = false;
    try {
      zone.zone().isolate(false);
      become(NodeState.ONLINE, paths(zone), "");
      online = true;
      zone.settle();
    } finally {
      if (!online) {
        zone.zone().isolate(true);
      }
    }
  }

  private void become(NodeState next, Paths paths, String cause) {
    allocation.publish(nodes -> nodes.with(states -> states.become(node, next, paths, cause)));
  }

  /**
   * Takes the node out of use: gives no blocks out any more, moves away what may be moved, and goes
   * offline if nothing is left there. Otherwise the node stays draining, and this can be tried
   * again.
   *
   * @return what was moved, and what blocks the drain
   * @throws NodeFailedException if the node was lost
   * @throws IllegalStateException if the node was never online, or the allocator is closed
   */
  public DrainReport offline() {
    drainLock.lock();
    try {
      allocation.requireOpen();
      requireNotFailed();
      if (state() == NodeState.OFFLINE) {
        return new DrainReport(node, NodeState.OFFLINE, 0, List.of());
      }
      if (state() != NodeState.DRAINING) {
        Paths paths = allocation.nodes().states().of(node).paths();
        become(NodeState.DRAINING, paths, "");
        zone.zone().isolate(true);
      }
      return drain();
    } finally {
      drainLock.unlock();
    }
  }

  private DrainReport drain() {
    Drain drain = new Drain(allocation, zone, demotion());
    drain.moveAway();
    boolean empty = drain.vacate();
    List<Blocker> blockers = empty ? List.of() : drain.blockers();
    // What was freed since then is no blocker, and the node may be empty by now.
    for (int looks = 0; !empty && looks < LOOKS && mayEndSoon(blockers); looks++) {
      LockSupport.parkNanos(BETWEEN_LOOKS_NANOS);
      empty = drain.vacate();
      blockers = empty ? List.of() : drain.blockers();
    }
    if (empty) {
      goOffline();
    }
    return new DrainReport(node, state(), drain.movedBytes(), blockers);
  }

  private static boolean mayEndSoon(List<Blocker> blockers) {
    return blockers.stream().allMatch(blocker -> blocker.cause() == Cause.IN_WORK);
  }

  /** Returns where blocks go that have to give way, or null if they stay. */
  private DemotedHost demotion() {
    return attributes.demotionTarget().isEmpty()
        ? null
        : new DemotedHost(demotionZone(), account, source);
  }

  private BackedZone demotionZone() {
    int target = attributes.demotionTarget().orElseThrow();
    return beside.stream().filter(other -> other.node() == target).findFirst().orElseThrow();
  }

  /** The last step of a drain, unless the node was lost meanwhile. */
  private void goOffline() {
    boolean gone = zone.zone().liveRuns() == 0;
    allocation.publish(
        nodes -> {
          if (nodes.states().of(node).state() == NodeState.FAILED) {
            return nodes;
          }
          NodeSnapshot after =
              nodes.with(states -> states.become(node, NodeState.OFFLINE, null, ""));
          return gone ? after.without(zone) : after;
        });
    if (state() != NodeState.OFFLINE) {
      return;
    }
    evictor = null;
    zone.makeRoomBy(null);
    if (gone) {
      BackedZone given = zone;
      zone = null;
      allocation.remove(given);
    }
  }

  /**
   * Changes what may be done with the node's memory.
   *
   * @param changed the attributes from now on, which fit the node
   * @throws IllegalStateException if the node is online or draining, or was lost
   */
  public void attributes(NodeAttributes changed) {
    drainLock.lock();
    try {
      requireNotFailed();
      if (state().isServing()) {
        throw new IllegalStateException(
            "attributes cannot be changed while a node is in use: node="
                + node
                + ", state="
                + state()
                + "; take it offline first");
      }
      int[] system = beside.stream().mapToInt(BackedZone::node).toArray();
      AttributeRules.validate(node, changed, true, NodeMask.of(system));
      requireUnit(changed);
      requireAddresses(changed);
      attributes = changed;
      account.ceiling().limit(changed.spillCeilingBytes());
      allocation.reclaim().set(node, changed.reclaim());
    } finally {
      drainLock.unlock();
    }
  }

  private void requireUnit(NodeAttributes wanted) {
    if (wanted.evict() && capacityBytes < Backing.COMMIT_BYTES) {
      throw new IllegalArgumentException(
          "a device as small as that cannot evict: node="
              + node
              + ", capacity_bytes="
              + capacityBytes
              + ", unit_bytes="
              + Backing.COMMIT_BYTES
              + "; raise capacity(node, bytes), or call withEvict(false)");
    }
  }

  /** Throws if blocks keep a region in use that was reserved without addresses for eviction. */
  private void requireAddresses(NodeAttributes wanted) {
    BackedZone kept = zone;
    if (wanted.evict() && !attributes.evict() && kept != null && kept.zone().liveRuns() > 0) {
      throw new IllegalStateException(
          "eviction needs addresses, which are reserved when a node without blocks comes online:"
              + " node="
              + node
              + ", live_blocks="
              + kept.zone().liveRuns()
              + "; free the device's blocks first");
    }
  }

  /**
   * Takes note that the node was lost, with all that lies there. Does nothing the second time.
   *
   * @param cause why, for messages
   * @throws IllegalStateException if the allocator is closed
   */
  public void fail(String cause) {
    allocation.publish(
        nodes ->
            nodes.states().of(node).state() == NodeState.FAILED
                ? nodes
                : nodes.with(states -> states.become(node, NodeState.FAILED, null, cause)));
    BackedZone lost = zone;
    if (lost != null) {
      lost.zone().isolate(true);
    }
    RuntimeException failure = null;
    for (Ownership loan : loans) {
      try {
        loan.fail();
      } catch (RuntimeException e) {
        // All others must be told all the same.
        failure = Failures.joined(failure, e);
      }
    }
    if (failure != null) {
      throw failure;
    }
  }

  private void requireNotFailed() {
    NodeStates.Row<Paths> row = allocation.nodes().states().of(node);
    if (row.state() == NodeState.FAILED) {
      throw new NodeFailedException(
          node,
          "device node was lost: node="
              + node
              + ", cause="
              + row.cause()
              + "; free its blocks, and use another one");
    }
  }

  /**
   * {@inheritDoc} The node's own zone, with all of its pages.
   *
   * @throws NodeFailedException if the node was lost
   * @throws IllegalStateException if the node is not online
   */
  @Override
  public ZonePath choose(long bytes) {
    NodeStates.Row<Paths> row = allocation.nodes().states().of(node);
    if (row.paths() == null) {
      requireNotFailed();
      throw new IllegalStateException(
          "device node is not online: node="
              + node
              + ", state="
              + row.state()
              + "; call DeviceNode.online() first");
    }
    return row.paths().choose(bytes);
  }

  /**
   * Returns the zones for a request that may spill, now: the node's own, and those beside it whose
   * nodes have room by the platform's account. That is asked even where a zone has memory which is
   * not in use: a node that runs short gets it back, no device's holder gets it instead.
   *
   * @param path the path of the request, without spill
   * @param bytes what a zone would have to give
   */
  ZonePath spillPath(ZonePath path, long bytes) {
    List<BackedZone> open =
        beside.stream()
            .filter(zone -> source.room(zone.backingNode(), bytes).isCommitted())
            .toList();
    return ZonePath.spilling(path.caller(), path.zone(0), open);
  }

  /** Tries to make room for a run that could be one; returns whether there may be some. */
  boolean makeRoom(int pages) {
    Evictor evicting = evictor;
    return evicting != null && evicting.makeRoomForRun(pages);
  }

  /** Says why no more gave way when the node was full last; empty where that was not tried. */
  String whyNotEvicted() {
    Evictor evicting = evictor;
    return evicting == null ? "" : evicting.obstacle();
  }

  /** Says why nothing was spilled, after it was tried. */
  List<Attempt> whyNotSpilled(ZonePath path, long bytes, long alignment) {
    List<Attempt> attempts = new ArrayList<>();
    ZonePath all = ZonePath.spilling(path.caller(), path.zone(0), beside);
    for (int i = 1; i < all.length(); i++) {
      Attempt attempt = allocation.whyNot(all, i, bytes, alignment);
      CommitResult room = source.room(all.zone(i).backingNode(), attempt.wantedBytes());
      attempts.add(
          room.isCommitted()
              ? attempt
              : ZoneReports.because(
                  attempt, Reason.MEMORY_REFUSED, room.outcome() + " " + room.detail()));
    }
    return attempts;
  }

  /**
   * Tells whether memory of this zone may hold what another account wrote there, once a block for
   * this one was found.
   *
   * @param holder whose the block is
   */
  boolean isShared(Account holder) {
    return user.get() != holder.id();
  }

  /** Takes note of who asks for blocks here. */
  void enter(Account holder) {
    if (user.get() != holder.id() && !user.compareAndSet(0, holder.id())) {
      user.set(SEVERAL);
    }
  }

  /**
   * Reports on a holder and on all below it.
   *
   * @param within the account of the holder
   * @return new reports, a holder before those below it
   */
  public List<HolderReport> holders(Account within) {
    List<HolderReport> holders = new ArrayList<>();
    for (Account holder : within.all()) {
      long budget = holder.spills().stream().mapToLong(Allowance::limitBytes).min().orElse(0);
      holders.add(
          new HolderReport(
              node,
              holder.holder(),
              holder.quota().limitBytes(),
              holder.quota().usedBytes(),
              budget,
              holder.allSpilledBytes(),
              holder.idleNanos(),
              holder.isEnded()));
    }
    return holders;
  }

  /**
   * Lists the blocks that a holder and all below it pay for.
   *
   * @param within the account of the holder
   * @return a new list
   * @throws IllegalStateException if the allocator is closed
   */
  public List<DeviceBlock> blocks(Account within) {
    return allocation.paid(within).stream()
        .map(
            run ->
                new DeviceBlock(
                    run.account().holder(), run.address(), run.bytes(), run.spilledBytes()))
        .toList();
  }

  /**
   * Pins a block here.
   *
   * @param address the block's first byte
   * @param holder who pays for what is moved here
   * @param placement what named the node, for messages
   * @param owned whether the block is freed with the pin
   * @return the pin
   */
  public PinnedBlock pin(long address, Account holder, Placement placement, boolean owned) {
    Destination target = new Destination(choose(1).zone(0), holder);
    holder.requireNotEnded();
    if (!attributes.longTermPin()) {
      throw new NodeAccessException(
          "no blocks may be pinned on this node: node="
              + node
              + ", longTermPin=false; whoever opened the allocator set so with"
              + " Builder.attributes(node, attributes)");
    }
    if (target.zone().zone().isIsolated()) {
      throw new IllegalStateException(
          "blocks cannot be pinned on a node that is being taken offline: node="
              + node
              + ", state="
              + state()
              + "; bring it online again");
    }
    return PinnedBlock.of(allocation, address, target, placement, owned);
  }

  /**
   * Lends a block of this device's holders to the device.
   *
   * @param address the block's first byte
   * @param holder in whose right; the block is charged to this account or to one below it
   * @param requests make the second block on which the device works; null where it works on the
   *     block itself
   * @return the block, which is the device's
   * @throws NodeAccessException if the block is not the holder's
   */
  public LentBlock lend(long address, Account holder, Requests requests) {
    BackedZone served = choose(1).zone(0);
    holder.requireNotEnded();
    new BlockMoves(allocation).bringHome(address, served, holder);
    HeldBlock block = new Holds(allocation).hold(address, HeldBlock.Use.LOAN);
    LentBlock lent = null;
    try {
      requireOf(holder, block);
      lent = lent(address, block, holder, requests);
    } finally {
      if (lent == null) {
        block.end(HeldBlock.Use.LOAN);
      }
    }
    loans.add(lent.ownership());
    // Before it was known here the node may have been lost.
    if (lent.ownership().isReturned()) {
      loans.remove(lent.ownership());
    } else if (state() == NodeState.FAILED) {
      lent.ownership().fail();
    }
    return lent;
  }

  private LentBlock lent(long address, HeldBlock block, Account holder, Requests requests) {
    AtomicReference<Ownership> ownership = new AtomicReference<>();
    Runnable wayBack =
        () -> {
          Ownership ended = ownership.get();
          if (ended != null) {
            loans.remove(ended);
          }
          block.end(HeldBlock.Use.LOAN);
        };
    LentBlock lent;
    if (requests == null || !allocation.require(address).zone().canBeViewed()) {
      lent = LentBlock.of(allocation, block, wayBack);
    } else {
      long other = requests.allocate(block.bytes(), 1);
      boolean begun = false;
      try {
        lent =
            LentBlock.bounced(
                allocation,
                block,
                other,
                () -> state() == NodeState.FAILED,
                holder.holder(),
                wayBack);
        begun = true;
      } finally {
        if (!begun) {
          allocation.free(other);
        }
      }
    }
    ownership.set(lent.ownership());
    return lent;
  }

  private void requireOf(Account holder, HeldBlock block) {
    Account payer = block.account();
    if (payer == null || !payer.isWithin(holder)) {
      throw new NodeAccessException(
          "block is not the holder's: "
              + block
              + ", holder="
              + holder.holder()
              + ", pays="
              + (payer == null ? "system" : payer.holder())
              + "; lend what was allocated in this right");
    }
  }

  /**
   * Returns the account of the device as a whole.
   *
   * @return the root of all its holders' accounts
   */
  public Account account() {
    return account;
  }

  /**
   * Returns what may be done with the node's memory.
   *
   * @return its attributes
   */
  public NodeAttributes attributes() {
    return attributes;
  }

  /**
   * Returns the device node.
   *
   * @return its number
   */
  public int node() {
    return node;
  }

  /**
   * Returns the node whose memory backs the zone.
   *
   * @return the device node itself, or the host of a designated arena
   */
  public int backingNode() {
    return backingNode;
  }

  /**
   * Returns how much will be or was reserved.
   *
   * @return bytes
   */
  public long capacityBytes() {
    return capacityBytes;
  }

  /**
   * Returns where the node is in its life.
   *
   * @return its state now
   */
  public NodeState state() {
    return allocation.nodes().states().of(node).state();
  }
}
