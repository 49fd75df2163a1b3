/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** The jar as a user starts it: exit codes, the two streams, no warning from the JVM. */
class CommandLineIT {
  private static final Path JAR = Path.of("target", "cdmalloc.jar");

  @TempDir Path directory;

  /** Options of the JVM. */
  private List<String> options = List.of();

  @Test
  void helpIsOutputAndNothingElse() throws Exception {
    Run run = run("zonelists", "--help");

    assertEquals("", run.err);
    assertEquals(0, run.exitCode);
    assertTrue(run.out.startsWith("Usage: cdmalloc zonelists"), run.out);
    assertTrue(!run.out.contains("\u001b"), run.out);
  }

  @Test
  void theVersionIsThatOfTheManifest() throws Exception {
    Run run = run("--version");

    assertEquals("", run.err);
    assertTrue(run.out.matches("cdmalloc \\d+\\.\\d+\\.\\d+\\S*\\R"), run.out);
  }

  @Test
  void zonelistsOfACapturedMachine() throws Exception {
    Run run =
        run(
            "zonelists",
            "--numactl",
            CommandRun.captured("two-sockets-three-devices.txt"),
            "--spill=ram",
            "--format=json");

    assertEquals("", run.err);
    assertEquals(0, run.exitCode);
    assertTrue(run.out.contains("\"fallback\":[3,1,0]"), run.out);
  }

  @Test
  void wrongInputIsOneLineAndExitCodeTwo() throws Exception {
    assertRefused(run("topologie"));
    assertRefused(run("zonelists", "--device", "x"));
    assertRefused(run("topology", "--numactl", CommandRun.captured("no-numa.txt")));
  }

  @Test
  @EnabledOnOs(OS.LINUX)
  void aFullDiskIsAFailure() throws Exception {
    Run run =
        run(
            Path.of("/dev/full"),
            "zonelists",
            "--numactl",
            CommandRun.captured("two-sockets-three-devices.txt"));

    assertEquals(1, run.exitCode);
    assertEquals(1, run.err.lines().count(), run.err);
    assertTrue(run.err.startsWith("cdmalloc: output was lost"), run.err);
  }

  @Test
  @EnabledOnOs(OS.LINUX)
  void whereJnaDoesNotWorkTheEmulatedMachineStandsInAndSaysSoOnce() throws Exception {
    options = List.of("-Djna.nounpack=true", "-Djna.nosys=true");
    Run run = run("tour");
    assertEquals(0, run.exitCode, run.err);
    assertTrue(run.out.startsWith("This host, EMULATED: no kernel was asked"), run.out);
    assertEquals(1, run.err.split("the source 'emulated' stands in; linux: JNA", -1).length - 1);

    options = List.of("-Djna.nounpack=true", "-Djna.nosys=true", "-Dcdmalloc.source=emulated");
    assertEquals("", run("tour").err);
  }

  @Test
  @EnabledOnOs(OS.LINUX)
  void localityIsMeasuredAndReadAgainAndNothingComplains() throws Exception {
    Path json = directory.resolve("host.json");
    Path html = directory.resolve("host.html");
    Run run = run("locality", "--quick", "--json", json.toString(), "--html", html.toString());
    assertEquals("", run.err);
    assertEquals(0, run.exitCode);
    assertTrue(run.out.contains("idle latency, ns, pages of 4 KiB"), run.out);
    assertTrue(Files.readString(html).endsWith("</html>\n"));
    Run compared = run("locality", "compare", json.toString(), json.toString());
    assertTrue(compared.out.startsWith("0 changed"), compared.out);
    assertEquals(0, compared.exitCode);
  }

  @Test
  void timesOfAnEmulatedMachineAreNotMeasured() throws Exception {
    options = List.of("-Dcdmalloc.source=emulated");
    Run run = run("locality", "--quick");
    assertRefused(run);
    assertTrue(run.err.contains("memory is emulated, and its times mean nothing"), run.err);
  }

  private static void assertRefused(Run run) {
    assertEquals("", run.out);
    assertEquals(1, run.err.lines().count(), run.err);
    assertTrue(run.err.startsWith("cdmalloc"), run.err);
    assertEquals(2, run.exitCode);
  }

  private Run run(String... arguments) throws IOException, InterruptedException {
    Path out = Files.createTempFile(directory, "out", ".txt");
    Run run = run(out, arguments);
    return new Run(run.exitCode, Files.readString(out, StandardCharsets.UTF_8), run.err);
  }

  private Run run(Path out, String... arguments) throws IOException, InterruptedException {
    assertTrue(Files.exists(JAR), () -> "no jar: file=" + JAR.toAbsolutePath() + "; run package");
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(options);
    command.add("-jar");
    command.add(JAR.toAbsolutePath().toString());
    command.addAll(List.of(arguments));
    Path err = Files.createTempFile(directory, "err", ".txt");
    Process process =
        new ProcessBuilder(command)
            .redirectOutput(out.toFile())
            .redirectError(err.toFile())
            .start();
    if (!process.waitFor(60, TimeUnit.SECONDS)) {
      process.destroyForcibly();
      throw new AssertionError("does not end: " + command);
    }
    return new Run(process.exitValue(), "", Files.readString(err, StandardCharsets.UTF_8));
  }

  private record Run(int exitCode, String out, String err) {}
}
