/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.magazine;

import java.nio.ByteBuffer;
import java.util.Arrays;
import org.cdmalloc.internal.slab.ReadyBlock;
import org.cdmalloc.internal.slab.SizeClasses;
import org.cdmalloc.internal.slab.Slab;
import org.cdmalloc.internal.slab.SlabIndex;
import org.cdmalloc.internal.zone.NumaEvents;

/**
 * One thread's blocks of one zone that are kept ready: a row of magazines for each size class, of
 * which a call sees the loaded one. Not safe for use by more than one thread, except that counts
 * may be read by any.
 */
public final class Magazines {
  /*
   * Algorithmic notes.
   *
   * State: rows[c], null where a class was not used, and loaded[c], which is the loaded magazine of
   * that row, or NOTHING.
   *
   * Invariants
   *   M1  keptBytes is the sum over all blocks here
   *   M2  it is at most limitBytes after every take and put, and that is what the depot said when this
   *       thread last could not do without it or a place for a block
   *
   * What a hit counts is what a report cannot find out otherwise: the events. Which blocks are their
   * users' follows from what is out of the slabs and not in a magazine.
   *
   * Counts are plain: one thread writes them, others may read old values, and sums over threads are
   * exact once these threads did nothing since a point that happens before.
   */

  /** No block is here, or to be had. */
  public static final long NONE = -1;

  /** Of a class that holds more than this part of the limit, some is handed over first. */
  private static final int MUCH_SHARE = 32;

  /** Whose they are, or null if threads share them. */
  final Thread owner;

  /** Stands for the allocator whose zone it is. */
  final Object allocator;

  private final Depot depot;
  private final Depot.Memory memory;
  private final SlabIndex index;
  private final Epoch epoch;
  private final long base;
  private final long regionBytes;
  private final int place;
  private final long[][] loaded = new long[SizeClasses.count()][];
  private final MagazineRow[] rows = new MagazineRow[SizeClasses.count()];

  /** Counted for blocks that were not taken out of a choice. */
  private final long[] events = new long[NumaEvents.COMBINATIONS];

  /** What may be kept, as the depot said when it, or a place for a block, was last looked for. */
  private long limitBytes;

  private long keptBytes;
  private long known;

  Magazines(Thread owner, Object allocator, Depot depot) {
    this.owner = owner;
    this.allocator = allocator;
    this.depot = depot;
    this.memory = depot.memory();
    this.index = depot.index();
    this.epoch = depot.epoch();
    this.base = depot.base();
    this.regionBytes = depot.regionBytes();
    this.place = depot.join();
    this.limitBytes = depot.limitBytes();
    Arrays.fill(loaded, Magazine.NOTHING);
  }

  /**
   * Takes a block that is here, and makes it its user's.
   *
   * @param sizeClass its class
   * @return the {@link ReadyBlock}, or {@link #NONE}
   */
  public long take(int sizeClass) {
    long[] magazine = loaded[sizeClass];
    int count = Magazine.count(magazine);
    return count != 0 && known == epoch.get()
        ? pop(sizeClass, magazine, count)
        : takeAsAsked(sizeClass);
  }

  private long pop(int sizeClass, long[] magazine, int count) {
    long block = Magazine.pop(magazine, count);
    keptBytes -= SizeClasses.bytes(sizeClass);
    index.give(block);
    return block;
  }

  private long takeAsAsked(int sizeClass) {
    if (known != epoch.get() && !renew()) {
      return NONE;
    }
    // The epoch may have moved again: what is here serves its thread first.
    boolean isHere = Magazine.count(loaded[sizeClass]) != 0 || loadFull(sizeClass);
    return isHere ? popLoaded(sizeClass) : NONE;
  }

  private long popLoaded(int sizeClass) {
    long[] magazine = loaded[sizeClass];
    return pop(sizeClass, magazine, Magazine.count(magazine));
  }

  /**
   * Makes a buffer of a block that was just taken; if that fails, the block is free again.
   *
   * @param sizeClass the block's
   * @param block the {@link ReadyBlock}
   * @param bytes the buffer's capacity
   * @param zeroes whether what a user may have written is overwritten
   * @return a direct, big-endian buffer
   */
  ByteBuffer buffer(int sizeClass, long block, int bytes, boolean zeroes) {
    long offset = ReadyBlock.offset(block);
    boolean done = false;
    try {
      ByteBuffer buffer = memory.view(offset, bytes);
      if (zeroes && !ReadyBlock.isClean(block)) {
        memory.zero(offset, SizeClasses.bytes(sizeClass));
      }
      done = true;
      return buffer;
    } finally {
      if (!done) {
        undo(sizeClass, block);
      }
    }
  }

  /** Puts a block back that was just taken: its place in the loaded magazine is free. */
  private void undo(int sizeClass, long block) {
    index.at(ReadyBlock.offset(block)).takeAt(ReadyBlock.offset(block), false);
    long[] magazine = loaded[sizeClass];
    Magazine.push(magazine, Magazine.count(magazine), block);
    keptBytes += SizeClasses.bytes(sizeClass);
  }

  /** Loads a magazine that is full; returns false if there is none here. */
  private boolean loadFull(int sizeClass) {
    MagazineRow row = rows[sizeClass];
    if (row == null || !row.loadFull()) {
      return false;
    }
    loaded[sizeClass] = row.loaded();
    return true;
  }

  private MagazineRow row(int sizeClass) {
    MagazineRow row = rows[sizeClass];
    if (row == null) {
      row = new MagazineRow(depot, sizeClass, place);
      rows[sizeClass] = row;
    }
    return row;
  }

