/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongSupplier;
import org.cdmalloc.Shrinker;
import org.cdmalloc.internal.zone.Zone;

/**
 * Reclaim on one node: calls the node's shrinkers, and no others, while too few of its zone's pages
 * are free. Safe for use by any number of threads.
 */
final class Reclaimer implements Pressure, Runnable {
  /*
   * Algorithmic notes. kswapd of mm/vmscan.c in small: woken below the low mark, at work until the high
   * one, and left alone for a while after it got nothing.
   *
   * State: the state word; wanted, the largest request that failed since the last pass began; gains; the
   * list of shrinkers, replaced as a whole; the time before which no pass begins by itself.
   *
   * Invariants: (I1) at most one pass is at work or submitted, which is the state word RUNNING or AGAIN;
   * (I2) a pass that begins after wakeFor returned knows the request, or a greater one: wanted is raised
   * before the state word is read, and taken after it was set to RUNNING; (I3) gains is raised before
   * `changed` is told of it, and so is the state word lowered, so that who waits for either misses none.
   *
   * Transitions: IDLE to RUNNING by whoever wakes, who submits the pass; RUNNING to AGAIN by a request
   * that failed while a pass is at work; AGAIN to RUNNING, RUNNING to IDLE by the pass at its end. A wake
   * without a request that meets a pass is dropped: the marks are looked at again by the next request.
   *
   * Progress: a pass ends, for it goes on only after a round in which a shrinker said that it freed
   * something and memory was freed while it ran, in pages or in slabs; or at once when the zone is another reclaimer's, or
   * nobody's. A shrinker that blocks keeps the state word at RUNNING; who waits does so with a bound.
   * Shrinkers are called without any lock.
   *
   * Memory order: all words are volatile.
   */
  private static final Logger LOGGER = System.getLogger("org.cdmalloc");

  /** How long a node is left alone after a pass that got nothing, unless a request fails. */
  private static final long REST_NANOS = TimeUnit.MILLISECONDS.toNanos(10);

  private static final int IDLE = 0;
  private static final int RUNNING = 1;
  private static final int AGAIN = 2;

  private final int node;
  private final Executor worker;
  private final Runnable changed;
  private final LongSupplier nanoTime;
  private final AtomicInteger state = new AtomicInteger(IDLE);
  private final AtomicInteger wanted = new AtomicInteger();
  private volatile List<Registered> shrinkers = List.of();
  private volatile BackedZone zone;
  private volatile long restUntilNanos;

  private final AtomicLong gains = new AtomicLong();

  /** A shrinker that was registered, once. */
  static final class Registered {
    private final Shrinker shrinker;
    private volatile boolean ended;

    /** Used by the pass alone. */
    private boolean hasFailed;

    private Registered(Shrinker shrinker) {
      this.shrinker = shrinker;
    }
  }

  /**
   * Makes a reclaimer without shrinkers and without a zone.
   *
   * @param node the node, for messages
   * @param worker runs the passes, one at a time
   * @param changed told when memory came, and when a pass ended
   * @param nanoTime the clock
   */
  Reclaimer(int node, Executor worker, Runnable changed, LongSupplier nanoTime) {
    this.node = node;
    this.worker = worker;
    this.changed = changed;
    this.nanoTime = nanoTime;
    this.restUntilNanos = nanoTime.getAsLong();
  }

  /** Sets the zone whose pages are wanted; that zone tells this object, or it is left alone. */
  void serve(BackedZone served) {
    zone = served;
  }

  /** Adds a shrinker behind all others. */
  synchronized Registered add(Shrinker shrinker) {
    Registered added = new Registered(shrinker);
    List<Registered> more = new ArrayList<>(shrinkers);
    more.add(added);
    shrinkers = List.copyOf(more);
    return added;
  }

  /** Calls a shrinker no more. */
  synchronized void remove(Registered removed) {
    removed.ended = true;
    shrinkers = shrinkers.stream().filter(other -> other != removed).toList();
  }

