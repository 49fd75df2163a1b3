/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.peers;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.Arrays;
import java.util.concurrent.CompletableFuture;
import java.util.function.DoubleSupplier;
import org.openjdk.jmh.runner.RunnerException;

/**
 * Measures works of several threads while their processors are near each other. The processors of a
 * virtual machine are threads of its host, which moves them: a cache line that went to the other
 * one and back in 110 ns takes 540 from one second to the next, and whatever two threads share
 * costs as much more. So that is asked before and after each fork, and a fork that saw them further
 * apart than ever before is repeated.
 */
final class RoundTrip implements Rounds.Measurement {
  /** Further apart than this many times the least that was seen is far. */
  private static final double FAR = 1.8;

  private static final int MOST_TRIES = 2;

  private final Rounds.Measurement measurement;
  private final DoubleSupplier roundTripNanos;
  private double least = Double.MAX_VALUE;

  RoundTrip(Rounds.Measurement measurement, DoubleSupplier roundTripNanos) {
    this.measurement = measurement;
    this.roundTripNanos = roundTripNanos;
  }

  @Override
  public Sample of(Job job, String peer) throws RunnerException {
    if (job.threads() == 1) {
      return measurement.of(job, peer);
    }
    Sample best = null;
    for (int tries = 0; tries < MOST_TRIES; tries++) {
      double before = roundTripNanos.getAsDouble();
      Sample sample = measurement.of(job, peer);
      double after = roundTripNanos.getAsDouble();
      least = Math.min(least, Math.min(before, after));
      sample = sample.withRoundTrip(Math.max(before, after));
      if (best == null || sample.roundTripNanos() < best.roundTripNanos()) {
        best = sample;
      }
      if (best.roundTripNanos() <= FAR * least) {
        break;
      }
    }
    return best;
  }

  private static final int TRIPS = 1000;
  private static final int CHUNKS = 21;
  private static final int PING = 32;
  private static final int PONG = 64;
  private static final VarHandle WORDS = MethodHandles.arrayElementVarHandle(long[].class);

  /**
   * Sends a cache line to another thread and back.
   *
   * @return how long that takes now: the median of a few milliseconds
   */
  static double now() {
    long[] words = new long[PING + PONG];
    CompletableFuture<Void> other =
        CompletableFuture.runAsync(() -> answer(words), task -> new Thread(task).start());
    double[] nanos = new double[CHUNKS];
    for (int chunk = 0; chunk < CHUNKS; chunk++) {
      long start = System.nanoTime();
      for (int trip = 1; trip <= TRIPS; trip++) {
        long number = (long) chunk * TRIPS + trip;
        WORDS.setRelease(words, PING, number);
        await(words, PONG, number);
      }
      nanos[chunk] = (System.nanoTime() - start) / (double) TRIPS;
    }
    other.join();
    Arrays.sort(nanos);
    return nanos[CHUNKS / 2];
  }

  private static void answer(long[] words) {
    for (long number = 1; number <= (long) CHUNKS * TRIPS; number++) {
      await(words, PING, number);
      WORDS.setRelease(words, PONG, number);
    }
  }

  private static void await(long[] words, int index, long number) {
    while ((long) WORDS.getAcquire(words, index) < number) {
      Thread.onSpinWait();
    }
  }
}
