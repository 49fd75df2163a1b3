/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.lang.System.Logger.Level;
import java.util.BitSet;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.LongToIntFunction;
import org.cdmalloc.NodeMemoryExhaustedException.Reason;
import org.cdmalloc.internal.zone.Zone;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.LockResult;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Region;
import org.cdmalloc.spi.Residency;

/**
 * The memory behind the pages of a zone: asked of the source, unit by unit, when a run needs it,
 * and given back when nobody has it. Safe for use by any number of threads.
 */
final class Backing {
  private static final System.Logger LOGGER = System.getLogger("org.cdmalloc");

  /** What is asked of a source at a time: the size of a huge page on most machines. */
  static final long COMMIT_BYTES = 2L << 20;

  /** How many pages of 4 KiB that is. */
  static final int COMMIT_PAGES = (int) (COMMIT_BYTES / Zone.PAGE_BYTES);

  /** How much is looked at, and given back, under the lock at a time. */
  static final int WINDOW_UNITS = 32;

  /*
   * Algorithmic notes.
   *
   * State: the zone (pages free or taken, units committed or not; its own lock), the region (null once
   * closed), what of it close could not release, commitLock; of a striped zone, what its nodes lend it.
   *
   * Invariants: (I1) a unit marked committed is resident; (I2) memory of a unit is asked for, and given
   * back, only under commitLock and only while no committed mark for it is visible; (I3) a run handed
   * out lies in units marked committed; (I4) for what is marked committed in a striped zone, and at
   * most for that and one window or request in work, its nodes have lent pages of their capacity.
   *
   * A run is taken first and backed afterwards, outside the zone's lock, so that a slow kernel stops
   * nobody who finds backed pages. Two runs may share a unit: whoever comes second finds it marked, or
   * asks for it itself after the first one failed. All units of a run are marked together after the
   * last was committed: were they marked one by one, another thread could be given pages of a unit
   * that a later failure takes back (I2).
   *
   * Purge: units that are free as a whole lose their mark in the zone's critical section, and their
   * memory afterwards. Who takes a page of such a unit meanwhile finds it without a mark and waits for
   * commitLock to ask for its memory again. A window at a time, so that nobody waits long.
   *
   * Looks compare where pages lie with where they belong, a window at a time as well. Under commitLock,
   * which makes the comparison true: no page of a committed unit comes, goes or changes its node by us
   * meanwhile, so whoever is found elsewhere was moved by somebody else.
   *
   * Locks are taken in the order commitLock of a striped zone, commitLock of a node's zone, a zone's
   * lock; never two of the same kind.
   *
   * Close: the zone refuses first, then the region is released under commitLock; a request that took
   * its run before the zone closed finds no region and says closed, or has an address whose memory
   * reads zeros, as every address has after close. A region that could not be released is kept for the
   * next close; if the source then says that it is released, the failed call did it after all.
   */

  private final int node;
  private final MemorySource source;
  private final Zone zone;
  private final StripeShares shares;
  private final ReentrantLock commitLock = new ReentrantLock();
  private volatile Region region;

  /** Set before the zone is closed because its node went offline. */
  private volatile boolean removed;

  /** Units whose memory the source did not take back; guarded by commitLock. */
  private final BitSet untaken;

  /** What a close tried to release in vain, or null; guarded by commitLock. */
  private Region unreleased;

  /** Why memory was refused last, or null; for explanations and for the decision to reclaim. */
  private volatile Refusal lastRefusal;

  /**
   * Makes the backing of a zone that has no memory yet.
   *
   * @param node the node that the zone stands for, for messages
   * @param source gives the memory
   * @param region the zone's
   * @param zone the zone
   * @param shares what lends the capacity of a striped zone
   */
  Backing(int node, MemorySource source, Region region, Zone zone, StripeShares shares) {
    this.node = node;
    this.source = source;
    this.region = region;
    this.zone = zone;
    this.shares = shares;
    // As long as it will ever be: to remember a unit needs nothing of the Java heap.
    this.untaken = new BitSet((zone.regionPages() - 1) / COMMIT_PAGES + 1);
  }

