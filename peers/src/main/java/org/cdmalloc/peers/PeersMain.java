/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.peers;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/**
 * Runs the comparison, {@code java -jar peers.jar}. Exit codes: 0 done, 1 a failure on the way, 2
 * wrong input.
 */
@Command(
    name = "peers",
    description = "Compares cdmalloc with other off-heap allocators, each in JVMs of its own.",
    mixinStandardHelpOptions = true)
public final class PeersMain implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Option(
      names = "--peers",
      paramLabel = "REGEX",
      description = "The peers, whole names: all by default.")
  private String peers = ".*";

  @Option(
      names = "--works",
      paramLabel = "REGEX",
      description =
          "The works with their threads, as pair-1 or batch-random-2, or with a size too, as"
              + " hand-over-2-mix: all by default.")
  private String works = ".*";

  @Option(
      names = "--sizes",
      paramLabel = "REGEX",
      description = "The sizes in bytes, or mix: all by default.")
  private String sizes = ".*";

  @Option(names = "--rounds", description = "Forks of each peer at each job, 3 by default.")
  private int rounds = 3;

  @Option(
      names = "--warmups",
      description =
          "Warm-up iterations of a fork of one thread, 3 by default; of two threads, "
              + Fork.PATIENCE
              + " times as many.")
  private int warmups = 3;

  @Option(names = "--iterations", description = "Measured iterations of a fork, 5 by default.")
  private int iterations = 5;

  @Option(names = "--millis", description = "Time of an iteration, 300 by default.")
  private int millis = 300;

  @Option(
      names = "--page",
      paramLabel = "FILE",
      description =
          "The page whose results of this JDK are replaced, and beside which the picture is put;"
              + " without it the tables are printed.")
  private Path page;

  @Option(names = "--obstacles", hidden = true, description = "Say what keeps peers from working.")
  private boolean obstacles;

  private PeersMain() {}

  /**
   * Runs the comparison and ends the JVM.
   *
   * @param arguments the options
   */
  public static void main(String[] arguments) {
    System.exit(commandLine().execute(arguments));
  }

  /**
   * Returns the command as {@link #main} runs it.
   *
   * @return a new one, writing to standard output and standard error until told otherwise
   */
  static CommandLine commandLine() {
    return new CommandLine(new PeersMain())
        .setParameterExceptionHandler(
            (exception, arguments) -> {
              say(exception.getCommandLine(), exception.getMessage() + "; see peers --help");
              return CommandLine.ExitCode.USAGE;
            })
        .setExecutionExceptionHandler(
            (exception, command, parsed) -> {
              say(command, "failed: " + Objects.requireNonNullElse(exception.getMessage(), ""));
              return CommandLine.ExitCode.SOFTWARE;
            });
  }

  private static void say(CommandLine command, String what) {
    command.getErr().println("peers: " + what.replaceAll("\\R\\s*", " "));
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    PrintWriter out = spec.commandLine().getOut();
    if (obstacles) {
      Peers.NAMES.forEach(name -> out.println(name + "\t" + Peers.obstacle(name).orElse("")));
      out.flush();
      return CommandLine.ExitCode.OK;
    }
    requirePositive("--rounds", rounds);
    requirePositive("--warmups", warmups);
    requirePositive("--iterations", iterations);
    requirePositive("--millis", millis);
    List<String> chosen = chosen("--peers", peers, Peers.NAMES);
    List<Job> jobs = jobs();
    HostFacts facts = HostFacts.read();
    if (page != null) {
      replaceable(facts.jdk());
    }
    Results results = new Results();
    List<String> working = new ArrayList<>(chosen);
    obstaclesHere()
        .forEach(
            (name, obstacle) -> {
              if (working.remove(name)) {
                results.leaveOut(name, obstacle);
              }
            });
    PrintWriter err = spec.commandLine().getErr();
    err.printf(
        Locale.ROOT,
        "%d jobs, %d peers, %d rounds; seeds: mix %d, order %d%n",
        jobs.size(),
        working.size(),
        rounds,
        Sizes.SEED,
        FreeOrder.SEED);
    Fork forks = new Fork(warmups, iterations, millis);
    Rounds all = new Rounds(new RoundTrip(forks::measure, RoundTrip::now), err::println);
    for (int round = 0; round < rounds; round++) {
      all.run(round, rounds, jobs, working, results);
      // A page after each: a run of hours may not see its end.
      if (page != null || round == rounds - 1) {
        write(results, facts, round + 1, out);
      }
    }
    return CommandLine.ExitCode.OK;
  }

  private void write(Results results, HostFacts facts, int done, PrintWriter out)
      throws IOException {
    String how =
        String.format(
            Locale.ROOT,
            "%s. A fork's figure is the median of %d iterations of %d ms after %d to warm up, %d where"
                + " there are two threads; a cell is the median of the rounds and half of their range.",
            done == 1 ? "One round" : done + " rounds",
            iterations,
            millis,
            Fork.warmups(warmups, 1),
            Fork.warmups(warmups, 2));
    if (page == null) {
      out.print(ResultPage.section(results, facts, how, ""));
      out.flush();
      return;
    }
    String name = page.getFileName().toString().replaceFirst("\\.[^.]*$", "");
    String picture = name + "-jdk" + facts.jdk() + ".svg";
    String section = ResultPage.section(results, facts, how, picture);
    Files.writeString(page, ResultPage.replace(Files.readString(page), facts.jdk(), section));
    Files.writeString(page.resolveSibling(picture), ResultPicture.of(results, facts));
  }

  /** Finds out before hours of measuring that their end could not be written. */
  private void replaceable(int jdk) throws IOException {
    if (!Files.isRegularFile(page)) {
      throw usage("--page: no such file: " + page);
    }
    try {
      ResultPage.replace(Files.readString(page), jdk, "");
    } catch (IllegalArgumentException e) {
      throw usage("--page: " + e.getMessage());
    }
  }

  private List<Job> jobs() {
    List<String> names = chosen("--sizes", sizes, Sizes.NAMES);
    List<Job> jobs = new ArrayList<>();
    Predicate<String> wanted = regex("--works", works);
    for (Work work : Work.values()) {
      for (int threads : work.threads()) {
        for (String size : names) {
          Job job = new Job(work, threads, size);
          boolean named = wanted.test(job.id()) || wanted.test(job.id() + "-" + size);
          if (named && work.takes(size)) {
            jobs.add(job);
          }
        }
      }
    }
    if (jobs.isEmpty()) {
      throw usage("--works: nothing is called '" + works + "'");
    }
    return jobs;
  }

  private List<String> chosen(String option, String regex, List<String> names) {
    List<String> chosen = names.stream().filter(regex(option, regex)).toList();
    if (chosen.isEmpty()) {
      throw usage(option + ": nothing is called '" + regex + "', known=" + names);
    }
    return chosen;
  }

  private Predicate<String> regex(String option, String regex) {
    try {
      return Pattern.compile(regex).asMatchPredicate();
    } catch (PatternSyntaxException e) {
      throw usage(option + ": not a regular expression: " + e.getDescription());
    }
  }

  private void requirePositive(String option, int value) {
    if (value <= 0) {
      throw usage(option + ": not positive: " + value);
    }
  }

  private ParameterException usage(String message) {
    return new ParameterException(spec.commandLine(), message);
  }

  /** Asks a JVM like those that measure. */
  private static Map<String, String> obstaclesHere() throws IOException, InterruptedException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(Fork.jvmArguments());
    command.addAll(List.of("-cp", System.getProperty("java.class.path")));
    command.addAll(List.of(PeersMain.class.getName(), "--obstacles"));
    Process process =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    process.waitFor();
    Map<String, String> found = new LinkedHashMap<>();
    Peers.NAMES.forEach(name -> found.put(name, "the JVM that tried it ended early"));
    said.lines()
        .map(line -> line.split("\t", -1))
        .filter(parts -> parts.length == 2)
        .forEach(parts -> found.put(parts[0], parts[1]));
    found.values().removeIf(String::isEmpty);
    return found;
  }
}
