/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/** A report for the terminal: a matrix for each measure, and what to know of its figures. */
final class TextReport {
  private final Report report;
  private final Cells cells;
  private final StringBuilder text = new StringBuilder();
  private final Set<Mark> used = EnumSet.noneOf(Mark.class);

  private TextReport(Report report) {
    this.report = report;
    this.cells = new Cells(report);
  }

  static String of(Report report) {
    return new TextReport(report).print();
  }

  private String print() {
    Host host = report.host();
    line("%s, Linux %s, JDK %s", host.processor(), host.kernel(), host.jdk());
    line(
        "%s; transparent huge pages: %s; data caches: %s",
        host.form(), host.hugePages(), caches(host));
    if (report.isPartial()) {
      line("PARTIAL: it was ended before all was measured.");
    }
    for (PageKind pages : PageKind.values()) {
      matrix(Measure.LATENCY, pages, true);
    }
    for (Measure measure : List.of(Measure.READ, Measure.WRITE, Measure.COPY, Measure.TRIAD)) {
      matrix(measure, PageKind.HUGE, true);
      matrix(measure, PageKind.HUGE, false);
    }
    sweeps();
    loads();
    matrix(Measure.PING_PONG, PageKind.SMALL, true);
    matrix(Measure.ALLOCATION, PageKind.SMALL, true);
    legend();
    return text.toString();
  }

  private static String caches(Host host) {
    return host.caches().entrySet().stream()
        .sorted(Map.Entry.comparingByKey())
        .map(cache -> "L" + cache.getKey() + " " + Quantities.binary(cache.getValue()))
        .collect(Collectors.joining(", "));
  }

  private void line(String format, Object... arguments) {
    text.append(String.format(Locale.ROOT, format, arguments)).append('\n');
  }

  private void matrix(Measure measure, PageKind pages, boolean alone) {
    List<Integer> rows = report.cpuNodes();
    List<Integer> columns = measure == Measure.PING_PONG ? report.cpuNodes() : report.memoryNodes();
    List<Figure> all =
        report
            .of(measure)
            .filter(figure -> figure.pages() == pages && (figure.threads() == 1) == alone)
            .toList();
    if (all.isEmpty()) {
      return;
    }
    String threads = alone ? "" : ", " + report.teams() + " together";
    String kind =
        measure == Measure.ALLOCATION || measure == Measure.PING_PONG
            ? ""
            : ", pages of " + pages.title;
    text.append('\n');
    line("%s, %s%s%s", measure.title, measure.unit, kind, threads);
    List<List<String>> table = new ArrayList<>();
    List<String> header = new ArrayList<>(List.of("CPUs of node"));
    columns.forEach(node -> header.add((measure == Measure.PING_PONG ? "CPU " : "memory ") + node));
    table.add(header);
    for (int row : rows) {
      List<String> line = new ArrayList<>(List.of(Integer.toString(row)));
      columns.forEach(column -> line.add(cell(cells.of(measure, row, column, pages, alone))));
      table.add(line);
    }
    aligned(table);
  }

  private String cell(Optional<Figure> figure) {
    return figure.map(this::value).orElse("-");
  }

  private String value(Figure figure) {
    used.addAll(figure.marks());
    return Quantities.three(figure.median())
        + figure.marks().stream().sorted().map(mark -> mark.sign).collect(Collectors.joining());
  }

  /** Puts cells below each other: their digits, that is, with the signs behind them. */
  private void aligned(List<List<String>> table) {
    int columns = table.get(0).size();
    int signs = Mark.values().length;
    int[] widths = new int[columns];
    for (List<String> row : table) {
      for (int i = 0; i < columns; i++) {
        widths[i] = Math.max(widths[i], bare(row.get(i)).length());
      }
    }
    for (List<String> row : table) {
      StringBuilder line = new StringBuilder();
      for (int i = 0; i < columns; i++) {
        String bare = bare(row.get(i));
        String behind = row.get(i).substring(bare.length());
        line.append(" ".repeat(widths[i] - bare.length())).append(bare).append(behind);
        line.append(" ".repeat(signs - behind.length() + 1));
      }
      text.append(line.toString().stripTrailing()).append('\n');
    }
  }

  private static String bare(String cell) {
    return cell.matches("[0-9.]+[*ch]+") ? cell.replaceAll("[*ch]+$", "") : cell;
  }

  private void sweeps() {
    List<Figure> all =
        report.of(Measure.LATENCY).filter(figure -> figure.pages() == PageKind.HUGE).toList();
    for (int cpuNode : report.cpuNodes()) {
      for (int memoryNode : report.memoryNodes()) {
        List<Figure> curve =
            all.stream()
                .filter(figure -> figure.cpuNode() == cpuNode && figure.memoryNode() == memoryNode)
                .sorted(Comparator.comparingLong(Figure::bytes))
                .toList();
        if (curve.size() > 1) {
          text.append('\n');
          line(
              "idle latency by working set, ns, CPUs of node %d, memory of node %d",
              cpuNode, memoryNode);
          aligned(
              List.of(
                  curve.stream().map(figure -> Quantities.binary(figure.bytes())).toList(),
                  curve.stream().map(this::value).toList()));
        }
      }
    }
  }

  private void loads() {
    for (int cpuNode : report.cpuNodes()) {
      for (int memoryNode : report.memoryNodes()) {
        List<Figure> curve =
            report
                .of(Measure.LOADED_LATENCY)
                .filter(figure -> figure.cpuNode() == cpuNode && figure.memoryNode() == memoryNode)
                .sorted(Comparator.comparingDouble(Figure::traffic))
                .toList();
        if (!curve.isEmpty()) {
          text.append('\n');
          line(
              "latency under load, ns at GB/s, CPUs of node %d, memory of node %d",
              cpuNode, memoryNode);
          aligned(
              List.of(
                  curve.stream().map(figure -> Quantities.three(figure.traffic())).toList(),
                  curve.stream().map(this::value).toList()));
        }
      }
    }
  }

  private void legend() {
    text.append('\n');
    used.forEach(mark -> line("%s  %s", mark.sign, mark.meaning));
    report
        .refused()
        .forEach(refused -> line("not measured: %s: %s", refused.what(), refused.why()));
    report.notes().forEach(note -> line("note: %s", note));
  }
}