  /** Returns the lock that whoever changes the memory of the zone's pages holds. */
  ReentrantLock commitLock() {
    return commitLock;
  }

  /** Backs a run that was taken; if that fails, by a value or an exception, the run is freed. */
  boolean backOrFree(int page, int pages, Object owner) {
    boolean backed = false;
    try {
      backed = back(page, pages);
      return backed;
    } finally {
      if (!backed) {
        zone.undo(page, owner);
      }
    }
  }

  private boolean back(int page, int pages) {
    int end = page + pages;
    commitLock.lock();
    try {
      Region target = requireRegion();
      int reached = page;
      int heldPages = 0;
      boolean backed = false;
      try {
        for (int unit = nextUnbacked(page, end); unit >= 0; unit = nextUnbacked(reached, end)) {
          int after = unit + 1;
          while (isUnbacked(after, end)) {
            after++;
          }
          if (!hold(unit, after)) {
            return false;
          }
          heldPages += pages(unit, after);
          if (!commitHeld(target, unit, after)) {
            return false;
          }
          reached = Math.min(end, firstPage(after));
        }
        zone.markCommitted(page, pages);
        lastRefusal = null;
        backed = true;
        return true;
      } finally {
        try {
          if (!backed) {
            giveBack(target, page, reached);
          }
        } finally {
          zone.release(heldPages);
        }
      }
    } finally {
      commitLock.unlock();
    }
  }

  /**
   * Commits units whose capacity is set aside; if that fails, what nodes lent for them is repaid.
   */
  private boolean commitHeld(Region target, int unit, int after) {
    boolean committed = false;
    try {
      CommitResult result = source.commit(target, unitOffset(unit), unitBytes(unit, after));
      committed = result.isCommitted();
      if (committed) {
        untaken.clear(unit, after);
      } else {
        lastRefusal = new Refusal(Reason.MEMORY_REFUSED, result.outcome() + " " + result.detail());
      }
      return committed;
    } finally {
      if (!committed) {
        shares.repay(unitOffset(unit), unitBytes(unit, after));
      }
    }
  }

  /** Sets capacity aside for units; if all of it is used, after giving back what is idle here. */
  private boolean hold(int unit, int after) {
    int pages = pages(unit, after);
    if (!hold(pages)) {
      lastRefusal =
          new Refusal(
              Reason.CAPACITY_HELD,
              "lent_pages=" + zone.lentPages() + ", committed_pages=" + zone.committedPages());
      return false;
    }
    boolean held = false;
    try {
      Refusal refusal = shares.lend(unitOffset(unit), unitBytes(unit, after));
      held = refusal == null;
      if (!held) {
        lastRefusal = refusal;
      }
      return held;
    } finally {
      if (!held) {
        zone.release(pages);
      }
    }
  }

  /** Sets capacity aside, if need be after giving back what is idle; for who holds commitLock. */
  boolean hold(int pages) {
    return zone.hold(pages) || (purgeLocked() > 0 && zone.hold(pages));
  }

  private boolean isUnbacked(int unit, int end) {
    int page = firstPage(unit);
    return page < end && zone.uncommittedUnit(page, 1) == unit;
  }

  private int nextUnbacked(int page, int end) {
    return page == end ? Zone.NONE : zone.uncommittedUnit(page, end - page);
  }

  /**
   * Returns what a failed run had got; its units are not marked, so nobody else can use them. A
   * range that the source fails to take back keeps none of the others.
   */
  private void giveBack(Region target, int page, int end) {
    BitSet units = new BitSet();
    int at = page;
    for (int unit = nextUnbacked(at, end); unit >= 0; unit = nextUnbacked(at, end)) {
      units.set(unit);
      at = Math.min(end, firstPage(unit + 1));
    }
    RuntimeException failure = purge(target, units, false);
    if (failure != null) {
      throw failure;
    }
  }

