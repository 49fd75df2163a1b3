/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import org.cdmalloc.numa.CpuAffinity;
import org.cdmalloc.topology.CpuMask;

/**
 * A thread that runs on one CPU from its first to its last step, so that it touches nothing before.
 */
final class PinnedThread<T> {
  private final FutureTask<T> task;
  private final Thread thread;

  private PinnedThread(int cpu, Callable<T> work) {
    task =
        new FutureTask<>(
            () -> {
              CpuAffinity.set(CpuMask.parse(Integer.toString(cpu)));
              return work.call();
            });
    thread = new Thread(task, "locality cpu " + cpu);
    thread.setDaemon(true);
  }

  /** Starts one. */
  static <T> PinnedThread<T> start(int cpu, Callable<T> work) {
    PinnedThread<T> pinned = new PinnedThread<>(cpu, work);
    pinned.thread.start();
    return pinned;
  }

  /** Tells whether it ended, in whatever way. */
  boolean isDone() {
    return task.isDone();
  }

  /** Waits for the end of all; then throws what the first one threw that failed. */
  static void joinAll(List<PinnedThread<Void>> threads) throws Exception {
    Exception failure = null;
    for (PinnedThread<Void> thread : threads) {
      try {
        thread.join();
      } catch (Exception e) {
        failure = failure == null ? e : failure;
      }
    }
    if (failure != null) {
      throw failure;
    }
  }

  /** Runs work on a CPU and waits for it. */
  static <T> T run(int cpu, Callable<T> work) throws Exception {
    return start(cpu, work).join();
  }

  /** Waits for the end; throws what the work threw. */
  T join() throws Exception {
    boolean interrupted = false;
    try {
      while (true) {
        try {
          return task.get();
        } catch (InterruptedException e) {
          interrupted = true;
        } catch (ExecutionException e) {
          if (e.getCause() instanceof Exception failure) {
            throw failure;
          }
          throw e;
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
