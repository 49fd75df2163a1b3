/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.cdmalloc.NodeMemoryExhaustedException;
import org.cdmalloc.NodeMemoryExhaustedException.Attempt;
import org.cdmalloc.Placement;
import org.cdmalloc.internal.account.Account;
import org.cdmalloc.internal.account.Allowance;
import org.cdmalloc.internal.account.BlockOwner;
import org.cdmalloc.internal.account.PaidBlock;
import org.cdmalloc.internal.zone.Zone;

/**
 * Requests in the right of a device's capability. Each is charged to the holder's account before
 * memory is looked for; what the device has no room for is looked for in system memory only if the
 * holder's budgets give it, and within them. Safe for use by any number of threads.
 */
public final class DeviceRequests implements Requests {
  private static final long ANY = 1;

  private final AllocationPath allocation;
  private final Placement placement;
  private final DeviceZone zone;
  private final Account account;

  /** Null where blocks belong to no scope. */
  private final Scope scope;

  /**
   * Makes requests outside any scope.
   *
   * @param allocation serves them
   * @param placement where, for messages
   * @param zone the device
   * @param account who pays
   */
  public DeviceRequests(
      AllocationPath allocation, Placement placement, DeviceZone zone, Account account) {
    this(allocation, placement, zone, account, null);
  }

  private DeviceRequests(
      AllocationPath allocation,
      Placement placement,
      DeviceZone zone,
      Account account,
      Scope scope) {
    this.allocation = allocation;
    this.placement = placement;
    this.zone = zone;
    this.account = account;
    this.scope = scope;
  }

  @Override
  public Requests in(Scope owner) {
    return new DeviceRequests(allocation, placement, zone, account, owner);
  }

  /** A block that is looked for, made before so that finding it needs nothing of the Java heap. */
  private static final class Wanted {
    private final int pages;
    private final BlockOwner owner;
    private ZonePath path;
    private long run = Zone.NONE;

    Wanted(int pages, BlockOwner owner) {
      this.pages = pages;
      this.owner = owner;
    }
  }

  @Override
  public long tryAllocate(long bytes, long alignment) {
    return allocate(bytes, alignment, false);
  }

  @Override
  public long allocate(long bytes, long alignment) {
    return allocate(bytes, alignment, true);
  }

  private long allocate(long bytes, long alignment, boolean must) {
    Wanted found = find(bytes, alignment, must);
    if (found == null) {
      return 0;
    }
    boolean done = false;
    try {
      if (mayShowOthers(found)) {
        allocation.clear(found.path, found.run, found.pages);
      }
      done = true;
    } finally {
      if (!done) {
        allocation.undo(found.path, found.run, found.owner);
      }
    }
    return handOver(found);
  }

  @Override
  public ByteBuffer tryAllocateBuffer(int bytes, boolean zeroed) {
    return allocateBuffer(bytes, zeroed, false);
  }

  @Override
  public ByteBuffer allocateBuffer(int bytes, boolean zeroed) {
    return allocateBuffer(bytes, zeroed, true);
  }

  private ByteBuffer allocateBuffer(int bytes, boolean zeroed, boolean must) {
    Wanted found = find(bytes, ANY, must);
    if (found == null) {
      return null;
    }
    boolean clear = zeroed || mayShowOthers(found);
    ByteBuffer buffer = allocation.buffer(found.path, found.run, bytes, clear, found.owner);
    handOver(found);
    return buffer;
  }

  private long handOver(Wanted found) {
    long address = AllocationPath.address(found.path, found.run);
    found.owner.handOver();
    if (scope != null) {
      scope.enter((Scope.Block) found.owner, address);
    }
    return address;
  }

  private boolean mayShowOthers(Wanted found) {
    return AllocationPath.index(found.run) > 0 || zone.isShared(account);
  }

