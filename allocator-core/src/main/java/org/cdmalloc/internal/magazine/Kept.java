/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.magazine;

import org.cdmalloc.internal.zone.NumaEvents;
import org.cdmalloc.internal.zone.Zone;

/**
 * What became of the blocks of one zone that are kept ready, added up over its depot and all
 * threads. Each thread's part was true at some time; the whole is exact if none is at work. Made by
 * {@link ThreadMagazines#kept}, and not changed after that.
 */
public final class Kept {
  /** Of a zone of which nothing is kept ready. */
  public static final Kept NONE = new Kept();

  private final long[] events = new long[NumaEvents.COMBINATIONS];
  private long outBlocks;
  private long outBytes;
  private long threadBlocks;
  private long threadBytes;
  private long depotBlocks;
  private long depotBytes;
  private int runs;
  private int runPages;
  private long lockings;

  Kept() {}

  void addEvents(long[] more) {
    for (int i = 0; i < events.length; i++) {
      events[i] += more[i];
    }
  }

  void addEvents(int combination, long count) {
    events[combination] += count;
  }

  /** Adds what a thread has in its magazines. */
  void addKept(long blocks, long bytes) {
    threadBlocks += blocks;
    threadBytes += bytes;
  }

  /** Sets what is out of the slabs: with users, with threads and in the depot. */
  void setOut(long blocks, long bytes) {
    outBlocks = blocks;
    outBytes = bytes;
  }

  /** Sets what the depot has in its magazines. */
  void setDepot(long blocks, long bytes) {
    depotBlocks = blocks;
    depotBytes = bytes;
  }

  void setRuns(int count, int pages, long lockCount) {
    runs = count;
    runPages = pages;
    lockings = lockCount;
  }

  long[] combinations() {
    return events;
  }

  /**
   * Returns what was counted when blocks were given.
   *
   * @return a new array, as {@link NumaEvents#byKind}
   */
  public long[] events() {
    return NumaEvents.byKind(events);
  }

  /**
   * Returns how many blocks are their users'.
   *
   * @return 0 or more
   */
  public long liveBlocks() {
    return Math.max(0, outBlocks - depotBlocks - threadBlocks);
  }

  /**
   * Returns how large these are together.
   *
   * @return bytes, rounded up as the blocks are
   */
  public long liveBytes() {
    return Math.max(0, outBytes - depotBytes - threadBytes);
  }

  /** Returns how many blocks threads keep in their magazines. */
  long threadBlocks() {
    return threadBlocks;
  }

  /**
   * Returns what threads keep in their magazines.
   *
   * @return bytes
   */
  public long threadBytes() {
    return threadBytes;
  }

  /**
   * Returns what is in no block and with no thread: in the depot, or in slabs that are in use.
   *
   * @return bytes
   */
  public long idleBytes() {
    return Math.max(0, (long) runPages * Zone.PAGE_BYTES - liveBytes() - threadBytes);
  }

  /**
   * Returns how many runs of the zone are slabs, or blocks that are kept ready.
   *
   * @return 0 or more
   */
  public int runs() {
    return runs;
  }

  /**
   * Returns how long these are together.
   *
   * @return pages
   */
  public int runPages() {
    return runPages;
  }

  /**
   * Returns how often the depot's lock was taken.
   *
   * @return never less than before
   */
  public long lockings() {
    return lockings;
  }
}
