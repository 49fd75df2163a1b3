/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.Writer;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;
import picocli.CommandLine.Command;

class CommandLineMainTest {
  @Test
  void helpNamesTheCommands() {
    String help = CommandRun.of("--help").succeeded();

    assertTrue(help.contains("tour"), help);
    assertTrue(help.contains("topology"), help);
    assertTrue(help.contains("zonelists"), help);
  }

  @Test
  void versionIsOneLine() {
    String version = CommandRun.of("--version").succeeded();

    assertTrue(version.startsWith("cdmalloc "), version);
    assertEquals(1, version.lines().count());
    assertEquals(version, CommandRun.of("topology", "--version").succeeded());
  }

  @Test
  void anUnknownCommandIsRefused() {
    CommandRun.of("topologie")
        .refused("unknown command: 'topologie'", "[tour, topology, zonelists, locality]");
  }

  @Test
  void anUnknownOptionIsRefused() {
    CommandRun.of("--colour").refused("--colour");
    CommandRun.of("topology", "--colour").refused("--colour", "see cdmalloc topology --help");
    CommandRun.of("zonelists", "extra").refused("extra");
    CommandRun.of("zonelists", "--device").refused("--device");
  }

  @Test
  void aLineFeedInAnArgumentDoesNotBreakTheLine() {
    CommandRun.of("one\ntwo").refused("one two");
  }

  @Test
  void aFailureOnTheWayIsOneLineAndExitCodeOne() {
    StringWriter err = new StringWriter();
    int exitCode =
        CommandLineMain.commandLine()
            .addSubcommand(new Failing())
            .setExecutionExceptionHandler(new OneLineErrors())
            .setErr(new PrintWriter(err, true))
            .execute("fail");

    assertEquals(1, exitCode);
    assertEquals("cdmalloc fail: failed: first second", err.toString().strip());
  }

  @Command(name = "fail")
  private static final class Failing implements Runnable {
    @Override
    public void run() {
      throw new IllegalStateException("first\n  second");
    }
  }

  @Test
  void outputThatCannotBeWrittenIsAFailure() {
    StringWriter err = new StringWriter();
    Writer full =
        new Writer() {
          @Override
          public void write(char[] text, int offset, int length) throws IOException {
            throw new IOException("No space left on device");
          }

          @Override
          public void flush() {}

          @Override
          public void close() {}
        };
    CommandLine command =
        CommandLineMain.commandLine()
            .setOut(new PrintWriter(full))
            .setErr(new PrintWriter(err, true));

    assertEquals(1, CommandLineMain.run(command, "--help"));
    assertEquals("cdmalloc: output was lost: it could not be written", err.toString().strip());
    assertEquals(2, CommandLineMain.run(command, "--colour"));
  }

  @Test
  void everyCommandExplainsItself() {
    CommandLine commands = CommandLineMain.commandLine();

    for (String name : commands.getSubcommands().keySet()) {
      String help = CommandRun.of(name, "--help").succeeded();
      assertTrue(help.startsWith("Usage: cdmalloc " + name), help);
    }
  }
}
