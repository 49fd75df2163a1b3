/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.peers;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine;

/** Wrong input is refused with one line, before anything is measured. */
final class PeersMainTest {
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  private int run(String... arguments) {
    CommandLine command = PeersMain.commandLine();
    command.setOut(new PrintWriter(out, true));
    command.setErr(new PrintWriter(err, true));
    return command.execute(arguments);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "--rounds=0 | --rounds: not positive: 0",
        "--warmups=-1 | --warmups: not positive: -1",
        "--iterations=0 | --iterations: not positive: 0",
        "--millis=0 | --millis: not positive: 0",
        "--works=pair | --works: nothing is called 'pair'",
        "--peers=( | --peers: not a regular expression: Unclosed group",
        "--page=no/such.md | --page: no such file: no/such.md",
      })
  void whatIsWrong(String argument, String message) {
    assertEquals(2, run(argument));
    assertEquals("peers: " + message + "; see peers --help", err.toString().strip());
  }

  @Test
  void whatIsNotKnown() {
    assertEquals(2, run("--peers=malloc"));
    assertTrue(err.toString().startsWith("peers: --peers: nothing is called 'malloc', known=["));
    assertEquals(2, run("--sizes=4k"));
    assertEquals(2, run("--loud"));
  }

  @Test
  void aPageWithoutAPlaceIsRefusedAtOnce(@TempDir Path folder) throws IOException {
    Path page = folder.resolve("page.md");
    Files.writeString(page, "# Page\n");
    assertEquals(2, run("--page=" + page));
    assertTrue(err.toString().contains("--page: the page has no place for results"));
    assertEquals("# Page\n", Files.readString(page));
  }

  @Test
  void whatKeepsPeersFromWorkingIsOneLineEach() {
    assertEquals(0, run("--obstacles"));
    List<String> names = out.toString().lines().map(line -> line.split("\t", -1)[0]).toList();
    assertEquals(Peers.NAMES, names);
  }
}
