/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.peers;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.DoubleSupplier;
import org.openjdk.jmh.runner.RunnerException;

/**
 * Measures works of several threads while their processors are near each other. The processors of a
 * virtual machine are threads of its host, which moves them: a cache line that went to the other
 * one and back in 110 ns takes 540 from one second to the next, and whatever two threads share
 * costs as much more. So that is asked before and after each fork, and a fork that saw them nearly
 * twice as far apart as they were at their nearest is repeated once.
 */
final class RoundTrip implements Rounds.Measurement {
  /** Further apart than this many times the least that was seen is far. */
  private static final double FAR = 1.8;

  private static final int TRIPS = 1000;
  private static final int CHUNKS = 21;
  private static final long MOST_NANOS = 100_000_000;
  private static final int PING = 32;
  private static final int PONG = 64;
  private static final long END = Long.MAX_VALUE;
  private static final VarHandle WORDS = MethodHandles.arrayElementVarHandle(long[].class);

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
    Sample first = once(job, peer);
    if (first.roundTripNanos() <= FAR * least) {
      return first;
    }
    try {
      Sample second = once(job, peer);
      return second.roundTripNanos() < first.roundTripNanos() ? second : first;
    } catch (RunnerException e) {
      return first; // far apart, but measured
    }
  }

  private Sample once(Job job, String peer) throws RunnerException {
    double before = roundTripNanos.getAsDouble();
    Sample sample = measurement.of(job, peer);
    double after = roundTripNanos.getAsDouble();
    least = Math.min(least, Math.min(before, after));
    return sample.withRoundTrip(Math.max(before, after));
  }

  /**
   * Sends a cache line to another thread and back.
   *
   * @return how long that takes now: the median of a few milliseconds; 0 on a host of one processor
   */
  static double now() {
    if (Runtime.getRuntime().availableProcessors() == 1) {
      return 0;
    }
    long[] words = new long[PING + PONG];
    CompletableFuture<Void> other =
        CompletableFuture.runAsync(() -> answer(words), task -> new Thread(task).start());
    List<Double> nanos = new ArrayList<>();
    long number = 0;
    long until = System.nanoTime() + MOST_NANOS;
    // Where others want the processors too, a few trips have to do.
    while (nanos.isEmpty() || (nanos.size() < CHUNKS && System.nanoTime() < until)) {
      long start = System.nanoTime();
      int trips = 0;
      do {
        number++;
        trips++;
        WORDS.setRelease(words, PING, number);
        await(words, PONG, number);
      } while (trips < TRIPS && System.nanoTime() < until);
      nanos.add((System.nanoTime() - start) / (double) trips);
    }
    WORDS.setRelease(words, PING, END);
    other.join();
    Collections.sort(nanos);
    return nanos.get(nanos.size() / 2);
  }

  private static void answer(long[] words) {
    for (long number = 1; await(words, PING, number) != END; number++) {
      WORDS.setRelease(words, PONG, number);
    }
  }

  private static long await(long[] words, int index, long number) {
    long seen = (long) WORDS.getAcquire(words, index);
    while (seen < number) {
      Thread.onSpinWait();
      seen = (long) WORDS.getAcquire(words, index);
    }
    return seen;
  }
}
