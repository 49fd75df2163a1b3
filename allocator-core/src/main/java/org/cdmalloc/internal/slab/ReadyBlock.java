/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.slab;

/**
 * An object of a slab as one number: where it begins in its region, where its slab has its state,
 * and whether it holds zeros. Never negative. Pure functions.
 */
public final class ReadyBlock {
  /** Set if the object holds the zeros with which its memory came. */
  public static final long CLEAN = 1;

  /** A slab has at most 4096 states, and no address space has more than 2^47 bytes. */
  private static final int STATE_SHIFT = 48;

  private static final long OFFSET_MASK = ((1L << STATE_SHIFT) - 1) & ~CLEAN;

  private ReadyBlock() {}

  /**
   * Returns an object that is not clean.
   *
   * @param offset where it begins, in its region, in bytes
   * @param state where its slab has its state
   * @return the block
   */
  public static long of(long offset, int state) {
    return offset | (long) state << STATE_SHIFT;
  }

  /**
   * Returns where a block begins.
   *
   * @param block the block
   * @return in its region, in bytes
   */
  public static long offset(long block) {
    return block & OFFSET_MASK;
  }

  /**
   * Returns where the slab of a block has its state.
   *
   * @param block the block
   * @return from 0
   */
  public static int state(long block) {
    return (int) (block >>> STATE_SHIFT);
  }

  /**
   * Tells whether a block holds zeros.
   *
   * @param block the block
   * @return false if it was a user's before
   */
  public static boolean isClean(long block) {
    return (block & CLEAN) != 0;
  }
}
