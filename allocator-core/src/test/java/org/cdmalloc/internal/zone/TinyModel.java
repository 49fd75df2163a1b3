/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zone;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

/**
 * What a zone of at most 64 pages must do, told exactly: which pages are free is one word, and the
 * free blocks are derived from it anew each time, without splitting or merging anything.
 */
final class TinyModel {
  final int capacityPages;
  private final int maxOrder;
  private final int commitPages;

  /** The length of the run that starts at a page, or 0. */
  private final int[] runs;

  /** Every page of a live run carries the run's first page plus 1. */
  private final int[] owners;

  private long freeMask;
  private long committedMask;
  private int liveRuns;

  TinyModel(int capacityPages, int maxOrder, int commitPages) {
    this.capacityPages = capacityPages;
    this.maxOrder = maxOrder;
    this.commitPages = commitPages;
    this.runs = new int[capacityPages];
    this.owners = new int[capacityPages];
    this.freeMask = -1L >>> (Long.SIZE - capacityPages);
  }

  int liveRuns() {
    return liveRuns;
  }

  boolean isHead(int page) {
    return runs[page] != 0;
  }

  int freePages() {
    return Long.bitCount(freeMask);
  }

  /** The pages at which a free, aligned, whole block of an order starts, as bits. */
  private long wholeBlocks(int order) {
    long blocks = 0;
    int size = 1 << order;
    long mask = size == Long.SIZE ? -1L : (1L << size) - 1;
    for (int page = 0; page + size <= capacityPages; page += size) {
      if ((freeMask >>> page & mask) == mask) {
        blocks |= 1L << page;
      }
    }
    return blocks;
  }

  /** As {@link #wholeBlocks}, without those that are half of a larger one. */
  private long freeBlocks(int order) {
    long blocks = wholeBlocks(order);
    if (order < maxOrder) {
      long larger = wholeBlocks(order + 1);
      blocks &= ~(larger | larger << (1 << order));
    }
    return blocks;
  }

  private static int orderOf(int pages) {
    int order = 0;
    while (1 << order < pages) {
      order++;
    }
    return order;
  }

  private boolean isCommitted(int page, int pages) {
    for (int at = page; at < page + pages; at++) {
      if ((committedMask >>> at & 1) == 0) {
        return false;
      }
    }
    return true;
  }

  long take(int pages, int floorPages) {
    if (freePages() - pages < floorPages) {
      return Zone.NONE;
    }
    for (int order = orderOf(pages); order <= maxOrder; order++) {
      long blocks = freeBlocks(order);
      if (blocks != 0) {
        return own(Long.numberOfTrailingZeros(blocks), pages);
      }
    }
    return Zone.NONE;
  }

  long takeCommitted(int pages, int floorPages) {
    int order = orderOf(pages);
    if (freePages() - pages < floorPages || order > maxOrder) {
      return Zone.NONE;
    }
    for (long blocks = wholeBlocks(order); blocks != 0; blocks &= blocks - 1) {
      int page = Long.numberOfTrailingZeros(blocks);
      if (isCommitted(page, pages)) {
        return own(page, pages);
      }
    }
    return Zone.NONE;
  }

  private long own(int page, int pages) {
    runs[page] = pages;
    liveRuns++;
    for (int at = page; at < page + pages; at++) {
      assertEquals(0, owners[at], "model: page owned twice");
      owners[at] = page + 1;
      freeMask &= ~(1L << at);
    }
    return page;
  }

  int pages(int page) {
    if (owners[page] == 0) {
      return Zone.NOT_LIVE;
    }
    return runs[page] == 0 ? Zone.INTERIOR : runs[page];
  }

  int free(int page) {
    int pages = pages(page);
    if (pages > 0) {
      runs[page] = 0;
      liveRuns--;
      for (int at = page; at < page + pages; at++) {
        owners[at] = 0;
        freeMask |= 1L << at;
      }
    }
    return pages;
  }

  void mark(int page, int pages, boolean committed) {
    for (int at = 0; at < capacityPages; at++) {
      int unit = at / commitPages;
      if (unit >= page / commitPages && unit <= (page + pages - 1) / commitPages) {
        committedMask = committed ? committedMask | 1L << at : committedMask & ~(1L << at);
      }
    }
  }

  /** Compares the result of a take of the zone with that of the model. */
  void assertTook(long expected, long actual, int pages) {
    assertEquals(expected, actual < 0 ? actual : Zone.page(actual), "first page of the run");
    if (actual >= 0) {
      assertEquals(isCommitted(Zone.page(actual), pages), Zone.isCommitted(actual), "committed");
    }
  }

  /** Compares every count of the zone, and lets it check itself. */
  void assertAgrees(Zone zone) {
    zone.validate();
    assertEquals(freePages(), zone.freePages(), "free pages");
    assertEquals(capacityPages - freePages(), zone.usedPages(), "used pages");
    assertEquals(liveRuns, zone.liveRuns(), "live runs");
    assertEquals(Long.bitCount(committedMask), zone.committedPages(), "committed pages");
    int[] blocks = new int[maxOrder + 1];
    int largest = -1;
    for (int order = 0; order <= maxOrder; order++) {
      blocks[order] = Long.bitCount(freeBlocks(order));
      largest = blocks[order] > 0 ? order : largest;
    }
    assertArrayEquals(blocks, zone.freeBlocksPerOrder(), "free blocks");
    assertEquals(largest, zone.largestFreeOrder(), "largest free order");
    for (int page = 0; page < capacityPages; page++) {
      assertEquals(pages(page), zone.pages(page), "pages of the run");
    }
  }
}
