/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.magazine;

import java.util.Arrays;

/**
 * One thread's magazines of one class. One of them is loaded: those before it are full (but where
 * the Java heap had no room in the middle of handing one over), those behind it are empty. With
 * two, a thread that allocates and frees around the edge of a magazine goes to the depot once per
 * magazine and not once per block (J. Bonwick and J. Adams, Magazines and Vmem, USENIX 2001,
 * section 3.1). A thread that hands a magazine over and then wants one back may have one more from
 * then on, so that one that allocates many blocks and then frees them keeps them all in the end,
 * while one that only frees what others allocate passes it on. Not safe for use by more than one
 * thread, except {@link #blocks}.
 */
final class MagazineRow {
  private static final int FEWEST = 2;

  /** With 128 blocks in each, the row takes 70 KiB of the Java heap. */
  private static final int MOST = 64;

  private final Depot depot;
  private final int sizeClass;
  private final int place;

  /** NOTHING if none was needed yet. */
  private long[][] magazines = {Magazine.NOTHING, null};

  private int size = 1;
  private int loaded;

  /** How many there may be. */
  private int most = FEWEST;

  private boolean handedOver;

  /** How many blocks are taken of slabs the next time. */
  private int fill = 1;

  MagazineRow(Depot depot, int sizeClass, int place) {
    this.depot = depot;
    this.sizeClass = sizeClass;
    this.place = place;
  }

  /** Returns the loaded magazine. */
  long[] loaded() {
    return magazines[loaded];
  }

  /** Loads the magazine before the loaded one, which is empty; returns false if it is the first. */
  boolean loadFull() {
    while (loaded > 0) {
      loaded--;
      if (Magazine.count(magazines[loaded]) > 0) {
        return true;
      }
    }
    return false;
  }

  /**
   * Loads a magazine of the depot; all here are empty.
   *
   * @param floorPages how many pages of the zone must stay free
   * @return false if there is none
   */
  boolean loadOfDepot(int floorPages) {
    long[] full = depot.exchange(sizeClass, magazines[0], fill, place, floorPages);
    if (full == null) {
      return false;
    }
    magazines[0] = full;
    fill = Math.min(2 * fill, depot.mostFilled(sizeClass));
    boolean isRoom =
        most < MOST && (most + 1) * depot.magazineBytes(sizeClass) <= depot.limitBytes();
    if (handedOver && isRoom) {
      most++;
    }
    handedOver = false;
    return true;
  }

  /** Loads a magazine with room, since the loaded one has none. */
  void loadEmpty() {
    if (loaded + 1 < size) {
      loaded++;
      return;
    }
    boolean isMore = size < most && Magazine.capacity(magazines[0]) > 0;
    if (isMore && size == magazines.length) {
      magazines = Arrays.copyOf(magazines, 2 * size);
    }
    long[] given = isMore ? Magazine.NOTHING : magazines[0];
    boolean hasBlocks = Magazine.count(given) > 0;
    long[] empty = depot.accept(sizeClass, given, place);
    if (isMore) {
      size++;
    } else {
      System.arraycopy(magazines, 1, magazines, 0, loaded);
      handedOver |= hasBlocks;
    }
    loaded = size - 1;
    magazines[loaded] = empty;
  }

  /**
   * Hands all blocks over, and forgets what the thread may want.
   *
   * @throws OutOfMemoryError if the Java heap has no room; some blocks may be here still
   */
  void bringBack() {
    // From the last one on, so that the row is one wherever the Java heap may have no room.
    while (size > FEWEST) {
      depot.handIn(sizeClass, magazines[size - 1], place);
      size--;
      magazines[size] = null;
      loaded = Math.min(loaded, size - 1);
    }
    for (int i = loaded; i >= 0; i--) {
      if (Magazine.count(magazines[i]) != 0) {
        magazines[i] = depot.accept(sizeClass, magazines[i], place);
      }
      loaded = Math.max(0, i - 1);
    }
    most = FEWEST;
    fill = 1;
    handedOver = false;
  }

  /** Returns how many blocks are here. */
  int blocks() {
    long[][] now = magazines;
    int blocks = 0;
    // To another thread this one may be between two writes, or new.
    for (int i = 0; now != null && i < now.length; i++) {
      long[] magazine = now[i];
      blocks += magazine == null ? 0 : Magazine.count(magazine);
    }
    return blocks;
  }
}
