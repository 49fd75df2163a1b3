/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.magazine;

import java.util.Arrays;
import java.util.concurrent.locks.ReentrantLock;

/**
 * The magazines of one thread, by zone; or those that threads share which are too many to have some
 * of their own, one at a time.
 */
public final class MagazineSet {
  private static final Magazines[] NONE = {};
  private static final Choice[] NO_CHOICES = {};

  /** Whose they are, or null for those that are shared. */
  final Thread owner;

  /** Taken by whoever uses those that are shared. */
  final ReentrantLock lock;

  /** Written by whoever may use the set; others read it under the lock of all sets. */
  private Magazines[] zones = NONE;

  /** What the owner chose, by the number of its requests; of the owner alone. */
  private Choice[] choices = NO_CHOICES;

  MagazineSet(Thread owner) {
    this.owner = owner;
    this.lock = owner == null ? new ReentrantLock() : null;
  }

  /**
   * Returns the magazines of a zone, if there are any yet.
   *
   * @param zone the number of the zone
   * @return the same object each time, or null
   */
  public Magazines find(int zone) {
    Magazines[] now = zones;
    return zone < now.length ? now[zone] : null;
  }

  /** Ends a use of the set, of whoever entered it. */
  public void exit() {
    if (lock != null) {
      lock.unlock();
    }
  }

  Choice choice(int requests) {
    Choice[] now = choices;
    return requests < now.length ? now[requests] : null;
  }

  void choose(int requests, Choice choice) {
    Choice[] now = choices;
    if (requests >= now.length) {
      now = Arrays.copyOf(now, requests + 1);
    }
    now[requests] = choice;
    choices = now;
  }

  Magazines[] zones() {
    return zones;
  }

  /**
   * Forgets all, for a thread that may be at work: what it still has of a closed zone is refused.
   */
  void forget() {
    zones = NONE;
    choices = NO_CHOICES;
  }

  void setZones(Magazines[] after) {
    zones = after;
  }
}
