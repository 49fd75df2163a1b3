/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.nio.ByteBuffer;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.ReentrantLock;
import org.cdmalloc.internal.address.RegionAddresses;
import org.cdmalloc.internal.zone.Watermarks;
import org.cdmalloc.internal.zone.Zone;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Region;
import org.cdmalloc.spi.Residency;

/**
 * A zone over a region: hands out pages that are resident on their node, asking the source for
 * memory when a run of pages is not backed yet.
 */
public final class BackedZone {
  /** What is asked of a source at a time: the size of a huge page on most machines. */
  static final long COMMIT_BYTES = 2L << 20;

  /** The largest block of a region that is mapped in pieces: one piece. */
  private static final int PIECE_ORDER =
      Long.numberOfTrailingZeros(MemorySource.ROOT_BYTES / Zone.PAGE_BYTES);

  /** The largest block of any region: 4 TiB. */
  private static final int ADDRESS_ORDER = 30;

  /**
   * Keeps the regions of allocators mapped that nobody closed: a raw address keeps nothing
   * reachable, and reading one must not crash the JVM because its allocator was collected.
   */
  private static final Set<BackedZone> OPEN = ConcurrentHashMap.newKeySet();

  private static final int COMMIT_PAGES = (int) (COMMIT_BYTES / Zone.PAGE_BYTES);

  /*
   * Algorithmic notes.
   *
   * State: the zone (pages free or taken, units committed or not; its own lock), the region (null once
   * closed), what of it close could not release, commitLock.
   *
   * Invariants: (I1) a unit marked committed is resident until close; (I2) memory of a unit is asked
   * for, and given back on failure, only under commitLock and only while no committed mark for it is
   * visible; (I3) a run handed out lies in units marked committed.
   *
   * A run is taken first and backed afterwards, outside the zone's lock, so that a slow kernel stops
   * nobody who finds backed pages. Two runs may share a unit: whoever comes second finds it marked, or
   * asks for it itself after the first one failed. All units of a run are marked together after the
   * last was committed: were they marked one by one, another thread could be given pages of a unit
   * that a later failure takes back (I2).
   *
   * Close: the zone refuses first, then the region is released under commitLock; a request that took
   * its run before the zone closed finds no region and says closed, or has an address whose memory
   * reads zeros, as every address has after close. A region that could not be released is kept for the
   * next close; if the source then says that it is released, the failed call did it after all.
   */

  private final int node;
  private final MemorySource source;
  private final Zone zone;
  private final RegionAddresses addresses;
  private final ReentrantLock commitLock = new ReentrantLock();
  private volatile Region region;

  /** What a close tried to release in vain, or null; guarded by commitLock. */
  private Region unreleased;

  private volatile CommitResult lastRefusal = CommitResult.COMMITTED;

  private BackedZone(int node, MemorySource source, Region region) {
    this.node = node;
    this.source = source;
    this.region = region;
    this.addresses = RegionAddresses.of(region, source);
    int pages = Math.toIntExact(region.bytes() / Zone.PAGE_BYTES);
    this.zone =
        new Zone(
            pages,
            addresses.isContiguous() ? ADDRESS_ORDER : PIECE_ORDER,
            COMMIT_PAGES,
            Watermarks.of(pages));
  }

  /**
   * Reserves a region and puts a zone over it. No memory is used yet.
   *
   * @param node the node that the zone stands for
   * @param backingNode the node whose memory backs it; another one for a designated arena
   * @param bytes the capacity, a whole multiple of the source's page size
   * @param source where the region comes from
   * @return the zone
   */
  public static BackedZone reserve(int node, int backingNode, long bytes, MemorySource source) {
    Region region = source.reserve(backingNode, bytes);
    boolean reserved = false;
    try {
      BackedZone zone = new BackedZone(node, source, region);
      OPEN.add(zone);
      reserved = true;
      return zone;
    } finally {
      if (!reserved) {
        source.release(region);
      }
    }
  }

