/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The benchmark of growth runs, at both ends of its range; what it measures is judged by people. In
 * a process of its own: JMH reads memory in a way that these tests are denied on new JDKs.
 */
final class GrowthBenchmarkTest {
  private static final long LIMIT_SECONDS = 120;

  @TempDir Path directory;

  @Test
  void theSmallestAndTheLargestMachineCanBeMeasured() throws Exception {
    for (List<String> machine :
        List.of(List.of("64", "1", "0", "0"), List.of("65536", "64", "16", "1048576"))) {
      List<String> rows = run(machine.get(0), machine.get(1), machine.get(2), machine.get(3));
      assertEquals(3, rows.size(), rows::toString);
      for (String row : rows) {
        // "Benchmark","Mode","Threads","Samples","Score",…
        double score = Double.parseDouble(row.split(",", -1)[4]);
        assertTrue(score > 0, row);
      }
    }
  }

  @Test
  void aRoundOfDevicesHasARowForEachCount() throws Exception {
    List<String> single = List.of("-f", "1", "-p", "mebibytes=64", "-p", "nodes=1");
    List<String> lines = java("devices", "org.cdmalloc.benchmarks.DeviceCost", single);
    // Newer JVMs complain about JMH before.
    List<String> rows = lines.subList(lines.size() - 4, lines.size());
    assertEquals(
        List.of("0", "1", "3", "16"),
        rows.stream().map(row -> row.strip().split(" ", -1)[0]).toList(),
        lines::toString);
  }

  /** Returns a line per benchmark of JMH's table. */
  private List<String> run(String mebibytes, String nodes, String devices, String magazineBytes)
      throws IOException, InterruptedException {
    Path table = directory.resolve(mebibytes + ".csv");
    java(
        mebibytes,
        "org.openjdk.jmh.Main",
        List.of(
            "GrowthBenchmark.(local|named|worn)",
            "-p",
            "mebibytes=" + mebibytes,
            "-p",
            "nodes=" + nodes,
            "-p",
            "devices=" + devices,
            "-p",
            "magazineBytes=" + magazineBytes,
            "-f",
            "1",
            "-foe",
            "true",
            "-rf",
            "csv",
            "-rff",
            table.toString()));
    List<String> lines = Files.readAllLines(table, UTF_8);
    return lines.subList(1, lines.size());
  }

  /** Runs a benchmark, each pair once, and returns what it prints. */
  private List<String> java(String name, String main, List<String> arguments)
      throws IOException, InterruptedException {
    Path output = directory.resolve(name + ".txt");
    Path complaints = directory.resolve(name + "-err.txt");
    String classPath =
        System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    // Somebody may be measuring on this host; this is no measurement.
    command.add("-Djmh.ignoreLock=true");
    command.addAll(List.of("-cp", classPath, main, "-bm", "ss", "-wi", "0", "-i", "1"));
    command.addAll(arguments);
    Process jmh =
        new ProcessBuilder(command)
            .redirectOutput(output.toFile())
            .redirectError(complaints.toFile())
            .start();
    try {
      assertTrue(jmh.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS), "JMH does not end");
      assertEquals(0, jmh.exitValue(), () -> text(output) + text(complaints));
    } finally {
      jmh.destroyForcibly();
    }
    return Files.readAllLines(output, UTF_8);
  }

  private static String text(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      return e.toString();
    }
  }
}
