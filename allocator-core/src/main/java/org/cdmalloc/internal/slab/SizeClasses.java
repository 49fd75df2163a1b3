/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.slab;

import org.cdmalloc.internal.zone.Zone;

/**
 * The sizes in which blocks are kept ready. Objects are multiples of 16 bytes up to 128 and eight
 * sizes per doubling from there to {@value #MAX_OBJECT_BYTES}; above that a block is a run of
 * pages, of exactly as many as it needs up to 16 and of eight sizes per doubling from there to
 * {@value #MAX_RUN_BYTES}. From 128 bytes on rounding objects up costs less than an eighth of what
 * was asked for, and so it does with runs, once they are rounded up to whole pages. Pure functions.
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
  private static final int STEPS_LOG = 7;
  private static final int PER_DOUBLING_SHIFT = 3;
  private static final int SLAB_PAGES = 16;
  private static final int FIRST_RUN_PAGES = MAX_OBJECT_BYTES / Zone.PAGE_BYTES + 1;
  private static final int EXACT_RUNS_LOG = 4;
  private static final int OBJECTS;
  private static final int COUNT;

  /*
   * All tables are as long as a power of two, and an index is masked: where the compiler knows the
   * length, as it does here, it needs no check then.
   */

  /** Bytes of the blocks of each class. */
  private static final int[] BYTES = new int[128];

  /** The class of an object by its size in steps of 16 bytes, rounded up. */
  private static final byte[] BY_STEPS = new byte[(2 * MAX_OBJECT_BYTES) >> STEP_SHIFT];

  /** The class of a run by its pages, less one. */
  private static final byte[] BY_PAGES = new byte[MAX_RUN_BYTES / Zone.PAGE_BYTES];

  static {
    int objects = 0;
    for (int steps = 1; steps <= MAX_OBJECT_BYTES >> STEP_SHIFT; steps++) {
      int bytes = rounded(steps, STEPS_LOG - STEP_SHIFT) << STEP_SHIFT;
      objects += objects == 0 || BYTES[objects - 1] != bytes ? 1 : 0;
      BYTES[objects - 1] = bytes;
      BY_STEPS[steps] = (byte) (objects - 1);
    }
    int count = objects;
    for (int pages = FIRST_RUN_PAGES; pages <= BY_PAGES.length; pages++) {
      int bytes = rounded(pages, EXACT_RUNS_LOG) * Zone.PAGE_BYTES;
      count += BYTES[count - 1] != bytes ? 1 : 0;
      BYTES[count - 1] = bytes;
      BY_PAGES[pages - 1] = (byte) (count - 1);
    }
    OBJECTS = objects;
    COUNT = count;
  }

  private SizeClasses() {}

  /** Rounds a number up that is more than a power of two, so that there are eight per doubling. */
  private static int rounded(int size, int exactLog) {
    int log = Integer.SIZE - 1 - Integer.numberOfLeadingZeros(size - 1 | 1);
    int step = 1 << Math.max(0, log - PER_DOUBLING_SHIFT);
    return log < exactLog ? size : (size + step - 1) / step * step;
  }

  /**
   * Returns how many classes there are.
   *
   * @return they are numbered from 0, in the order of their sizes
   */
  public static int count() {
    return COUNT;
  }

  /**
   * Returns the smallest class that holds a block.
   *
   * @param bytes its size; 0 counts as 1
   * @return the class, or {@link #NONE} if the size is negative or above {@link #MAX_RUN_BYTES}
   */
  public static int of(long bytes) {
    long last = bytes - 1;
    // 0 bytes are no step, whose class is the first too.
    if (last < MAX_OBJECT_BYTES && last >= -1) {
      int steps = ((int) last + OBJECT_ALIGNMENT_BYTES) >> STEP_SHIFT;
      return BY_STEPS[steps & (BY_STEPS.length - 1)];
    }
    return ofRun(last);
  }

  private static int ofRun(long last) {
    boolean fits = last >= 0 && last < MAX_RUN_BYTES;
    return fits ? BY_PAGES[(int) last / Zone.PAGE_BYTES & (BY_PAGES.length - 1)] : NONE;
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
    return BYTES[sizeClass & (BYTES.length - 1)];
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