  /**
   * Takes a run of pages, backed.
   *
   * @param pages how many, positive
   * @param floorPages how many must stay free
   * @return the address of the first byte, or 0 if the node has no room; {@link #whyNot} says why
   * @throws IllegalStateException if the zone is closed
   */
  long take(int pages, int floorPages) {
    long run = zone.take(pages, floorPages);
    if (run >= 0 && !Zone.isCommitted(run) && !backOrFree(Zone.page(run), pages)) {
      run = zone.takeCommitted(pages, floorPages);
    }
    if (run == Zone.CLOSED) {
      throw closed();
    }
    return run < 0 ? 0 : addresses.address(offset(Zone.page(run)));
  }

  /** Backs a run that was taken; if that fails, by a value or an exception, the run is freed. */
  private boolean backOrFree(int page, int pages) {
    boolean backed = false;
    try {
      backed = back(page, pages);
      return backed;
    } finally {
      if (!backed) {
        zone.free(page);
      }
    }
  }

  private boolean back(int page, int pages) {
    int end = page + pages;
    commitLock.lock();
    try {
      Region target = requireRegion();
      int reached = page;
      boolean backed = false;
      try {
        for (int unit = nextUnbacked(page, end); unit >= 0; unit = nextUnbacked(reached, end)) {
          int after = unit + 1;
          while (isUnbacked(after, end)) {
            after++;
          }
          CommitResult result = source.commit(target, unitOffset(unit), unitBytes(unit, after));
          if (!result.isCommitted()) {
            lastRefusal = result;
            return false;
          }
          reached = Math.min(end, firstPage(after));
        }
        zone.markCommitted(page, pages);
        lastRefusal = CommitResult.COMMITTED;
        backed = true;
        return true;
      } finally {
        if (!backed) {
          giveBack(target, page, reached);
        }
      }
    } finally {
      commitLock.unlock();
    }
  }

  private boolean isUnbacked(int unit, int end) {
    int page = firstPage(unit);
    return page < end && zone.uncommittedUnit(page, 1) == unit;
  }

  private int nextUnbacked(int page, int end) {
    return page == end ? Zone.NONE : zone.uncommittedUnit(page, end - page);
  }

  /**
   * Returns what a failed run had got; its units are not marked, so nobody else can use them. A
   * unit that the source fails to take back keeps none of the others.
   */
  private void giveBack(Region target, int page, int end) {
    RuntimeException failure = null;
    int at = page;
    for (int unit = nextUnbacked(at, end); unit >= 0; unit = nextUnbacked(at, end)) {
      try {
        source.purge(target, unitOffset(unit), unitBytes(unit, unit + 1));
      } catch (RuntimeException e) {
        failure = joined(failure, e);
      }
      at = Math.min(end, firstPage(unit + 1));
    }
    if (failure != null) {
      throw failure;
    }
  }

  /** Returns the first of several failures, with the others under it. */
  static RuntimeException joined(RuntimeException first, RuntimeException next) {
    if (first == null) {
      return next;
    }
    if (first != next) {
      first.addSuppressed(next);
    }
    return first;
  }

  /**
   * Frees the run that begins at an offset.
   *
   * @param offset in the region, in bytes
   * @return the pages freed, or {@link Zone#NOT_LIVE}, {@link Zone#INTERIOR}, {@link Zone#CLOSED}
   */
  int free(long offset) {
    return zone.free((int) (offset / Zone.PAGE_BYTES));
  }

  /**
   * Returns the size of the run that begins at an offset.
   *
   * @param offset in the region, in bytes
   * @return pages, or {@link Zone#NOT_LIVE}, {@link Zone#INTERIOR}
   */
  int pages(long offset) {
    return zone.pages((int) (offset / Zone.PAGE_BYTES));
  }

  /** Returns a buffer over a range of the region. */
  ByteBuffer view(long offset, int bytes) {
    return source.view(requireRegion(), offset, bytes);
  }

