/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.PriorityQueue;
import java.util.Queue;
import java.util.concurrent.locks.ReentrantLock;
import org.cdmalloc.NodeMemoryExhaustedException.Reason;
import org.cdmalloc.internal.account.BlockOwner;
import org.cdmalloc.internal.zone.Zone;

/**
 * Makes room on a device that is full: the blocks of its own zone that were not used for the
 * longest time give way, and are moved where the device's blocks are demoted to. Safe for use by
 * any number of threads.
 */
final class Evictor {
  /*
   * Algorithmic notes. The memory of a block that gives way is away, as MovedBlocks says: the block
   * keeps its address, and what comes instead needs another one. So the zone of a device that evicts
   * has more pages of addresses than of capacity.
   *
   * State: the lock; the coldest blocks that the last look found, but for those that were tried since;
   * and why too little room was made last.
   *
   * Invariant: whatever may give way and is not among the coldest is no colder than they are, as long
   * as they are not used. For a block that is used later, or comes later, is hotter than all of them;
   * and of one that was used since the look, the time is another one than was found, and it is left
   * out. One that was freed has another owner, or none.
   *
   * A block gives way while it is live and held by nobody, in the name of the owner that was found.
   * Who frees, pins or lends it meanwhile changes its owner, and the move finds that it is another's;
   * or comes later and waits for the move, or for what of it is under a lock.
   *
   * One thread at a time looks and moves; those who waited mostly find the room made. What is made is
   * nobody's: another request may be faster, so whoever wanted it tries again, a few times.
   *
   * Locks are taken in the order this lock, moveLock and commitLock of the zone, those of the zone that
   * takes the blocks in. Whoever comes here holds none of them.
   *
   * Progress: blocking, for as long as pages are moved. A look takes O(pages of the region) steps, and
   * O(log) of the blocks for each; many requests are served by one, unless most is refused.
   */

  /** Times of a clock that may pass through the largest number. */
  private static final Comparator<Candidate> COLDEST_FIRST =
      (one, other) -> Long.signum(one.usedNanos - other.usedNanos);

  /** How many blocks are remembered from one look for the next requests. */
  private static final int KEPT = 1 << 14;

  private final BackedZone zone;
  private final DemotedHost refuge;
  private final ReentrantLock lock = new ReentrantLock();
  private volatile String obstacle = "";

  /** Guarded by lock. */
  private Queue<Candidate> coldest = new PriorityQueue<>(COLDEST_FIRST);

  /** A block that may give way, and when it was used last. */
  private record Candidate(Zone.OwnedRun run, BlockOwner owner, long usedNanos) {}

  /**
   * Makes an evictor.
   *
   * @param zone the device's zone
   * @param refuge takes in what gives way
   */
  Evictor(BackedZone zone, DemotedHost refuge) {
    this.zone = zone;
    this.refuge = refuge;
  }

  /**
   * Makes room for a run that was not to be had.
   *
   * @param pages its length
   * @return whether there may be room now
   */
  boolean makeRoom(int pages) {
    obstacle = "";
    if (pages > zone.zone().capacityPages()) {
      return false;
    }
    lock.lock();
    try {
      if (zone.zone().isIsolated() || !zone.isOpen()) {
        return false;
      }
      long missing = missingPages(pages);
      return missing <= 0 || evict(missing) > 0;
    } finally {
      lock.unlock();
    }
  }

  /** Returns why too little gave way the last time, for messages; empty if enough did. */
  String obstacle() {
    return obstacle;
  }

  /**
   * Returns how many pages have to give way: so that as many are free above the high mark, and so
   * that memory can come for whole units of them.
   */
  private long missingPages(int pages) {
    Zone counted = zone.zone();
    long units = (long) (pages - 1) / counted.commitPages() + 1;
    long unitPages = units * counted.commitPages();
    Refusal refusal = zone.refusal();
    // Where the platform has no more to give than what is here, only that helps.
    long refused = refusal != null && refusal.reason() == Reason.MEMORY_REFUSED ? unitPages : 0;
    long free = (long) counted.watermarks().highPages() + pages - counted.freePages();
    long unbacked = unitPages - counted.unbackedPages();
    return Math.max(refused, Math.max(free, unbacked));
  }

  private long evict(long missing) {
    long evicted = 0;
    int refusedPages = Integer.MAX_VALUE;
    String why = "";
    boolean looked = false;
    while (evicted < missing && !(looked && coldest.isEmpty())) {
      if (coldest.isEmpty()) {
        look();
        looked = true;
        continue;
      }
      Candidate block = coldest.remove();
      int page = block.run.page();
      // Where one was refused, a larger one will be.
      if (block.owner.usedNanos() == block.usedNanos && block.run.pages() < refusedPages) {
        int before = zone.zone().awayPages(page);
        MovedBlocks.Answer answer = zone.move(Pages.offset(page), block.owner, refuge);
        evicted += Math.max(0, zone.zone().awayPages(page) - before);
        if (answer.refusal() != null) {
          refusedPages = block.run.pages();
          why = ", node=" + refuge.node() + ": " + answer.refusal().detail();
        }
      }
    }
    obstacle =
        evicted >= missing
            ? ""
            : "evicted_bytes="
                + evicted * Zone.PAGE_BYTES
                + ", wanted_bytes="
                + missing * Zone.PAGE_BYTES
                + why;
    keepFew();
    return evicted;
  }

  /** Finds the blocks that may give way. */
  private void look() {
    zone.owners(
        run -> {
          BlockOwner owner = (BlockOwner) run.owner();
          boolean isHere = run.awayPages() < run.pages();
          if (isHere && owner.isLive() && !(owner instanceof HeldBlock)) {
            coldest.add(new Candidate(run, owner, owner.usedNanos()));
          }
        });
  }

  private void keepFew() {
    if (coldest.size() > KEPT) {
      List<Candidate> few = new ArrayList<>(KEPT);
      while (few.size() < KEPT) {
        few.add(coldest.remove());
      }
      coldest = new PriorityQueue<>(COLDEST_FIRST);
      coldest.addAll(few);
    }
  }
}
