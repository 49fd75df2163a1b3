/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zone;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.locks.ReentrantLock;

/**
 * A buddy allocator over the pages of one region, of which it hands out as many as its capacity
 * says. It hands out runs of any number of pages, takes them back, and remembers which pages have
 * memory behind them and which were written to; to get that memory is its caller's work.
 *
 * <p><b>Runs.</b> A run starts at a multiple of its length rounded up to a power of two, or of a
 * larger one that its caller names, and costs its own length: what it does not use of the block it
 * was cut from is free at once. A run may have an owner; it is then given back in the owner's name.
 *
 * <p><b>Capacity.</b> Pages of the capacity may be lent to zones that share the node; they are
 * neither free nor used here until they are repaid. The memory of a live run may be moved to
 * another node: pages that are <em>away</em> are addresses in use without memory of this node, and
 * as much of the capacity is free for others, who find addresses for it where the region has more
 * pages than the capacity. A run that was freed while its memory is away, and cannot come home, is
 * <em>stranded</em>: live to nobody, and not to be handed out.
 *
 * <p><b>Isolation.</b> Pages of an <em>isolated</em> zone are given back and not handed out, as the
 * kernel isolates the page blocks of memory that is to go offline (mm/page_isolation.c).
 *
 * <p><b>Cost.</b> Taking and freeing take O({@link #maxOrder}) steps and allocate nothing on the
 * Java heap, except that a take which goes where no take went before makes room for the metadata of
 * some {@value PageMap#GROUP_PAGES} pages. If the heap is then exhausted the zone is as it was. All
 * metadata together takes at most 1.6 bytes per page of a zone of 32 MiB and more, and of a smaller
 * one a few KiB; an owner costs an entry of a hash map more.
 *
 * <p><b>Threads.</b> Every method may be called by any number of threads; each is one short
 * critical section. What happened before a run was freed happens before whatever follows its next
 * take.
 *
 * <p><b>Results.</b> What cannot be done is told by a negative number, for its caller knows the
 * address, the node and the request, which an exception has to name.
 *
 * <table>
 * <caption>Negative results</caption>
 * <tr><th>{@link #NONE}</th><td>no block fits, too little would stay free, or the zone is
 * isolated</td></tr>
 * <tr><th>{@link #CLOSED}</th><td>the zone was closed</td></tr>
 * <tr><th>{@link #NOT_LIVE}</th><td>the page is in no live run: never taken, or freed</td></tr>
 * <tr><th>{@link #INTERIOR}</th><td>the page is in a live run, but not its first</td></tr>
 * <tr><th>{@link #OWNED}</th><td>the run is another owner's than the one named</td></tr>
 * <tr><th>{@link #AWAY}</th><td>the memory of the run has to come home first</td></tr>
 * </table>
 */
public final class Zone {
  /*
   * Algorithmic notes. The buddy system is Knowlton's (K. C. Knowlton, A fast storage allocator,
   * CACM 8(10), 1965; D. E. Knuth, The Art of Computer Programming 1, section 2.5, algorithms R and
   * S), in the form of Linux' mm/page_alloc.c: __rmqueue_smallest, expand, __free_one_page,
   * alloc_pages_exact, __zone_watermark_ok. Unlike there, free blocks are found by lowest address.
   *
   * State
   *   free(k)    for each order k the set of free blocks of 2^k pages (FreeArea, a bit per block)
   *   live       the set of runs handed out (PageMap, a byte per page), with their owners
   *   written    the pages that were given back since they were committed (WrittenMap, a bit each)
   *   committed  the set of units with memory behind them, and idle, those of them that nobody took
   *              from for a while (CommitMap, two bits per unit)
   *   lent, held pages of the capacity that are used elsewhere, or about to be committed or purged
   *   away       the live runs that may have pages away, how many each, and which are stranded
   *   freePages, liveRuns, events, isolated, closed
   *
   * Invariants (validate() names them by these numbers)
   *   I1  the free blocks of all orders and the live runs tile [0, regionPages)
   *   I2  no two buddies of an order below maxOrder are both free
   *   I3  a summary bit is set iff the word below it is not 0; counts equal bits
   *   I4  a run of n pages is written as the powers of two of n, descending, each aligned to its
   *       size: one HEAD, then PARTs, MORE on all but the last; every other byte is 0
   *   I5  freePages = sum over k of |free(k)| 2^k - (regionPages - capacityPages) - lent + away, not
   *       negative; liveRuns = |live| - |stranded|
   *   I6  where a piece of a run starts, its group of the page map and the leaves of that page in
   *       every free area exist, and the bits of all its pages in written; so free never allocates
   *   I7  committed - away + held + lent <= capacity, as far as callers charge before they mark
   *   I8  a run has an owner or is in away iff its head is marked
   *
   * Transitions
   *   take           smallest k with a fitting block, lowest block of free(k); halves and tail back
   *   takeCommitted  lowest committed run of all fitting k; halves and tail back
   *   free, undo     run to its pieces, each merges while its buddy is free; of free its pages written
   *   markCommitted  committed only; runs and free blocks may be committed, partly, or not at all
   *   retire         idle units that are free as a whole: committed to held
   *   purged         held to neither, their pages not written any more
   *   lend, repay    free to lent and back
   *   beginAway, setAway, endAway  a live run into away, its pages there, and out of it
   *   strand         live to stranded
   *   settle         a run in away, all pages of which are away, to free; whole units uncommitted
   *   emptyUnit      the same of all runs that end in a unit of which nothing is live; it uncommitted
   *   emptied        held to neither, as purged
   *   strandFree     free blocks of a unit to runs in away, all pages of them away, and stranded
   *   exchangeOwner  the owner of a live run
   *   isolate        isolated only; while it is set nothing is taken, lent, or comes home
   *   close          closed only; from then on no run is taken or freed
   *
   * Linearization points
   *   anywhere in the critical section of each method
   *
   * Memory order
   *   the lock's: each unlock before the next lock. All other state is plain.
   *
   * Progress
   *   blocking; a section is O(maxOrder), and O(pages / 64) where the written bits of a run are
   *   read or set; but O(free blocks) in takeCommitted, O(units of the window) in retire and
   *   committedUnits, O(pages of the window) in ownedRuns, O(units) in nextCommittedUnit and O(metadata) in metadataBytes and validate. Not `synchronized`: before JDK 24 that pins the
   *   carrier of a virtual thread that has to wait.
   */

