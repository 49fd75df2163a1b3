/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.magazine;

import java.util.Arrays;
import org.cdmalloc.internal.slab.SizeClasses;
import org.cdmalloc.internal.slab.SlabCache;
import org.cdmalloc.internal.slab.SlabIndex;
import org.cdmalloc.internal.zone.NumaEvents;

/**
 * One thread's blocks of one zone that are kept ready: two magazines for each size class. With two,
 * a thread that allocates and frees around the edge of a magazine goes to the depot once per
 * magazine, not once per block (J. Bonwick and J. Adams, Magazines and Vmem, USENIX 2001, section
 * 3.1). Not safe for use by more than one thread, except that counts may be read by any.
 */
public final class Magazines {
  /*
   * Algorithmic notes.
   *
   * State: loaded[c] and previous[c], arrays as Depot describes them; NOTHING where a class was not
   * used, which is never written.
   *
   * Invariants
   *   M1  broughtBytes + putBytes - takenBytes is the sum over all blocks here
   *   M2  it is at most limitBytes after every take and put
   *
   * Counts are plain: one thread writes them, others may read old values, and sums over threads are
   * exact once these threads did nothing since a point that happens before.
   */

  /** No block is here, or to be had. */
  public static final long NONE = -1;

  private static final long[] NOTHING = {0};

  private final Depot depot;
  private final SlabIndex index;
  private final long limitBytes;
  private final long[][] loaded = new long[SizeClasses.count()][];
  private final long[][] previous = new long[SizeClasses.count()][];
  private final long[] events = new long[NumaEvents.COMBINATIONS];

  /** What came from the depot, less what went there. */
  private long broughtBytes;

  private long takenBytes;
  private long putBytes;
  private long frees;
  private int epoch;

  Magazines(Depot depot) {
    this.depot = depot;
    this.index = depot.index();
    this.limitBytes = depot.limitBytes();
    Arrays.fill(loaded, NOTHING);
    Arrays.fill(previous, NOTHING);
  }

  /**
   * Takes a block that is here, and makes it its user's.
   *
   * @param sizeClass its class
   * @param counted the {@link NumaEvents} to count if there is one
   * @return its offset, with {@link SlabCache#CLEAN}; or {@link #NONE}
   */
  public long take(int sizeClass, int counted) {
    if (epoch != depot.epoch() && !renew()) {
      return NONE;
    }
    long[] magazine = loaded[sizeClass];
    int blocks = (int) magazine[0];
    if (blocks == 0) {
      return exchange(sizeClass) ? take(sizeClass, counted) : NONE;
    }
    return pop(sizeClass, counted, magazine, blocks);
  }

  private long pop(int sizeClass, int counted, long[] magazine, int blocks) {
    magazine[0] = blocks - 1L;
    takenBytes += SizeClasses.bytes(sizeClass);
    events[counted]++;
    long block = magazine[blocks];
    index.give(block & ~SlabCache.CLEAN);
    return block;
  }

  /** Loads the previous magazine; returns false if that is empty too. */
  private boolean exchange(int sizeClass) {
    long[] magazine = previous[sizeClass];
    if (magazine[0] == 0) {
      return false;
    }
    previous[sizeClass] = loaded[sizeClass];
    loaded[sizeClass] = magazine;
    return true;
  }

  /**
   * Takes a block, of the depot or the zone if none is here.
   *
   * @param sizeClass its class
   * @param counted the {@link NumaEvents} to count if there is one
   * @param floorPages how many pages of the zone must stay free
   * @return as {@link #take(int, int)}
   */
  public long take(int sizeClass, int counted, int floorPages) {
    long block = take(sizeClass, counted);
    if (block != NONE || !depot.serves(sizeClass)) {
      return block;
    }
    // Now: later there is a block that would be lost if the Java heap has no room.
    if (cachedBytes() > limitBytes - depot.magazineBytes(sizeClass)) {
      shed();
    }
    long[] magazine = depot.exchange(sizeClass, loaded[sizeClass], floorPages);
    if (magazine == null) {
      return NONE;
    }
    loaded[sizeClass] = magazine;
    broughtBytes += magazine[0] * SizeClasses.bytes(sizeClass);
    // Though the epoch may have moved meanwhile: what is here serves its thread first.
    return pop(sizeClass, counted, magazine, (int) magazine[0]);
  }

