/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.URISyntaxException;
import java.nio.file.Path;
import picocli.CommandLine;

/**
 * One run of the command line inside the test's JVM.
 *
 * @param exitCode what {@code main} would exit with
 * @param out all of standard output
 * @param err all of standard error
 */
record CommandRun(int exitCode, String out, String err) {
  static CommandRun of(String... arguments) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    CommandLine command =
        CommandLineMain.commandLine().setOut(new PrintWriter(out)).setErr(new PrintWriter(err));
    int exitCode = command.execute(arguments);
    command.getOut().flush();
    command.getErr().flush();
    return new CommandRun(exitCode, out.toString(), err.toString());
  }

  /** Returns the path of a captured text below {@code src/test/resources/numactl}. */
  static String captured(String name) {
    try {
      return Path.of(CommandRun.class.getResource("/numactl/" + name).toURI()).toString();
    } catch (URISyntaxException impossible) {
      throw new AssertionError(impossible);
    }
  }

  /** Requires success without a word on standard error, and returns the output. */
  String succeeded() {
    assertEquals("", err);
    assertEquals(0, exitCode);
    return out;
  }

  /** Requires a refusal as wrong input: exit code 2, no output, one line that holds the parts. */
  void refused(String... parts) {
    assertEquals("", out);
    assertEquals(2, exitCode, err);
    assertTrue(err.endsWith(System.lineSeparator()), err);
    assertEquals(1, err.lines().count(), err);
    assertTrue(err.startsWith("cdmalloc"), err);
    assertFalse(err.contains("Usage:"), err);
    for (String part : parts) {
      assertTrue(err.contains(part), () -> "no \"" + part + "\" in: " + err);
    }
  }
}
