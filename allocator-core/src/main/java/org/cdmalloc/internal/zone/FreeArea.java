/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zone;

import java.util.Arrays;

/**
 * The free blocks of one order ({@code struct free_area} of Linux), as a set ordered by address: a
 * tree of 64-bit words of fan-out 64, in which a bit of a word says whether the word below it is
 * not zero. Blocks are named by their first page.
 *
 * <pre>
 * level 0    a bit per block            in leaves of 64 words: leaf[1 + word]
 * level 1    a bit per word of a leaf   leaf[0]
 * level 2 …  a bit per leaf, and so on  summaries[level - 2], one word at the top
 * </pre>
 *
 * <p>Leaves come into being one by one ({@link #cover}) and cover {@value #LEAF_BLOCKS} blocks
 * each, so that a zone costs what was used of it. A block and its buddy always share a word, hence
 * a leaf.
 *
 * <p>Every operation takes O(levels) word accesses, at most six. Only {@link #cover} allocates on
 * the Java heap. Not safe for use by more than one thread.
 */
final class FreeArea {
  /** The blocks of one leaf: 64 words of 64 bits. */
  static final int LEAF_BLOCKS = 1 << 12;

  private static final int NONE = -1;
  private static final int WORD_SHIFT = 6;
  private static final int WORD_MASK = (1 << WORD_SHIFT) - 1;
  private static final int LEAF_SHIFT = 2 * WORD_SHIFT;
  private static final long[][] NO_LEAVES = {};

  private final int order;
  private final int words;
  private final long[][] summaries;
  private long[][] leaves = NO_LEAVES;
  private int count;

  /**
   * Makes an empty area.
   *
   * @param order of all its blocks, 0 … 30
   * @param regionPages of the zone, positive
   */
  FreeArea(int order, int regionPages) {
    int blocks = ((regionPages - 1) >>> order) + 1;
    this.order = order;
    this.words = wordsFor(blocks);
    this.summaries = summaries(wordsFor(words));
  }

  private static int wordsFor(int bits) {
    return ((bits - 1) >>> WORD_SHIFT) + 1;
  }

  private static long[][] summaries(int leafLimit) {
    int levels = 1;
    for (int bits = leafLimit; bits > Long.SIZE; bits = wordsFor(bits)) {
      levels++;
    }
    long[][] summaries = new long[levels][];
    int bits = leafLimit;
    for (int level = 0; level < levels; level++) {
      bits = wordsFor(bits);
      summaries[level] = new long[bits];
    }
    return summaries;
  }

  /** Returns how many blocks are free. */
  int count() {
    return count;
  }

  /**
   * Makes room for the block that holds a page, and for its buddy. If the Java heap is exhausted
   * the set is as before.
   */
  void cover(int page) {
    int index = page >>> order >>> LEAF_SHIFT;
    if (index >= leaves.length) {
      int limit = wordsFor(words);
      leaves = Arrays.copyOf(leaves, Math.min(limit, Math.max(index + 1, 2 * leaves.length)));
    }
    if (leaves[index] == null) {
      leaves[index] = new long[1 + Math.min(1 << WORD_SHIFT, words - (index << WORD_SHIFT))];
    }
  }

  /** Tells whether {@link #cover} was called for this page or a neighbour in the same leaf. */
  boolean covers(int page) {
    return leaf(page >>> order >>> LEAF_SHIFT) != null;
  }

  /** Tells whether the block is free. */
  boolean test(int page) {
    int block = page >>> order;
    long[] leaf = leaf(block >>> LEAF_SHIFT);
    return leaf != null && (leaf[1 + (block >>> WORD_SHIFT & WORD_MASK)] & 1L << block) != 0;
  }

  /** Adds a block, which must be covered and not be here. */
  void set(int page) {
    int block = page >>> order;
    long[] leaf = leaves[block >>> LEAF_SHIFT];
    int word = block >>> WORD_SHIFT & WORD_MASK;
    long before = leaf[1 + word];
    assert (before & 1L << block) == 0 : "free twice: order=" + order + ", page=" + page;
    leaf[1 + word] = before | 1L << block;
    count++;
    if (before == 0) {
      long leafBefore = leaf[0];
      leaf[0] = leafBefore | 1L << word;
      if (leafBefore == 0) {
        raise(block >>> LEAF_SHIFT);
      }
    }
  }

  private void raise(int leafIndex) {
    int position = leafIndex;
    for (long[] summary : summaries) {
      int index = position >>> WORD_SHIFT;
      long before = summary[index];
      summary[index] = before | 1L << position;
      if (before != 0) {
        return;
      }
      position = index;
    }
  }

