/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.magazine;

/**
 * From where a thread's requests at one placement are served, until it is time to ask again on
 * which node the thread runs. Used by one thread.
 */
public final class Choice {
  /** Threads move between nodes by the millisecond, and so many requests take some microseconds. */
  private static final int REQUESTS = 1024;

  private final Magazines magazines;
  private final int events;
  private final long base;
  private int left = REQUESTS;

  Choice(Magazines magazines, int events, long base) {
    this.magazines = magazines;
    this.events = events;
    this.base = base;
  }

  boolean is(Magazines others, int otherEvents) {
    return magazines == others && events == otherEvents;
  }

  void renew() {
    left = REQUESTS;
  }

  /**
   * Takes a block.
   *
   * @param sizeClass its class
   * @return its offset, as {@link Magazines#take(int, int)}; {@link Magazines#NONE} also if it is
   *     time to choose again
   */
  public long take(int sizeClass) {
    return --left < 0 ? Magazines.NONE : magazines.take(sizeClass, events);
  }

  /**
   * Returns the address of the region's first byte.
   *
   * @return as it was given to {@link ThreadMagazines#choose}
   */
  public long base() {
    return base;
  }
}
