/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zone;

import java.util.Arrays;

/**
 * The live runs, one byte per page. A run of any length is written as its powers of two in
 * descending order, which are its <em>pieces</em>: 17 pages are a piece of order 4 and one of order
 * 0. The byte of a piece's first page says what starts there, every other byte is 0; so a run's
 * length needs no table of its own, and to write or to read it takes as many bytes as it has
 * pieces.
 *
 * <pre>
 * bit   7      6      5      4 … 0
 *       MORE   PART   HEAD   order
 *
 * HEAD   the first piece of a run
 * PART   a later piece; with HEAD, the first piece of a run that is marked: there is more to know
 * MORE   another piece follows at once
 * </pre>
 *
 * <p>Bytes exist in groups of {@value #GROUP_PAGES} pages, each from the moment at which a piece
 * first starts in it ({@link #cover}). Only that allocates on the Java heap. Not safe for use by
 * more than one thread.
 */
final class PageMap {
  /** The pages of one group: as many as a leaf of {@link FreeArea} has blocks of order 0. */
  static final int GROUP_PAGES = FreeArea.LEAF_BLOCKS;

  private static final int ORDER_MASK = 0x1f;
  private static final int HEAD = 0x20;
  private static final int PART = 0x40;
  private static final int MORE = 0x80;
  private static final byte[][] NO_GROUPS = {};

  private final int regionPages;
  private byte[][] groups = NO_GROUPS;

  PageMap(int regionPages) {
    this.regionPages = regionPages;
  }

  /** Tells whether a piece starts at a page whose entry this is. */
  static boolean isPiece(int entry) {
    return entry != 0;
  }

  /** Tells whether a run starts at a page whose entry this is. */
  static boolean isHead(int entry) {
    return (entry & HEAD) != 0;
  }

  /** Tells whether a run that is marked starts at a page whose entry this is. */
  static boolean isMarked(int entry) {
    return (entry & (HEAD | PART)) == (HEAD | PART);
  }

  /** Tells whether the run goes on after the piece whose entry this is. */
  static boolean hasMore(int entry) {
    return (entry & MORE) != 0;
  }

  /** Returns the order of the piece whose entry this is. */
  static int order(int entry) {
    return entry & ORDER_MASK;
  }

  /** Tells whether {@link #cover} was called for this page or another of its group. */
  boolean covers(int page) {
    int index = page / GROUP_PAGES;
    return index < groups.length && groups[index] != null;
  }

  /** Makes room for the entry of a page. If the Java heap is exhausted the map is as before. */
  void cover(int page) {
    int index = page / GROUP_PAGES;
    if (index >= groups.length) {
      int limit = (regionPages - 1) / GROUP_PAGES + 1;
      groups = Arrays.copyOf(groups, Math.min(limit, Math.max(index + 1, 2 * groups.length)));
    }
    if (groups[index] == null) {
      groups[index] = new byte[Math.min(GROUP_PAGES, regionPages - index * GROUP_PAGES)];
    }
  }

  /** Returns the entry of a page: 0 unless a piece starts there. */
  int entry(int page) {
    return covers(page) ? groups[page / GROUP_PAGES][page % GROUP_PAGES] & 0xff : 0;
  }

  /** Removes the entry of a piece. */
  void clear(int page) {
    groups[page / GROUP_PAGES][page % GROUP_PAGES] = 0;
  }

  /** Writes a run whose pieces are all covered. */
  void write(int page, int pages, boolean marked) {
    int kind = marked ? HEAD | PART : HEAD;
    int start = page;
    for (int rest = pages; rest != 0; kind = PART) {
      int piece = Integer.highestOneBit(rest);
      rest -= piece;
      int entry = kind | Integer.numberOfTrailingZeros(piece) | (rest != 0 ? MORE : 0);
      groups[start / GROUP_PAGES][start % GROUP_PAGES] = (byte) entry;
      start += piece;
    }
  }

  /** Marks the run that starts at a page, or takes its mark. */
  void mark(int page, boolean marked) {
    int entry = entry(page);
    groups[page / GROUP_PAGES][page % GROUP_PAGES] = (byte) (marked ? entry | PART : entry & ~PART);
  }

  /** Returns the number of pages of the run that starts at a page. */
  int runPages(int page) {
    int start = page;
    int entry = entry(start);
    while (hasMore(entry)) {
      start += 1 << order(entry);
      entry = entry(start);
    }
    return start + (1 << order(entry)) - page;
  }

  /**
   * Tells whether a page lies in a live run. A piece is aligned to its size, so it starts at the
   * page itself or where some of the page's low bits are cleared; the first piece found decides,
   * because an earlier one that reached the page would overlap it.
   */
  boolean isLive(int page) {
    for (int order = 0; order < Integer.SIZE - 1; order++) {
      int start = page & -(1 << order);
      int entry = entry(start);
      if (isPiece(entry)) {
        return page - start < 1 << order(entry);
      }
    }
    return false;
  }

  /**
   * Returns the first page of the live run that a page lies in, or −1. A run starts at a multiple
   * of a power of two that is not smaller than the run, so it starts where some of the low bits of
   * each of its pages are cleared; the first run found decides, as in {@link #isLive}.
   */
  int runStart(int page) {
    for (int order = 0; order < Integer.SIZE - 1; order++) {
      int start = page & -(1 << order);
      if (isHead(entry(start))) {
        return page - start < runPages(start) ? start : -1;
      }
    }
    return -1;
  }

  /** Returns how many runs are marked. */
  int markedRuns() {
    int marked = 0;
    for (byte[] group : groups) {
      for (int index = 0; group != null && index < group.length; index++) {
        marked += isMarked(group[index]) ? 1 : 0;
      }
    }
    return marked;
  }

  /** Returns how many entries are not 0. */
  int pieces() {
    int pieces = 0;
    for (byte[] group : groups) {
      for (int index = 0; group != null && index < group.length; index++) {
        pieces += group[index] != 0 ? 1 : 0;
      }
    }
    return pieces;
  }

  /** Returns what the arrays of this map cost on the Java heap, in bytes. */
  long metadataBytes() {
    long bytes = Footprint.ofReferences(groups.length);
    for (byte[] group : groups) {
      bytes += group == null ? 0 : Footprint.ofArray(group.length, Byte.BYTES);
    }
    return bytes;
  }
}
