/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.slab;

import java.util.HashSet;
import java.util.Set;

/**
 * The slabs of one zone, by size class: objects out of partly used slabs, and back into them. Where
 * slabs' runs come from and go is its caller's work. Not safe for use by more than one thread,
 * except {@link #index}.
 */
public final class SlabCache {
  /*
   * Algorithmic notes.
   *
   * State: per class the slabs that have objects to give, linked both ways; the index of all.
   *
   * Invariants (validate() names them by these numbers)
   *   S1  an open slab is in its class' list iff some of its objects are not out
   *   S2  a slab's count of objects that are out equals what its bits say
   *   S3  runs and pages count the open slabs
   */

  /** Nothing to give back. */
  public static final int NONE = -1;

  private final SlabIndex index;
  private final Slab[] partial = new Slab[SizeClasses.count()];
  private int runs;
  private int pages;

  /**
   * Makes a cache without slabs.
   *
   * @param regionPages the size of the zone's region
   */
  public SlabCache(int regionPages) {
    this.index = new SlabIndex(regionPages);
  }

  /**
   * Returns where slabs are found by offset.
   *
   * @return the same object each time
   */
  public SlabIndex index() {
    return index;
  }

  /**
   * Takes objects out of slabs.
   *
   * @param sizeClass their class
   * @param into where to: numbers of {@link ReadyBlock}
   * @param from the first element to be written
   * @param most how many; there may be a quarter more
   * @param place where in a slab to look first, 0 or more: the same for a thread each time, and
   *     others for others
   * @return how many: less than a quarter of what was asked for only if there are no more
   */
  public int take(int sizeClass, long[] into, int from, int most, int place) {
    int taken = 0;
    Slab slab = partial[sizeClass];
    while (slab != null && 4 * taken < most) {
      taken += slab.takeOut(place, into, from + taken, most - taken);
      if (slab.isFull()) {
        unlink(slab, sizeClass);
      }
      slab = slab.listed ? null : partial[sizeClass];
    }
    return taken;
  }

  /**
   * Tells whether a slab has objects to give.
   *
   * @param sizeClass their class
   * @return true if so
   */
  public boolean has(int sizeClass) {
    return partial[sizeClass] != null;
  }

  /**
   * Makes a slab of a run.
   *
   * @param sizeClass the class of its objects
   * @param page the run's first page; the run has {@link SizeClasses#runPages} pages
   * @param clean whether all of it holds zeros
   * @throws OutOfMemoryError if the Java heap has no room; nothing changed
   */
  public void open(int sizeClass, int page, boolean clean) {
    Slab slab = index.prepare(page, sizeClass);
    slab.open(clean);
    index.enter(slab);
    link(slab, sizeClass);
    runs++;
    pages += SizeClasses.runPages(sizeClass);
  }

  /**
   * Puts an object back that is out and nobody's.
   *
   * @param block the object
   * @return the first page of its slab's run if that is empty now, and no slab any more; or {@link
   *     #NONE}
   */
  public int put(long block) {
    long offset = ReadyBlock.offset(block);
    Slab slab = index.at(offset);
    slab.putBack(slab.object(offset));
    int sizeClass = slab.sizeClass();
    if (slab.isEmpty()) {
      if (slab.listed) {
        unlink(slab, sizeClass);
      }
      close(slab);
      return slab.page();
    }
    if (!slab.listed) {
      link(slab, sizeClass);
    }
    return NONE;
  }

  /**
   * Makes a plain run of a block that is a run of its own.
   *
   * @param slab whose only object is its user's
   */
  public void release(Slab slab) {
    close(slab);
  }

  private void close(Slab slab) {
    runs--;
    pages -= SizeClasses.runPages(slab.sizeClass());
    slab.close();
    index.leave(slab);
  }

  /**
   * Returns how many runs are slabs.
   *
   * @return 0 or more
   */
  public int runs() {
    return runs;
  }

  /**
   * Returns how long these runs are together.
   *
   * @return pages
   */
  public int pages() {
    return pages;
  }

  /**
   * Counts the objects that are out of their slabs, anew.
   *
   * @return 0 or more
   */
  public long countOut() {
    return index.all().stream().filter(Slab::isOpen).mapToLong(Slab::countOut).sum();
  }

  /**
   * Walks all slabs and checks every invariant.
   *
   * @throws AssertionError naming the first that does not hold
   */
  public void validate() {
    int foundRuns = 0;
    int foundPages = 0;
    Set<Slab> giving = new HashSet<>();
    for (Slab head : partial) {
      for (Slab slab = head; slab != null; slab = slab.next) {
        require(slab.isOpen() && giving.add(slab), "S1: listed twice or closed", slab);
      }
    }
    for (Slab slab : index.all()) {
      if (slab.isOpen()) {
        foundRuns++;
        foundPages += SizeClasses.runPages(slab.sizeClass());
        require(slab.listed == giving.contains(slab), "S1: not in its list", slab);
        require(slab.listed != slab.isFull(), "S1: full and listed, or neither", slab);
        require(slab.out() == slab.countOut(), "S2: objects miscounted", slab);
      }
    }
    if (foundRuns != runs || foundPages != pages) {
      throw new AssertionError("S3: runs=" + runs + ", found=" + foundRuns);
    }
  }

  private static void require(boolean holds, String what, Slab slab) {
    if (!holds) {
      throw new AssertionError(what + ": page=" + slab.page() + ", out=" + slab.out());
    }
  }

  private void link(Slab slab, int sizeClass) {
    slab.previous = null;
    slab.next = partial[sizeClass];
    if (slab.next != null) {
      slab.next.previous = slab;
    }
    partial[sizeClass] = slab;
    slab.listed = true;
  }

  private void unlink(Slab slab, int sizeClass) {
    if (slab.previous == null) {
      partial[sizeClass] = slab.next;
    } else {
      slab.previous.next = slab.next;
    }
    if (slab.next != null) {
      slab.next.previous = slab.previous;
    }
    slab.previous = null;
    slab.next = null;
    slab.listed = false;
  }
}
