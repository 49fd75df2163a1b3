/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** A child JVM that runs {@link LimitProbe} under a limit which a shell sets first. */
final class ProbeProcess implements AutoCloseable {
  /** Far beyond what any case takes; a child that hangs is a failure, not a stopped build. */
  private static final long LONGEST_SECONDS = 120;

  private final Process process;
  private final Path output;

  private ProbeProcess(Process process, Path output) {
    this.process = process;
    this.output = output;
  }

  /**
   * Starts a child.
   *
   * @param shell what sh(1) does first, for example {@code ulimit -l 0}
   * @param arguments of the probe
   */
  static ProbeProcess start(String shell, String... arguments) throws IOException {
    Path output = Files.createTempFile("limit-probe", ".txt");
    // A JVM of few mappings, threads and bytes, whose own growth does not blur what is measured.
    List<String> command =
        new ChildJvm()
            .through("sh", "-c", shell + " && exec \"$@\"", "sh")
            .with(
                "-Xmx16m",
                "-Xss512k",
                "-XX:+UseSerialGC",
                "-Xshare:auto",
                "-XX:-UsePerfData",
                "-XX:ReservedCodeCacheSize=16m",
                "-XX:CompressedClassSpaceSize=16m",
                "-XX:ErrorFile=" + errorFile(output))
            .command(LimitProbe.class, arguments);
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    return new ProbeProcess(builder.redirectOutput(output.toFile()).start(), output);
  }

  private static Path errorFile(Path output) {
    return output.resolveSibling(output.getFileName() + ".hs_err");
  }

  /** Waits for the end; returns the exit status, 128 + 9 after a kill. */
  int await() throws InterruptedException {
    if (!process.waitFor(LONGEST_SECONDS, TimeUnit.SECONDS)) {
      throw new IllegalStateException("the probe hangs: " + this);
    }
    return process.exitValue();
  }

  boolean hasEnded() {
    return !process.isAlive();
  }

  CompletableFuture<Process> onExit() {
    return process.onExit();
  }

  /** Returns what the child has said up to now. */
  List<String> lines() {
    return KeyedText.lines(output);
  }

  /** Ends the child if it runs, and waits until it is gone. */
  @Override
  public void close() throws IOException {
    process.destroyForcibly().onExit().join();
    Files.deleteIfExists(output);
    Files.deleteIfExists(errorFile(output));
  }

  @Override
  public String toString() {
    try {
      return Files.readString(output, StandardCharsets.ISO_8859_1);
    } catch (IOException e) {
      return e.toString();
    }
  }
}