  /** The size of a page in bytes. */
  public static final int PAGE_BYTES = 4096;

  /** No block fits, or too little would stay free. */
  public static final int NONE = -1;

  /** The zone was closed. */
  public static final int CLOSED = -2;

  /** The page is in no live run. */
  public static final int NOT_LIVE = -3;

  /** The page is in a live run, but not its first. */
  public static final int INTERIOR = -4;

  /** The run is another owner's than the one named. */
  public static final int OWNED = -5;

  /** The memory of the run lies on another node, or may: {@link #endAway} or {@link #settle} it. */
  public static final int AWAY = -6;

  /** Set in the result of a take if all of the run is committed; above any page number. */
  private static final long COMMITTED = 1L << Integer.SIZE;

  /** Set in the result of a take if some page of the run was given back since it was committed. */
  private static final long WRITTEN = COMMITTED << 1;

  /** Set with it if that is true of every page of the run. */
  private static final long WRITTEN_THROUGHOUT = COMMITTED << 2;

  /** Set in the result of a take if fewer pages are free after it than the low mark says. */
  private static final long BELOW_LOW = COMMITTED << 3;

  private final ReentrantLock lock = new ReentrantLock();
  private final int regionPages;
  private final int capacityPages;
  private final int maxOrder;
  private final int commitPages;
  private final Watermarks watermarks;
  private final Buddy buddy;
  private final CommitMap committed;
  private final NumaEvents events = new NumaEvents();

  /** The owner of each run that has one, by its first page. */
  private final Map<Integer, Object> owners = new HashMap<>();

  private final AwayRuns away = new AwayRuns();

  private int freePages;
  private long returnedPages;
  private int lentPages;
  private int heldPages;
  private int liveRuns;
  private boolean isolated;
  private boolean closed;

  /**
   * Makes a zone over a region of its capacity.
   *
   * @param capacityPages as {@link #Zone(int, int, int, int, Watermarks)}, and the region's size
   * @param orderLimit as there
   * @param commitPages as there
   * @param watermarks as there
   * @throws IllegalArgumentException as there
   */
  public Zone(int capacityPages, int orderLimit, int commitPages, Watermarks watermarks) {
    this(capacityPages, capacityPages, orderLimit, commitPages, watermarks);
  }

  /**
   * Makes a zone whose pages are all free and not committed.
   *
   * @param regionPages the size of its region in pages, at least the capacity; what is more has
   *     addresses for runs that are taken while others are away
   * @param capacityPages how many pages can be in use and not away, positive; any number
   * @param orderLimit the largest order that its blocks may have, 0 … 30; they have less where the
   *     zone is too small
   * @param commitPages the pages that are committed together, a power of two; the last such unit is
   *     cut short where the zone ends
   * @param watermarks its marks; the high one not above the capacity
   * @throws IllegalArgumentException if an argument is not as said
   */
  public Zone(
      int regionPages, int capacityPages, int orderLimit, int commitPages, Watermarks watermarks) {
    if (capacityPages < 1) {
      throw illegal("zone without pages", "capacityPages=" + capacityPages, "give at least 1");
    }
    if (regionPages < capacityPages) {
      throw illegal(
          "zone larger than its region",
          "capacityPages=" + capacityPages + ", regionPages=" + regionPages,
          "reserve at least the capacity");
    }
    if (orderLimit < 0 || orderLimit >= Integer.SIZE - 1) {
      throw illegal("no such order", "orderLimit=" + orderLimit, "give 0 to 30");
    }
    if (Integer.bitCount(commitPages) != 1 || commitPages < 0) {
      throw illegal("no such commit unit", "commitPages=" + commitPages, "give a power of two");
    }
    if (watermarks.highPages() > capacityPages) {
      throw illegal(
          "watermarks above the zone",
          "highPages=" + watermarks.highPages() + ", capacityPages=" + capacityPages,
          "lower the marks");
    }
    this.regionPages = regionPages;
    this.capacityPages = capacityPages;
    this.maxOrder = Math.min(orderLimit, Buddy.floorLog2(capacityPages));
    this.commitPages = commitPages;
    this.watermarks = watermarks;
    this.buddy = new Buddy(regionPages, maxOrder);
    this.committed = new CommitMap(regionPages, commitPages);
    this.freePages = capacityPages;
  }

