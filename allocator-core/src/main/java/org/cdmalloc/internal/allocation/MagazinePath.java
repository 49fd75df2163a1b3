/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import org.cdmalloc.Checks;
import org.cdmalloc.internal.magazine.Choices;
import org.cdmalloc.internal.magazine.Depot;
import org.cdmalloc.internal.magazine.MagazineSet;
import org.cdmalloc.internal.magazine.Magazines;
import org.cdmalloc.internal.magazine.ThreadMagazines;
import org.cdmalloc.internal.slab.SizeClasses;
import org.cdmalloc.internal.slab.Slab;
import org.cdmalloc.internal.slab.SlabIndex;
import org.cdmalloc.internal.zone.Zone;

/**
 * Blocks that belong to nobody, of zones that keep blocks ready: out of the caller's magazines, and
 * back into them. A hit takes no lock, no atomic read-modify-write and nothing of the Java heap.
 * Safe for use by any number of threads.
 */
final class MagazinePath {
  /*
   * Algorithmic notes.
   *
   * A block is at any time its user's, in one magazine, or in its slab. The byte of its slab says
   * whether it is its user's: whoever takes it out of a magazine sets the byte, and whoever frees it
   * clears it, before it is put into a magazine. Between them the user hands the block on as it
   * likes, and so does the depot, each with an order of its own; the byte needs none.
   *
   * Linearization points: of an allocation the pop, of a free the write of the byte. Two frees of one
   * block by threads that do not know of each other may both find it live, and then it is given out
   * twice; with PARANOID the byte is exchanged, so that one of them is told.
   */

  /** No block was to be had. */
  static final long NONE = Magazines.NONE;

  /** No object begins here, nor does one lie here. */
  static final int NO_OBJECT = 0;

  private final ThreadMagazines threads = new ThreadMagazines();
  private final boolean exchanges;
  private final boolean zeroesWhenFreed;

  /**
   * Makes a path.
   *
   * @param checks how much is done to find misuse
   * @param zeroesWhenFreed whether blocks are zeroed when they are freed
   */
  MagazinePath(Checks checks, boolean zeroesWhenFreed) {
    this.exchanges = checks == Checks.PARANOID;
    this.zeroesWhenFreed = zeroesWhenFreed;
  }

  /** Returns the magazines of all threads. */
  ThreadMagazines threads() {
    return threads;
  }

  /** Returns the class for a request, or {@link SizeClasses#NONE} if it is none of these blocks. */
  static int sizeClass(BackedZone first, long bytes, long alignment) {
    return first.depot() == null ? SizeClasses.NONE : SizeClasses.of(bytes, alignment);
  }

  /**
   * Frees a block into the magazines that the caller used last.
   *
   * @return false if nothing changed, for whatever reason
   */
  boolean hitFree(long address) {
    return !zeroesWhenFreed && threads.hit(address, exchanges);
  }

  /** Chooses the first zone of a path for the caller's next requests. */
  void remember(Choices requests, ZonePath path) {
    BackedZone zone = path.zone(0);
    if (zone.depot() != null && zone.addresses().isContiguous()) {
      threads.choose(requests, zone.magazineId(), zone.depot(), path.events(0));
    }
  }

  /** Takes a block, of the zone if the caller's magazines hold none. */
  long take(BackedZone zone, int sizeClass, int events, int floorPages) {
    Depot depot = zone.depot();
    if (depot == null) {
      return NONE;
    }
    MagazineSet set = threads.enter();
    try {
      return threads.of(set, zone.magazineId(), depot).take(sizeClass, events, floorPages);
    } finally {
      set.exit();
    }
  }

  /**
   * Frees a block.
   *
   * @return a positive number; {@link #NO_OBJECT} if the zone is to be asked; or {@link
   *     Zone#NOT_LIVE}, {@link Zone#INTERIOR}, {@link Zone#CLOSED}
   */
  int free(BackedZone zone, long offset) {
    return free(zone, zone.slabs(), zone.magazineId(), offset);
  }

