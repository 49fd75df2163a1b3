/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks;

import java.util.Objects;
import org.cdmalloc.topology.TopologyFormatException;
import picocli.CommandLine;
import picocli.CommandLine.IExecutionExceptionHandler;
import picocli.CommandLine.IParameterExceptionHandler;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.UnmatchedArgumentException;

/**
 * Says what is wrong in one line on standard error, and what to do: no stack trace, no usage text.
 * Wrong input ends with exit code 2, whatever fails later with 1.
 */
final class OneLineErrors implements IParameterExceptionHandler, IExecutionExceptionHandler {
  @Override
  public int handleParseException(ParameterException exception, String[] arguments) {
    CommandLine command = exception.getCommandLine();
    String help = command.getCommandSpec().qualifiedName() + " --help";
    say(command, what(exception) + "; see " + help);
    return CommandLine.ExitCode.USAGE;
  }

  @Override
  public int handleExecutionException(
      Exception exception, CommandLine command, ParseResult parsed) {
    if (exception instanceof TopologyFormatException) {
      say(command, exception.getMessage());
      return CommandLine.ExitCode.USAGE;
    }
    say(
        command,
        "failed: "
            + Objects.requireNonNullElse(
                exception.getMessage(), exception.getClass().getSimpleName()));
    return CommandLine.ExitCode.SOFTWARE;
  }

  private static String what(ParameterException exception) {
    CommandLine command = exception.getCommandLine();
    if (exception instanceof UnmatchedArgumentException unmatched
        && command.getParent() == null
        && !unmatched.isUnknownOption()) {
      return "unknown command: '"
          + unmatched.getUnmatched().get(0)
          + "', commands="
          + command.getSubcommands().keySet();
    }
    return exception.getMessage().replaceFirst("^Error: ", "");
  }

  private static void say(CommandLine command, String what) {
    String line = command.getCommandSpec().qualifiedName() + ": " + what.strip();
    command.getErr().println(line.replaceAll("\\R\\s*", " "));
  }
}
