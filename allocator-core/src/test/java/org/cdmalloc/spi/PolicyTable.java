/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.spi;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * A table of measured calls, {@code src/test/resources/kernel/*.txt}: lines of cells between
 * vertical bars, the first of which names the columns; lines that begin with {@code #} are remarks.
 *
 * <ul>
 *   <li>{@code before}: calls that succeed and set the scene, separated by semicolons
 *   <li>{@code call}: the call in question, as {@link PolicyScript} reads it
 *   <li>{@code result}: {@code ok}, the name of an error, or what the call tells
 *   <li>{@code since}: the first release with that result, if older ones answer otherwise
 *   <li>{@code else}: what they answer; empty if they cannot even set the scene
 * </ul>
 *
 * @param file its name
 * @param rows in the order of the file
 */
record PolicyTable(String file, List<Row> rows) {
  /**
   * A line of a table.
   *
   * @param line its number, from 1
   * @param before what sets the scene; may be empty
   * @param call the call in question
   * @param result of today
   * @param since the release from which on; empty if always
   * @param otherwise the result before that release
   */
  record Row(int line, String before, String call, String result, String since, String otherwise) {
    /** Returns what a kernel of a release answers; empty if it cannot set the scene. */
    String expected(String release) {
      return since.isEmpty() || compare(release, since) >= 0 ? result : otherwise;
    }

    /** Returns the calls without their result. */
    String calls() {
      return before.isEmpty() ? call : before + "; " + call;
    }

    private static int compare(String release, String other) {
      String[] mine = release.split("[^0-9]", -1);
      String[] theirs = other.split("\\.", -1);
      int major = Integer.compare(Integer.parseInt(mine[0]), Integer.parseInt(theirs[0]));
      return major != 0
          ? major
          : Integer.compare(Integer.parseInt(mine[1]), Integer.parseInt(theirs[1]));
    }
  }

  /** Reads a table of the class path. */
  static PolicyTable read(String file) {
    String path = "/kernel/" + file;
    try (InputStream in =
        Objects.requireNonNull(PolicyTable.class.getResourceAsStream(path), path)) {
      String text = new String(in.readAllBytes(), StandardCharsets.UTF_8);
      return new PolicyTable(file, rows(file, text.lines().toList()));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static List<Row> rows(String file, List<String> lines) {
    List<Row> rows = new ArrayList<>();
    List<String> columns = null;
    for (int i = 0; i < lines.size(); i++) {
      String line = lines.get(i);
      if (line.isBlank() || line.startsWith("#")) {
        continue;
      }
      List<String> cells = cells(line);
      if (columns == null) {
        columns = cells;
      } else if (cells.size() != columns.size()) {
        throw new AssertionError(
            file + ":" + (i + 1) + ": cells=" + cells.size() + ", columns=" + columns.size());
      } else {
        Map<String, String> named = new LinkedHashMap<>();
        for (int column = 0; column < cells.size(); column++) {
          named.put(columns.get(column), cells.get(column));
        }
        rows.add(
            new Row(
                i + 1,
                named.getOrDefault("before", ""),
                named.get("call"),
                named.get("result"),
                named.get("since"),
                named.get("else")));
      }
    }
    return rows;
  }

  private static List<String> cells(String line) {
    List<String> cells = new ArrayList<>();
    for (String cell : line.split("\\|", -1)) {
      cells.add(cell.strip());
    }
    return cells;
  }
}
