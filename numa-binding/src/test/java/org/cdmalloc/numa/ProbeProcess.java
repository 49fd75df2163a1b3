/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** A child JVM that runs a probe, such as {@link LimitProbe}, under what a shell sets first. */
final class ProbeProcess implements AutoCloseable {
  /** Far beyond what any case takes; a child that hangs is a failure, not a stopped build. */
  private static final long LONGEST_SECONDS = Long.getLong("probe.seconds", 120);

  private static final long POLL_MILLIS = 50;

  private final Process process;
  private final Path output;

  private ProbeProcess(Process process, Path output) {
    this.process = process;
    this.output = output;
  }

  /** Starts a child that runs {@link LimitProbe}. */
  static ProbeProcess start(String shell, String... arguments) throws IOException {
    return start(LimitProbe.class, shell, arguments);
  }

  /**
   * Starts a child.
   *
   * @param probe its main class
   * @param shell what sh(1) does first, for example {@code ulimit -l 0}
   * @param arguments of the probe
   */
  static ProbeProcess start(Class<?> probe, String shell, String... arguments) throws IOException {
    Path output = Files.createTempFile("probe", ".txt");
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
            .command(probe, arguments);
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

  /** Waits until the child has said a line, or has ended. */
  void awaitLine(String line) throws InterruptedException {
    awaitLine(line, 0);
  }

  /** Waits until the child has said a line after so many others, or has ended. */
  void awaitLine(String line, int after) throws InterruptedException {
    boolean ended = false;
    for (long waited = 0; !ended && lines().lastIndexOf(line) < after; waited += POLL_MILLIS) {
      ended = process.waitFor(POLL_MILLIS, TimeUnit.MILLISECONDS);
      if (waited > LONGEST_SECONDS * 1000) {
        throw new IllegalStateException("the probe hangs: " + this);
      }
    }
  }

  /** Writes a line to the child. */
  void write(String line) throws IOException {
    process.getOutputStream().write((line + '\n').getBytes(StandardCharsets.US_ASCII));
    process.getOutputStream().flush();
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