  /**
   * Returns the first page of a run.
   *
   * @param run a result of a take, not negative
   * @return the page
   */
  public static int page(long run) {
    return (int) run;
  }

  /**
   * Tells whether all of a run was committed when it was taken.
   *
   * @param run a result of a take, not negative
   * @return true if so; if false, {@link #uncommittedUnit} tells what is missing
   */
  public static boolean isCommitted(long run) {
    return (run & COMMITTED) != 0;
  }

  /**
   * Tells whether a page of a run may hold something else than zeros, by what is known here: it was
   * in a run that was given back, since its memory came.
   *
   * @param run a result of a take, not negative
   * @return false if no page of the run was ever handed out before; if true, {@link #nextWritten}
   *     tells which were
   */
  public static boolean isWritten(long run) {
    return (run & WRITTEN) != 0;
  }

  /**
   * Tells whether every page of a run was in a run that was given back, since its memory came.
   *
   * @param run a result of a take, not negative
   * @return true if so; then there is no need to ask {@link #nextWritten}
   */
  public static boolean isWrittenThroughout(long run) {
    return (run & WRITTEN_THROUGHOUT) != 0;
  }

  /**
   * Tells whether fewer pages were free after a run was taken than the low mark says.
   *
   * @param run a result of a take, not negative
   * @return true if so
   */
  public static boolean isBelowLow(long run) {
    return (run & BELOW_LOW) != 0;
  }

  /**
   * Takes a run without further wishes, as {@link #take(int, int, int, int, Object)} does.
   *
   * @param pages as there
   * @param floorPages as there
   * @return as there
   */
  public long take(int pages, int floorPages) {
    return take(pages, floorPages, 0, NumaEvents.NONE, null);
  }

  /**
   * Takes a run: the first pages of the lowest free block of the smallest order that fits.
   *
   * @param pages its length, positive; more than 2<sup>{@link #maxOrder}</sup> never fit
   * @param floorPages how many pages must stay free, a watermark or 0
   * @param alignOrder log2 of the pages of which the first page is a multiple, 0 … 30
   * @param counted the {@link NumaEvents} to count if the run is committed; where it is not, they
   *     are for {@link #count}, once it is
   * @param owner in whose name alone the run can be freed, compared by identity; or null
   * @return the run, for {@link #page}, {@link #isCommitted}, {@link #isWritten} and {@link
   *     #isBelowLow}; {@link #NONE} or {@link #CLOSED}
   * @throws IllegalArgumentException if {@code pages} is not positive or {@code floorPages}
   *     negative
   * @throws OutOfMemoryError if the Java heap has no room for the metadata; nothing was taken
   */
  public long take(int pages, int floorPages, int alignOrder, int counted, Object owner) {
    return take(pages, floorPages, alignOrder, counted, owner, false);
  }

  /**
   * Takes a run that is committed already without further wishes, as {@link #takeCommitted(int,
   * int, int, int, Object)} does.
   *
   * @param pages as there
   * @param floorPages as there
   * @return as there
   */
  public long takeCommitted(int pages, int floorPages) {
    return takeCommitted(pages, floorPages, 0, NumaEvents.NONE, null);
  }

  /**
   * Takes a run that is committed already, wherever it is: the lowest one that {@link #take} could
   * cut out of one free block. For when no more memory can be committed; takes O(free blocks)
   * steps.
   *
   * @param pages as for {@link #take(int, int, int, int, Object)}
   * @param floorPages as there
   * @param alignOrder as there
   * @param counted the {@link NumaEvents} to count
   * @param owner as there
   * @return the run, for {@link #page} and {@link #isWritten}; {@link #NONE} or {@link #CLOSED}
   * @throws IllegalArgumentException as there
   * @throws OutOfMemoryError if the Java heap has no room for the metadata; nothing was taken
   */
  public long takeCommitted(int pages, int floorPages, int alignOrder, int counted, Object owner) {
    return take(pages, floorPages, alignOrder, counted, owner, true);
  }

  /**
   * Takes back a run that nobody owns.
   *
   * @param page as for {@link #free(int, Object)}
   * @return as there
   */
  public int free(int page) {
    return free(page, null);
  }

  /**
   * Takes a run back. Never allocates on the Java heap, except a number to look up a run that has
   * an owner or is away; if the heap is then exhausted the zone is as it was.
   *
   * @param page the run's first page
   * @param owner the run's owner, or null for a run without one
   * @return the run's length in pages; {@link #NOT_LIVE}, {@link #INTERIOR}, {@link #OWNED}, {@link
   *     #AWAY} or {@link #CLOSED}, and nothing changed
   * @throws IllegalArgumentException if the zone has no such page
   */
  public int free(int page, Object owner) {
    return giveBack(page, owner, true);
  }

