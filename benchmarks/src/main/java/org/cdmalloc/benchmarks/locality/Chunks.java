/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.Arrays;

/**
 * Measures a loop in many short chunks on the calling thread. A chunk of some 100 µs is seldom
 * interrupted, so the median of hundreds is that of undisturbed ones though the thread lost its CPU
 * in between. Nothing is asked of the kernel between chunks: its code would clear the caches.
 */
final class Chunks {
  /** A loop of so many turns. */
  interface Loop {
    /**
     * Runs.
     *
     * @param turns how often
     */
    void run(int turns);
  }

  /** What came of a batch. */
  static final class Batch {
    private final double[] nanosPerTurn;
    private final double cpuOverWall;

    private Batch(double[] nanosPerTurn, double cpuOverWall) {
      this.nanosPerTurn = nanosPerTurn;
      this.cpuOverWall = cpuOverWall;
    }

    /** Returns what a turn took in each chunk. */
    double[] nanosPerTurn() {
      return nanosPerTurn.clone();
    }

    /** Returns which part of the time the thread ran. */
    double cpuOverWall() {
      return cpuOverWall;
    }
  }

  private static final long CHUNK_NANOS = 100_000;
  private static final int WARM_UP = 40;

  /** Compilers need time too, however many turns a call has. */
  private static final long WARM_UP_NANOS = 20_000_000;

  private static final int FIRST_TURNS = 64;
  private static final int MOST_TURNS = 1 << 28;
  private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

  private Chunks() {}

  /**
   * Measures.
   *
   * @param loop what
   * @param count how many chunks
   * @param stop asked after each
   * @return the chunks that were done, one at least
   */
  static Batch measure(Loop loop, int count, Stop stop) {
    int turns = warmUp(loop);
    double[] nanos = new double[count];
    int done = 0;
    long cpuBefore = cpuNanos();
    long wallBefore = System.nanoTime();
    do {
      long before = System.nanoTime();
      loop.run(turns);
      nanos[done] = (double) (System.nanoTime() - before) / turns;
      done++;
    } while (done < count && !stop.isAsked());
    long wall = System.nanoTime() - wallBefore;
    long cpu = cpuNanos() - cpuBefore;
    return new Batch(Arrays.copyOf(nanos, done), Math.min(1, (double) cpu / wall));
  }

  /** Returns for how long the calling thread ran. */
  static long cpuNanos() {
    return THREADS.getCurrentThreadCpuTime();
  }

  /** Lets the loop be compiled; returns how many turns take as long as a chunk. */
  private static int warmUp(Loop loop) {
    int turns = FIRST_TURNS;
    double least = Double.MAX_VALUE;
    boolean isShort = true;
    long began = System.nanoTime();
    for (int call = 0;
        isShort || call < WARM_UP || System.nanoTime() - began < WARM_UP_NANOS;
        call++) {
      long before = System.nanoTime();
      loop.run(turns);
      long nanos = Math.max(1, System.nanoTime() - before);
      // The least: a call that was interrupted says nothing of the loop.
      least = Math.min(least, (double) nanos / turns);
      isShort = nanos < CHUNK_NANOS / 2 && turns < MOST_TURNS;
      if (isShort) {
        turns *= 2;
      }
    }
    return (int) Math.max(1, Math.min(MOST_TURNS, CHUNK_NANOS / least));
  }
}