  boolean isEmpty() {
    return shrinkers.isEmpty();
  }

  @Override
  public void wake() {
    if (state.get() == IDLE
        && restUntilNanos - nanoTime.getAsLong() <= 0
        && missingPages(zone, 0) > 0) {
      start();
    }
  }

  @Override
  public void wakeFor(int pages) {
    wanted.accumulateAndGet(pages, Math::max);
    boolean known = false;
    while (!known) {
      known =
          switch (state.get()) {
            case IDLE -> start();
            case RUNNING -> state.compareAndSet(RUNNING, AGAIN);
            default -> true;
          };
    }
  }

  /** Submits a pass, unless somebody else did. */
  private boolean start() {
    if (!state.compareAndSet(IDLE, RUNNING)) {
      return false;
    }
    boolean started = false;
    try {
      worker.execute(this);
      started = true;
    } catch (RejectedExecutionException | OutOfMemoryError e) {
      // No thread to be had now: the next one that lacks memory tries again.
      started = false;
    } finally {
      if (!started) {
        state.set(IDLE);
      }
    }
    return true;
  }

  @Override
  public boolean isBusy() {
    return state.get() != IDLE;
  }

  @Override
  public long gains() {
    return gains.get();
  }

  @Override
  public void run() {
    boolean ended = false;
    try {
      while (!ended) {
        state.set(RUNNING);
        pass(zone, wanted.getAndSet(0));
        ended = state.compareAndSet(RUNNING, IDLE);
      }
    } finally {
      if (!ended) {
        state.set(IDLE);
      }
      changed.run();
    }
  }

  /** Goes round until enough is free, at least once for a request that failed. */
  private void pass(BackedZone target, int pages) {
    boolean gave = true;
    target.bringKeptBack();
    for (boolean must = pages > 0;
        gave && isOn(target) && (must || missingPages(target, pages) > 0);
        must = false) {
      gave = round(target, pages, must);
    }
    if (!gave) {
      restUntilNanos = nanoTime.getAsLong() + REST_NANOS;
    }
  }

  private boolean round(BackedZone target, int pages, boolean must) {
    boolean gave = false;
    for (Registered registered : shrinkers) {
      long missing = missingPages(target, pages);
      boolean isDone = missing <= 0 && (gave || !must);
      if (!isDone && !registered.ended && isOn(target)) {
        long bytes = (missing > 0 ? missing : pages) * Zone.PAGE_BYTES;
        gave |= call(registered, target, bytes);
      }
    }
    return gave;
  }

  /** Tells whether the zone asks this object for memory, and can use it. */
  private boolean isOn(BackedZone target) {
    return target.pressure() == this && target.isOpen();
  }

  /** Returns how many pages are missing to the high mark and a request more; none if negative. */
  private static long missingPages(BackedZone target, int pages) {
    Zone zone = target.zone();
    return (long) zone.watermarks().highPages() + pages - zone.freePages();
  }

  private boolean call(Registered registered, BackedZone target, long bytes) {
    long pagesBefore = target.zone().returnedPages();
    long liveBytesBefore = target.kept().liveBytes();
    long hint = 0;
    try {
      hint = registered.shrinker.shrink(bytes);
    } catch (Throwable e) {
      if (!registered.hasFailed) {
        registered.hasFailed = true;
        LOGGER.log(
            Level.WARNING, "a shrinker failed; said once, it is called as before: node=" + node, e);
      }
    }
    // What it freed is in this thread's magazines.
    target.bringKeptBack();
    // Where no slab became empty, what it freed still serves requests of that size.
    boolean came =
        target.zone().returnedPages() != pagesBefore || target.kept().liveBytes() < liveBytesBefore;
    if (came) {
      gains.incrementAndGet();
      changed.run();
    }
    return came && hint > 0;
  }
}
