/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.util.Comparator;
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
   * State: the lock, and why the last look made too little room.
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
   * O(log) of the blocks for each; it makes room up to the high mark, so that not each request pays for
   * a look.
   */

  private final BackedZone zone;
  private final DemotedHost refuge;
  private final ReentrantLock lock = new ReentrantLock();
  private volatile String obstacle = "";

  /** A block that may give way. */
  private record Candidate(Zone.OwnedRun run, BlockOwner owner, long unusedNanos) {}

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
    Queue<Candidate> candidates = candidates();
    while (evicted < missing && !candidates.isEmpty()) {
      Candidate block = candidates.remove();
      int page = block.run.page();
      // Where one was refused, a larger one will be.
      if (block.run.pages() < refusedPages) {
        MovedBlocks.Answer answer = zone.move(BackedZone.offset(page), block.owner, refuge);
        evicted += Math.max(0, zone.zone().awayPages(page) - block.run.awayPages());
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
    return evicted;
  }

  /** Returns the blocks that may give way, those first that were not used for the longest time. */
  private Queue<Candidate> candidates() {
    Queue<Candidate> candidates =
        new PriorityQueue<>(Comparator.comparingLong(Candidate::unusedNanos).reversed());
    long now = refuge.device().nowNanos();
    zone.owners(
        run -> {
          BlockOwner owner = (BlockOwner) run.owner();
          boolean isHere = run.awayPages() < run.pages();
          if (isHere && owner.isLive() && !(owner instanceof HeldBlock)) {
            long unusedNanos = now - owner.usedNanos();
            candidates.add(new Candidate(run, owner, unusedNanos));
          }
        });
    return candidates;
  }
}
