/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zone;

import java.util.Arrays;

/**
 * Which pages were given back after somebody could write to them, one bit per page; all others
 * still hold the zeros with which they came. A page that is in a live run now has the bit that it
 * had before.
 *
 * <p>Bits exist in groups of {@value PageMap#GROUP_PAGES} pages, each from the first {@link #cover}
 * on; only that allocates on the Java heap. Not safe for use by more than one thread.
 */
final class WrittenMap {
  private static final int WORD_SHIFT = Integer.numberOfTrailingZeros(Long.SIZE);
  private static final int GROUP_SHIFT = Integer.numberOfTrailingZeros(PageMap.GROUP_PAGES);
  private static final int GROUP_WORDS = PageMap.GROUP_PAGES / Long.SIZE;
  private static final long[][] NO_GROUPS = {};

  /** No page of a run has its bit. */
  static final int NONE = 0;

  /** Some pages of a run have their bits, and some have not. */
  static final int SOME = 1;

  /** Every page of a run has its bit. */
  static final int ALL = 2;

  private final int regionPages;
  private long[][] groups = NO_GROUPS;

  WrittenMap(int regionPages) {
    this.regionPages = regionPages;
  }

  /** Makes room for the bits of a run. If the Java heap is exhausted no bit has changed. */
  void cover(int page, int pages) {
    int last = (page + (pages - 1)) >>> GROUP_SHIFT;
    if (last >= groups.length) {
      int limit = ((regionPages - 1) >>> GROUP_SHIFT) + 1;
      groups = Arrays.copyOf(groups, Math.min(limit, Math.max(last + 1, 2 * groups.length)));
    }
    for (int index = page >>> GROUP_SHIFT; index <= last; index++) {
      if (groups[index] == null) {
        groups[index] = new long[GROUP_WORDS];
      }
    }
  }

  /** Sets the bits of a run, all of which is covered. */
  void set(int page, int pages) {
    change(page, pages, true);
  }

  /** Clears the bits of a run, covered or not. */
  void clear(int page, int pages) {
    change(page, pages, false);
  }

  private void change(int page, int pages, boolean written) {
    int last = page + (pages - 1);
    for (int word = page >>> WORD_SHIFT; word <= last >>> WORD_SHIFT; word++) {
      long[] group = group(word);
      if (group != null) {
        long mask = mask(word, page, last);
        int slot = word & (GROUP_WORDS - 1);
        group[slot] = written ? group[slot] | mask : group[slot] & ~mask;
      }
    }
  }

  /** Tells how many of the bits of a run are set: {@link #NONE}, {@link #SOME} or {@link #ALL}. */
  int of(int page, int pages) {
    int last = page + (pages - 1);
    long any = 0;
    long missing = 0;
    for (int word = page >>> WORD_SHIFT; word <= last >>> WORD_SHIFT; word++) {
      long[] group = group(word);
      long bits = group == null ? 0 : group[word & (GROUP_WORDS - 1)];
      long mask = mask(word, page, last);
      any |= bits & mask;
      missing |= ~bits & mask;
    }
    if (any == 0) {
      return NONE;
    }
    return missing == 0 ? ALL : SOME;
  }

  /**
   * Returns the first page from one on, up to an end, whose bit is as wanted.
   *
   * @return the page, or {@code end} if there is none
   */
  int next(int page, int end, boolean written) {
    for (int word = page >>> WORD_SHIFT; word <= (end - 1) >>> WORD_SHIFT; word++) {
      long[] group = group(word);
      long bits = group == null ? 0 : group[word & (GROUP_WORDS - 1)];
      long wanted = (written ? bits : ~bits) & mask(word, page, end - 1);
      if (wanted != 0) {
        return (word << WORD_SHIFT) + Long.numberOfTrailingZeros(wanted);
      }
    }
    return end;
  }

  private long[] group(int word) {
    int index = word >>> (GROUP_SHIFT - WORD_SHIFT);
    return index < groups.length ? groups[index] : null;
  }

  /** The bits of a word that lie between two pages, both inclusive. */
  private static long mask(int word, int page, int last) {
    int from = Math.max(0, page - (word << WORD_SHIFT));
    int to = Math.min(Long.SIZE - 1, last - (word << WORD_SHIFT));
    return -1L << from & -1L >>> (Long.SIZE - 1 - to);
  }

  /** Returns what the bits cost on the Java heap, in bytes. */
  long metadataBytes() {
    long bytes = Footprint.ofReferences(groups.length);
    for (long[] group : groups) {
      bytes += group == null ? 0 : Footprint.ofArray(group.length, Long.BYTES);
    }
    return bytes;
  }
}
