/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zone;

import java.util.concurrent.locks.ReentrantLock;

/**
 * A buddy allocator over the pages 0 … capacity − 1 of one region. It hands out runs of any number
 * of pages, takes them back, and remembers which pages have memory behind them; to get that memory
 * is its caller's work.
 *
 * <p><b>Runs.</b> A run starts at a multiple of its length rounded up to a power of two, and costs
 * its own length: what it does not use of the block it was cut from is free at once.
 *
 * <p><b>Cost.</b> Taking and freeing take O({@link #maxOrder}) steps and allocate nothing on the
 * Java heap, except that a take which goes where no take went before makes room for the metadata of
 * some {@value PageMap#GROUP_PAGES} pages. If the heap is then exhausted the zone is as it was. All
 * metadata together takes at most 1.6 bytes per page of a zone of 32 MiB and more, and of a smaller
 * one a few KiB.
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
 * <tr><th>{@link #NONE}</th><td>no block fits, or too little would stay free</td></tr>
 * <tr><th>{@link #CLOSED}</th><td>the zone was closed</td></tr>
 * <tr><th>{@link #NOT_LIVE}</th><td>the page is in no live run: never taken, or freed</td></tr>
 * <tr><th>{@link #INTERIOR}</th><td>the page is in a live run, but not its first</td></tr>
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
   *   live       the set of runs handed out (PageMap, a byte per page)
   *   committed  the set of units with memory behind them (CommitMap, a bit per unit)
   *   freePages, liveRuns, closed
   *
   * Invariants (validate() names them by these numbers)
   *   I1  the free blocks of all orders and the live runs tile [0, capacityPages)
   *   I2  no two buddies of an order below maxOrder are both free
   *   I3  a summary bit is set iff the word below it is not 0; counts equal bits
   *   I4  a run of n pages is written as the powers of two of n, descending, each aligned to its
   *       size: one HEAD, then PARTs, MORE on all but the last; every other byte is 0
   *   I5  freePages = sum over k of |free(k)| 2^k; liveRuns = |live|
   *   I6  where a piece of a run starts, its group of the page map and the leaves of that page in
   *       every free area exist; so free never allocates
   *
   * Transitions
   *   take           smallest k with a fitting block, lowest block of free(k); halves and tail back
   *   takeCommitted  lowest committed run of all fitting k; halves and tail back
   *   free           run to its pieces; each merges with its buddy while that is free
   *   mark…          committed only; runs and free blocks may be committed, partly, or not at all
   *   close          closed only; from then on no run is taken or freed
   *
   * Linearization points
   *   anywhere in the critical section of each method
   *
   * Memory order
   *   the lock's: each unlock before the next lock. All other state is plain.
   *
   * Progress
   *   blocking; a section is O(maxOrder), but O(free blocks) in takeCommitted and O(metadata) in
   *   committedPages, metadataBytes and validate. Not `synchronized`: before JDK 24 that pins the
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

  /** Set in the result of a take if all of the run is committed; above any page number. */
  private static final long COMMITTED = 1L << Integer.SIZE;

  private final ReentrantLock lock = new ReentrantLock();
  private final int capacityPages;
  private final int maxOrder;
  private final int commitPages;
  private final Watermarks watermarks;
  private final Buddy buddy;
  private final CommitMap committed;
  private int freePages;
  private int liveRuns;
  private boolean closed;

  /**
   * Makes a zone whose pages are all free and not committed.
   *
   * @param capacityPages its size in pages, positive; any number
   * @param orderLimit the largest order that its blocks may have, 0 … 30; they have less where the
   *     zone is too small
   * @param commitPages the pages that are committed together, a power of two; the last such unit is
   *     cut short where the zone ends
   * @param watermarks its marks; the high one not above the capacity
   * @throws IllegalArgumentException if an argument is not as said
   */
  public Zone(int capacityPages, int orderLimit, int commitPages, Watermarks watermarks) {
    if (capacityPages < 1) {
      throw illegal("zone without pages", "capacityPages=" + capacityPages, "give at least 1");
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
    this.capacityPages = capacityPages;
    this.maxOrder = Math.min(orderLimit, Buddy.floorLog2(capacityPages));
    this.commitPages = commitPages;
    this.watermarks = watermarks;
    this.buddy = new Buddy(capacityPages, maxOrder);
    this.committed = new CommitMap(capacityPages, commitPages);
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
   * Takes a run: the first pages of the lowest free block of the smallest order that fits.
   *
   * @param pages its length, positive; more than 2<sup>{@link #maxOrder}</sup> never fit
   * @param floorPages how many pages must stay free, a watermark or 0
   * @return the run, for {@link #page} and {@link #isCommitted}; {@link #NONE} or {@link #CLOSED}
   * @throws IllegalArgumentException if {@code pages} is not positive or {@code floorPages}
   *     negative
   * @throws OutOfMemoryError if the Java heap has no room for the metadata; nothing was taken
   */
  public long take(int pages, int floorPages) {
    return take(pages, floorPages, false);
  }

  /**
   * Takes a run that is committed already, wherever it is: the lowest one that {@link #take} could
   * cut out of one free block. For when no more memory can be committed; takes O(free blocks)
   * steps.
   *
   * @param pages its length, positive; more than 2<sup>{@link #maxOrder}</sup> never fit
   * @param floorPages how many pages must stay free, a watermark or 0
   * @return the run, for {@link #page}; {@link #NONE} or {@link #CLOSED}
   * @throws IllegalArgumentException if {@code pages} is not positive or {@code floorPages}
   *     negative
   * @throws OutOfMemoryError if the Java heap has no room for the metadata; nothing was taken
   */
  public long takeCommitted(int pages, int floorPages) {
    return take(pages, floorPages, true);
  }

  /**
   * Takes a run back. Never allocates on the Java heap.
   *
   * @param page the run's first page
   * @return the run's length in pages; {@link #NOT_LIVE}, {@link #INTERIOR} or {@link #CLOSED}, and
   *     nothing changed
   * @throws IllegalArgumentException if the zone has no such page
   */
  public int free(int page) {
    requireRun(page, 1);
    lock.lock();
    try {
      if (closed) {
        return CLOSED;
      }
      int pages = buddy.free(page);
      if (pages > 0) {
        freePages += pages;
        liveRuns--;
      }
      return pages;
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
      return buddy.runPages(page);
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
   * Remembers that no memory is behind any unit that a run touches.
   *
   * @param page the first page
   * @param pages how many, positive
   * @throws IllegalArgumentException if the pages are not all in the zone
   */
  public void markUncommitted(int page, int pages) {
    requireRun(page, pages);
    lock.lock();
    try {
      committed.unmark(page, pages);
    } finally {
      lock.unlock();
    }
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
   * Returns the zone's size.
   *
   * @return in pages
   */
  public int capacityPages() {
    return capacityPages;
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
   * Returns the marks that the zone was made with; it does not apply them itself.
   *
   * @return the marks
   */
  public Watermarks watermarks() {
    return watermarks;
  }

  /**
   * Returns how many pages are in no live run, committed or not.
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
   * Returns how many pages are in live runs.
   *
   * @return 0 … capacity
   */
  public int usedPages() {
    return capacityPages - freePages();
  }

  /**
   * Returns how many runs were taken and not freed.
   *
   * @return 0 … capacity
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
   * Returns how many pages have memory behind them, in live runs or not.
   *
   * @return 0 … capacity
   */
  public int committedPages() {
    lock.lock();
    try {
      return committed.pages();
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
      buddy.validate(freePages, liveRuns);
    } finally {
      lock.unlock();
    }
  }

  private long take(int pages, int floorPages, boolean onlyCommitted) {
    requireRequest(pages, floorPages);
    lock.lock();
    try {
      if (closed) {
        return CLOSED;
      }
      if (pages > 1 << maxOrder || freePages - pages < floorPages) {
        return NONE;
      }
      int page = onlyCommitted ? buddy.takeWhereCommitted(pages, committed) : buddy.take(pages);
      if (page == NONE) {
        return NONE;
      }
      freePages -= pages;
      liveRuns++;
      return committed.firstUnmarked(page, pages) == NONE ? page | COMMITTED : page;
    } finally {
      lock.unlock();
    }
  }

  private void requireRun(int page, int pages) {
    if (page < 0 || page >= capacityPages) {
      throw illegal(
          "no such page",
          "page=" + page + ", capacityPages=" + capacityPages,
          "give 0 to " + (capacityPages - 1));
    }
    if (pages < 1 || pages > capacityPages - page) {
      throw illegal(
          "run outside the zone",
          "page=" + page + ", pages=" + pages,
          "give 1 to " + (capacityPages - page) + " pages");
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