  /** Asks where the pages of a range lie. */
  Residency residency(long offset, long bytes) {
    return source.residency(requireRegion(), offset, bytes);
  }

  /**
   * Refuses all further requests, gives the memory back and lets the address space go when no view
   * of it is reachable. Does nothing the second time, unless the source failed to take the memory:
   * then it is asked again.
   */
  void close() {
    zone.close();
    commitLock.lock();
    try {
      Region target = region;
      if (target != null) {
        region = null;
        unreleased = target;
        OPEN.remove(this);
        source.release(target);
        unreleased = null;
      } else if (unreleased != null) {
        releaseAgain(unreleased);
        unreleased = null;
      }
    } finally {
      commitLock.unlock();
    }
  }

  private void releaseAgain(Region target) {
    try {
      source.release(target);
    } catch (IllegalStateException e) {
      // Released by the call that failed.
    }
  }

  /**
   * Says why a request failed, as far as it can still be seen.
   *
   * @param pages the request
   * @param floorPages how many pages had to stay free
   * @return figures and the reason
   */
  String whyNot(int pages, int floorPages) {
    int[] free = zone.freeBlocksPerOrder();
    int freePages = zone.freePages();
    StringBuilder text = new StringBuilder(160);
    if (pages > largestRunPages()) {
      text.append("larger than its largest block: largest_bytes=")
          .append((long) largestRunPages() * Zone.PAGE_BYTES);
    } else if (freePages - pages < floorPages) {
      text.append(floorPages > 0 ? "would fall below its low mark" : "has too few free pages");
    } else if (pages > 1 << Math.max(0, zone.largestFreeOrder())) {
      text.append("free pages are not in one block");
    } else if (!lastRefusal.isCommitted()) {
      text.append("memory refused: ")
          .append(lastRefusal.outcome())
          .append(' ')
          .append(lastRefusal.detail());
    } else {
      text.append("others were faster; it may have room now");
    }
    Watermarks marks = zone.watermarks();
    text.append(", wanted_pages=").append(pages).append(", free_pages=").append(freePages);
    text.append(", capacity_pages=").append(zone.capacityPages());
    text.append(", min=").append(marks.minPages()).append(", low=").append(marks.lowPages());
    text.append(", high=").append(marks.highPages()).append(", free_blocks_per_order=[");
    for (int order = 0; order < free.length; order++) {
      text.append(order == 0 ? "" : " ").append(free[order]);
    }
    return text.append(']').toString();
  }

  /** Returns the longest run that one request can get. */
  int largestRunPages() {
    return 1 << zone.maxOrder();
  }

  /**
   * Returns the node that the zone stands for.
   *
   * @return its number
   */
  public int node() {
    return node;
  }

  /**
   * Returns the page account.
   *
   * @return the zone
   */
  public Zone zone() {
    return zone;
  }

  /** Returns the addresses of the region. */
  RegionAddresses addresses() {
    return addresses;
  }

  /** Tells whether the region is bound, so that requests by name may be served. */
  boolean isBound() {
    return requireRegion().isBound();
  }

  /** Throws if the zone is closed. */
  void requireOpen() {
    requireRegion();
  }

  private Region requireRegion() {
    Region target = region;
    if (target == null) {
      throw closed();
    }
    return target;
  }

  private IllegalStateException closed() {
    return new IllegalStateException("allocator is closed: node=" + node + "; open another one");
  }

  private static long offset(int page) {
    return (long) page * Zone.PAGE_BYTES;
  }

  private static long unitOffset(int unit) {
    return unit * COMMIT_BYTES;
  }

  /** Returns the length of the units from one to another, exclusive; the last may be cut short. */
  private long unitBytes(int unit, int after) {
    return Math.min(unitOffset(after), offset(zone.capacityPages())) - unitOffset(unit);
  }

  /** The first page of a unit; of one behind the zone's end, a number above all pages. */
  private static int firstPage(int unit) {
    return (int) Math.min(Integer.MAX_VALUE, (long) unit * COMMIT_PAGES);
  }
}