  /**
   * Gives memory back that nobody has, a window at a time.
   *
   * @param onlyIdle spares what was in use since this was last called
   * @return bytes
   */
  long purge(boolean onlyIdle) {
    long bytes = 0;
    int units = (zone.regionPages() - 1) / COMMIT_PAGES + 1;
    for (int from = 0; from < units; from += WINDOW_UNITS) {
      commitLock.lock();
      try {
        bytes += region == null ? 0 : purgeWindow(from, from + WINDOW_UNITS, onlyIdle);
      } finally {
        commitLock.unlock();
      }
    }
    return bytes;
  }

  /**
   * Gives all memory back that nobody has, for whoever holds commitLock and needs capacity. What
   * the source did not take before gives none, so it matters to nobody here that it does not again.
   */
  private long purgeLocked() {
    RuntimeException failure = purgeAgain(region, 0, Integer.MAX_VALUE);
    if (failure != null) {
      LOGGER.log(Level.DEBUG, "memory is not given back for now: node=" + node, failure);
    }
    return purgeWindow(0, Integer.MAX_VALUE, false, null);
  }

  private long purgeWindow(int from, int to, boolean onlyIdle) {
    return purgeWindow(from, to, onlyIdle, purgeAgain(region, from, to));
  }

  private long purgeWindow(int from, int to, boolean onlyIdle, RuntimeException before) {
    BitSet retired = zone.retire(from, to, onlyIdle);
    RuntimeException failure = Failures.joined(before, purge(region, retired, true));
    if (failure != null) {
      throw failure;
    }
    return retired.stream().mapToLong(unit -> unitBytes(unit, unit + 1)).sum();
  }

  /** Takes note that the source did not take a unit's memory; for whoever holds commitLock. */
  void purgeLater(int unit) {
    untaken.set(unit);
  }

  /** Gives back what the source did not take before, unless it is in use again; as below. */
  private RuntimeException purgeAgain(Region target, int from, int to) {
    RuntimeException failure = null;
    int unit = untaken.nextSetBit(from);
    while (unit >= 0 && unit < to) {
      try {
        if (zone.uncommittedUnit(firstPage(unit), 1) == unit) {
          source.purge(target, unitOffset(unit), unitBytes(unit, unit + 1));
        }
        untaken.clear(unit);
      } catch (RuntimeException e) {
        failure = Failures.joined(failure, e);
      }
      unit = untaken.nextSetBit(unit + 1);
    }
    return failure;
  }

  /** Gives the memory of unmarked units back, range by range; returns what failed, or null. */
  private RuntimeException purge(Region target, BitSet units, boolean retired) {
    RuntimeException failure = null;
    for (int unit = units.nextSetBit(0); unit >= 0; ) {
      int after = units.nextClearBit(unit);
      boolean zeroed = false;
      try {
        source.purge(target, unitOffset(unit), unitBytes(unit, after));
        zeroed = true;
      } catch (RuntimeException e) {
        untaken.set(unit, after);
        failure = Failures.joined(failure, e);
      } finally {
        if (retired) {
          BitSet range = new BitSet();
          range.set(unit, after);
          zone.purged(range, zeroed);
        }
        shares.repay(unitOffset(unit), unitBytes(unit, after));
      }
      unit = units.nextSetBit(after);
    }
    return failure;
  }

