/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.Executor;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.IntFunction;
import java.util.function.LongSupplier;
import org.cdmalloc.Registration;
import org.cdmalloc.Shrinker;
import org.cdmalloc.topology.NodeMask;

/**
 * The shrinkers of an allocator's nodes, and which nodes are reclaimed at all: those of a mask. A
 * zone of another node, or of one without shrinkers, has no {@link Pressure} to tell, so nothing is
 * ever looked up or asked about it. Safe for use by any number of threads.
 */
public final class Reclaim {
  /*
   * Algorithmic notes.
   *
   * State: the mask, the zones and the reclaimers by node, all guarded by this object's monitor; in each
   * zone its pressure, written under the monitor and read by anybody; the condition of those who wait.
   *
   * Invariant: between two critical sections a zone's pressure is the reclaimer of its node if the node
   * is in the mask, has shrinkers and is the one whose zone this is, and nothing was stopped; else null.
   *
   * Who waits reads gains and states under waitLock; they are written before it is taken to signal. The
   * monitor is never held while a shrinker runs or somebody waits.
   */

  /** The longest that a request waits for shrinkers, all together. */
  private static final long PATIENCE_NANOS = TimeUnit.MILLISECONDS.toNanos(50);

  private static final long IDLE_THREAD_SECONDS = 2;

  private final IntFunction<Executor> workers;
  private final LongSupplier nanoTime;
  private final long patienceNanos;
  private final Map<Integer, Reclaimer> reclaimers = new HashMap<>();
  private final Map<Integer, BackedZone> zones = new HashMap<>();
  private final ReentrantLock waitLock = new ReentrantLock();
  private final Condition changed = waitLock.newCondition();
  private NodeMask nodes;
  private boolean stopped;

  /** A thread of a reclaimer; one that waited for itself would wait in vain. */
  private static final class Worker extends Thread {
    Worker(Runnable task, int node) {
      // Of whoever happens to wake it first it inherits nothing.
      super(null, task, "cdmalloc-reclaim-" + node, 0, false);
      setDaemon(true);
    }
  }

  /**
   * Makes an object without shrinkers.
   *
   * @param nodes those whose shrinkers are called
   */
  Reclaim(NodeMask nodes) {
    this(nodes, Reclaim::worker, System::nanoTime, PATIENCE_NANOS);
  }

  /**
   * Makes an object without shrinkers.
   *
   * @param nodes those whose shrinkers are called
   * @param workers what runs the passes of a node, one at a time
   * @param nanoTime the clock by which a node is left alone for a while
   * @param patienceNanos the longest that a request waits
   */
  Reclaim(
      NodeMask nodes, IntFunction<Executor> workers, LongSupplier nanoTime, long patienceNanos) {
    this.nodes = nodes;
    this.workers = workers;
    this.nanoTime = nanoTime;
    this.patienceNanos = patienceNanos;
  }

  /** Returns what has one thread while there are passes, and none when there are none. */
  static Executor worker(int node) {
    ThreadPoolExecutor executor =
        new ThreadPoolExecutor(
            1,
            1,
            IDLE_THREAD_SECONDS,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(),
            task -> new Worker(task, node));
    executor.allowCoreThreadTimeOut(true);
    return executor;
  }

  /**
   * Registers a shrinker of a node, behind those that the node has.
   *
   * @param node the node; it need not be there yet
   * @param shrinker called when the node runs short
   * @return what ends that
   */
  public synchronized Registration register(int node, Shrinker shrinker) {
    Reclaimer reclaimer =
        reclaimers.computeIfAbsent(
            node,
            missing ->
                new Reclaimer(missing, workers.apply(missing), this::signalChange, nanoTime));
    Reclaimer.Registered registered = reclaimer.add(shrinker);
    connect(node);
    return () -> end(node, registered);
  }

  private synchronized void end(int node, Reclaimer.Registered registered) {
    reclaimers.get(node).remove(registered);
    connect(node);
  }

  /** Takes note of the zone of a node, instead of the one that the node had before. */
  synchronized void attach(BackedZone zone) {
    BackedZone before = zones.put(zone.node(), zone);
    if (before != null) {
      before.tell(null);
    }
    connect(zone.node());
  }

  /**
   * Sets whether a node's shrinkers are called.
   *
   * @param node the node
   * @param isReclaimed true if so
   */
  synchronized void set(int node, boolean isReclaimed) {
    NodeMask one = NodeMask.of(node);
    nodes = isReclaimed ? nodes.or(one) : nodes.without(one);
    connect(node);
  }

  /** Calls no shrinker any more; a call that began goes on to its end. */
  synchronized void stop() {
    stopped = true;
    zones.values().forEach(zone -> zone.tell(null));
  }

  private void connect(int node) {
    BackedZone zone = zones.get(node);
    Reclaimer reclaimer = reclaimers.get(node);
    if (zone != null && reclaimer != null) {
      boolean isAsked = !stopped && nodes.contains(node) && !reclaimer.isEmpty();
      reclaimer.serve(zone);
      zone.tell(isAsked ? reclaimer : null);
    }
  }

  private void signalChange() {
    waitLock.lock();
    try {
      changed.signalAll();
    } finally {
      waitLock.unlock();
    }
  }

  /**
   * Tells whether a request that found nothing on a path can hope for shrinkers.
   *
   * @param path the zones that it tried
   * @return false if no zone has any, or this thread is at work for one: whoever waits for itself
   *     waits in vain
   */
  static boolean mayHelp(ZonePath path) {
    boolean may = false;
    for (int i = 0; i < path.length(); i++) {
      may |= path.zone(i).pressure() != null;
    }
    return may && !(Thread.currentThread() instanceof Worker);
  }

  /** Returns until when a request waits that begins now, by the JVM's clock. */
  long deadlineNanos() {
    return System.nanoTime() + patienceNanos;
  }

  /** Returns how often shrinkers gave memory to zones of a path. */
  static long gains(ZonePath path) {
    long gains = 0;
    for (int i = 0; i < path.length(); i++) {
      Pressure pressure = path.zone(i).pressure();
      gains += pressure == null ? 0 : pressure.gains();
    }
    return gains;
  }

  /**
   * Wakes the reclaimers of a path and waits until they gave something, or will not.
   *
   * @param path the zones that a request tried
   * @param pages its size
   * @param seen the gains before it tried them
   * @param deadlineNanos when it waits no longer
   * @return true if something came: trying again may help
   */
  boolean await(ZonePath path, int pages, long seen, long deadlineNanos) {
    for (int i = 0; i < path.length(); i++) {
      path.zone(i).wakeFor(pages, path.floorPages(i));
    }
    long nanos = deadlineNanos - System.nanoTime();
    boolean isLate = nanos <= 0;
    waitLock.lock();
    try {
      while (gains(path) == seen && nanos > 0 && isBusy(path)) {
        nanos = changed.awaitNanos(nanos);
      }
      return !isLate && gains(path) != seen;
    } catch (InterruptedException e) {
      // A request is not interrupted: it goes without, and whoever asked finds the flag set.
      Thread.currentThread().interrupt();
      return false;
    } finally {
      waitLock.unlock();
    }
  }

  private static boolean isBusy(ZonePath path) {
    boolean busy = false;
    for (int i = 0; i < path.length(); i++) {
      Pressure pressure = path.zone(i).pressure();
      busy |= pressure != null && pressure.isBusy();
    }
    return busy;
  }
}