  /**
   * Puts a block here that was its user's, if that needs nothing but a place.
   *
   * @param sizeClass its class
   * @param block its offset
   * @return false if {@link #put} has to do it; nothing changed
   */
  public boolean putInPlace(int sizeClass, long block) {
    long[] magazine = loaded[sizeClass];
    int blocks = (int) magazine[0] + 1;
    long bytes = putBytes + SizeClasses.bytes(sizeClass);
    if (blocks >= magazine.length
        || broughtBytes + bytes - takenBytes > limitBytes
        || epoch != depot.epoch()) {
      return false;
    }
    magazine[blocks] = block;
    magazine[0] = blocks;
    putBytes = bytes;
    frees++;
    return true;
  }

  /**
   * Puts a block here that was its user's.
   *
   * @param sizeClass its class
   * @param block its offset
   * @return false if the zone is closed; nothing changed
   * @throws OutOfMemoryError if the Java heap has no room for a magazine; nothing changed
   */
  public boolean put(int sizeClass, long block) {
    if (epoch != depot.epoch() && !renew()) {
      return false;
    }
    if (cachedBytes() > limitBytes - SizeClasses.bytes(sizeClass)) {
      shed();
    }
    long[] magazine = loaded[sizeClass];
    int blocks = (int) magazine[0];
    if (blocks + 1 >= magazine.length) {
      magazine = another(sizeClass);
      blocks = (int) magazine[0];
    }
    magazine[blocks + 1] = block;
    magazine[0] = blocks + 1L;
    putBytes += SizeClasses.bytes(sizeClass);
    frees++;
    return true;
  }

  /** Loads a magazine with room: the previous one, or an empty one of the depot. */
  private long[] another(int sizeClass) {
    long[] magazine = previous[sizeClass];
    long blocks = magazine[0];
    if (blocks + 1 >= magazine.length) {
      magazine = depot.accept(sizeClass, magazine);
      broughtBytes -= blocks * SizeClasses.bytes(sizeClass);
    }
    previous[sizeClass] = loaded[sizeClass];
    loaded[sizeClass] = magazine;
    return magazine;
  }

  /**
   * Hands the magazines of the classes that hold most over, until a quarter of the limit is free.
   */
  private void shed() {
    while (cachedBytes() > limitBytes - limitBytes / 4) {
      int most = 0;
      long mostBytes = 0;
      for (int sizeClass = 0; sizeClass < loaded.length; sizeClass++) {
        long bytes = cachedBytes(sizeClass);
        if (bytes > mostBytes) {
          mostBytes = bytes;
          most = sizeClass;
        }
      }
      bringBack(most);
    }
  }

  private long cachedBytes() {
    return broughtBytes + putBytes - takenBytes;
  }

  private long cachedBytes(int sizeClass) {
    return (loaded[sizeClass][0] + previous[sizeClass][0]) * SizeClasses.bytes(sizeClass);
  }

  private void bringBack(int sizeClass) {
    bringBack(loaded, sizeClass);
    bringBack(previous, sizeClass);
  }

  private void bringBack(long[][] magazines, int sizeClass) {
    long blocks = magazines[sizeClass][0];
    if (blocks != 0) {
      magazines[sizeClass] = depot.accept(sizeClass, magazines[sizeClass]);
      broughtBytes -= blocks * SizeClasses.bytes(sizeClass);
    }
  }

  /** Returns false if the zone is closed: a closed zone's epoch is nobody's. */
  private boolean renew() {
    int now = depot.epoch();
    bringAllBack();
    if (now < 0) {
      return false;
    }
    epoch = now;
    return true;
  }

  /** Brings all blocks to the depot. */
  void bringAllBack() {
    for (int sizeClass = 0; sizeClass < loaded.length; sizeClass++) {
      bringBack(sizeClass);
    }
  }

  /** Returns the depot that these are of. */
  Depot depot() {
    return depot;
  }

  /** Adds what was counted here. */
  void addTo(Kept sum) {
    sum.addCounts(events, frees, takenBytes - putBytes);
    sum.addThreadBytes(cachedBytes());
  }
}
