/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Threads that do the same at the same time, pass after pass, each with a loop of its own. They
 * wait for each other with their eyes open: one that slept would begin when the others are half
 * way.
 *
 * <p>A pass takes from when the first one begins until the last one is through, and at least
 * {@value #LEAST_PASS_MILLIS} ms, against which what lies between their beginnings is nothing.
 */
final class Team {
  /*
   * State: arrived counts who came to a barrier, ever; the barrier that a thread waits at is open
   * once arrived reached the next multiple of the members. broken is set when a member fails, and
   * ends all.
   * What a member wrote before it arrived is seen by who leaves: arrived is volatile.
   */

  private static final int LEAST_PASS_MILLIS = 20;
  private static final double LEAST_PASS_NANOS = LEAST_PASS_MILLIS * 1e6;
  private static final long PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(60);
  private static final int LOOKS_BETWEEN_CLOCKS = 1 << 12;

  /** Not this member's fault. */
  static final class BrokenException extends IllegalStateException {
    private static final long serialVersionUID = 1L;

    BrokenException(String message) {
      super(message);
    }
  }

  /** The least of so many tries says how long a pass is. */
  private static final int TRIES = 3;

  private final Stop stop;
  private final int members;
  private final long[][] begins;
  private final long[][] ends;
  private final double[] cpuOverWall;
  private final AtomicInteger arrived = new AtomicInteger();
  private final AtomicInteger repeats = new AtomicInteger(1);
  private final AtomicInteger turnsOfAll = new AtomicInteger();
  private volatile boolean broken;

  /**
   * Makes a team.
   *
   * @param members how many threads, positive
   * @param passes how often all do it
   * @param stop ends all of them early
   */
  Team(int members, int passes, Stop stop) {
    this.stop = stop;
    this.members = members;
    this.begins = new long[passes][members];
    this.ends = new long[passes][members];
    this.cpuOverWall = new double[members];
  }

  /**
   * Does a member's part; called by each of them on its thread.
   *
   * @param member from 0
   * @param loop what it does
   * @param turns how many turns are once over its memory
   * @throws BrokenException if another member failed or never came, or it is to end early
   */
  void run(int member, Chunks.Loop loop, int turns) {
    boolean done = false;
    try {
      turnsOfAll.addAndGet(turns);
      loop.run(turns);
      await();
      long once = Long.MAX_VALUE;
      for (int i = 0; i < TRIES; i++) {
        long before = System.nanoTime();
        loop.run(turns);
        once = Math.min(once, System.nanoTime() - before);
      }
      repeats.accumulateAndGet((int) Math.ceil(LEAST_PASS_NANOS / Math.max(1, once)), Math::max);
      await();
      int all = Math.multiplyExact(turns, repeats.get());
      long cpu = Chunks.cpuNanos();
      long wall = System.nanoTime();
      for (int pass = 0; pass < begins.length; pass++) {
        await();
        begins[pass][member] = System.nanoTime();
        loop.run(all);
        ends[pass][member] = System.nanoTime();
      }
      wall = System.nanoTime() - wall;
      cpuOverWall[member] = Math.min(1, (double) (Chunks.cpuNanos() - cpu) / wall);
      done = true;
    } finally {
      if (!done) {
        fail();
      }
    }
  }

  /** Ends all members, each when it next waits. */
  void fail() {
    broken = true;
  }

  private void await() {
    int open = (arrived.getAndIncrement() / members + 1) * members;
    long until = System.nanoTime() + PATIENCE_NANOS;
    for (int looks = 1; arrived.get() < open; looks++) {
      boolean isLate = looks % LOOKS_BETWEEN_CLOCKS == 0 && System.nanoTime() - until > 0;
      if (broken || isLate || stop.isAsked()) {
        throw new BrokenException(
            "another CPU of the team failed or never came: members=" + members);
      }
      Thread.onSpinWait();
    }
  }

  /**
   * Returns what all did together in each pass; for after the end of all.
   *
   * @param perTurn what a turn counts
   * @return per nanosecond
   */
  double[] turnsPerNano(double perTurn) {
    double counted = perTurn * turnsOfAll.get() * repeats.get();
    double[] values = new double[begins.length];
    for (int pass = 0; pass < values.length; pass++) {
      long begin = Arrays.stream(begins[pass]).min().orElseThrow();
      long end = Arrays.stream(ends[pass]).max().orElseThrow();
      values[pass] = counted / (end - begin);
    }
    return values;
  }

  /** Returns which part of the time the thread ran that ran least. */
  double leastCpu() {
    return Arrays.stream(cpuOverWall).min().orElseThrow();
  }
}
