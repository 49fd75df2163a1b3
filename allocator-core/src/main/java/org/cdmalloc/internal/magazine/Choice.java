/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.magazine;

/**
 * From where a thread's requests at one placement are served, until it is time to ask again on
 * which node the thread runs. Used by one thread; its counts may be read by any.
 */
public final class Choice {
  /** Threads move between nodes by the millisecond, and so many requests take some microseconds. */
  private static final int REQUESTS = 1024;

  /** Whose it is. */
  final Thread owner;

  /** Stands for the requests that it serves. */
  final Object requests;

  private final Magazines magazines;
  private final int events;
  private final long base;

  /** How many blocks were taken, and at which number of them it is time to choose again. */
  private long hits;

  private long due;

  Choice(Object requests, Magazines magazines, int events) {
    this.owner = magazines.owner;
    this.requests = requests;
    this.magazines = magazines;
    this.events = events;
    this.base = magazines.base();
  }

  /** Returns from where blocks are taken. */
  Magazines magazines() {
    return magazines;
  }

  /** Tells whether this is the choice of some magazines for some requests, with what they count. */
  boolean is(Object others, Magazines otherMagazines, int otherEvents) {
    return requests == others && magazines == otherMagazines && events == otherEvents;
  }

  /** Adds what was counted here. */
  void addTo(Kept sum) {
    sum.addEvents(events, hits);
  }

  void renew() {
    due = hits + REQUESTS;
  }

  /**
   * Takes a block.
   *
   * @param sizeClass its class
   * @return the block, or {@link Magazines#NONE}: it is time to choose again, or the magazines are
   *     empty
   */
  public long take(int sizeClass) {
    long before = hits;
    long block = before == due ? Magazines.NONE : magazines.take(sizeClass);
    if (block >= 0) {
      hits = before + 1;
    }
    return block;
  }

  /** Returns the address of the first byte of the zone's region. */
  long base() {
    return base;
  }
}
