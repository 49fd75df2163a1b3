/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Reports as files. */
final class ReportFileTest {
  @TempDir private Path folder;

  @Test
  void whatIsWrittenIsRead() throws IOException {
    Report report = Reports.typical();
    Path file = Files.writeString(folder.resolve("report.json"), ReportFile.json(report));
    assertEquals(report, ReportFile.read(file));
  }

  @Test
  void thePageInTheDocsIsWhatIsMadeOfTheFileBesideIt() throws IOException {
    Path docs = Path.of("..", "docs");
    Report report = ReportFile.read(docs.resolve("locality-host.json"));
    Path made = Path.of("target", "locality-host.html");
    Files.writeString(made, HtmlReport.of(report));
    assertTrue(
        Files.readString(made).equals(Files.readString(docs.resolve("locality-host.html"))),
        "the page changed: look at it, copy " + made + " to docs, and take its picture anew");
    assertEquals(Files.readString(docs.resolve("locality-host.json")), ReportFile.json(report));
  }

  @Test
  void whatIsNoReportIsSaid() throws IOException {
    for (String text : new String[] {"", "[]", "{}", "{\"schema\":\"x\"}", "no JSON {", "7"}) {
      Path file = Files.writeString(folder.resolve("wrong.json"), text);
      String message =
          assertThrows(IllegalArgumentException.class, () -> ReportFile.read(file), text)
              .getMessage();
      assertTrue(message.contains("file=" + file), message);
    }
  }

  @Test
  void aLaterSchemaIsRefused() throws IOException {
    String text = ReportFile.json(Reports.typical()).replaceFirst("\"schema\": 1", "\"schema\": 2");
    Path file = Files.writeString(folder.resolve("later.json"), text);
    String message =
        assertThrows(IllegalArgumentException.class, () -> ReportFile.read(file)).getMessage();
    assertTrue(message.contains("schema=2, known=1"), message);
  }

  @Test
  void csvHasALineForEachFigureAndAsManyFieldsAsItsHeader() {
    Report report = Reports.typical();
    List<String> lines = ReportFile.csv(report).lines().toList();
    assertEquals(report.figures().size() + 1, lines.size());
    int fields = lines.get(0).split(",", -1).length;
    for (String line : lines) {
      assertEquals(fields, line.replaceAll("\"[^\"]*\"", "").split(",", -1).length, line);
    }
  }
}
