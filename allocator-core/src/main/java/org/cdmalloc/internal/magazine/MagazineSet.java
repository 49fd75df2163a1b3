/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.magazine;

import java.util.Arrays;
import java.util.IdentityHashMap;
import java.util.concurrent.locks.ReentrantLock;

/**
 * The magazines of one thread, by zone; or those that threads share which are too many to have some
 * of their own, one at a time.
 */
public final class MagazineSet {
  private static final Magazines[] NONE = {};
  private static final Choice[] NO_CHOICES = {};

  /**
   * Of two threads that share a place, and of two zones in turn, each would write it at every free.
   */
  private static final int DETOURS_PER_ENTRY = 64;

  /** Whose they are, or null for those that are shared. */
  final Thread owner;

  /** Taken by whoever uses those that are shared. */
  final ReentrantLock lock;

  /** Written by whoever may use the set; others read it under the lock of all sets. */
  private Magazines[] zones = NONE;

  /** What the owner chose last, by requests; of the owner alone. */
  private IdentityHashMap<Object, Choice> choices = new IdentityHashMap<>();

  /** All that it ever chose; written by the owner, and read as zones. */
  private volatile Choice[] made = NO_CHOICES;

  /** How often magazines were not found in the owner's place. */
  private int detours;

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

  /** Counts a detour; tells whether it is one after which the owner's place is written. */
  boolean isEntryDue() {
    int before = detours++;
    return before % DETOURS_PER_ENTRY == 0;
  }

  /** Returns what the owner chose, or null. */
  Choice choice(Object requests) {
    return choices.get(requests);
  }

  /** Chooses magazines of this set; the same for the same each time. */
  Choice choose(Object requests, Magazines magazines, int events) {
    Choice choice = find(requests, magazines, events);
    if (choice == null) {
      choice = new Choice(requests, magazines, events);
      Choice[] before = made;
      Choice[] more = Arrays.copyOf(before, before.length + 1);
      more[before.length] = choice;
      made = more;
    }
    choices.put(requests, choice);
    return choice;
  }

  private Choice find(Object requests, Magazines magazines, int events) {
    for (Choice choice : made) {
      if (choice.is(requests, magazines, events)) {
        return choice;
      }
    }
    return null;
  }

  /** Adds what was counted in the magazines of a zone, if there are any, and what is there. */
  void addTo(Magazines magazines, Kept sum) {
    if (magazines != null) {
      magazines.addTo(sum);
      for (Choice choice : made) {
        if (choice.magazines() == magazines) {
          choice.addTo(sum);
        }
      }
    }
  }

  Magazines[] zones() {
    return zones;
  }

  /**
   * Forgets all, for a thread that may be at work: what it still has of a closed zone is refused.
   */
  void forget() {
    zones = NONE;
    made = NO_CHOICES;
    choices = new IdentityHashMap<>();
    if (owner != null) {
      Latest.leave(owner);
    }
  }

  void setZones(Magazines[] after) {
    zones = after;
  }
}
