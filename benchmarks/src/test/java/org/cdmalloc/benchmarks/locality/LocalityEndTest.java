/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.cdmalloc.NativeCallException;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.benchmarks.CommandLineMain;
import org.cdmalloc.numa.CpuAffinity;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** How runs end that do not come to theirs: because somebody ends them, or a host refuses them. */
final class LocalityEndTest {
  /** What SIGTERM makes of a JVM; Ctrl-C, SIGINT, takes the same way. */
  private static final int TERMINATED = 143;

  private static final int PATIENCE_SECONDS = 60;

  @TempDir private Path folder;

  @BeforeEach
  void canBeMeasuredHere() {
    assumeTrue(CpuAffinity.whyNot().isEmpty(), "threads cannot be pinned here");
    try {
      CpuAffinity.set(CpuAffinity.get());
    } catch (NativeCallException e) {
      assumeTrue(false, e.getMessage());
    }
    try (NodeAllocator memory = NodeAllocator.open()) {
      assumeTrue(
          memory.source().isReal() && memory.source().diagnosis().binds(),
          "memory cannot be bound here");
    }
  }

  private Process start(List<String> before, String... options) throws IOException {
    List<String> command = new ArrayList<>(before);
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("-cp", System.getProperty("java.class.path")));
    command.addAll(List.of(CommandLineMain.class.getName(), "locality"));
    command.addAll(List.of(options));
    return new ProcessBuilder(command)
        .redirectOutput(folder.resolve("out").toFile())
        .redirectError(folder.resolve("err").toFile())
        .start();
  }

  private int end(Process run) throws InterruptedException {
    try {
      assertTrue(run.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS), "it did not end");
      return run.exitValue();
    } finally {
      run.destroyForcibly();
    }
  }

  private String said(String where) throws IOException {
    return Files.readString(folder.resolve(where));
  }

  @Test
  void aRunThatIsEndedReportsWhatItHas() throws Exception {
    Path json = folder.resolve("host.json");
    Process run = start(List.of(), "--thorough", "--json", json.toString());
    while (!isMeasuring(run)) {
      assertFalse(run.waitFor(100, TimeUnit.MILLISECONDS), said("err"));
    }
    run.destroy();
    assertEquals(TERMINATED, end(run));
    assertTrue(said("out").contains("PARTIAL"), said("out"));
    assertTrue(ReportFile.read(json).isPartial());
  }

  private static boolean isMeasuring(Process run) throws IOException {
    try (Stream<Path> tasks = Files.list(Path.of("/proc/" + run.pid() + "/task"))) {
      return tasks.anyMatch(task -> name(task).startsWith("locality cpu"));
    }
  }

  private static String name(Path task) {
    try {
      return Files.readString(task.resolve("comm"));
    } catch (IOException e) {
      return ""; // it ended
    }
  }

  private void refused(String what, String... words) throws Exception {
    assumeTrue(CProgram.isPossible(), "no C compiler");
    String refuse = CProgram.compiled("refuse.c", "refuse").toString();
    assertEquals(2, end(start(List.of(refuse, what), "--quick")), said("err"));
    for (String word : words) {
      assertTrue(said("err").contains(word), said("err"));
    }
    assertFalse(said("err").contains("\tat "), said("err"));
    assertEquals("", said("out"));
  }

  @Test
  void whoMayNotPinThreadsIsTold() throws Exception {
    refused("affinity", "threads cannot be pinned to CPUs here", "EPERM", "sched_setaffinity");
  }

  @Test
  void whoMayNotBindMemoryIsTold() throws Exception {
    refused("binding", "memory cannot be bound to nodes here", "mbind");
  }
}