  /**
   * Takes a run back that nobody could write to, because its memory never came or could not be
   * shown: its pages stay as written as they were.
   *
   * @param page as for {@link #free(int, Object)}
   * @param owner as there
   * @return as there
   * @throws IllegalArgumentException as there
   */
  public int undo(int page, Object owner) {
    return giveBack(page, owner, false);
  }

  private int giveBack(int page, Object owner, boolean used) {
    requireRun(page, 1);
    lock.lock();
    try {
      if (closed) {
        return CLOSED;
      }
      boolean marked = buddy.isMarked(page);
      if ((marked || owner != null) && isOfAnother(page, owner)) {
        return away.isStranded(page) ? NOT_LIVE : OWNED;
      }
      if (marked && away.has(page)) {
        return away.isStranded(page) ? NOT_LIVE : AWAY;
      }
      if (marked) {
        owners.remove(page);
      }
      int pages = buddy.free(page, used);
      if (pages > 0) {
        freePages += pages;
        returnedPages += used ? pages : 0;
        liveRuns--;
      }
      return pages;
    } finally {
      lock.unlock();
    }
  }

  private boolean isOfAnother(int page, Object owner) {
    return (buddy.isMarked(page) ? owners.get(page) : null) != owner && buddy.runPages(page) > 0;
  }

