/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.cdmalloc.DeviceBlock;
import org.cdmalloc.HolderReport;
import org.cdmalloc.NodeAccessException;
import org.cdmalloc.NodeAttributes;
import org.cdmalloc.NodeMemoryExhaustedException.Attempt;
import org.cdmalloc.NodeMemoryExhaustedException.Reason;
import org.cdmalloc.internal.account.Account;
import org.cdmalloc.internal.account.Allowance;
import org.cdmalloc.internal.zone.Watermarks;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.topology.Machine;

/**
 * A device node's zone and whether it is there: nothing of the node is reserved before it is
 * brought online. Its path holds itself alone, so a request that walks it can reach nothing else.
 */
public final class DeviceZone implements Paths {
  private static final long SEVERAL = -1;

  private final int node;
  private final int backingNode;
  private final long capacityBytes;
  private final Watermarks watermarks;
  private final NodeAttributes attributes;
  private final Machine machine;
  private final MemorySource source;
  private final AllocationPath allocation;
  private final List<BackedZone> beside;
  private final Account account;

  /** The number of the account that alone asked here, or {@link #SEVERAL}; 0 before any did. */
  private final AtomicLong user = new AtomicLong();

  /** Guarded by this. */
  private BackedZone zone;

  /** Null until online; written under this object's lock, once. */
  private volatile CallerPaths paths;

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
    account.ceiling().limit(attributes.spillCeilingBytes());
  }

  /**
   * Reserves the node's region. Does nothing if that was done.
   *
   * @throws NodeAccessException if the kernel refuses to bind the region, so that nobody could say
   *     where its memory lies; nothing stays reserved
   * @throws IllegalStateException if the allocator is closed
   */
  public synchronized void online() {
    if (paths != null) {
      zone.requireOpen();
      return;
    }
    if (!source.diagnosis().binds()) {
      throw new NodeAccessException(
          "cannot bring a device node online here: node="
              + node
              + "; "
              + source.diagnosis().obstacle());
    }
    if (zone == null) {
      zone =
          allocation.add(
              () -> BackedZone.ofNode(node, backingNode, capacityBytes, watermarks, source));
    }
    paths = new CallerPaths(machine, source, caller -> new ZonePath(caller, false, false, zone));
  }

  /**
   * {@inheritDoc} The node's own zone, with all of its pages.
   *
   * @throws IllegalStateException if the node is not online
   */
  @Override
  public ZonePath choose(long bytes) {
    CallerPaths online = paths;
    if (online == null) {
      throw new IllegalStateException(
          "device node is not online: node=" + node + "; call DeviceNode.online() first");
    }
    return online.choose(bytes);
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
   * Tells whether the region was reserved.
   *
   * @return true once online
   */
  public boolean isOnline() {
    return paths != null;
  }
}
