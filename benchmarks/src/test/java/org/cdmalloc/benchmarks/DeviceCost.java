/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.CommandLineOptionException;
import org.openjdk.jmh.runner.options.CommandLineOptions;
import org.openjdk.jmh.runner.options.Options;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.VerboseMode;

/**
 * What device nodes cost those who do not use them: a pair near the caller with some of them
 * online, as a multiple of the pair without. JMH runs all forks of one machine and then all of the
 * next, while a shared host drifts; here a round has a fork of each, in another order each time,
 * and forks are compared within their round, by their fastest iterations. {@code
 * docs/measurements.md} tells how to run it.
 */
final class DeviceCost {
  private static final int[] DEVICES = {0, 1, 3, 16};
  private static final int ROUNDS = 30;

  /** Standard normal quantile of a two-sided 95 %. */
  private static final double Z = 1.96;

  private DeviceCost() {}

  /**
   * Measures and prints.
   *
   * @param arguments as JMH takes them; -f is the number of rounds, the parameter devices is not to
   *     be given
   */
  public static void main(String[] arguments) throws CommandLineOptionException, RunnerException {
    CommandLineOptions given = new CommandLineOptions(arguments);
    int rounds = given.getForkCount().orElse(ROUNDS);
    Map<Integer, List<Double>> nanos = new TreeMap<>();
    Map<Integer, List<Double>> ratios = new TreeMap<>();
    for (int round = 0; round < rounds; round++) {
      Map<Integer, Double> scores = new TreeMap<>();
      for (int turn = 0; turn < DEVICES.length; turn++) {
        int devices = DEVICES[(round + turn) % DEVICES.length];
        scores.put(devices, measure(given, devices));
      }
      scores.forEach((devices, score) -> add(nanos, devices, score));
      scores.forEach((devices, score) -> add(ratios, devices, score / scores.get(0)));
    }
    System.out.println("devices  ns/pair  of 0 devices  (0.95 confidence)  middle half of rounds");
    ratios.forEach(
        (devices, values) ->
            System.out.printf(
                Locale.ROOT,
                "%7d  %7.1f  %12.3f  %7.3f to %.3f  %10.3f to %.3f%n",
                devices,
                quantile(nanos.get(devices), 0.5),
                quantile(values, 0.5),
                quantile(values, 0.5 - Z / 2 / Math.sqrt(rounds)),
                quantile(values, 0.5 + Z / 2 / Math.sqrt(rounds)),
                quantile(values, 0.25),
                quantile(values, 0.75)));
  }

  private static void add(Map<Integer, List<Double>> byDevices, int devices, double value) {
    byDevices.computeIfAbsent(devices, key -> new ArrayList<>()).add(value);
  }

  /** Returns the fastest iteration: what other processes took away is in the others. */
  private static double measure(CommandLineOptions given, int devices) throws RunnerException {
    Options options =
        new OptionsBuilder()
            .parent(given)
            .include("GrowthBenchmark.local")
            .param("devices", Integer.toString(devices))
            .forks(1)
            .verbosity(VerboseMode.SILENT)
            .build();
    return new Runner(options).runSingle().getPrimaryResult().getStatistics().getMin();
  }

  /** Returns a value that a share of all are below, between two of them where it falls so. */
  private static double quantile(List<Double> values, double share) {
    double[] sorted = values.stream().mapToDouble(Double::doubleValue).sorted().toArray();
    double at = Math.max(0, Math.min(share, 1)) * (sorted.length - 1);
    int below = (int) at;
    int above = Math.min(below + 1, sorted.length - 1);
    return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
  }
}