  /** As above, of a zone of which slabs and number are at hand. */
  int free(BackedZone zone, SlabIndex slabs, int magazineId, long offset) {
    Slab slab = slabs.at(offset);
    int object = slab == null ? -1 : slab.object(offset);
    if (object < 0) {
      return NO_OBJECT;
    }
    if (slab.offset(object) != offset) {
      return Zone.INTERIOR;
    }
    // First: it may need the Java heap, and a block that is taken from its user must not be lost.
    Magazines own = threads.own(magazineId);
    if (zeroesWhenFreed && slab.isLive(object)) {
      zone.zero(offset, slab.objectBytes());
    }
    if (!(exchanges ? slab.takeOnce(object) : slab.take(object))) {
      return Zone.NOT_LIVE;
    }
    long block = slab.block(object);
    if (own != null && own.putInPlace(slab.sizeClass(), block)) {
      return 1;
    }
    return put(zone, slab, block) ? 1 : Zone.CLOSED;
  }

  private boolean put(BackedZone zone, Slab slab, long block) {
    boolean done = false;
    MagazineSet set = null;
    try {
      set = threads.enter();
      Magazines magazines = threads.of(set, zone.magazineId(), zone.depot());
      done = magazines.put(slab.sizeClass(), block);
      return done;
    } finally {
      if (!done) {
        slab.give(block);
      }
      if (set != null) {
        set.exit();
      }
    }
  }

  /**
   * Returns what the block holds that begins at an offset.
   *
   * @return bytes; {@link #NO_OBJECT} if the zone is to be asked; {@link Zone#NOT_LIVE} or {@link
   *     Zone#INTERIOR}
   */
  static int usableBytes(BackedZone zone, long offset) {
    Slab slab = zone.depot() == null ? null : zone.depot().index().at(offset);
    int object = slab == null ? -1 : slab.object(offset);
    if (object < 0) {
      return NO_OBJECT;
    }
    if (slab.offset(object) != offset) {
      return Zone.INTERIOR;
    }
    return slab.isLive(object) ? slab.objectBytes() : notLive(zone, slab);
  }

  /** A block that is a run of its own may be made a plain run by another thread right now. */
  private static int notLive(BackedZone zone, Slab slab) {
    boolean isPlain = !SizeClasses.isObject(slab.sizeClass()) && !zone.depot().has(slab);
    return isPlain ? NO_OBJECT : Zone.NOT_LIVE;
  }

  /**
   * Returns where the block ends that an offset is in.
   *
   * @param start the offset of the zone's run that it is in
   * @return in bytes; {@link #NO_OBJECT} if the run is a block of its own; {@link Zone#NOT_LIVE}
   */
  static long end(BackedZone zone, long start, long offset) {
    Slab slab = zone.depot() == null ? null : zone.depot().index().at(start);
    if (slab == null || slab.object(start) != 0) {
      return NO_OBJECT;
    }
    int object = slab.object(offset);
    return object >= 0 && slab.isLive(object)
        ? slab.offset(object) + slab.objectBytes()
        : notLive(zone, slab);
  }

  /**
   * Makes a plain run of the block that begins at an offset, so that it can be held and moved.
   *
   * @return {@link #NO_OBJECT} if it is one now, or no block of a slab ever was; {@link
   *     Zone#NOT_LIVE}, {@link Zone#INTERIOR}; or the size of a block that is one of several of a
   *     slab
   */
  static int release(BackedZone zone, long offset) {
    int bytes = usableBytes(zone, offset);
    if (bytes <= 0) {
      return bytes;
    }
    Slab slab = zone.depot().index().at(offset);
    if (SizeClasses.isObject(slab.sizeClass())) {
      return bytes;
    }
    return zone.depot().release(slab) ? NO_OBJECT : Zone.NOT_LIVE;
  }

  /** Brings back what can be had of what is kept ready in some zones, and asks for the rest. */
  void bringBack(Iterable<BackedZone> zones) {
    threads.bringBack();
    zones.forEach(BackedZone::emptyDepot);
  }

  /** Brings back what nobody used since this was last called. */
  void bringIdleBack(Iterable<BackedZone> zones) {
    threads.collect();
    for (BackedZone zone : zones) {
      if (zone.depot() != null) {
        zone.depot().flush(true);
      }
    }
  }
}