  /**
   * Lets the memory of a live run be moved: from now on whoever frees the run is told {@link
   * #AWAY}. Does nothing more where that is so already.
   *
   * @param page the run's first page
   * @param owner the run's owner, or null for a run without one
   * @return the run's length in pages; {@link #NOT_LIVE}, {@link #INTERIOR}, {@link #OWNED} or
   *     {@link #CLOSED}, and nothing changed
   * @throws IllegalArgumentException if the zone has no such page
   */
  public int beginAway(int page, Object owner) {
    requireRun(page, 1);
    lock.lock();
    try {
      if (closed) {
        return CLOSED;
      }
      int pages = livePages(page);
      if (pages > 0 && isOfAnother(page, owner)) {
        return OWNED;
      }
      if (pages > 0) {
        away.add(page);
        buddy.mark(page, true);
      }
      return pages;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Changes how many pages of a run are away. More of them make as much of the capacity free; fewer
   * take it.
   *
   * @param page the first page of a run after {@link #beginAway}
   * @param pages how many, 0 … the run's length
   * @return false if the capacity is used up by others or the zone is isolated, so that pages
   *     cannot come home; nothing changed
   */
  public boolean setAway(int page, int pages) {
    lock.lock();
    try {
      int more = pages - away.pages(page);
      if (more < 0 && (isolated || freePages + more < 0 || unbacked() + more < 0)) {
        return false;
      }
      away.set(page, pages);
      freePages += more;
      return true;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Ends what {@link #beginAway} began, if no page of the run is away.
   *
   * @param page the run's first page
   */
  public void endAway(int page) {
    lock.lock();
    try {
      if (away.pages(page) == 0) {
        away.remove(page);
        buddy.mark(page, owners.containsKey(page));
      }
    } finally {
      lock.unlock();
    }
  }

  /**
   * Takes a run from its user whose memory is away: it is live no more, and free only after {@link
   * #settle}.
   *
   * @param page the first page of a run after {@link #beginAway}
   * @param owner as for {@link #free(int, Object)}
   * @return the run's length in pages; {@link #NOT_LIVE}, {@link #OWNED} or {@link #CLOSED}, and
   *     nothing changed
   */
  public int strand(int page, Object owner) {
    lock.lock();
    try {
      if (closed) {
        return CLOSED;
      }
      int pages = livePages(page);
      if (pages > 0 && isOfAnother(page, owner)) {
        return OWNED;
      }
      if (pages > 0) {
        away.strand(page);
        owners.remove(page);
        liveRuns--;
      }
      return pages;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Frees a stranded run all of whose pages are away: the units that lie in it as a whole are
   * committed no longer, and memory came for the others.
   *
   * @param page the run's first page
   */
  public void settle(int page) {
    lock.lock();
    try {
      freeSettled(page);
    } finally {
      lock.unlock();
    }
  }

  /** Needs nothing of the Java heap, for a run whose number is at hand. */
  private void freeSettled(Integer run) {
    int page = run;
    away.remove(run);
    int pages = buddy.free(page, true);
    int from = (page + commitPages - 1) / commitPages;
    committed.unmark(from, (page + pages) / commitPages);
  }

  /**
   * A unit after {@link #emptyUnit}.
   *
   * @param runs the first pages of the runs that are stranded no more
   * @param pages the pages that have memory, which is to go back, counted from the unit's first;
   *     they are held until {@link #emptied}
   */
  public record EmptiedUnit(List<Integer> runs, BitSet pages) {}

  /**
   * Frees the stranded runs that end in a unit if none of its pages is in a live run: then they
   * need no memory first, for the unit is committed no longer. A run that lies in several units
   * begins with one and ends alone in a part of one, so all of each run is free.
   *
   * @param unit the number of a unit, which a run that is away as a whole fills in part
   * @return what was freed, or null if something is live, or has pages that are not away
   * @throws OutOfMemoryError if the Java heap has no room; nothing changed
   */
  public EmptiedUnit emptyUnit(int unit) {
    List<Integer> runs = new ArrayList<>();
    BitSet pages = new BitSet(commitPages);
    EmptiedUnit emptied = new EmptiedUnit(runs, pages);
    int end = unit * commitPages + committed.unitPages(unit);
    lock.lock();
    try {
      int first = unit * commitPages;
      for (int page = first; page < end; ) {
        int run = buddy.runStart(page);
        if (run < 0) {
          pages.set(page++ - first);
        } else if (isStranded(run) && away.pages(run) == buddy.runPages(run)) {
          runs.add(run);
          page = run + buddy.runPages(run);
        } else {
          return null;
        }
      }
      committed.unmark(unit, unit + 1);
      heldPages += pages.cardinality();
      for (int i = 0; i < runs.size(); i++) {
        freeSettled(runs.get(i));
      }
      return emptied;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Gives up the pages that {@link #emptyUnit} returned.
   *
   * @param unit the unit
   * @param pages how many they are
   * @param zeroed as for {@link #purged}
   */
  public void emptied(int unit, int pages, boolean zeroed) {
    lock.lock();
    try {
      heldPages -= pages;
      if (zeroed) {
        buddy.written().clear(unit * commitPages, committed.unitPages(unit));
      }
    } finally {
      lock.unlock();
    }
  }

  /**
   * Takes the free pages of a unit out of use, as runs that are stranded and away as a whole: so
   * the memory behind them can go back though the unit is in use beside them. {@link #settle} makes
   * such a run free again.
   *
   * @param unit a unit's number
   * @return the first page and the length of each run
   * @throws OutOfMemoryError if the Java heap has no room; the runs so far are stranded
   */
  public List<OwnedRun> strandFree(int unit) {
    List<OwnedRun> runs = new ArrayList<>();
    int end = unit * commitPages + committed.unitPages(unit);
    lock.lock();
    try {
      for (int page = unit * commitPages; page < end; page++) {
        int pages = buddy.freePagesAt(page, end - page);
        if (pages > 0) {
          runs.add(new OwnedRun(page, pages, pages, null));
          strandFree(page, pages);
        }
      }
      return runs;
    } finally {
      lock.unlock();
    }
  }

  private void strandFree(int page, int pages) {
    boolean taken = false;
    try {
      away.add(page);
      away.strand(page);
      buddy.takeAt(page, pages);
      away.set(page, pages);
      taken = true;
    } finally {
      if (!taken) {
        away.remove(page);
      }
    }
  }

  /**
   * Hands no pages out any more, or does so again; what is live stays so and can be freed.
   *
   * @param isolate whether from now on nothing is taken or lent, and nothing that is away comes
   *     home
   */
  public void isolate(boolean isolate) {
    lock.lock();
    try {
      isolated = isolate;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Tells whether pages are only given back.
   *
   * @return as {@link #isolate} was last told
   */
  public boolean isIsolated() {
    lock.lock();
    try {
      return isolated;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Gives a live run another owner.
   *
   * @param page the run's first page
   * @param owner the run's owner until now, or null for a run without one
   * @param next the owner from now on, or null for none
   * @return the run's length in pages; {@link #NOT_LIVE}, {@link #INTERIOR}, {@link #OWNED} or
   *     {@link #CLOSED}, and nothing changed
   * @throws IllegalArgumentException if the zone has no such page
   * @throws OutOfMemoryError if the Java heap has no room; nothing changed
   */
  public int exchangeOwner(int page, Object owner, Object next) {
    requireRun(page, 1);
    lock.lock();
    try {
      if (closed) {
        return CLOSED;
      }
      int pages = livePages(page);
      if (pages > 0 && isOfAnother(page, owner)) {
        return OWNED;
      }
      if (pages > 0 && next != null) {
        owners.put(page, next);
        buddy.mark(page, true);
      } else if (pages > 0) {
        owners.remove(page);
        buddy.mark(page, away.has(page));
      }
      return pages;
    } finally {
      lock.unlock();
    }
  }

  /** The length of the run that starts at a page, or what is wrong with the page. */
  private int livePages(int page) {
    return isStranded(page) ? NOT_LIVE : buddy.runPages(page);
  }

  private boolean isStranded(int page) {
    return buddy.isMarked(page) && away.isStranded(page);
  }

  /**
   * Returns how many pages are away.
   *
   * @return 0 … the region's pages
   */
  public int awayPages() {
    lock.lock();
    try {
      return away.pages();
    } finally {
      lock.unlock();
    }
  }

  /**
   * Returns how many pages of live runs are away.
   *
   * @return 0 … the region's pages
   */
  public int liveAwayPages() {
    lock.lock();
    try {
      return away.livePages();
    } finally {
      lock.unlock();
    }
  }

  /**
   * Returns how many pages of a run are away.
   *
   * @param page the run's first page
   * @return 0 … the run's length
   */
  public int awayPages(int page) {
    lock.lock();
    try {
      return away.pages(page);
    } finally {
      lock.unlock();
    }
  }

  /**
   * Tells whether pages of a run are away, or may be soon: {@link #beginAway} was called for it,
   * and not {@link #endAway}.
   *
   * @param page the run's first page
   * @return true if so
   */
  public boolean isMoved(int page) {
    lock.lock();
    try {
      return away.has(page);
    } finally {
      lock.unlock();
    }
  }

  /**
   * Returns the owner of the run that starts at a page.
   *
   * @param page any page of the zone
   * @return the owner; null if no run starts there, or it has none
   * @throws IllegalArgumentException if the zone has no such page
   */
  public Object owner(int page) {
    requireRun(page, 1);
    lock.lock();
    try {
      return buddy.isMarked(page) ? owners.get(page) : null;
    } finally {
      lock.unlock();
    }
  }

  /**
   * A live run that has an owner.
   *
   * @param page its first page
   * @param pages its length
   * @param awayPages how many of them are away
   * @param owner in whose name alone it can be freed
   */
  public record OwnedRun(int page, int pages, int awayPages, Object owner) {}

  /**
   * Returns the runs with owners that begin in a window.
   *
   * @param fromPage the first page of the window
   * @param toPage its end, exclusive; more than {@code fromPage}
   * @return the runs that have an owner and are live, ascending
   * @throws IllegalArgumentException if the pages are not all in the zone
   */
  public List<OwnedRun> ownedRuns(int fromPage, int toPage) {
    requireRun(fromPage, toPage - fromPage);
    List<OwnedRun> found = new ArrayList<>();
    lock.lock();
    try {
      for (int page = fromPage; page < toPage && !owners.isEmpty(); page++) {
        Object owner = buddy.isMarked(page) ? owners.get(page) : null;
        if (owner != null) {
          int pages = buddy.runPages(page);
          found.add(new OwnedRun(page, pages, away.pages(page), owner));
          page += pages - 1;
        }
      }
      return found;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Returns the first page of the live run that a page lies in, in a closed zone too.
   *
   * @param page any page of the zone
   * @return the run's first page, or {@link #NOT_LIVE}
   * @throws IllegalArgumentException if the zone has no such page
   */
  public int runStart(int page) {
    requireRun(page, 1);
    lock.lock();
    try {
      int start = buddy.runStart(page);
      return start < 0 || isStranded(start) ? NOT_LIVE : start;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Returns the first page from one on that is as asked: of a live run this does not change until
   * the run is freed.
   *
   * @param page where to begin
   * @param end where to stop, exclusive; more than {@code page}
   * @param written true for a page that was in a run which was given back since it was committed,
   *     false for one that was not
   * @return the page, or {@code end} if there is none
   * @throws IllegalArgumentException if the pages are not all in the zone
   */
  public int nextWritten(int page, int end, boolean written) {
    requireRun(page, end - page);
    lock.lock();
    try {
      return buddy.written().next(page, end, written);
    } finally {
      lock.unlock();
    }
  }

  /**
   * Counts what an allocation was to this zone's node.
   *
   * @param counted bits of {@link NumaEvents}
   */
  public void count(int counted) {
    lock.lock();
    try {
      events.count(counted);
    } finally {
      lock.unlock();
    }
  }

  /**
   * Returns the length of a live run, in a closed zone too.
   *
   * @param page the run's first page
   * @return the run's length in pages; {@link #NOT_LIVE} or {@link #INTERIOR}
   * @throws IllegalArgumentException if the zone has no such page
   */
  public int pages(int page) {
    requireRun(page, 1);
    lock.lock();
    try {
      return livePages(page);
    } finally {
      lock.unlock();
    }
  }

  /**
   * Remembers that memory is behind every unit that a run touches.
   *
   * @param page the first page
   * @param pages how many, positive
   * @throws IllegalArgumentException if the pages are not all in the zone
   * @throws OutOfMemoryError if the Java heap has no room for the bits; nothing was marked
   */
  public void markCommitted(int page, int pages) {
    requireRun(page, pages);
    lock.lock();
    try {
      committed.mark(page, pages);
    } finally {
      lock.unlock();
    }
  }

  /**
   * Sets pages of the capacity aside that are about to be committed; {@link #release} once they are
   * marked, or will not be.
   *
   * @param pages how many, positive
   * @return false if the capacity is used up by what is committed, held and lent; nothing changed
   */
  public boolean hold(int pages) {
    lock.lock();
    try {
      if (pages > unbacked()) {
        return false;
      }
      heldPages += pages;
      return true;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Returns how many pages {@link #hold} could set aside.
   *
   * @return 0 … capacity
   */
  public int unbackedPages() {
    lock.lock();
    try {
      return unbacked();
    } finally {
      lock.unlock();
    }
  }

  /**
   * Gives up what {@link #hold} set aside.
   *
   * @param pages as there
   */
  public void release(int pages) {
    lock.lock();
    try {
      heldPages -= pages;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Lends pages of the capacity to a zone that shares the node.
   *
   * @param pages how many, positive
   * @param floorPages how many must stay free
   * @return false if too few are free, or the rest of the capacity is committed here; nothing
   *     changed
   */
  public boolean lend(int pages, int floorPages) {
    lock.lock();
    try {
      if (closed || isolated || freePages - pages < floorPages || pages > unbacked()) {
        return false;
      }
      freePages -= pages;
      lentPages += pages;
      return true;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Takes back what was lent.
   *
   * @param pages how many, at most what {@link #lend} gave
   */
  public void repay(int pages) {
    lock.lock();
    try {
      freePages += pages;
      returnedPages += pages;
      lentPages -= pages;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Remembers that no memory is behind the committed units of a window any more that are free as a
   * whole, so that their memory can be given back; whoever takes pages of them from now on finds
   * them uncommitted. Their pages are held until {@link #purged} is told.
   *
   * @param fromUnit the first unit of the window, 0 or more
   * @param toUnit its end, exclusive
   * @param onlyIdle true to spare the units that were not free when this was last called for them,
   *     or that somebody took pages of since
   * @return the units
   */
  public BitSet retire(int fromUnit, int toUnit, boolean onlyIdle) {
    lock.lock();
    try {
      BitSet retired = committed.retire(fromUnit, toUnit, onlyIdle, buddy::isFree);
      heldPages += unitPages(retired);
      return retired;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Gives up the pages of units that {@link #retire} returned.
   *
   * @param units those units
   * @param zeroed whether their pages hold zeros when they are next committed; else they stay as
   *     written as they were
   */
  public void purged(BitSet units, boolean zeroed) {
    lock.lock();
    try {
      heldPages -= unitPages(units);
      if (zeroed) {
        units.stream()
            .forEach(unit -> buddy.written().clear(unit * commitPages, committed.unitPages(unit)));
      }
    } finally {
      lock.unlock();
    }
  }

  private int unitPages(BitSet units) {
    return units.stream().map(committed::unitPages).sum();
  }

  private int unbacked() {
    return capacityPages - committed.pages() + away.pages() - heldPages - lentPages;
  }

  /**
   * Returns the first unit of a run that has no memory behind it. Unit u is the pages u × {@link
   * #commitPages} and following.
   *
   * @param page the first page
   * @param pages how many, positive
   * @return the unit's number, or {@link #NONE} if every unit that the run touches is committed
   * @throws IllegalArgumentException if the pages are not all in the zone
   */
  public int uncommittedUnit(int page, int pages) {
    requireRun(page, pages);
    lock.lock();
    try {
      return committed.firstUnmarked(page, pages);
    } finally {
      lock.unlock();
    }
  }

  /**
   * Returns the first unit from a given one on that has memory behind it.
   *
   * @param unit a unit's number, 0 or more
   * @return the unit's number, or {@link #NONE}
   */
  public int nextCommittedUnit(int unit) {
    lock.lock();
    try {
      return committed.nextMarked(unit);
    } finally {
      lock.unlock();
    }
  }

  /**
   * Returns the units of a window that have memory behind them.
   *
   * @param fromUnit the first unit of the window, 0 or more
   * @param toUnit its end, exclusive
   * @return a new set of their numbers
   */
  public BitSet committedUnits(int fromUnit, int toUnit) {
    lock.lock();
    try {
      return committed.marked(fromUnit, toUnit);
    } finally {
      lock.unlock();
    }
  }

  /** Refuses whatever is asked from now on: takes and frees return {@link #CLOSED}. Idempotent. */
  public void close() {
    lock.lock();
    try {
      closed = true;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Returns how many pages can be in use and not away.
   *
   * @return the capacity in pages
   */
  public int capacityPages() {
    return capacityPages;
  }

  /**
   * Returns how many pages the region has.
   *
   * @return the capacity or more
   */
  public int regionPages() {
    return regionPages;
  }

  /**
   * Returns the order of the largest blocks: the limit given, or less in a zone that is too small.
   *
   * @return 0 … 30
   */
  public int maxOrder() {
    return maxOrder;
  }

  /**
   * Returns the size of the units in which memory is committed.
   *
   * @return in pages, a power of two
   */
  public int commitPages() {
    return commitPages;
  }

  /**
   * Returns the marks that the zone was made with; it does not apply them itself, but tells when it
   * is below the low one.
   *
   * @return the marks
   */
  public Watermarks watermarks() {
    return watermarks;
  }

  /**
   * Returns how many pages are in no live run and not lent, committed or not, and those that are
   * away, whose memory others can have.
   *
   * @return 0 … capacity
   */
  public int freePages() {
    lock.lock();
    try {
      return freePages;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Returns how many pages were given back by those who used them, in runs and in what was lent,
   * all together.
   *
   * @return never less than before
   */
  public long returnedPages() {
    lock.lock();
    try {
      return returnedPages;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Returns how many pages are in live runs and not away.
   *
   * @return 0 … capacity
   */
  public int usedPages() {
    lock.lock();
    try {
      return capacityPages - freePages - lentPages;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Returns how many pages are lent.
   *
   * @return 0 … capacity
   */
  public int lentPages() {
    lock.lock();
    try {
      return lentPages;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Returns what was counted.
   *
   * @return a new array; element i counts bit i of {@link NumaEvents}
   */
  public long[] events() {
    lock.lock();
    try {
      return events.counts();
    } finally {
      lock.unlock();
    }
  }

  /**
   * Returns how many runs were taken, and neither freed nor stranded.
   *
   * @return 0 … the region's pages
   */
  public int liveRuns() {
    lock.lock();
    try {
      return liveRuns;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Returns the number of free blocks of each order, as {@code /proc/buddyinfo} does.
   *
   * @return a new array of {@link #maxOrder} + 1 counts
   */
  public int[] freeBlocksPerOrder() {
    lock.lock();
    try {
      return buddy.freeBlocksPerOrder();
    } finally {
      lock.unlock();
    }
  }

  /**
   * Returns the order of the largest free block.
   *
   * @return 0 … {@link #maxOrder}, or −1 if no page is free
   */
  public int largestFreeOrder() {
    lock.lock();
    try {
      return buddy.largestFreeOrder();
    } finally {
      lock.unlock();
    }
  }

  /**
   * Returns how many pages have memory of this node behind them, in live runs or not.
   *
   * @return 0 … capacity
   */
  public int committedPages() {
    lock.lock();
    try {
      return committed.pages() - away.pages();
    } finally {
      lock.unlock();
    }
  }

  /**
   * Returns what the zone's arrays hold of the Java heap: header of 16 bytes, references of 8.
   *
   * @return bytes
   */
  public long metadataBytes() {
    lock.lock();
    try {
      return buddy.metadataBytes() + committed.metadataBytes();
    } finally {
      lock.unlock();
    }
  }

  /**
   * Walks all metadata and checks every invariant.
   *
   * @throws AssertionError naming the first that does not hold
   */
  public void validate() {
    lock.lock();
    try {
      int spare = regionPages - capacityPages;
      buddy.validate(spare + freePages + lentPages - away.pages(), liveRuns + away.strandedRuns());
      require(freePages >= 0, "I5: more lent than free", freePages);
      require(committed.pages() == committed.countedPages(), "I3: units miscounted", 0);
      require(unbacked() >= 0, "I7: more is committed than the capacity", unbacked());
      Set<Integer> marked = new HashSet<>(owners.keySet());
      marked.addAll(away.runs());
      marked.forEach(page -> require(buddy.isMarked(page), "I8: no such run", page));
      require(buddy.markedRuns() == marked.size(), "I8: a run lost its owner", marked.size());
    } finally {
      lock.unlock();
    }
  }

  private static void require(boolean holds, String what, int value) {
    if (!holds) {
      throw new AssertionError(what + ": at=" + value);
    }
  }

  private long take(
      int pages, int floorPages, int alignOrder, int counted, Object owner, boolean onlyCommitted) {
    requireRequest(pages, floorPages);
    int order = Math.max(Buddy.ceilingLog2(pages), alignOrder);
    lock.lock();
    try {
      if (closed) {
        return CLOSED;
      }
      if (isolated || order > maxOrder || freePages - pages < floorPages) {
        return NONE;
      }
      int page =
          onlyCommitted
              ? buddy.takeWhereCommitted(pages, order, owner != null, committed)
              : buddy.take(pages, order, owner != null);
      if (page == NONE) {
        return NONE;
      }
      if (owner != null) {
        own(page, owner);
      }
      freePages -= pages;
      liveRuns++;
      committed.touch(page, pages);
      boolean backed = committed.firstUnmarked(page, pages) == NONE;
      if (backed) {
        events.count(counted);
      }
      long belowLow = freePages < watermarks.lowPages() ? BELOW_LOW : 0;
      return page | (backed ? COMMITTED : 0) | written(page, pages) | belowLow;
    } finally {
      lock.unlock();
    }
  }

  private long written(int page, int pages) {
    return switch (buddy.written().of(page, pages)) {
      case WrittenMap.NONE -> 0;
      case WrittenMap.ALL -> WRITTEN | WRITTEN_THROUGHOUT;
      default -> WRITTEN;
    };
  }

  private void own(int page, Object owner) {
    boolean entered = false;
    try {
      owners.put(page, owner);
      entered = true;
    } finally {
      if (!entered) {
        buddy.free(page, false);
      }
    }
  }

  private void requireRun(int page, int pages) {
    if (page < 0 || page >= regionPages) {
      throw illegal(
          "no such page",
          "page=" + page + ", regionPages=" + regionPages,
          "give 0 to " + (regionPages - 1));
    }
    if (pages < 1 || pages > regionPages - page) {
      throw illegal(
          "run outside the zone",
          "page=" + page + ", pages=" + pages,
          "give 1 to " + (regionPages - page) + " pages");
    }
  }

  private static void requireRequest(int pages, int floorPages) {
    if (pages < 1) {
      throw illegal("run without pages", "pages=" + pages, "give at least 1");
    }
    if (floorPages < 0) {
      throw illegal("negative floor", "floorPages=" + floorPages, "give 0 or a watermark");
    }
  }

  private static IllegalArgumentException illegal(String what, String values, String next) {
    return new IllegalArgumentException(what + ": " + values + "; " + next);
  }
}
