/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;

/**
 * The benchmark of growth runs, at both ends of its range; what it measures is judged by people.
 */
final class GrowthBenchmarkTest {
  @TempDir Path directory;

  @Test
  void theSmallestAndTheLargestMachineCanBeMeasured() throws Exception {
    // Somebody may be measuring on this host; this is no measurement.
    System.setProperty("jmh.ignoreLock", "true");
    List<RunResult> results = new ArrayList<>();
    try {
      results.addAll(run("GrowthBenchmark.(local|named|worn)", "64", "1", "0"));
      results.addAll(run("GrowthBenchmark.(local|named|worn)", "65536", "64", "16"));
    } finally {
      System.clearProperty("jmh.ignoreLock");
    }
    assertEquals(6, results.size());
    for (RunResult result : results) {
      assertTrue(result.getPrimaryResult().getScore() > 0, result::toString);
    }
  }

  private List<RunResult> run(String benchmarks, String mebibytes, String nodes, String devices)
      throws Exception {
    return List.copyOf(
        new Runner(
                new OptionsBuilder()
                    .include(benchmarks)
                    .param("mebibytes", mebibytes)
                    .param("nodes", nodes)
                    .param("devices", devices)
                    .mode(Mode.SingleShotTime)
                    .forks(1)
                    .warmupIterations(0)
                    .measurementIterations(1)
                    .measurementTime(TimeValue.milliseconds(1))
                    .shouldFailOnError(true)
                    .output(directory.resolve("jmh-" + nodes + ".txt").toString())
                    .build())
            .run());
  }
}
