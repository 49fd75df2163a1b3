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
   *   M1  keptBytes is the sum over all blocks here
   *   M2  it is at most limitBytes after every take and put
   *
   * What a hit counts is what a report cannot find out otherwise: the events. Which blocks are their
   * users' follows from what is out of the slabs and not in a magazine.
   *
   * Counts are plain: one thread writes them, others may read old values, and sums over threads are
   * exact once these threads did nothing since a point that happens before.
   */

  /** No block is here, or to be had. */
  public static final long NONE = -1;

  private static final long[] NOTHING = {0};

  /** Of a class that holds more than this part of the limit, some is handed over first. */
  private static final int MUCH_SHARE = 32;

  /** Whose they are, or null if threads share them. */
  final Thread owner;

  /** Stands for the allocator whose zone it is. */
  final Object allocator;

  private final Depot depot;
  private final Depot.Memory memory;
  private final SlabIndex index;
  private final long base;
  private final long regionBytes;
  private final long limitBytes;
  private final long[][] loaded = new long[SizeClasses.count()][];
  private final long[][] previous = new long[SizeClasses.count()][];

  /**
   * How many blocks of a class are taken of slabs the next time, at most what the depot says: a
   * thread may want one of each class, or many of one.
   */
  private final byte[] fills = new byte[SizeClasses.count()];

  /** Counted for blocks that were not taken out of a choice. */
  private final long[] events = new long[NumaEvents.COMBINATIONS];

  private long keptBytes;
  private int epoch;

  Magazines(Thread owner, Object allocator, Depot depot) {
    this.owner = owner;
    this.allocator = allocator;
    this.depot = depot;
    this.memory = depot.memory();
    this.index = depot.index();
    this.base = depot.base();
    this.regionBytes = depot.regionBytes();
    this.limitBytes = depot.limitBytes();
    Arrays.fill(loaded, NOTHING);
    Arrays.fill(previous, NOTHING);
    Arrays.fill(fills, (byte) 1);
  }

  /**
   * Takes a block that is here, and makes it its user's.
   *
   * @param sizeClass its class
   * @return the {@link ReadyBlock}, or {@link #NONE}
   */
  public long take(int sizeClass) {
    long[] magazine = loaded[sizeClass];
    int blocks = (int) magazine[0];
    return blocks != 0 && epoch == depot.epoch()
        ? pop(sizeClass, magazine, blocks)
        : takeAsAsked(sizeClass);
  }

  private long pop(int sizeClass, long[] magazine, int blocks) {
    long block = magazine[blocks];
    magazine[0] = blocks - 1L;
    keptBytes -= SizeClasses.bytes(sizeClass);
    index.give(block);
    return block;
  }

  private long takeAsAsked(int sizeClass) {
    if (epoch != depot.epoch() && !renew()) {
      return NONE;
    }
    // The epoch may have moved again: what is here serves its thread first.
    boolean isHere = loaded[sizeClass][0] != 0 || exchange(sizeClass);
    return isHere ? pop(sizeClass, loaded[sizeClass], (int) loaded[sizeClass][0]) : NONE;
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
    index.at(ReadyBlock.offset(block)).take(ReadyBlock.object(block));
    long[] magazine = loaded[sizeClass];
    magazine[0]++;
    magazine[(int) magazine[0]] = block;
    keptBytes += SizeClasses.bytes(sizeClass);
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
    // Now: later there is a block that would be lost if the Java heap has no room.
    if (keptBytes > limitBytes - depot.magazineBytes(sizeClass)) {
      shed();
    }
    int most = fills[sizeClass];
    long[] magazine = depot.exchange(sizeClass, loaded[sizeClass], most, floorPages);
    if (magazine == null) {
      return NONE;
    }
    fills[sizeClass] = (byte) Math.min(2 * most, depot.mostFilled(sizeClass));
    loaded[sizeClass] = magazine;
    keptBytes += magazine[0] * SizeClasses.bytes(sizeClass);
    return pop(sizeClass, magazine, (int) magazine[0]);
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
    int object = slab == null ? -1 : slab.takeAt(offset, once);
    if (object < 0) {
      return false;
    }
    boolean done = putInPlace(slab.sizeClass(), ReadyBlock.of(offset, object));
    if (!done) {
      slab.give(object);
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
    int blocks = (int) magazine[0] + 1;
    long bytes = keptBytes + SizeClasses.bytes(sizeClass);
    if (blocks >= magazine.length || bytes > limitBytes || epoch != depot.epoch()) {
      return false;
    }
    magazine[blocks] = block;
    magazine[0] = blocks;
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
    if (epoch != depot.epoch() && !renew()) {
      return false;
    }
    if (keptBytes > limitBytes - SizeClasses.bytes(sizeClass)) {
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
    keptBytes += SizeClasses.bytes(sizeClass);
    return true;
  }

  /** Loads a magazine with room: the previous one, or an empty one of the depot. */
  private long[] another(int sizeClass) {
    long[] magazine = previous[sizeClass];
    long blocks = magazine[0];
    if (blocks + 1 >= magazine.length) {
      magazine = depot.accept(sizeClass, magazine);
      keptBytes -= blocks * SizeClasses.bytes(sizeClass);
    }
    previous[sizeClass] = loaded[sizeClass];
    loaded[sizeClass] = magazine;
    return magazine;
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
        fills[sizeClass] = 1;
      }
    }
  }

  private long bytes(int sizeClass) {
    return blocks(sizeClass) * SizeClasses.bytes(sizeClass);
  }

  private long blocks(int sizeClass) {
    return loaded[sizeClass][0] + previous[sizeClass][0];
  }

  private void bringBack(int sizeClass) {
    bringBack(loaded, sizeClass);
    bringBack(previous, sizeClass);
  }

  private void bringBack(long[][] magazines, int sizeClass) {
    long blocks = magazines[sizeClass][0];
    if (blocks != 0) {
      magazines[sizeClass] = depot.accept(sizeClass, magazines[sizeClass]);
      keptBytes -= blocks * SizeClasses.bytes(sizeClass);
    }
  }

  /** Returns false if the zone is closed: nobody wants what is here then. */
  private boolean renew() {
    int now = depot.epoch();
    if (now < 0) {
      return false;
    }
    bringAllBack();
    // Memory is short, or was just given back: who wants much of it again asks for it in steps.
    Arrays.fill(fills, (byte) 1);
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
