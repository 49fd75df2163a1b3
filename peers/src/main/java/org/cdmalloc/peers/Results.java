/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.peers;

import java.util.ArrayList;
import java.util.DoubleSummaryStatistics;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.ToDoubleFunction;

/** What all forks found, and which peers were left out. */
final class Results {
  private final Map<Job, Map<String, List<Sample>>> samples = new LinkedHashMap<>();
  private final Map<String, String> leftOut = new LinkedHashMap<>();

  /**
   * A figure of several rounds.
   *
   * @param median the median of the rounds
   * @param halfRange half of what lies between the least and the most
   */
  record Figure(double median, double halfRange) {}

  void add(Job job, String peer, Sample sample) {
    samples
        .computeIfAbsent(job, key -> new LinkedHashMap<>())
        .computeIfAbsent(peer, key -> new ArrayList<>())
        .add(sample);
  }

  /** Says why a peer, or a peer at a job, has no figures. */
  void leaveOut(String what, String why) {
    leftOut.putIfAbsent(what, why);
  }

  Map<String, String> leftOut() {
    return leftOut;
  }

  /** Returns the jobs that have figures, in the order in which they were done. */
  Set<Job> jobs() {
    return samples.keySet();
  }

  /** Returns the peers that have figures of any of some jobs, in the order of tables. */
  List<String> peers(List<Job> jobs) {
    Set<String> found = new LinkedHashSet<>();
    jobs.forEach(job -> found.addAll(samples.getOrDefault(job, Map.of()).keySet()));
    return Peers.NAMES.stream().filter(found::contains).toList();
  }

  /** Returns how far apart the processors were at some jobs; empty where each has one thread. */
  DoubleSummaryStatistics roundTrips(List<Job> jobs) {
    return jobs.stream()
        .flatMap(job -> samples.get(job).values().stream().flatMap(List::stream))
        .mapToDouble(Sample::roundTripNanos)
        .filter(nanos -> nanos > 0)
        .summaryStatistics();
  }

  Optional<Figure> figure(Job job, String peer, ToDoubleFunction<Sample> of) {
    List<Sample> found = samples.getOrDefault(job, Map.of()).getOrDefault(peer, List.of());
    if (found.isEmpty()) {
      return Optional.empty();
    }
    double[] sorted = found.stream().mapToDouble(of).sorted().toArray();
    int middle = sorted.length / 2;
    double median =
        sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    return Optional.of(new Figure(median, (sorted[sorted.length - 1] - sorted[0]) / 2));
  }
}
