/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import org.cdmalloc.NativeCallException;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.numa.CpuAffinity;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.topology.NodeMask;
import picocli.CommandLine;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code cdmalloc locality}: measures what memory costs from each node's CPUs. */
@Command(
    name = "locality",
    mixinStandardHelpOptions = true,
    description = {
      "Measures what this host's memory costs, from each node's CPUs to each node's memory: latency,"
          + " bandwidth, both at once, lines between CPUs, and what an allocation takes.",
      "Ctrl-C ends it early: what was measured until then is reported.",
      "Exit code: 0 measured, 1 a failure on the way, 2 wrong input, or nothing can be measured here."
    },
    footer = {
      "",
      "Examples:",
      "  java -jar cdmalloc.jar locality --quick",
      "  java -jar cdmalloc.jar locality --cpu-nodes 0 --memory-nodes 0 \\",
      "      --json host.json --html host.html",
      "  java -jar cdmalloc.jar locality --quick --working-set 32k,1m,32m",
      "  java -jar cdmalloc.jar locality compare before.json after.json"
    },
    subcommands = CompareCommand.class)
public final class LocalityCommand implements Callable<Integer> {
  /** How long the end of the JVM waits for the report of what was measured. */
  private static final long PATIENCE_SECONDS = 20;

  private static final String CLEAR_LINE = "\r\u001b[K";
  private static final Path STANDARD_ERROR = Path.of("/proc/self/fd/2");

  private static final double NANOS_PER_SECOND = 1e9;

  @Spec private CommandSpec spec;

  @Option(
      names = "--cpu-nodes",
      paramLabel = "LIST",
      description = "The nodes whose CPUs measure, as 0-1,4. Default: all that have CPUs.")
  private String cpuNodes;

  @Option(
      names = "--memory-nodes",
      paramLabel = "LIST",
      description = "The nodes whose memory is measured. Default: all that have memory.")
  private String memoryNodes;

  @ArgGroup private Speed speed = new Speed();

  /** One of two. */
  static final class Speed {
    @Option(names = "--quick", description = "Measure for less than a minute.")
    private boolean quick;

    @Option(
        names = "--thorough",
        description = "Measure with more memory, more often, and sweep working sets of all pairs.")
    private boolean thorough;

    Effort effort() {
      return quick ? Effort.QUICK : thorough ? Effort.THOROUGH : Effort.NORMAL;
    }
  }

  @Option(
      names = "--working-set",
      paramLabel = "BYTES",
      split = ",",
      description =
          "How much memory a chase goes through, as 32k,4m,1g; several make a curve. Default: from"
              + " 16k on, four times as much each time.")
  private List<String> workingSets = new ArrayList<>();

  @Option(
      names = "--threads",
      paramLabel = "N",
      defaultValue = "0",
      description = "How many CPUs of a node measure its bandwidth together. Default: all.")
  private int threads;

  @Option(
      names = "--json",
      paramLabel = "FILE",
      description = "Write all figures as JSON, for locality compare and for programs.")
  private Optional<Path> json;

  @Option(
      names = "--html",
      paramLabel = "FILE",
      description = "Write a report to look at: one file without script.")
  private Optional<Path> html;

  @Option(names = "--csv", paramLabel = "FILE", description = "Write all figures as CSV.")
  private Optional<Path> csv;

  @Override
  public Integer call() throws InterruptedException {
    List.of(json, html, csv).forEach(this::requireWritable);
    MemorySource source = source();
    Request request = request(source);
    Stop stop = new Stop();
    CountDownLatch written = new CountDownLatch(1);
    Thread atExit = new Thread(() -> endEarly(stop, written), "locality end");
    Runtime.getRuntime().addShutdownHook(atExit);
    try {
      Report report = new Locality(source, request, stop).run(progress(), version());
      boolean isWritten = write(report);
      boolean isWithout = report.figures().isEmpty() && !report.isPartial();
      return isWithout
          ? CommandLine.ExitCode.USAGE
          : isWritten ? CommandLine.ExitCode.OK : CommandLine.ExitCode.SOFTWARE;
    } finally {
      written.countDown();
      remove(atExit);
    }
  }

  private static void remove(Thread atExit) {
    try {
      Runtime.getRuntime().removeShutdownHook(atExit);
    } catch (IllegalStateException e) {
      // The JVM ends already, and the hook with it.
    }
  }

  /** Finds out before minutes of measuring that their end could not be written. */
  private void requireWritable(Optional<Path> file) {
    if (file.isEmpty()) {
      return;
    }
    Path path = file.get().toAbsolutePath();
    boolean isWritable =
        Files.exists(path)
            ? !Files.isDirectory(path) && Files.isWritable(path)
            : Files.isDirectory(path.getParent()) && Files.isWritable(path.getParent());
    if (!isWritable) {
      throw new ParameterException(
          spec.commandLine(), "no file can be written there: " + file.get());
    }
  }

