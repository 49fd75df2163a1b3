/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.spi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.cdmalloc.spi.PolicyTable.Row;
import org.junit.jupiter.api.Test;

/**
 * The tables of {@code docs/kernel-truth.md} are those of {@code src/test/resources/kernel}: what
 * follows a remark {@code <!-- rows: FILE -->} is made from that file. A failure prints what should
 * stand there.
 */
final class KernelTruthPageTest {
  private static final Pattern MARK = Pattern.compile("<!-- (rows|matrix|flags): (\\S+) -->");

  private static final Pattern POLICY =
      Pattern.compile("(?:set_mempolicy|mbind 0-3) ([A-Z_0-9]+)(\\S*) (\\S+)(?: (\\S+))?");

  @Test
  void tablesAreTheMeasuredOnes() throws IOException {
    String page = Files.readString(root().resolve("docs/kernel-truth.md"));
    assertEquals(withTables(page), page);
  }

  @Test
  void everyFileOfMeasurementsIsShown() throws IOException {
    String page = Files.readString(root().resolve("docs/kernel-truth.md"));
    Set<String> shown = new TreeSet<>();
    Matcher mark = MARK.matcher(page);
    while (mark.find()) {
      shown.add(mark.group(2));
    }
    Path folder = root().resolve("allocator-core/src/test/resources/kernel");
    Set<String> files = new TreeSet<>();
    try (Stream<Path> list = Files.list(folder)) {
      list.forEach(file -> files.add(file.getFileName().toString()));
    }
    assertEquals(files, shown);
    files.removeAll(Set.of("several-nodes.txt", "full-nodes.txt"));
    assertEquals(files, new TreeSet<>(PolicyCallsContract.TABLES));
  }

  private static Path root() {
    Path root = Path.of("").toAbsolutePath();
    while (!Files.isDirectory(root.resolve(".mvn"))) {
      root = root.getParent();
      assertTrue(root != null, "no folder above has .mvn: start=" + Path.of("").toAbsolutePath());
    }
    return root;
  }

  /** Returns the page with its tables made anew. */
  private static String withTables(String page) {
    List<String> lines = new ArrayList<>();
    boolean inTable = false;
    boolean replaces = false;
    for (String line : page.split("\n", -1)) {
      Matcher mark = MARK.matcher(line);
      if (mark.matches()) {
        lines.add(line);
        lines.add("");
        lines.addAll(table(mark.group(1), PolicyTable.read(mark.group(2))));
        lines.add("");
        replaces = true;
        inTable = false;
      } else if (!replaces) {
        lines.add(line);
      } else if (line.startsWith("|")) {
        inTable = true;
      } else if (!line.isEmpty() || inTable) {
        // The blank line behind the table is there already.
        replaces = false;
        if (!line.isEmpty()) {
          lines.add(line);
        }
      }
    }
    return String.join("\n", lines);
  }

  private static List<String> table(String kind, PolicyTable table) {
    return switch (kind) {
      case "rows" -> rows(table);
      case "matrix" -> pivot(table, true);
      default -> pivot(table, false);
    };
  }

  private static List<String> rows(PolicyTable table) {
    List<List<String>> cells = new ArrayList<>();
    cells.add(List.of("before", "call", "result", "older kernels"));
    for (Row row : table.rows()) {
      String older = row.otherwise().isEmpty() ? "" : "`" + row.otherwise() + "`";
      cells.add(List.of(code(row.before()), code(row.call()), result(row), older));
    }
    return markdown(cells);
  }

  private static String code(String text) {
    return text.isEmpty() ? "" : "`" + text + "`";
  }

  private static String result(Row row) {
    return row.since().isEmpty() ? row.result() : row.result() + " (" + row.since() + ")";
  }

  /**
   * Returns a table with a row per mode and a column per combination of mode flags, in whose cells
   * masks follow each other; or with a row per policy and a column per flag of the call.
   */
  private static List<String> pivot(PolicyTable table, boolean byMode) {
    Map<String, Map<String, String>> results = new LinkedHashMap<>();
    Set<String> columns = new LinkedHashSet<>();
    for (Row row : table.rows()) {
      Matcher policy = POLICY.matcher(row.call());
      assertTrue(policy.matches(), row.call());
      String flags = policy.group(2).isEmpty() ? "no flag" : policy.group(2).substring(1);
      String name =
          byMode ? policy.group(1) : policy.group(1) + policy.group(2) + " " + policy.group(3);
      String column = byMode ? flags : policy.group(4);
      columns.add(column);
      results
          .computeIfAbsent(name, unused -> new LinkedHashMap<>())
          .merge(column, result(row), (before, next) -> before + " / " + next);
    }
    List<List<String>> cells = new ArrayList<>();
    List<String> head = new ArrayList<>(List.of(byMode ? "mode" : "policy"));
    head.addAll(columns);
    cells.add(head);
    results.forEach(
        (name, cellsOfRow) -> {
          List<String> line = new ArrayList<>(List.of(code(name)));
          columns.forEach(column -> line.add(shortened(cellsOfRow.get(column))));
          cells.add(line);
        });
    return markdown(cells);
  }

  /** A cell all of whose parts are equal says it once. */
  private static String shortened(String cell) {
    Set<String> parts = new LinkedHashSet<>(List.of(cell.split(" / ", -1)));
    return parts.size() == 1 ? parts.iterator().next() : cell;
  }

  private static List<String> markdown(List<List<String>> cells) {
    List<String> lines = new ArrayList<>();
    for (List<String> row : cells) {
      lines.add("| " + String.join(" | ", row) + " |");
    }
    lines.add(1, "|" + " --- |".repeat(cells.get(0).size()));
    return lines;
  }
}
