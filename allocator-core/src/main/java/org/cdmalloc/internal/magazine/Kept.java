/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.magazine;

import java.util.Arrays;
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
  private long frees;
  private long liveBytes;
  private long threadBytes;
  private int runs;
  private int runPages;
  private long lockings;

  Kept() {}

  void addCounts(long[] moreEvents, long moreFrees, long moreLiveBytes) {
    for (int i = 0; i < events.length; i++) {
      events[i] += moreEvents[i];
    }
    frees += moreFrees;
    liveBytes += moreLiveBytes;
  }

  void addTo(Kept sum) {
    sum.addCounts(events, frees, liveBytes);
  }

  void addThreadBytes(long bytes) {
    threadBytes += Math.max(0, bytes);
  }

  void setRuns(int count, int pages, long lockCount) {
    runs = count;
    runPages = pages;
    lockings = lockCount;
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
    return Math.max(0, Arrays.stream(events).sum() - frees);
  }

  /**
   * Returns how large these are together.
   *
   * @return bytes, rounded up as the blocks are
   */
  public long liveBytes() {
    return Math.max(0, liveBytes);
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
