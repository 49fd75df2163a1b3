/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import org.cdmalloc.topology.NodeMask;

/**
 * A report as one file of HTML that needs nothing else: no script, no picture, no font. Light and
 * dark as the reader's system is, to be printed, and in tables and words where it is not seen.
 */
final class HtmlReport {
  private static final int SHADES = 7;
  private static final List<Measure> BANDWIDTHS =
      List.of(Measure.READ, Measure.WRITE, Measure.COPY, Measure.TRIAD);

  private final Report report;
  private final Cells cells;
  private final StringBuilder page = new StringBuilder();
  private int charts;

  private HtmlReport(Report report) {
    this.report = report;
    this.cells = new Cells(report);
  }

  static String of(Report report) {
    return new HtmlReport(report).print();
  }

  private String print() {
    head();
    findings();
    latency();
    bandwidth();
    curves();
    others();
    firmware();
    how();
    return page.append("</main>\n</body>\n</html>\n").toString();
  }

  private void add(String format, Object... arguments) {
    page.append(String.format(Locale.ROOT, format, arguments)).append('\n');
  }

  private void head() {
    Host host = report.host();
    String caches =
        host.caches().entrySet().stream()
            .sorted(Map.Entry.comparingByKey())
            .map(cache -> "L" + cache.getKey() + " " + Quantities.binary(cache.getValue()))
            .collect(Collectors.joining(", "));
    add("<!DOCTYPE html>%n<html lang=\"en\">%n<head>%n<meta charset=\"utf-8\">");
    add("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    add("<title>Memory locality, %s</title>", Html.text(report.taken()));
    page.append("<style>\n").append(style()).append("</style>\n</head>\n<body>\n<main>\n");
    add("<h1>Memory locality</h1>");
    add(
        "<p class=\"quiet\">%s, Linux %s%s; data caches %s; JDK %s. Taken %s, effort %s, %s.</p>",
        Html.text(host.processor()),
        Html.text(host.kernel()),
        host.isVirtual() ? ", a virtual machine" : "",
        Html.text(caches.isEmpty() ? "not told" : caches),
        Html.text(host.jdk()),
        Html.text(report.taken()),
        Html.text(report.effort()),
        Html.text(report.version()));
    if (report.isPartial()) {
      add("<p class=\"partial\">Partial: it was ended before all was measured.</p>");
    }
    page.append(MachineDrawing.of(report));
  }

  private static String style() {
    try (InputStream in = HtmlReport.class.getResourceAsStream("report.css")) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void findings() {
    List<String> findings = Findings.of(report);
    if (!findings.isEmpty() || !report.notes().isEmpty()) {
      add("<h2>What it says</h2>%n<ul>");
      findings.forEach(words -> add("<li>%s</li>", Html.text(words)));
      report.notes().forEach(words -> add("<li class=\"quiet\">%s</li>", Html.text(words)));
      add("</ul>");
    }
  }

  private void latency() {
    add("<h2>Idle latency</h2>%n<p class=\"quiet\">%s.</p>", Html.text(Measure.LATENCY.rule));
    add("<div class=\"tables\">");
    for (PageKind pages : PageKind.values()) {
      matrix(Measure.LATENCY, pages, true, "ns, pages of " + pages.title);
    }
    add("</div>");
  }

  private void bandwidth() {
    add("<h2>Bandwidth</h2>%n<p class=\"quiet\">GB/s, decimal, counted as STREAM counts.</p>");
    for (Measure measure : BANDWIDTHS) {
      add(
          "<p class=\"quiet\">%s: %s.</p>%n<div class=\"tables\">",
          measure.title, Html.text(measure.rule));
      matrix(measure, PageKind.HUGE, true, measure.title + ", one CPU");
      matrix(measure, PageKind.HUGE, false, measure.title + ", " + report.teams() + " together");
      add("</div>");
    }
  }

  private void matrix(Measure measure, PageKind pages, boolean alone, String caption) {
    List<Integer> columns = measure == Measure.PING_PONG ? report.cpuNodes() : report.memoryNodes();
    List<Figure> all = new ArrayList<>();
    for (int row : report.cpuNodes()) {
      columns.forEach(column -> cells.of(measure, row, column, pages, alone).ifPresent(all::add));
    }
    if (all.isEmpty()) {
      return;
    }
    double least = all.stream().mapToDouble(Figure::median).min().orElseThrow();
    double most = all.stream().mapToDouble(Figure::median).max().orElseThrow();
    add("%s<table>%n<caption>%s</caption>", scroll(caption), Html.text(caption));
    String to = measure == Measure.PING_PONG ? "CPU of" : "memory of";
    page.append("<thead><tr><th scope=\"col\">from CPUs of</th>");
    columns.forEach(column -> page.append("<th scope=\"col\">" + to + " " + column + "</th>"));
    page.append("</tr></thead>\n<tbody>\n");
    for (int row : report.cpuNodes()) {
      page.append("<tr><th scope=\"row\">node " + row + "</th>");
      for (int column : columns) {
        page.append(cell(cells.of(measure, row, column, pages, alone), least, most));
      }
      page.append("</tr>\n");
    }
    add("</tbody></table></div>");
  }

  /** What is wider than a screen can be reached and moved without a mouse. */
  private static String scroll(String label) {
    return "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\""
        + Html.text(label)
        + "\">";
  }

  private static String cell(Optional<Figure> found, double least, double most) {
    if (found.isEmpty()) {
      return "<td class=\"none\">–</td>";
    }
    Figure figure = found.get();
    double part = most == least ? 0 : (figure.median() - least) / (most - least);
    int shade = (int) Math.min(SHADES - 1, Math.floor(part * SHADES));
    String marks =
        figure.marks().stream()
            .sorted()
            .map(
                mark ->
                    "<abbr title=\""
                        + Html.text(mark.meaning)
                        + "\" aria-hidden=\"true\">"
                        + mark.sign
                        + "</abbr><span class=\"unseen\">, "
                        + Html.text(mark.title)
                        + "</span>")
            .collect(Collectors.joining());
    return String.format(
        Locale.ROOT,
        "<td class=\"h%d\">%s%s<small>%s–%s</small></td>",
        shade,
        Quantities.three(figure.median()),
        marks,
        Quantities.three(figure.low()),
        Quantities.three(figure.high()));
  }

  private void curves() {
    SvgChart sweep =
        new SvgChart(
            "Idle latency by working set",
            "working set",
            "ns",
            true,
            x -> Quantities.binary((long) x));
    SvgChart load =
        new SvgChart(
            "Latency under load", "GB/s that the other CPUs copy", "ns", false, Quantities::three);
    for (int cpuNode : report.cpuNodes()) {
      for (int memoryNode : report.memoryNodes()) {
        String name = "node " + cpuNode + " → " + memoryNode;
        line(sweep, name, cpuNode, memoryNode, Measure.LATENCY);
        line(load, name, cpuNode, memoryNode, Measure.LOADED_LATENCY);
      }
    }
    chart("Working sets", "pages of 2 MiB where they were to be had", sweep);
    chart("Latency under load", Measure.LOADED_LATENCY.rule, load);
  }

  private void line(SvgChart chart, String name, int cpuNode, int memoryNode, Measure measure) {
    List<SvgChart.Point> points =
        report
            .of(measure)
            .filter(figure -> figure.cpuNode() == cpuNode && figure.memoryNode() == memoryNode)
            .filter(figure -> figure.pages() == PageKind.HUGE)
            .map(
                figure ->
                    new SvgChart.Point(
                        measure == Measure.LATENCY ? figure.bytes() : figure.traffic(),
                        figure.median()))
            .toList();
    if (points.size() > 1) {
      chart.add(new SvgChart.Line(name, points));
    }
  }

  private void chart(String title, String rule, SvgChart chart) {
    if (!chart.isEmpty()) {
      charts++;
      add("<h2>%s</h2>%n<p class=\"quiet\">%s.</p>", title, Html.text(rule));
      page.append(chart.svg(charts));
    }
  }

  private void others() {
    add("<h2>Lines between CPUs, and the allocator</h2>%n<div class=\"tables\">");
    matrix(Measure.PING_PONG, PageKind.SMALL, true, "ns, " + Measure.PING_PONG.rule);
    matrix(Measure.ALLOCATION, PageKind.SMALL, true, "ns, " + Measure.ALLOCATION.rule);
    add("</div>");
  }

  private void firmware() {
    List<Host.HostNode> told =
        report.host().nodes().stream().filter(node -> node.readLatencyNanos() > 0).toList();
    add("<h2>What firmware says</h2>");
    if (told.isEmpty()) {
      add("<p class=\"quiet\">Nothing of latency and bandwidth (HMAT) on this host.</p>");
      return;
    }
    add(
        scroll("What firmware says, and what was measured")
            + "<table><caption>From the nodes beside it: HMAT, and measured with"
            + " pages of 2 MiB</caption><thead><tr><th scope=\"col\">memory of</th><th"
            + " scope=\"col\">from</th><th scope=\"col\">read latency, ns</th><th"
            + " scope=\"col\">measured</th><th scope=\"col\">read bandwidth, GB/s</th><th"
            + " scope=\"col\">measured</th></tr></thead><tbody>");
    for (Host.HostNode node : told) {
      int from =
          NodeMask.parse(node.nearNodes()).stream()
              .filter(report.cpuNodes()::contains)
              .findFirst()
              .orElse(-1);
      add(
          "<tr><th scope=\"row\">node %d</th><td>%s</td><td>%d</td><td>%s</td><td>%s</td><td>%s</td></tr>",
          node.id(),
          Html.text(node.nearNodes()),
          node.readLatencyNanos(),
          measured(Measure.LATENCY, from, node.id(), true),
          node.readBandwidthMebibytes() < 0
              ? "–"
              : Quantities.three(node.readBandwidthMebibytes() * 1048576.0 / 1e9),
          measured(Measure.READ, from, node.id(), false));
    }
    add("</tbody></table></div>");
  }

  private String measured(Measure measure, int cpuNode, int memoryNode, boolean alone) {
    return cells
        .of(measure, cpuNode, memoryNode, PageKind.HUGE, alone)
        .or(() -> cells.of(measure, cpuNode, memoryNode, PageKind.HUGE, true))
        .map(figure -> Quantities.three(figure.median()))
        .orElse("–");
  }

  private void how() {
    add("<h2>How to read it</h2>%n<ul>");
    add(
        "<li>A cell has the median of hundreds of chunks of some 100 µs, each batch with memory of"
            + " its own; below it what a tenth of the chunks were below and above. Where CPUs measure"
            + " together it is that of some dozen passes of 20 ms and more.</li>");
    add(
        "<li>Threads are pinned before they touch memory; where the pages lie the kernel was asked"
            + " before and after. A cell whose pages were elsewhere is not printed.</li>");
    add("<li>Memory is accessed by %s.</li>", Html.text(report.host().form()));
    for (Mark mark : Mark.values()) {
      add("<li>%s: %s.</li>", mark.sign, Html.text(mark.meaning));
    }
    add("</ul>");
    if (!report.refused().isEmpty()) {
      add(
          scroll("Not measured")
              + "<table class=\"words\"><caption>Not measured</caption><thead><tr><th"
              + " scope=\"col\">what</th><th scope=\"col\">why</th></tr></thead><tbody>");
      report
          .refused()
          .forEach(
              refused ->
                  add(
                      "<tr><td>%s</td><td>%s</td></tr>",
                      Html.text(refused.what()), Html.text(refused.why())));
      add("</tbody></table></div>");
    }
    add(
        "<table class=\"words\"><caption>Conditions</caption><tbody><tr><th scope=\"row\">transparent"
            + " huge pages</th><td>%s</td></tr><tr><th scope=\"row\">NUMA balancing</th><td>%s</td></tr>"
            + "</tbody></table>",
        Html.text(report.host().hugePages()), report.host().balancing() ? "on" : "off");
    page.append(
            "<details><summary>All figures, as JSON</summary><pre tabindex=\"0\" role=\"region\""
                + " aria-label=\"All figures, as JSON\">")
        .append(Html.text(ReportFile.json(report)))
        .append("</pre></details>\n");
  }
}
