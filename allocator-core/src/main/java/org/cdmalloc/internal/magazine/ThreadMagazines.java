/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.magazine;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;

/**
 * The magazines of all threads that use an allocator. A platform thread has its own; virtual
 * threads share a few, however many they are. Safe for use by any number of threads.
 */
public final class ThreadMagazines {
  /*
   * Algorithmic notes.
   *
   * State: a set per platform thread that allocated or freed, found through a ThreadLocal; a fixed
   * number of shared sets, each with a lock; a list of all, under the lock of this object. What a
   * thread used last is in Latest too.
   *
   * A thread's set is used by that thread only, until it is dead: then by whoever holds the lock, once
   * Thread.isAlive said so, which orders what the thread did before (JLS 17.4.5). A shared set is used
   * by whoever holds its lock.
   *
   * Locks: that of a shared set, then this one, then a depot's.
   */

  private static final int MOST_STRIPES = 64;

  /** Of one allocator: what a thread keeps of another one's memory is no business of this one. */
  @SuppressWarnings("ThreadLocalUsage")
  private final ThreadLocal<MagazineSet> local = new ThreadLocal<>();

  private final ReentrantLock lock = new ReentrantLock();
  private final MagazineSet[] stripes;

  // Guarded by lock.
  private final List<MagazineSet> sets = new ArrayList<>();
  private int zoneCount;
  private boolean closed;

  /** Makes none yet. */
  public ThreadMagazines() {
    int wanted = 2 * Runtime.getRuntime().availableProcessors();
    this.stripes = new MagazineSet[Math.min(MOST_STRIPES, Integer.highestOneBit(wanted))];
    for (int i = 0; i < stripes.length; i++) {
      stripes[i] = new MagazineSet(null);
    }
    sets.addAll(Arrays.asList(stripes));
  }

