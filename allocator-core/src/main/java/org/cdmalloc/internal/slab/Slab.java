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
 * <p>Bytes in one cache line are written by one processor at a time, whosever they are. So threads
 * that take objects at the same time begin at different places of the slab, and where objects are
 * few, their bytes are spread.
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

  /** A slab has so many states, most of which may be no object's, or more. */
  private static final int STATES_LOG = 9;

  /** Before it is the length, which every call reads, and maybe other objects. */
  private static final int FIRST_STATE = 64;

  private static final int STATES_BEHIND = 64;

  /** Threads begin at so many places at least, or at each 64th object if these are more. */
  private static final int PLACES = 4;

  private static final byte FREE = 0;
  private static final byte LIVE = 1;
  private static final VarHandle STATE = MethodHandles.arrayElementVarHandle(byte[].class);

  private final long start;
  private final int sizeClass;
  private final int objectBytes;
  private final long reciprocal;
  private final int count;
  private final byte[] states;
  private final int stateShift;

  /** How many objects there are; 0 while the slab is closed. */
  private int objects;

  // Of the slab cache, under its lock; the bits by object.
  private final long[] free;
  private final long[] used;
  private int out;
  Slab previous;
  Slab next;
  boolean listed;

  /** Makes a slab that is closed. */
  Slab(int page, int sizeClass) {
    this.count = SizeClasses.objects(sizeClass);
    this.start = (long) page * Zone.PAGE_BYTES;
    this.sizeClass = sizeClass;
    this.objectBytes = SizeClasses.bytes(sizeClass);
    this.reciprocal = ((1L << RECIPROCAL_SHIFT) + objectBytes - 1) / objectBytes;
    this.stateShift = stateShift(sizeClass);
    this.states = new byte[FIRST_STATE + state(count - 1) + 1 + STATES_BEHIND];
    this.free = new long[(count - 1) / Long.SIZE + 1];
    this.used = new long[free.length];
  }

  /** No two objects begin within 2^shift bytes. */
  private static int stateShift(int sizeClass) {
    int most = log(SizeClasses.bytes(sizeClass));
    int slab = log(SizeClasses.runPages(sizeClass) * Zone.PAGE_BYTES);
    return SizeClasses.isObject(sizeClass) ? Math.min(most, slab - STATES_LOG) : most;
  }

  private static int log(int value) {
    return Integer.SIZE - 1 - Integer.numberOfLeadingZeros(value);
  }

  private int state(int object) {
    return (object * objectBytes) >>> stateShift;
  }

  /** Has all objects, none of which is out. */
  void open(boolean isClean) {
    Arrays.fill(free, -1);
    free[free.length - 1] = -1L >>> -count;
    Arrays.fill(used, isClean ? 0 : -1);
    out = 0;
    objects = count;
  }

  /** Has no objects from now on; the only one may be its user's until now. */
  void close() {
    states[FIRST_STATE] = FREE;
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
    return ReadyBlock.of(offset(object), state(object));
  }

  /**
   * Takes the object from its user that begins at an offset.
   *
   * @param offset in the region, not before the slab
   * @param once whether of several threads that try at once only one may succeed
   * @return the {@link ReadyBlock}; or a negative number if none that is its user's begins there:
   *     nothing changed
   */
  public long takeAt(long offset, boolean once) {
    long inside = offset - start;
    int object = (int) ((inside * reciprocal) >>> RECIPROCAL_SHIFT);
    // A closed slab has no object that is its user's.
    if (object >= count || offset(object) != offset) {
      return -1;
    }
    int state = (int) (inside >>> stateShift);
    return (once ? takeOnceOf(state) : takeOf(state)) ? ReadyBlock.of(offset, state) : -1;
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
    return states[FIRST_STATE + state(object)] == LIVE;
  }

  /**
   * Gives an object to its user.
   *
   * @param block the {@link ReadyBlock}
   */
  public void give(long block) {
    states[FIRST_STATE + ReadyBlock.state(block)] = LIVE;
  }

  /**
   * Takes an object from its user. Of two threads that both try at once, both may succeed.
   *
   * @param object its number
   * @return false if it is not its user's
   */
  public boolean take(int object) {
    return takeOf(state(object));
  }

  private boolean takeOf(int state) {
    if (states[FIRST_STATE + state] != LIVE) {
      return false;
    }
    states[FIRST_STATE + state] = FREE;
    return true;
  }

  /**
   * Takes an object from its user: of several threads that try at once, one succeeds.
   *
   * @param object its number
   * @return false if it is not its user's
   */
  public boolean takeOnce(int object) {
    return takeOnceOf(state(object));
  }

  private boolean takeOnceOf(int state) {
    return STATE.compareAndSet(states, FIRST_STATE + state, LIVE, FREE);
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

  /**
   * Takes objects out: neighbours, all of 64 where few would be left to others, or if there are
   * less than a quarter of what was asked for, more.
   *
   * @param place where to look first: the same for a thread each time, and others for others
   * @param into where to: numbers of {@link ReadyBlock}, of neighbours the lowest first; clean is
   *     one that was never out of a clean slab
   * @param from the first element to be written
   * @param most how many, positive; there may be a quarter more
   * @return how many there were, at least one if any is here
   */
  int takeOut(int place, long[] into, int from, int most) {
    int words = free.length;
    int first = first(place);
    int word = first >> 6;
    int taken = takeOut(word, free[word] & -1L << first, into, from, most);
    for (int i = 0; i < words && 4 * taken < most; i++) {
      word = word + 1 < words ? word + 1 : 0;
      taken += takeOut(word, free[word], into, from + taken, most - taken);
    }
    out += taken;
    return taken;
  }

  /**
   * Returns where a thread begins: every other 64 first, since two may share a line at their ends.
   */
  private int first(int place) {
    int words = free.length;
    if (words < PLACES) {
      return place % PLACES * count / PLACES;
    }
    int even = 2 * (place % words);
    return (even < words ? even : (even - words) | 1) << 6;
  }

  private int takeOut(int word, long some, long[] into, int from, int asked) {
    long bits = some;
    int there = Long.bitCount(bits);
    int most = 4 * (there - asked) < asked ? there : asked;
    int taken = 0;
    while (taken < most) {
      long bit = bits & -bits;
      bits ^= bit;
      long block = block((word << 6) + Long.numberOfTrailingZeros(bit));
      into[from + taken] = (used[word] & bit) == 0 ? block | ReadyBlock.CLEAN : block;
      free[word] ^= bit;
      used[word] |= bit;
      taken++;
    }
    return taken;
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
    return count - in;
  }

  /** Returns how many objects are out, as counted on the way. */
  int out() {
    return out;
  }
}
