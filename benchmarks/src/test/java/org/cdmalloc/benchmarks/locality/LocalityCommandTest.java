/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

/** What the command says of what it is asked. */
final class LocalityCommandTest {
  @TempDir private Path folder;

  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  private int run(String... arguments) {
    return new CommandLine(new LocalityCommand())
        .setOut(new PrintWriter(out))
        .setErr(new PrintWriter(err))
        .execute(arguments);
  }

  private void refused(String part, String... arguments) {
    assertEquals(2, run(arguments), List.of(arguments).toString());
    assertTrue(err.toString().contains(part), err.toString());
  }

  @Test
  void nodesThatThisHostLacksAreRefused() {
    refused("--cpu-nodes=1022", "--cpu-nodes", "1022");
    refused("--memory-nodes=0-x", "--memory-nodes", "0-x");
    refused("--memory-nodes=", "--memory-nodes", "");
  }

  @Test
  void examplesArePrintedAsTheyAreTyped() {
    assertEquals(0, run("--help"));
    List<String> examples =
        out.toString().lines().dropWhile(line -> !line.equals("Examples:")).skip(1).toList();
    assertEquals(5, examples.size(), examples.toString());
    boolean goesOn = false;
    for (String line : examples) {
      assertEquals(!goesOn, line.startsWith("  java -jar cdmalloc.jar locality "), line);
      goesOn = line.endsWith(" \\");
    }
  }

  @Test
  void nonsenseIsRefused() {
    refused("--working-set=100", "--working-set", "100");
    refused("--working-set=64", "--working-set", "1m,64");
    refused("--working-set=k", "--working-set", "k");
    refused("--threads=-1", "--threads", "-1");
    refused("mutually exclusive", "--quick", "--thorough");
  }

  @Test
  void filesThatCannotBeWrittenAreRefusedBeforeAnythingIsMeasured() {
    refused("no file can be written there", "--json", folder.toString());
    refused("no file can be written there", "--html", folder.resolve("none/page").toString());
  }

  @Test
  void aReportThatIsNotThereIsNamed() {
    refused("no such file: " + folder.resolve("x"), "compare", folder.resolve("x") + "", "y");
  }

  @Test
  void twoReportsAreCompared() throws Exception {
    Path before = Files.writeString(folder.resolve("a"), ReportFile.json(Reports.typical()));
    Report slower =
        Reports.of(
            Reports.typical().figures().stream()
                .filter(figure -> figure.measure() == Measure.READ)
                .map(
                    figure ->
                        Reports.figure(
                            Measure.READ,
                            figure.cpuNode(),
                            figure.memoryNode(),
                            figure.pages(),
                            figure.bytes(),
                            figure.median() / 2))
                .toList());
    Path after = Files.writeString(folder.resolve("b"), ReportFile.json(slower));
    assertEquals(0, run("compare", before.toString(), before.toString()));
    assertTrue(out.toString().startsWith("0 changed"), out.toString());
    assertEquals(3, run("compare", before.toString(), after.toString()));
    assertTrue(out.toString().contains("worse: read, CPUs of node 0"), out.toString());
    refused(
        "not a report", "compare", before.toString(), Files.createFile(folder.resolve("c")) + "");
  }
}