  /**
   * Has magazines of one more zone.
   *
   * @return the number of the zone; they are counted from 0
   */
  public int addZone() {
    lock.lock();
    try {
      return zoneCount++;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Frees a block into the magazines that the caller used last, if it is of their zone and there is
   * a place for it at hand.
   *
   * @param address the block's
   * @param once whether of several threads that try at once only one may succeed
   * @return false if nothing changed, for whatever reason
   */
  public boolean hit(long address, boolean once) {
    Magazines magazines = Latest.magazines(this);
    return magazines != null && magazines.free(address, once);
  }

  private MagazineSet own() {
    return VirtualThreads.isVirtual(Thread.currentThread()) ? null : local.get();
  }

  /**
   * Returns the caller's own magazines of a zone, if it has any.
   *
   * @param zone the number of the zone
   * @return magazines that only this thread uses, or null
   */
  public Magazines own(int zone) {
    MagazineSet set = own();
    Magazines found = set == null ? null : set.find(zone);
    if (found != null && found != Latest.magazines(this) && set.isEntryDue()) {
      Latest.enter(found);
    }
    return found;
  }

  /** Returns what the caller chose for requests at a placement, or null. */
  Choice choice(Object requests) {
    MagazineSet set = own();
    return set == null ? null : set.choice(requests);
  }

  /**
   * Chooses for the caller's next requests at a placement. Does nothing for a virtual thread.
   *
   * @param requests stands for the requests
   * @param zone the number of the zone that serves them
   * @param depot its depot
   * @param events what is counted for each
   */
  public void choose(Object requests, int zone, Depot depot, int events) {
    if (VirtualThreads.isVirtual(Thread.currentThread())) {
      return;
    }
    MagazineSet set = enter();
    Choice choice = set.choose(requests, of(set, zone, depot), events);
    choice.renew();
    Latest.enter(choice);
    if (depot.isClosed()) {
      // Who closes may have come before: nothing of the allocator shall stay with the thread.
      set.forget();
    }
  }

  /**
   * Begins a use of the caller's magazines.
   *
   * @return its set, until {@link MagazineSet#exit}
   */
  public MagazineSet enter() {
    MagazineSet set = own();
    return set != null ? set : enterOther(Thread.currentThread());
  }

  private MagazineSet enterOther(Thread caller) {
    return VirtualThreads.isVirtual(caller) ? stripe(caller) : register(caller);
  }

  private MagazineSet stripe(Thread caller) {
    int first = (int) VirtualThreads.id(caller);
    for (int i = 0; i < stripes.length; i++) {
      MagazineSet set = stripes[(first + i) & (stripes.length - 1)];
      if (set.lock.tryLock()) {
        return set;
      }
    }
    MagazineSet set = stripes[first & (stripes.length - 1)];
    set.lock.lock();
    return set;
  }

  private MagazineSet register(Thread caller) {
    MagazineSet set;
    lock.lock();
    try {
      collectDead();
      set = ofOwner(caller);
    } finally {
      lock.unlock();
    }
    local.set(set);
    return set;
  }

  /** Returns the set of a thread, which may have one: pools clear the locals of their threads. */
  private MagazineSet ofOwner(Thread caller) {
    for (MagazineSet set : sets) {
      if (set.owner == caller) {
        return set;
      }
    }
    MagazineSet set = new MagazineSet(caller);
    if (!closed) {
      sets.add(set);
    }
    return set;
  }

  /**
   * Returns the magazines of a zone, of a set that the caller entered.
   *
   * @param set the set
   * @param zone the number of the zone
   * @param depot its depot
   * @return the same object each time
   */
  public Magazines of(MagazineSet set, int zone, Depot depot) {
    Magazines found = set.find(zone);
    return found != null ? found : add(set, zone, depot);
  }

  private Magazines add(MagazineSet set, int zone, Depot depot) {
    lock.lock();
    try {
      Magazines[] before = set.zones();
      Magazines[] after = Arrays.copyOf(before, Math.max(before.length, zone + 1));
      // Last: the depot counts it from here on.
      Magazines made = new Magazines(set.owner, this, depot);
      after[zone] = made;
      if (!closed) {
        set.setZones(after);
      }
      return made;
    } finally {
      lock.unlock();
    }
  }

  /** Brings the magazines of threads that are dead to their depots. */
  public void collect() {
    lock.lock();
    try {
      collectDead();
    } finally {
      lock.unlock();
    }
  }

  private void collectDead() {
    sets.removeIf(
        set -> {
          boolean dead = set.owner != null && !set.owner.isAlive();
          if (dead) {
            bringBack(set);
            retire(set);
            set.forget();
          }
          return dead;
        });
  }

  /** Keeps the counts of a set's magazines, and forgets these, so that nothing is counted twice. */
  private static void retire(MagazineSet set) {
    // A thread that finds its depot closed forgets its set while this goes on.
    Magazines[] zones = set.zones();
    for (int zone = 0; zone < zones.length; zone++) {
      if (zones[zone] != null) {
        Kept counts = new Kept();
        set.addTo(zones[zone], counts);
        zones[zone].depot().retire(counts);
        zones[zone] = null;
      }
    }
  }

  /**
   * Brings to their depots what can be had: the caller's magazines, those of dead threads, and
   * those that virtual threads share.
   */
  public void bringBack() {
    MagazineSet mine = own();
    if (mine != null) {
      bringBack(mine);
    }
    collect();
    for (MagazineSet stripe : stripes) {
      stripe.lock.lock();
      try {
        bringBack(stripe);
      } finally {
        stripe.lock.unlock();
      }
    }
  }

  private static void bringBack(MagazineSet set) {
    for (Magazines magazines : set.zones()) {
      if (magazines != null) {
        magazines.bringAllBack();
      }
    }
  }

  /** Forgets all magazines, so that a thread that goes on does not keep an allocator's memory. */
  public void close() {
    lock.lock();
    try {
      closed = true;
      sets.forEach(ThreadMagazines::retire);
      sets.forEach(MagazineSet::forget);
      sets.clear();
    } finally {
      lock.unlock();
    }
  }

  /**
   * Counts over all threads.
   *
   * @param zone the number of the zone
   * @param depot its depot
   * @return new counts
   */
  public Kept kept(int zone, Depot depot) {
    Kept sum = new Kept();
    lock.lock();
    try {
      depot.addTo(sum);
      for (MagazineSet set : sets) {
        set.addTo(set.find(zone), sum);
      }
      return sum;
    } finally {
      lock.unlock();
    }
  }
}
