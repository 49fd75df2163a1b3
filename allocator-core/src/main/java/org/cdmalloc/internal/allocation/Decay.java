/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/**
 * Gives memory back to the kernel that nobody used for a while: looks once per delay, so that what
 * is not used goes after one to two delays. One daemon thread serves all allocators of a JVM, and
 * ends when there are none.
 */
final class Decay {
  private static final Logger LOGGER = System.getLogger("org.cdmalloc");
  private static final long IDLE_THREAD_SECONDS = 10;
  private static final ScheduledThreadPoolExecutor THREAD = thread();

  private final ScheduledFuture<?> looking;

  private Decay(ScheduledFuture<?> looking) {
    this.looking = looking;
  }

  /**
   * Starts to look.
   *
   * @param allocation whose memory is given back
   * @param delay between two looks, positive
   */
  static Decay start(AllocationPath allocation, Duration delay) {
    long nanos = delay.toNanos();
    return new Decay(
        THREAD.scheduleWithFixedDelay(() -> look(allocation), nanos, nanos, TimeUnit.NANOSECONDS));
  }

  private static void look(AllocationPath allocation) {
    try {
      allocation.trim(true);
    } catch (RuntimeException e) {
      // Memory that the kernel does not take now is offered again; the thread must go on.
      LOGGER.log(Level.WARNING, "memory could not be given back to the kernel", e);
    }
  }

  /** Stops to look; a look that has begun goes on to its end. */
  void stop() {
    looking.cancel(false);
  }

  private static ScheduledThreadPoolExecutor thread() {
    ScheduledThreadPoolExecutor executor =
        new ScheduledThreadPoolExecutor(
            1,
            task -> {
              Thread thread = new Thread(task, "cdmalloc-purge");
              thread.setDaemon(true);
              return thread;
            });
    executor.setRemoveOnCancelPolicy(true);
    executor.setKeepAliveTime(IDLE_THREAD_SECONDS, TimeUnit.SECONDS);
    executor.allowCoreThreadTimeOut(true);
    return executor;
  }
}
