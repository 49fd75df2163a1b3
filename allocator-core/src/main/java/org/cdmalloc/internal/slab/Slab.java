/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.slab;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.Arrays;
import org.cdmalloc.internal.zone.Zone;

/**
 * A run that is cut into objects of one size (J. Bonwick, The slab allocator: an object-caching
 * kernel memory allocator, USENIX Summer 1994), or that is one block. All that is known of it is
 * here, nothing in the memory itself: a page of a device may be slow or absent.
 *
 * <p>Each object has a byte: whether it is its user's, and so may be freed. Whoever has the object
 * writes it, without a lock: its user on the way to a magazine, the magazine's thread on the way
 * out. What hands the object over between threads orders these writes. Everything else is written
 * under the lock of the slab cache, and while no object is anybody's; so whoever has an object sees
 * the slab as it is.
 *
 * <p>A slab that is closed has no objects, and may be opened again. Where it lies and how it is cut
 * never changes: who frees a block beside it may look at it while it is opened or closed, and finds
 * either way that the block is none of its objects.
 */
public final class Slab {
  /*
   * offset * reciprocal >> RECIPROCAL_SHIFT is offset / objectBytes, exactly, for offsets below 2^20
   * and sizes up to 2^20: the reciprocal is rounded up by less than 1, so the product is too large by
   * less than offset / 2^40 < 1 / objectBytes. The product stays below 2^20 * 2^36.
   */
  private static final int RECIPROCAL_SHIFT = 40;

  private static final byte FREE = 0;
  private static final byte LIVE = 1;
  private static final VarHandle STATE = MethodHandles.arrayElementVarHandle(byte[].class);

  private final long start;
  private final int sizeClass;
  private final int objectBytes;
  private final long reciprocal;
  private final byte[] states;

  /** How many objects there are; 0 while the slab is closed. */
  private int objects;

  // Of the slab cache, under its lock.
  private final long[] free;
  private int carved;
  private int out;
  private boolean clean;
  Slab previous;
  Slab next;
  boolean listed;

  /** Makes a slab that is closed. */
  Slab(int page, int sizeClass) {
    int count = SizeClasses.objects(sizeClass);
    this.start = (long) page * Zone.PAGE_BYTES;
    this.sizeClass = sizeClass;
    this.objectBytes = SizeClasses.bytes(sizeClass);
    this.reciprocal = ((1L << RECIPROCAL_SHIFT) + objectBytes - 1) / objectBytes;
    this.states = new byte[count];
    this.free = new long[(count - 1) / Long.SIZE + 1];
  }

  /** Has all objects, none of which is out. */
  void open(boolean isClean) {
    Arrays.fill(free, 0);
    carved = 0;
    out = 0;
    clean = isClean;
    objects = states.length;
  }

  /** Has no objects from now on; the only one may be its user's until now. */
  void close() {
    states[0] = FREE;
    objects = 0;
  }

  /**
   * Returns the number of the object that a byte is in.
   *
   * @param offset in the region, not before the slab
   * @return from 0, or a negative number if it is in none
   */
  public int object(long offset) {
    int object = (int) (((offset - start) * reciprocal) >>> RECIPROCAL_SHIFT);
    return object < objects ? object : -1;
  }

  /**
   * Returns where an object begins.
   *
   * @param object its number
   * @return in the region, in bytes
   */
  public long offset(int object) {
    return start + (long) object * objectBytes;
  }

  /**
   * Returns an object as a {@link ReadyBlock}.
   *
   * @param object its number
   * @return a block that is not clean
   */
  public long block(int object) {
    return ReadyBlock.of(offset(object), object);
  }

  /**
   * Takes the object from its user that begins at an offset.
   *
   * @param offset in the region, not before the slab
   * @param once whether of several threads that try at once only one may succeed
   * @return its number; or a negative number if none that is its user's begins there: nothing
   *     changed
   */
  public int takeAt(long offset, boolean once) {
    int object = (int) (((offset - start) * reciprocal) >>> RECIPROCAL_SHIFT);
    // A closed slab has no object that is its user's.
    boolean begins = object < states.length && offset(object) == offset;
    return begins && (once ? takeOnce(object) : take(object)) ? object : -1;
  }

  /**
   * Returns the class of the objects.
   *
   * @return the class
   */
  public int sizeClass() {
    return sizeClass;
  }

  /**
   * Returns the size of the objects.
   *
   * @return bytes
   */
  public int objectBytes() {
    return objectBytes;
  }

  /**
   * Tells whether an object is its user's.
   *
   * @param object its number
   * @return false if it is free, in a magazine or not
   */
  public boolean isLive(int object) {
    return states[object] == LIVE;
  }

  /**
   * Gives an object to its user.
   *
   * @param object its number
   */
  public void give(int object) {
    states[object] = LIVE;
  }

  /**
   * Takes an object from its user. Of two threads that both try at once, both may succeed.
   *
   * @param object its number
   * @return false if it is not its user's
   */
  public boolean take(int object) {
    if (states[object] != LIVE) {
      return false;
    }
    states[object] = FREE;
    return true;
  }

  /**
   * Takes an object from its user: of several threads that try at once, one succeeds.
   *
   * @param object its number
   * @return false if it is not its user's
   */
  public boolean takeOnce(int object) {
    return STATE.compareAndSet(states, object, LIVE, FREE);
  }

  /** Returns the first page of the run. */
  int page() {
    return (int) (start / Zone.PAGE_BYTES);
  }

  /** Tells whether the run is in use for objects. */
  boolean isOpen() {
    return objects > 0;
  }

  /** Tells whether no object is out of the slab. */
  boolean isEmpty() {
    return out == 0;
  }

  /** Tells whether all objects are out of the slab. */
  boolean isFull() {
    return out == objects;
  }

  /** Returns the lowest object that was out before and is not now, else the first of the rest. */
  long takeOut() {
    out++;
    for (int word = 0; word << 6 < carved; word++) {
      if (free[word] != 0) {
        int object = (word << 6) + Long.numberOfTrailingZeros(free[word]);
        free[word] &= free[word] - 1;
        return block(object);
      }
    }
    return block(carved++) | (clean ? ReadyBlock.CLEAN : 0);
  }

  /** Takes an object back that was out. */
  void putBack(int object) {
    free[object >> 6] |= 1L << object;
    out--;
  }

  /** Returns how many objects are out, counted anew. */
  int countOut() {
    int in = 0;
    for (long word : free) {
      in += Long.bitCount(word);
    }
    return carved - in;
  }

  /** Returns how many objects are out, as counted on the way. */
  int out() {
    return out;
  }
}