  /** Removes a block, which must be here. */
  void clear(int page) {
    int block = page >>> order;
    long[] leaf = leaves[block >>> LEAF_SHIFT];
    int word = block >>> WORD_SHIFT & WORD_MASK;
    assert (leaf[1 + word] & 1L << block) != 0 : "not free: order=" + order + ", page=" + page;
    long after = leaf[1 + word] & ~(1L << block);
    leaf[1 + word] = after;
    count--;
    if (after == 0) {
      long leafAfter = leaf[0] & ~(1L << word);
      leaf[0] = leafAfter;
      if (leafAfter == 0) {
        lower(block >>> LEAF_SHIFT);
      }
    }
  }

  private void lower(int leafIndex) {
    int position = leafIndex;
    for (long[] summary : summaries) {
      int index = position >>> WORD_SHIFT;
      long after = summary[index] & ~(1L << position);
      summary[index] = after;
      if (after != 0) {
        return;
      }
      position = index;
    }
  }

  /** Returns the lowest free block, or −1 if there is none. */
  int first() {
    if (count == 0) {
      return NONE;
    }
    int position = 0;
    for (int level = summaries.length - 1; level >= 0; level--) {
      position = position << WORD_SHIFT | Long.numberOfTrailingZeros(summaries[level][position]);
    }
    long[] leaf = leaves[position];
    int word = Long.numberOfTrailingZeros(leaf[0]);
    int bit = Long.numberOfTrailingZeros(leaf[1 + word]);
    return ((position << WORD_SHIFT | word) << WORD_SHIFT | bit) << order;
  }

  /** Returns the lowest free block that ends after a page, or −1 if there is none. */
  int next(int page) {
    int position = page >>> order;
    for (int level = 0; level < levels(); level++) {
      int index = position >>> WORD_SHIFT;
      long rest = word(level, index) & -1L << position;
      if (rest != 0) {
        return descend(level, index << WORD_SHIFT | Long.numberOfTrailingZeros(rest)) << order;
      }
      position = index + 1;
    }
    return NONE;
  }

  private int levels() {
    return 2 + summaries.length;
  }

  /**
   * Follows the lowest bits down, from a word whose number is the position of a bit one level up.
   */
  private int descend(int level, int index) {
    int position = index;
    for (int below = level - 1; below >= 0; below--) {
      position = position << WORD_SHIFT | Long.numberOfTrailingZeros(word(below, position));
    }
    return position;
  }

  /** Returns a word of the tree; 0 where the tree has none. */
  private long word(int level, int index) {
    if (level > 1) {
      long[] summary = summaries[level - 2];
      return index < summary.length ? summary[index] : 0;
    }
    long[] leaf = leaf(level == 0 ? index >>> WORD_SHIFT : index);
    if (leaf == null) {
      return 0;
    }
    int slot = level == 0 ? 1 + (index & WORD_MASK) : 0;
    return slot < leaf.length ? leaf[slot] : 0;
  }

  private long[] leaf(int index) {
    return index < leaves.length ? leaves[index] : null;
  }

  /** Returns what the arrays of this area cost on the Java heap, in bytes. */
  long metadataBytes() {
    long bytes = Footprint.ofReferences(leaves.length) + Footprint.ofReferences(summaries.length);
    for (long[] leaf : leaves) {
      bytes += leaf == null ? 0 : Footprint.ofArray(leaf.length, Long.BYTES);
    }
    for (long[] summary : summaries) {
      bytes += Footprint.ofArray(summary.length, Long.BYTES);
    }
    return bytes;
  }

  /**
   * Compares each summary bit with the word below it and the count with the bits.
   *
   * @throws AssertionError if they differ
   */
  void validate() {
    int blocks = 0;
    for (long[] leaf : leaves) {
      for (int slot = 1; leaf != null && slot < leaf.length; slot++) {
        blocks += Long.bitCount(leaf[slot]);
      }
    }
    if (blocks != count) {
      throw disagreement("count", count, blocks);
    }
    int belowWords = words;
    for (int level = 1; level < levels(); level++) {
      int levelWords = wordsFor(belowWords);
      for (int index = 0; index < levelWords; index++) {
        long expected = 0;
        for (int bit = 0; bit < Long.SIZE; bit++) {
          expected |= word(level - 1, index << WORD_SHIFT | bit) != 0 ? 1L << bit : 0;
        }
        if (word(level, index) != expected) {
          throw disagreement("summary level " + level, word(level, index), expected);
        }
      }
      belowWords = levelWords;
    }
  }

  private AssertionError disagreement(String what, long actual, long expected) {
    return new AssertionError(
        what + " of order " + order + ": actual=" + actual + ", expected=" + expected);
  }
}