  /**
   * Asks where the pages of a window's committed units lie, and compares that with where they
   * belong. Units with a page elsewhere that are free as a whole are given back: they come again on
   * their own nodes. A zone that is closed or not bound has nothing to compare.
   *
   * @param window which {@value #WINDOW_UNITS} units, from 0
   * @param wanted the source's node on which an OS page of the region belongs while it is committed
   * @return what was found
   * @throws RuntimeException what the source throws that cannot tell, or does not take memory back;
   *     what it did not take counts as given back, as ever
   */
  Look look(int window, LongToIntFunction wanted) {
    Look look = new Look();
    commitLock.lock();
    try {
      Region target = region;
      if (target == null || !target.isBound()) {
        return look;
      }
      int from = window * WINDOW_UNITS;
      BitSet units = zone.committedUnits(from, from + WINDOW_UNITS);
      for (int unit = units.nextSetBit(0); unit >= 0; ) {
        int after = units.nextClearBit(unit);
        Residency where = source.residency(target, unitOffset(unit), unitBytes(unit, after));
        look.compare(unit, where, unitOffset(unit) / where.osPageBytes(), wanted);
        unit = units.nextSetBit(after);
      }
      BitSet returned = new BitSet();
      look.displacedUnits().forEach(unit -> returned.or(zone.retire(unit, unit + 1, false)));
      RuntimeException failure = purge(target, returned, true);
      if (failure != null) {
        throw failure;
      }
      look.returned(returned);
      return look;
    } finally {
      commitLock.unlock();
    }
  }

  /** Locks a live run in memory, as {@link MemorySource#lock} does. */
  LockResult lock(long offset, long bytes) {
    commitLock.lock();
    try {
      return source.lock(requireRegion(), offset, bytes);
    } finally {
      commitLock.unlock();
    }
  }

  /** Ends that; of a closed zone nothing is locked any more. */
  void unlock(long offset, long bytes) {
    commitLock.lock();
    try {
      if (region != null) {
        source.unlock(region, offset, bytes);
      }
    } finally {
      commitLock.unlock();
    }
  }

  /**
   * Gives the memory of a closed zone back and lets the address space go when no view of it is
   * reachable. Does nothing the second time, unless the source failed to take the memory: then it
   * is asked again.
   */
  void close() {
    commitLock.lock();
    try {
      Region target = region;
      if (target != null) {
        region = null;
        unreleased = target;
        source.release(target);
        unreleased = null;
      } else if (unreleased != null) {
        releaseAgain(unreleased);
        unreleased = null;
      }
    } finally {
      commitLock.unlock();
    }
  }

  private void releaseAgain(Region target) {
    try {
      source.release(target);
    } catch (IllegalStateException e) {
      // Released by the call that failed.
    }
  }

  /** Returns why memory was refused last, or null if it was not since it last was given. */
  Refusal refusal() {
    return lastRefusal;
  }

  /** Remembers that the zone is about to be closed because its node went offline. */
  void remove() {
    removed = true;
  }

  /** Tells whether that is so. */
  boolean isRemoved() {
    return removed;
  }

  /** Returns the region, or null once the zone is closed. */
  Region region() {
    return region;
  }

  /** Returns the region, or throws if the zone is closed. */
  Region requireRegion() {
    Region target = region;
    if (target == null) {
      throw closed();
    }
    return target;
  }

  /** Says that the zone is closed. */
  IllegalStateException closed() {
    if (removed) {
      return new IllegalStateException(
          "node went offline: node=" + node + "; bring it online again");
    }
    return new IllegalStateException("allocator is closed: node=" + node + "; open another one");
  }

  /** The pages of the units from one to another, exclusive. */
  private int pages(int unit, int after) {
    return (int) (unitBytes(unit, after) / Zone.PAGE_BYTES);
  }

  private static long unitOffset(int unit) {
    return unit * COMMIT_BYTES;
  }

  /** Returns the length of the units from one to another, exclusive; the last may be cut short. */
  private long unitBytes(int unit, int after) {
    return Math.min(unitOffset(after), Pages.offset(zone.regionPages())) - unitOffset(unit);
  }

  /** The first page of a unit; of one behind the zone's end, a number above all pages. */
  static int firstPage(int unit) {
    return (int) Math.min(Integer.MAX_VALUE, (long) unit * COMMIT_PAGES);
  }
}
