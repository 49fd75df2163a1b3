/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.slab;

import org.cdmalloc.internal.zone.Zone;

/**
 * The sizes in which blocks are kept ready. Objects are multiples of 16 bytes up to 128 and eight
 * sizes per doubling from there to {@value #MAX_OBJECT_BYTES}, so that rounding up costs less than
 * an eighth of what was asked for; above that a block is a run of exactly as many pages as it
 * needs, up to {@value #MAX_RUN_BYTES}. Pure functions.
 *
 * <p>Objects are cut from slabs of 64 KiB, of 128 where they are larger than 4 KiB and of 256 where
 * they are larger than 8: what is left over at the end of a slab is then less than a sixteenth.
 */
public final class SizeClasses {
  /** The largest object. */
  public static final int MAX_OBJECT_BYTES = 16 << 10;

  /** The largest run that is kept ready. */
  public static final int MAX_RUN_BYTES = 1 << 20;

  /** The alignment that every object has; larger ones have those that divide their size. */
  public static final int OBJECT_ALIGNMENT_BYTES = 16;

  /** No class holds so much. */
  public static final int NONE = -1;

  private static final int STEP_SHIFT = 4;
  private static final int STEPS_BYTES = 128;
  private static final int STEPS = STEPS_BYTES >> STEP_SHIFT;
  private static final int PER_DOUBLING_SHIFT = 3;
  private static final int PER_DOUBLING = 1 << PER_DOUBLING_SHIFT;
  private static final int STEPS_LOG = 7;
  private static final int SLAB_PAGES = 16;
  private static final int OBJECTS;
  private static final int FIRST_RUN_PAGES = MAX_OBJECT_BYTES / Zone.PAGE_BYTES + 1;

  /** Bytes of the blocks of each class. */
  private static final int[] BYTES;

  /** The class of an object by its size in steps of 16 bytes, rounded up. */
  private static final byte[] BY_STEPS;

  static {
    BY_STEPS = new byte[(MAX_OBJECT_BYTES >> STEP_SHIFT) + 1];
    for (int steps = 0; steps < BY_STEPS.length; steps++) {
      BY_STEPS[steps] = (byte) objectClass(Math.max(1, steps << STEP_SHIFT));
    }
    OBJECTS = BY_STEPS[BY_STEPS.length - 1] + 1;
    BYTES = new int[OBJECTS + (MAX_RUN_BYTES / Zone.PAGE_BYTES - FIRST_RUN_PAGES) + 1];
    for (int i = 0; i < BYTES.length; i++) {
      BYTES[i] = i < OBJECTS ? objectBytes(i) : (i - OBJECTS + FIRST_RUN_PAGES) * Zone.PAGE_BYTES;
    }
  }

  private SizeClasses() {}

  private static int objectClass(int bytes) {
    if (bytes <= STEPS_BYTES) {
      return (bytes - 1) >> STEP_SHIFT;
    }
    int log = Integer.SIZE - 1 - Integer.numberOfLeadingZeros(bytes - 1);
    int step = ((bytes - 1) >> (log - PER_DOUBLING_SHIFT)) & (PER_DOUBLING - 1);
    return STEPS + (log - STEPS_LOG) * PER_DOUBLING + step;
  }

  private static int objectBytes(int sizeClass) {
    if (sizeClass < STEPS) {
      return (sizeClass + 1) << STEP_SHIFT;
    }
    int doubling = (sizeClass - STEPS) / PER_DOUBLING;
    int step = (sizeClass - STEPS) % PER_DOUBLING;
    return (PER_DOUBLING + step + 1) << (doubling + STEPS_LOG - PER_DOUBLING_SHIFT);
  }

  /**
   * Returns how many classes there are.
   *
   * @return they are numbered from 0, in the order of their sizes
   */
  public static int count() {
    return BYTES.length;
  }

  /**
   * Returns the smallest class that holds a block.
   *
   * @param bytes its size; 0 counts as 1
   * @return the class, or {@link #NONE} if the size is negative or above {@link #MAX_RUN_BYTES}
   */
  public static int of(long bytes) {
    if (bytes < 0 || bytes > MAX_RUN_BYTES) {
      return NONE;
    }
    int size = (int) bytes;
    if (size <= MAX_OBJECT_BYTES) {
      return BY_STEPS[(size + (OBJECT_ALIGNMENT_BYTES - 1)) >> STEP_SHIFT];
    }
    return OBJECTS - FIRST_RUN_PAGES + (size + (Zone.PAGE_BYTES - 1)) / Zone.PAGE_BYTES;
  }

  /**
   * Returns the smallest class that holds a block and whose blocks are all aligned.
   *
   * @param bytes as for {@link #of(long)}
   * @param alignment a power of two
   * @return the class, or {@link #NONE}; so also for more than the alignment of a page, and for
   *     what is no alignment
   */
  public static int of(long bytes, long alignment) {
    if (alignment == 1) {
      return of(bytes);
    }
    if (alignment < 1 || alignment > Zone.PAGE_BYTES || Long.bitCount(alignment) != 1) {
      return NONE;
    }
    int sizeClass = bytes < 0 ? NONE : of(Math.max(bytes, alignment));
    while (sizeClass >= 0 && (BYTES[sizeClass] & (alignment - 1)) != 0) {
      sizeClass++;
    }
    return sizeClass;
  }

  /**
   * Returns the size of the blocks of a class.
   *
   * @param sizeClass the class
   * @return bytes
   */
  public static int bytes(int sizeClass) {
    return BYTES[sizeClass];
  }

  /**
   * Tells whether blocks of a class share a slab.
   *
   * @param sizeClass the class
   * @return false if each is a run of its own
   */
  public static boolean isObject(int sizeClass) {
    return sizeClass < OBJECTS;
  }

  /**
   * Returns the length of the run that one slab of a class takes, or one block that is a run.
   *
   * @param sizeClass the class
   * @return pages, at least {@link SlabIndex#SLOT_PAGES} rounded up to a power of two
   */
  public static int runPages(int sizeClass) {
    int bytes = BYTES[sizeClass];
    if (sizeClass >= OBJECTS) {
      return bytes / Zone.PAGE_BYTES;
    }
    int pages = SLAB_PAGES;
    for (int most = Zone.PAGE_BYTES; most < bytes; most <<= 1) {
      pages <<= 1;
    }
    return pages;
  }

  /**
   * Returns how many blocks are cut from such a run.
   *
   * @param sizeClass the class
   * @return at least 1
   */
  public static int objects(int sizeClass) {
    return runPages(sizeClass) * Zone.PAGE_BYTES / BYTES[sizeClass];
  }
}