  private static void endEarly(Stop stop, CountDownLatch written) {
    stop.ask();
    try {
      if (!written.await(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
        System.getLogger("org.cdmalloc")
            .log(System.Logger.Level.WARNING, "ended before what was measured was written");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private MemorySource source() {
    MemorySource source;
    try (NodeAllocator memory = NodeAllocator.open()) {
      source = memory.source();
    }
    if (!source.isReal()) {
      throw new ParameterException(
          spec.commandLine(),
          "memory is emulated, and its times mean nothing: source="
              + source.name()
              + "; run it on Linux, without -Dcdmalloc.source");
    }
    if (!source.diagnosis().binds()) {
      throw new ParameterException(
          spec.commandLine(),
          "memory cannot be bound to nodes here: " + source.diagnosis().obstacle());
    }
    Optional<String> why = CpuAffinity.whyNot().or(LocalityCommand::whyNotPinned);
    if (why.isPresent()) {
      throw new ParameterException(
          spec.commandLine(), "threads cannot be pinned to CPUs here: " + why.get());
    }
    return source;
  }

  /** Pins this thread to where it may run anyway: that changes nothing, unless it is refused. */
  private static Optional<String> whyNotPinned() {
    try {
      CpuAffinity.set(CpuAffinity.get());
      return Optional.empty();
    } catch (NativeCallException e) {
      return Optional.of(
          e.getMessage() + "; a container's seccomp profile must allow sched_setaffinity");
    }
  }

  private Request request(MemorySource source) {
    NodeMask withCpus = nodes("--cpu-nodes", cpuNodes, source.machine().withCpus());
    NodeMask withMemory = nodes("--memory-nodes", memoryNodes, source.machine().withMemory());
    if (threads < 0) {
      throw new ParameterException(
          spec.commandLine(), "not a number of threads: --threads=" + threads);
    }
    return new Request(
        withCpus,
        withMemory,
        speed.effort(),
        workingSets.stream().map(this::workingSet).toList(),
        threads);
  }

  private NodeMask nodes(String option, String list, NodeMask all) {
    if (list == null) {
      return all;
    }
    NodeMask wanted = parsed(option, list, NodeMask::parse);
    if (wanted.isEmpty() || !all.containsAll(wanted)) {
      throw new ParameterException(
          spec.commandLine(),
          "not such nodes of this host: " + option + "=" + list + ", possible=" + all);
    }
    return wanted;
  }

  private long workingSet(String text) {
    long bytes =
        parsed(
            "--working-set",
            text,
            word -> {
              String lower = word.strip().toLowerCase(Locale.ROOT);
              int shift = " kmg".indexOf(lower.isEmpty() ? ' ' : lower.charAt(lower.length() - 1));
              String digits = shift > 0 ? lower.substring(0, lower.length() - 1) : lower;
              return Long.parseLong(digits) << (shift > 0 ? 10 * shift : 0);
            });
    if (bytes < 2 * Kernels.LINE_BYTES || bytes % Kernels.LINE_BYTES != 0 || bytes > 1L << 40) {
      throw new ParameterException(
          spec.commandLine(),
          "not a working set: --working-set="
              + text
              + "; give a multiple of 64 bytes, as 32k or 4m");
    }
    return bytes;
  }

  private <T> T parsed(String option, String text, Function<String, T> parser) {
    try {
      return parser.apply(text);
    } catch (IllegalArgumentException e) {
      throw new ParameterException(
          spec.commandLine(), "cannot be read: " + option + "=" + text + ": " + e.getMessage(), e);
    }
  }

  private String version() {
    String[] lines = spec.root().version();
    return lines.length > 0 ? lines[0] : "unversioned";
  }

  /** A line on a terminal that is written over; nobody reads it anywhere else. */
  private Progress progress() {
    if (!isTerminal()) {
      return (cell, done, all, leftNanos) -> {};
    }
    PrintWriter err = spec.commandLine().getErr();
    return new Progress() {
      @Override
      public void begins(Cell cell, int done, int all, long leftNanos) {
        String left =
            leftNanos < 0
                ? ""
                : String.format(Locale.ROOT, ", %.0f s left", leftNanos / NANOS_PER_SECOND);
        err.printf(Locale.ROOT, CLEAR_LINE + "[%d/%d%s] %s", done + 1, all, left, cell.words());
        err.flush();
      }

      @Override
      public void ends() {
        err.print(CLEAR_LINE);
        err.flush();
      }
    };
  }

  /** Tells whether standard error is shown as it is written. */
  private static boolean isTerminal() {
    try {
      String target = Files.readSymbolicLink(STANDARD_ERROR).toString();
      return target.startsWith("/dev/pts/") || target.startsWith("/dev/tty");
    } catch (IOException e) {
      return false;
    }
  }

  /** Returns false if a file could not be written: the others are. */
  private boolean write(Report report) {
    PrintWriter out = spec.commandLine().getOut();
    out.print(TextReport.of(report));
    out.flush();
    // All three, whatever becomes of the first one.
    boolean hasJson = write(json, report, ReportFile::json);
    boolean hasCsv = write(csv, report, ReportFile::csv);
    boolean hasHtml = write(html, report, HtmlReport::of);
    return hasJson && hasCsv && hasHtml;
  }

  private boolean write(Optional<Path> file, Report report, Function<Report, String> form) {
    if (file.isEmpty()) {
      return true;
    }
    try {
      Files.writeString(file.get(), form.apply(report));
      return true;
    } catch (IOException e) {
      spec.commandLine().getErr().println("not written: " + file.get() + ": " + e.getMessage());
      return false;
    }
  }
}
