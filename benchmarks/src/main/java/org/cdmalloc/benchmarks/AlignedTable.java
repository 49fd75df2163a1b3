/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks;

import java.util.ArrayList;
import java.util.List;

/** Rows of cells, printed in columns: numbers to the right, words to the left. */
final class AlignedTable {
  private static final String GAP = "  ";

  private final List<List<String>> rows = new ArrayList<>();

  /**
   * Makes a table.
   *
   * @param header the columns' names
   */
  AlignedTable(List<String> header) {
    rows.add(List.copyOf(header));
  }

  /**
   * Adds a row.
   *
   * @param cells as many as the header has; an empty one where there is nothing to say
   */
  void row(List<String> cells) {
    rows.add(List.copyOf(cells));
  }

  /** Prints header and rows; a column in which no row says anything is left out. */
  @Override
  public String toString() {
    List<StringBuilder> lines = new ArrayList<>();
    rows.forEach(row -> lines.add(new StringBuilder()));
    for (int column = 0; column < rows.get(0).size(); column++) {
      int index = column;
      List<String> cells = rows.stream().map(row -> row.get(index)).toList();
      if (cells.stream().skip(1).anyMatch(cell -> !cell.isEmpty())) {
        append(lines, cells);
      }
    }
    StringBuilder table = new StringBuilder();
    lines.forEach(line -> table.append(line.toString().stripTrailing()).append('\n'));
    return table.toString();
  }

  private static void append(List<StringBuilder> lines, List<String> cells) {
    int width = cells.stream().mapToInt(String::length).max().orElse(0);
    boolean number =
        cells.stream().skip(1).allMatch(cell -> cell.isEmpty() || startsWithDigit(cell));
    for (int row = 0; row < cells.size(); row++) {
      StringBuilder line = lines.get(row);
      String blanks = " ".repeat(width - cells.get(row).length());
      line.append(line.length() == 0 ? "" : GAP)
          .append(number ? blanks + cells.get(row) : cells.get(row) + blanks);
    }
  }

  private static boolean startsWithDigit(String cell) {
    return cell.charAt(0) >= '0' && cell.charAt(0) <= '9';
  }
}
