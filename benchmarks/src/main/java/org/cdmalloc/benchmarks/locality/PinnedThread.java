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

  private PinnedThread(int cpu, Callable<T> work, Runnable failed) {
    task =
        new FutureTask<>(
            () -> {
              boolean done = false;
              try {
                T result = pinned(cpu, work);
                done = true;
                return result;
              } finally {
                if (!done) {
                  failed.run();
                }
              }
            });
    thread = new Thread(task, "locality cpu " + cpu);
    thread.setDaemon(true);
  }

  private static <T> T pinned(int cpu, Callable<T> work) throws Exception {
    CpuMask only = CpuMask.parse(Integer.toString(cpu));
    CpuAffinity.set(only);
    T result = work.call();
    CpuMask after = CpuAffinity.get();
    if (!after.equals(only)) {
      // A cpuset that changes takes threads along.
      throw new IllegalStateException(
          "somebody moved the thread meanwhile: cpus=" + after + ", pinned_to=" + cpu);
    }
    return result;
  }

  /** Starts one. */
  static <T> PinnedThread<T> start(int cpu, Callable<T> work) {
    return start(cpu, work, () -> {});
  }

  /** Starts one that says on its thread if it fails, also before its work began. */
  static <T> PinnedThread<T> start(int cpu, Callable<T> work, Runnable failed) {
    PinnedThread<T> pinned = new PinnedThread<>(cpu, work, failed);
    pinned.thread.start();
    return pinned;
  }

  /** Tells whether it ended, in whatever way. */
  boolean isDone() {
    return task.isDone();
  }

  /** Waits for the end of all; then throws what the first one threw that failed by itself. */
  static void joinAll(List<PinnedThread<Void>> threads) throws Exception {
    Exception failure = null;
    for (PinnedThread<Void> thread : threads) {
      try {
        thread.join();
      } catch (Exception e) {
        failure = failure == null || failure instanceof Team.BrokenException ? e : failure;
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
