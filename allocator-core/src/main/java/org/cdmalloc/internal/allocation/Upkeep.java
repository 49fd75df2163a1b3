/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/**
 * What happens to an allocator's memory though nobody asks: memory that nobody used for a while is
 * given back to the kernel, after one to two delays, and a sampler looks where memory lies. One
 * daemon thread serves all allocators of a JVM, and ends when there are none.
 */
final class Upkeep {
  private static final Logger LOGGER = System.getLogger("org.cdmalloc");
  private static final long IDLE_THREAD_SECONDS = 10;
  private static final ScheduledThreadPoolExecutor THREAD = thread();

  // Guarded by this.
  private Future<?> purging;
  private Future<?> sampling;
  private boolean stopped;

  /**
   * Starts to give memory back.
   *
   * @param allocation whose memory
   * @param delay between two looks for what is not used, positive
   */
  synchronized void purge(AllocationPath allocation, Duration delay) {
    long nanos = delay.toNanos();
    purging =
        THREAD.scheduleWithFixedDelay(() -> purge(allocation), nanos, nanos, TimeUnit.NANOSECONDS);
  }

  private static void purge(AllocationPath allocation) {
    try {
      allocation.trim(true);
    } catch (RuntimeException | OutOfMemoryError e) {
      // Memory that the kernel does not take now is offered again; the thread must go on.
      LOGGER.log(Level.WARNING, "memory could not be given back to the kernel", e);
    }
  }

  /**
   * Starts to sample.
   *
   * @param sampler what takes the steps, and says how long to rest between them
   * @param firstNanos how long to wait for the first
   */
  synchronized void sample(Sampler sampler, long firstNanos) {
    if (!stopped) {
      sampling =
          THREAD.schedule(() -> sample(sampler, sampler.step()), firstNanos, TimeUnit.NANOSECONDS);
    }
  }

  /** Stops both; a step that has begun goes on to its end. */
  synchronized void stop() {
    stopped = true;
    if (purging != null) {
      purging.cancel(false);
    }
    if (sampling != null) {
      sampling.cancel(false);
    }
  }

  private static ScheduledThreadPoolExecutor thread() {
    ScheduledThreadPoolExecutor executor =
        new ScheduledThreadPoolExecutor(
            1,
            task -> {
              Thread thread = new Thread(task, "cdmalloc-upkeep");
              thread.setDaemon(true);
              return thread;
            });
    executor.setRemoveOnCancelPolicy(true);
    executor.setKeepAliveTime(IDLE_THREAD_SECONDS, TimeUnit.SECONDS);
    executor.allowCoreThreadTimeOut(true);
    return executor;
  }
}
