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
  private static final int GROUP_PAGES = PageMap.GROUP_PAGES;
  private static final long[][] NO_GROUPS = {};

  private final int capacityPages;
  private long[][] groups = NO_GROUPS;

  WrittenMap(int capacityPages) {
    this.capacityPages = capacityPages;
  }

  /** Makes room for the bits of a run. If the Java heap is exhausted no bit has changed. */
  void cover(int page, int pages) {
    int last = (page + (pages - 1)) / GROUP_PAGES;
    if (last >= groups.length) {
      int limit = (capacityPages - 1) / GROUP_PAGES + 1;
      groups = Arrays.copyOf(groups, Math.min(limit, Math.max(last + 1, 2 * groups.length)));
    }
    for (int index = page / GROUP_PAGES; index <= last; index++) {
      if (groups[index] == null) {
        groups[index] = new long[GROUP_PAGES / Long.SIZE];
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
    for (int word = page / Long.SIZE; word <= last / Long.SIZE; word++) {
      long[] group = group(word);
      if (group != null) {
        long mask = mask(word, page, last);
        int slot = word % (GROUP_PAGES / Long.SIZE);
        group[slot] = written ? group[slot] | mask : group[slot] & ~mask;
      }
    }
  }

  /**
   * Returns the first page from one on, up to an end, whose bit is as wanted.
   *
   * @return the page, or {@code end} if there is none
   */
  int next(int page, int end, boolean written) {
    for (int word = page / Long.SIZE; word <= (end - 1) / Long.SIZE; word++) {
      long[] group = group(word);
      long bits = group == null ? 0 : group[word % (GROUP_PAGES / Long.SIZE)];
      long wanted = (written ? bits : ~bits) & mask(word, page, end - 1);
      if (wanted != 0) {
        return word * Long.SIZE + Long.numberOfTrailingZeros(wanted);
      }
    }
    return end;
  }

  private long[] group(int word) {
    int index = word / (GROUP_PAGES / Long.SIZE);
    return index < groups.length ? groups[index] : null;
  }

  /** The bits of a word that lie between two pages, both inclusive. */
  private static long mask(int word, int page, int last) {
    int from = Math.max(0, page - word * Long.SIZE);
    int to = Math.min(Long.SIZE - 1, last - word * Long.SIZE);
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
