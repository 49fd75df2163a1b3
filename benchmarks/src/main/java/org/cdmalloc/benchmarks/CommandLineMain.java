/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks;

import java.util.concurrent.Callable;
import org.cdmalloc.benchmarks.locality.LocalityCommand;
import org.cdmalloc.topology.LoadRule;
import org.cdmalloc.topology.SpillMode;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/**
 * The command line, {@code java -jar cdmalloc.jar}. Without a command it gives the tour. Exit
 * codes: 0 done, 1 a failure on the way, 2 wrong input; the last two with one line on standard
 * error.
 */
@Command(
    name = "cdmalloc",
    description = "Off-heap memory by NUMA node: what this host has, and what an allocator does.",
    mixinStandardHelpOptions = true,
    versionProvider = ManifestVersion.class,
    footer = "Without a command: the tour.",
    subcommands = {
      TourCommand.class,
      TopologyCommand.class,
      ZonelistsCommand.class,
      LocalityCommand.class
    })
public final class CommandLineMain implements Callable<Integer> {
  @Spec private CommandSpec spec;

  private CommandLineMain() {}

  /**
   * Runs a command and ends the JVM with its exit code.
   *
   * @param arguments the command, its options and operands
   */
  public static void main(String[] arguments) {
    System.exit(run(commandLine(), arguments));
  }

  /**
   * Runs a command and sees to it that lost output is a failure.
   *
   * @param command as {@link #commandLine} returns it
   * @param arguments the command, its options and operands
   * @return the exit code
   */
  static int run(CommandLine command, String... arguments) {
    int exitCode = command.execute(arguments);
    // The command's writer does not see what System.out, below it, could not write.
    boolean lost = command.getOut().checkError() || System.out.checkError();
    if (lost) {
      command.getErr().println("cdmalloc: output was lost: it could not be written");
      return Math.max(exitCode, CommandLine.ExitCode.SOFTWARE);
    }
    return exitCode;
  }

  /**
   * Returns the command line as {@link #main} runs it, for callers that want its output.
   *
   * @return a new one, writing to standard output and standard error until told otherwise
   */
  static CommandLine commandLine() {
    OneLineErrors errors = new OneLineErrors();
    CommandLine line = new CommandLine(new CommandLineMain());
    CommandLine locality = line.getSubcommands().get("locality");
    locality.getCommandSpec().version(line.getCommandSpec().version());
    locality
        .getSubcommands()
        .values()
        .forEach(command -> command.getCommandSpec().version(line.getCommandSpec().version()));
    return line.registerConverter(LoadRule.class, new EnumWord<>(LoadRule.class))
        .registerConverter(SpillMode.class, new EnumWord<>(SpillMode.class))
        .registerConverter(
            ZonelistsCommand.Format.class, new EnumWord<>(ZonelistsCommand.Format.class))
        .setParameterExceptionHandler(errors)
        .setExecutionExceptionHandler(errors);
  }

  /** Gives the tour. */
  @Override
  public Integer call() {
    return spec.subcommands().get("tour").execute();
  }
}
