/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.peers;

import java.util.List;
import java.util.function.Consumer;
import org.openjdk.jmh.runner.RunnerException;

/**
 * Runs all jobs with all peers, round after round. JMH would run all forks of one peer and then all
 * of the next, while a shared host drifts; here each round has a fork of every peer, next to each
 * other and in another order each time.
 */
final class Rounds {
  private final Measurement measurement;
  private final Consumer<String> progress;

  /** Measures a job with a peer. */
  @FunctionalInterface
  interface Measurement {
    /**
     * Measures.
     *
     * @param job what to do
     * @param peer with which peer
     * @return what was found
     * @throws RunnerException if nothing was
     */
    Sample of(Job job, String peer) throws RunnerException;
  }

  Rounds(Measurement measurement, Consumer<String> progress) {
    this.measurement = measurement;
    this.progress = progress;
  }

  /**
   * Runs one round.
   *
   * @param round which, from 0: it says who begins
   * @param rounds how many there are, for whoever waits
   * @param jobs what to do
   * @param peers with which peers
   * @param results where to put what is found
   */
  void run(int round, int rounds, List<Job> jobs, List<String> peers, Results results) {
    for (Job job : jobs) {
      String turnOf = job.id() + ", " + job.sizeLabel();
      progress.accept("round " + (round + 1) + " of " + rounds + ": " + turnOf);
      for (int turn = 0; turn < peers.size(); turn++) {
        one(job, peers.get((round + turn) % peers.size()), results);
      }
    }
  }

  private void one(Job job, String peer, Results results) {
    if (job.work() == Work.HAND_OVER && peer.equals("ffm-arena")) {
      results.leaveOut(peer + ", hand-over", "a confined arena belongs to its thread");
      return;
    }
    try {
      results.add(job, peer, measurement.of(job, peer));
    } catch (RunnerException e) {
      String what = peer + ", " + job.id() + ", " + job.sizeLabel();
      results.leaveOut(what, "a fork failed: " + e.getMessage());
      progress.accept(what + ": a fork failed: " + e.getMessage());
    }
  }
}
