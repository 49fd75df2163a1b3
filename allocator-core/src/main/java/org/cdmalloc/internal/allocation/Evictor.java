/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.lang.System.Logger.Level;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.PriorityQueue;
import java.util.Queue;
import java.util.concurrent.locks.ReentrantLock;
import org.cdmalloc.NativeCallException;
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
   * State: the lock; the coldest blocks that the last look found, but for those that were tried since,
   * and none once one was refused; and why too little room was made last.
   *
   * Invariant: whatever may give way and is not among the coldest is no colder than they are, as long
   * as they are not used. For a block that is used later, or comes later, is hotter than all of them;
   * and of one that was used since the look, the time is another one than was found, and it is left
   * out. One that was freed has another owner, or none.
   *
   * Nothing gives way in vain, as far as can be known before: what is found has to suffice.
   *
   * A block gives way while it is live and held by nobody, in the name of the owner that was found.
   * Who frees, pins or lends it meanwhile changes its owner, and the move finds that it is another's;
   * or comes later and waits until the move is over.
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

  private static final System.Logger LOGGER = System.getLogger("org.cdmalloc");

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

  /** How many pages of them are on the device. Guarded by lock. */
  private long coldestPages;

  /** A block that may give way, and when it was used last. */
  private record Candidate(Zone.OwnedRun run, BlockOwner owner, long usedNanos) {
    int pagesHere() {
      return run.pages() - run.awayPages();
    }
  }

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
  boolean makeRoomForRun(int pages) {
    obstacle = "";
    return pages <= 1 << zone.zone().maxOrder() && makeRoom(pages);
  }

  /**
   * Makes room for the pages of a block that was not to be had, of this zone or another one.
   *
   * @param pages how many
   * @return whether there may be room now
   */
  boolean makeRoom(int pages) {
    obstacle = "";
    if (pages > zone.zone().capacityPages()) {
      return false;
    }
    lock.lock();
    try {
      if (!isServing()) {
        return false;
      }
      long missing = missingPages(pages, zone.zone().watermarks().highPages());
      return missing <= 0 || (mayGive(missingPages(pages, 0), missing) && evict(missing) > 0);
    } finally {
      keepFew();
      lock.unlock();
    }
  }

  private boolean isServing() {
    return !zone.zone().isIsolated() && zone.isOpen();
  }

  /** Looks for more if what is known does not suffice; tells whether enough may give way. */
  private boolean mayGive(long least, long wanted) {
    if (coldestPages < least) {
      look();
    }
    boolean may = coldestPages >= least;
    obstacle = may ? "" : tooLittle(0, wanted, "");
    return may;
  }

  private static String tooLittle(long evicted, long wanted, String why) {
    return "evicted_bytes="
        + evicted * Zone.PAGE_BYTES
        + ", wanted_bytes="
        + wanted * Zone.PAGE_BYTES
        + why;
  }

  /** Returns why too little gave way the last time, for messages; empty if enough did. */
  String obstacle() {
    return obstacle;
  }

  /**
   * Returns how many pages have to give way: so that as many are free above a mark, and so that
   * memory can come for whole units of them.
   */
  private long missingPages(int pages, int mark) {
    Zone counted = zone.zone();
    long units = (long) (pages - 1) / counted.commitPages() + 1;
    long unitPages = units * counted.commitPages();
    Refusal refusal = zone.refusal();
    // Where the platform has no more to give than what is here, only that helps.
    long refused = refusal != null && refusal.reason() == Reason.MEMORY_REFUSED ? unitPages : 0;
    long free = (long) mark + pages - counted.freePages();
    long unbacked = unitPages - counted.unbackedPages();
    return Math.max(refused, Math.max(free, unbacked));
  }

  private long evict(long missing) {
    long evicted = 0;
    int refusedPages = Integer.MAX_VALUE;
    String why = "";
    boolean looked = false;
    while (evicted < missing && isServing() && !(looked && coldest.isEmpty())) {
      if (coldest.isEmpty()) {
        look();
        looked = true;
        continue;
      }
      Candidate block = coldest.remove();
      coldestPages -= block.pagesHere();
      // Where one was refused, a larger one will be.
      if (block.owner.usedNanos() == block.usedNanos && block.run.pages() < refusedPages) {
        int before = zone.zone().awayPages(block.run.page());
        String refusal = move(block);
        evicted += Math.max(0, zone.zone().awayPages(block.run.page()) - before);
        if (!refusal.isEmpty()) {
          refusedPages = block.run.pages();
          why = ", node=" + refuge.node() + ": " + refusal;
        }
      }
    }
    if (!why.isEmpty()) {
      // Those that were refused come first again.
      forget();
    }
    obstacle = evicted >= missing ? "" : tooLittle(evicted, missing, why);
    return evicted;
  }

  /** Moves a block away; returns why not, or nothing. */
  private String move(Candidate block) {
    try {
      Refusal refusal = zone.move(Pages.offset(block.run.page()), block.owner, refuge).refusal();
      return refusal == null ? "" : refusal.detail();
    } catch (NativeCallException e) {
      // Whoever needs the room asked for another block: this one stays as it is.
      LOGGER.log(Level.DEBUG, "a block does not give way: node=" + zone.node(), e);
      return e.getMessage();
    }
  }

  /** Finds the blocks that may give way. */
  private void look() {
    forget();
    zone.owners(
        run -> {
          BlockOwner owner = (BlockOwner) run.owner();
          if (run.awayPages() < run.pages() && owner.isLive() && !(owner instanceof HeldBlock)) {
            add(new Candidate(run, owner, owner.usedNanos()));
          }
        });
  }

  private void add(Candidate block) {
    coldest.add(block);
    coldestPages += block.pagesHere();
  }

  private void forget() {
    coldest.clear();
    coldestPages = 0;
  }

  private void keepFew() {
    if (coldest.size() > KEPT) {
      List<Candidate> few = new ArrayList<>(KEPT);
      while (few.size() < KEPT) {
        few.add(coldest.remove());
      }
      coldest = new PriorityQueue<>(COLDEST_FIRST);
      coldestPages = 0;
      few.forEach(this::add);
    }
  }
}
