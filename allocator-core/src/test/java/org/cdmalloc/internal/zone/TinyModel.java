/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zone;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;

import java.util.BitSet;

/**
 * What a zone of at most 64 pages must do, told exactly: which pages are free is one word, and the
 * free blocks are derived from it anew each time, without splitting or merging anything.
 */
final class TinyModel {
  final int regionPages;
  private final int sparePages;
  private final int maxOrder;
  private final int commitPages;

  /** The length of the run that starts at a page, or 0. */
  private final int[] runs;

  /** Every page of a live run carries the run's first page plus 1. */
  private final int[] owners;

  /** Whom the run that starts at a page belongs to, or null. */
  private final Object[] masters;

  private long freeMask;
  private long committedMask;
  private long writtenMask;

  /** Pages of units that were committed and free when last looked at, and not taken since. */
  private long idleMask;

  private int lentPages;
  private int liveRuns;

  TinyModel(int capacityPages, int maxOrder, int commitPages) {
    this(capacityPages, capacityPages, maxOrder, commitPages);
  }

  TinyModel(int regionPages, int capacityPages, int maxOrder, int commitPages) {
    this.regionPages = regionPages;
    this.sparePages = regionPages - capacityPages;
    this.maxOrder = maxOrder;
    this.commitPages = commitPages;
    this.runs = new int[regionPages];
    this.owners = new int[regionPages];
    this.masters = new Object[regionPages];
    this.freeMask = -1L >>> (Long.SIZE - regionPages);
  }

  int liveRuns() {
    return liveRuns;
  }

  boolean isHead(int page) {
    return runs[page] != 0;
  }

  int freePages() {
    return Long.bitCount(freeMask) - sparePages - lentPages;
  }

  Object master(int page) {
    return masters[page];
  }