  /** Finds a block and lets the account pay for it; what is not found is not paid for. */
  private Wanted find(long bytes, long alignment, boolean must) {
    ZonePath path = zone.choose(bytes);
    int pages = AllocationPath.pages(bytes);
    int alignOrder = AllocationPath.alignOrder(alignment);
    long usableBytes = Pages.offset(pages);
    Account full = account.charge(usableBytes);
    boolean isFound = false;
    if (full == null) {
      Wanted wanted = null;
      try {
        zone.enter(account);
        PaidBlock block = new PaidBlock(account);
        wanted = new Wanted(pages, scope == null ? block : scope.newBlock(block));
        find(wanted, path, alignOrder);
        for (int tries = 0;
            wanted.run < 0 && tries < Host.ROOM_TRIES && zone.makeRoom(pages);
            tries++) {
          find(wanted, path, alignOrder);
        }
        if (wanted.run < 0) {
          spill(block, wanted, path, alignOrder);
        }
        isFound = wanted.run >= 0;
      } finally {
        if (!isFound) {
          forget(wanted, usableBytes);
        }
      }
      if (isFound) {
        return wanted;
      }
    }
    if (must) {
      throw exhausted(path, bytes, alignment, full);
    }
    return null;
  }

  /** Pays no longer for what was not found, or cannot be handed out. */
  private void forget(Wanted wanted, long usableBytes) {
    if (wanted != null && wanted.run >= 0) {
      allocation.undo(wanted.path, wanted.run, wanted.owner);
    } else {
      account.credit(usableBytes);
    }
  }

  private void find(Wanted wanted, ZonePath path, int alignOrder) {
    wanted.path = path;
    wanted.run = allocation.find(path, wanted.pages, alignOrder, wanted.owner);
  }

  /** Walks on into system memory, once the budgets have given as much; else there is no block. */
  private void spill(PaidBlock block, Wanted wanted, ZonePath path, int alignOrder) {
    long usableBytes = Pages.offset(wanted.pages);
    if (!block.spill(usableBytes)) {
      return;
    }
    boolean spilled = false;
    try {
      ZonePath all = zone.spillPath(path, usableBytes);
      if (all.length() > 1) {
        find(wanted, all, alignOrder);
        spilled = wanted.run >= 0 && AllocationPath.index(wanted.run) > 0;
      }
    } finally {
      if (!spilled) {
        block.cancelSpill();
      }
    }
  }

  private NodeMemoryExhaustedException exhausted(
      ZonePath path, long bytes, long alignment, Account full) {
    List<Attempt> attempts = new ArrayList<>();
    Attempt own = allocation.whyNot(path, 0, bytes, alignment);
    if (full != null) {
      Refusal refusal = Refusal.ofQuota(full);
      attempts.add(ZoneReports.because(own, refusal.reason(), refusal.detail()));
    } else {
      String budget = exceededBudget(own.wantedBytes());
      String detail =
          Stream.of(own.detail(), zone.whyNotEvicted(), budget)
              .filter(part -> !part.isEmpty())
              .collect(Collectors.joining(", "));
      attempts.add(ZoneReports.because(own, own.reason(), detail));
      if (!account.spills().isEmpty() && budget.isEmpty()) {
        attempts.addAll(zone.whyNotSpilled(path, bytes, alignment));
      }
    }
    return new NodeMemoryExhaustedException(bytes, placement.toString(), attempts);
  }

  private String exceededBudget(long bytes) {
    for (Allowance spill : account.spills()) {
      if (bytes > spill.limitBytes() - spill.usedBytes()) {
        String name = spill == account.ceiling() ? "spill_ceiling_bytes" : "spill_budget_bytes";
        return "not spilled, "
            + name
            + "="
            + spill.limitBytes()
            + ", spilled_bytes="
            + spill.usedBytes();
      }
    }
    return "";
  }

  @Override
  public Destination destination() {
    return new Destination(zone.choose(1).zone(0), account);
  }

  @Override
  public Placement placement() {
    return placement;
  }

  /**
   * Tells whether these requests are served by an allocator.
   *
   * @param other what serves the allocator's requests
   * @return true if so
   */
  public boolean isOf(AllocationPath other) {
    return allocation == other;
  }
}