  /**
   * Takes a block, of the depot or the zone if none is here.
   *
   * @param sizeClass its class
   * @param counted the {@link NumaEvents} to count if there is one
   * @param floorPages how many pages of the zone must stay free
   * @return as {@link #take(int)}
   */
  public long take(int sizeClass, int counted, int floorPages) {
    long block = take(sizeClass);
    if (block == NONE && depot.serves(sizeClass)) {
      block = takeOfDepot(sizeClass, floorPages);
    }
    if (block != NONE) {
      events[counted]++;
    }
    return block;
  }

  private long takeOfDepot(int sizeClass, int floorPages) {
    limitBytes = depot.limitBytes();
    // Now: later there is a block that would be lost if the Java heap has no room.
    if (keptBytes > limitBytes - depot.magazineBytes(sizeClass)) {
      shed();
    }
    MagazineRow row = row(sizeClass);
    if (!row.loadOfDepot(floorPages)) {
      return NONE;
    }
    settle(sizeClass, 0);
    return popLoaded(sizeClass);
  }

  /**
   * Frees a block if that needs nothing but a place in the loaded magazine.
   *
   * @param address the block's
   * @param once whether of several threads that try at once only one may succeed
   * @return false if nothing changed, for whatever reason
   */
  boolean free(long address, boolean once) {
    long offset = address - base;
    Slab slab = offset >= 0 && offset < regionBytes ? index.at(offset) : null;
    long block = slab == null ? NONE : slab.takeAt(offset, once);
    if (block < 0) {
      return false;
    }
    boolean done = putInPlace(slab.sizeClass(), block);
    if (!done) {
      slab.give(block);
    }
    return done;
  }

  /**
   * Puts a block here that was its user's, if that needs nothing but a place.
   *
   * @param sizeClass its class
   * @param block the {@link ReadyBlock}
   * @return false if {@link #put} has to do it; nothing changed
   */
  public boolean putInPlace(int sizeClass, long block) {
    long[] magazine = loaded[sizeClass];
    int count = Magazine.count(magazine);
    long bytes = keptBytes + SizeClasses.bytes(sizeClass);
    if (count >= Magazine.capacity(magazine) || bytes > limitBytes || known != epoch.get()) {
      return false;
    }
    Magazine.push(magazine, count, block);
    keptBytes = bytes;
    return true;
  }

  /**
   * Puts a block here that was its user's.
   *
   * @param sizeClass its class
   * @param block the {@link ReadyBlock}
   * @return false if the zone is closed; nothing changed
   * @throws OutOfMemoryError if the Java heap has no room for a magazine; nothing changed
   */
  public boolean put(int sizeClass, long block) {
    if (known != epoch.get() && !renew()) {
      return false;
    }
    limitBytes = depot.limitBytes();
    if (keptBytes > limitBytes - SizeClasses.bytes(sizeClass)) {
      shed();
    }
    long[] magazine = loaded[sizeClass];
    if (Magazine.count(magazine) >= Magazine.capacity(magazine)) {
      magazine = loadEmpty(sizeClass);
    }
    Magazine.push(magazine, Magazine.count(magazine), block);
    keptBytes += SizeClasses.bytes(sizeClass);
    return true;
  }

  /** Loads a magazine with room. */
  private long[] loadEmpty(int sizeClass) {
    MagazineRow row = row(sizeClass);
    long before = bytes(sizeClass);
    try {
      row.loadEmpty();
    } finally {
      settle(sizeClass, before);
    }
    return row.loaded();
  }

  /** Knows again what is loaded and kept of a class, of which so many bytes were kept before. */
  private void settle(int sizeClass, long beforeBytes) {
    keptBytes += bytes(sizeClass) - beforeBytes;
    loaded[sizeClass] = rows[sizeClass].loaded();
  }

  /**
   * Hands magazines over until a quarter of the limit is free: of the largest classes that hold
   * much, since a thread asks for these least often and each is many bytes.
   */
  private void shed() {
    long much = limitBytes / MUCH_SHARE;
    int sizeClass = loaded.length;
    while (keptBytes > limitBytes - limitBytes / 4) {
      if (sizeClass == 0) {
        sizeClass = loaded.length;
        much /= 2;
      }
      sizeClass--;
      if (bytes(sizeClass) > much) {
        bringBack(sizeClass);
      }
    }
  }

  private long bytes(int sizeClass) {
    return (long) blocks(sizeClass) * SizeClasses.bytes(sizeClass);
  }

  private int blocks(int sizeClass) {
    MagazineRow row = rows[sizeClass];
    return row == null ? 0 : row.blocks();
  }

  private void bringBack(int sizeClass) {
    MagazineRow row = rows[sizeClass];
    if (row != null) {
      long before = bytes(sizeClass);
      try {
        row.bringBack();
      } finally {
        settle(sizeClass, before);
      }
    }
  }

  /** Returns false if the zone is closed: nobody wants what is here then. */
  private boolean renew() {
    long now = epoch.get();
    if (now < 0) {
      return false;
    }
    bringAllBack();
    known = now;
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

  /** Adds what was counted here, and what is here. */
  void addTo(Kept sum) {
    sum.addEvents(events);
    long blocks = 0;
    long bytes = 0;
    for (int sizeClass = 0; sizeClass < loaded.length; sizeClass++) {
      blocks += blocks(sizeClass);
      bytes += bytes(sizeClass);
    }
    sum.addKept(blocks, bytes);
  }

  /** Returns the address of the region's first byte. */
  long base() {
    return base;
  }
}