  /** The pages at which a free, aligned, whole block of an order starts, as bits. */
  private long wholeBlocks(int order) {
    long blocks = 0;
    int size = 1 << order;
    long mask = size == Long.SIZE ? -1L : (1L << size) - 1;
    for (int page = 0; page + size <= regionPages; page += size) {
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
    return take(pages, floorPages, 0, null);
  }

  long take(int pages, int floorPages, int alignOrder, Object master) {
    if (freePages() - pages < floorPages) {
      return Zone.NONE;
    }
    for (int order = Math.max(alignOrder, orderOf(pages)); order <= maxOrder; order++) {
      long blocks = freeBlocks(order);
      if (blocks != 0) {
        return own(Long.numberOfTrailingZeros(blocks), pages, master);
      }
    }
    return Zone.NONE;
  }

  long takeCommitted(int pages, int floorPages) {
    return takeCommitted(pages, floorPages, 0, null);
  }

  long takeCommitted(int pages, int floorPages, int alignOrder, Object master) {
    int order = Math.max(alignOrder, orderOf(pages));
    if (freePages() - pages < floorPages || order > maxOrder) {
      return Zone.NONE;
    }
    for (long blocks = wholeBlocks(order); blocks != 0; blocks &= blocks - 1) {
      int page = Long.numberOfTrailingZeros(blocks);
      if (isCommitted(page, pages)) {
        return own(page, pages, master);
      }
    }
    return Zone.NONE;
  }

  private long own(int page, int pages, Object master) {
    runs[page] = pages;
    masters[page] = master;
    liveRuns++;
    for (int at = page; at < page + pages; at++) {
      assertEquals(0, owners[at], "model: page owned twice");
      owners[at] = page + 1;
      freeMask &= ~(1L << at);
      idleMask &= ~unitMask(at / commitPages);
    }
    return page;
  }

  int runStart(int page) {
    return owners[page] == 0 ? Zone.NOT_LIVE : owners[page] - 1;
  }

  private long unitMask(int unit) {
    long mask = 0;
    for (int at = 0; at < regionPages; at++) {
      mask |= at / commitPages == unit ? 1L << at : 0;
    }
    return mask;
  }

  private int units() {
    return (regionPages - 1) / commitPages + 1;
  }

  /** Returns the units that are not committed any more. */
  BitSet retire(int from, int to, boolean onlyIdle) {
    BitSet retired = new BitSet();
    for (int unit = from; unit < Math.min(to, units()); unit++) {
      long mask = unitMask(unit);
      boolean committed = (committedMask & mask) == mask;
      if (committed && (freeMask & mask) == mask) {
        if (!onlyIdle || (idleMask & mask) == mask) {
          retired.set(unit);
          committedMask &= ~mask;
          idleMask &= ~mask;
        } else {
          idleMask |= mask;
        }
      } else if (committed) {
        idleMask &= ~mask;
      }
    }
    return retired;
  }

  void purged(BitSet units) {
    units.stream().forEach(unit -> writtenMask &= ~unitMask(unit));
  }

  boolean lend(int pages, int floorPages) {
    if (freePages() - pages < floorPages
        || Long.bitCount(committedMask) + lentPages + pages > regionPages - sparePages) {
      return false;
    }
    lentPages += pages;
    return true;
  }

  void repay(int pages) {
    lentPages -= pages;
  }

  int lentPages() {
    return lentPages;
  }

  int pages(int page) {
    if (owners[page] == 0) {
      return Zone.NOT_LIVE;
    }
    return runs[page] == 0 ? Zone.INTERIOR : runs[page];
  }

  int free(int page) {
    return free(page, null);
  }

  int free(int page, Object master) {
    int pages = pages(page);
    if (pages > 0 && masters[page] != master) {
      return Zone.OWNED;
    }
    if (pages > 0) {
      runs[page] = 0;
      masters[page] = null;
      liveRuns--;
      for (int at = page; at < page + pages; at++) {
        owners[at] = 0;
        freeMask |= 1L << at;
        writtenMask |= 1L << at;
      }
    }
    return pages;
  }

  void mark(int page, int pages, boolean committed) {
    long mask = unitsOf(page, pages);
    committedMask = committed ? committedMask | mask : committedMask & ~mask;
  }

  /** Returns how many pages would be committed if those of a run were too. */
  int committedWith(int page, int pages) {
    return Long.bitCount(committedMask | unitsOf(page, pages));
  }

  private long unitsOf(int page, int pages) {
    long mask = 0;
    for (int unit = page / commitPages; unit <= (page + pages - 1) / commitPages; unit++) {
      mask |= unitMask(unit);
    }
    return mask;
  }

  /** Compares the result of a take of the zone with that of the model. */
  void assertTook(long expected, long actual, int pages) {
    assertEquals(expected, actual < 0 ? actual : Zone.page(actual), "first page of the run");
    if (actual >= 0) {
      int page = Zone.page(actual);
      assertEquals(isCommitted(page, pages), Zone.isCommitted(actual), "committed");
      long run = (pages == Long.SIZE ? -1L : (1L << pages) - 1) << page;
      assertEquals((writtenMask & run) != 0, Zone.isWritten(actual), "written");
      assertEquals(
          (writtenMask & run) == run, Zone.isWrittenThroughout(actual), "written throughout");
    }
  }

  /** Compares every count of the zone, and lets it check itself. */
  void assertAgrees(Zone zone) {
    zone.validate();
    assertEquals(freePages(), zone.freePages(), "free pages");
    assertEquals(regionPages - Long.bitCount(freeMask), zone.usedPages(), "used pages");
    assertEquals(lentPages, zone.lentPages(), "lent pages");
    int backed = Long.bitCount(committedMask) + lentPages;
    assertEquals(regionPages - sparePages - backed, zone.unbackedPages(), "unbacked pages");
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
    for (int page = 0; page < regionPages; page++) {
      assertEquals(pages(page), zone.pages(page), "pages of the run");
      assertEquals(runStart(page), zone.runStart(page), "start of the run");
      assertSame(masters[page], zone.owner(page), "owner of the run");
      int end = page + 1;
      boolean written = (writtenMask >>> page & 1) != 0;
      assertEquals(written ? page : end, zone.nextWritten(page, end, true), "written");
    }
  }
}
