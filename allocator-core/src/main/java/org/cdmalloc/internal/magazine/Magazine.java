/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.magazine;

/**
 * Blocks of one class that are kept ready, as an array: how many there are, and behind that number
 * the blocks, the one that was put last behind the others. A block is a {@link
 * org.cdmalloc.internal.slab.ReadyBlock}. Threads write to theirs with nearly every call, and the
 * collector puts arrays side by side; so behind the blocks lies as much as a cache line holds,
 * which nobody reads or writes.
 */
final class Magazine {
  /** Where the first block is. */
  static final int FIRST = 1;

  /** The number of blocks in its lower half; in the depot, whose they were in the upper one. */
  private static final int COUNT = 0;

  /** So much longer is the array than what it can hold. */
  private static final int OVERHEAD = FIRST + 8;

  /** Holds nothing and has no room; never written. */
  static final long[] NOTHING = make(0);

  private Magazine() {}

  /** Returns an empty magazine. */
  static long[] make(int capacity) {
    return new long[capacity + OVERHEAD];
  }

  /** Returns how many blocks there are. */
  static int count(long[] magazine) {
    return (int) magazine[COUNT];
  }

  /** Sets how many blocks there are; they are behind the number already. */
  static void setCount(long[] magazine, int count) {
    magazine[COUNT] = count;
  }

  /** Notes whose a magazine was, until a block is put into it or taken. */
  static void setPlace(long[] magazine, int place) {
    magazine[COUNT] = (long) place << Integer.SIZE | count(magazine);
  }

  /** Returns whose a magazine in the depot was. */
  static int place(long[] magazine) {
    return (int) (magazine[COUNT] >>> Integer.SIZE);
  }

  /** Returns how many blocks there can be. */
  static int capacity(long[] magazine) {
    return magazine.length - OVERHEAD;
  }

  /** Puts a block into a magazine that has room and holds so many. */
  static void push(long[] magazine, int count, long block) {
    magazine[count + FIRST] = block;
    magazine[COUNT] = count + 1L;
  }

  /** Takes the last block out of a magazine that holds so many, at least one. */
  static long pop(long[] magazine, int count) {
    long block = magazine[count];
    magazine[COUNT] = count - 1L;
    return block;
  }
}
