/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;

/**
 * The machine as inline SVG: nodes with CPUs above, memory without CPUs below, and what a load
 * takes along each line, or else the distance that firmware gives.
 */
final class MachineDrawing {
  private static final int WIDTH = 760;
  private static final int BOX_WIDTH = 168;
  private static final int BOX_HEIGHT = 62;
  private static final int ROW = 170;

  /** Lines over the boxes of a row bend so far above their middle, more for each box between. */
  private static final int BEND = 48;

  private static final int BEND_STEP = 14;

  /** More lines than of so many nodes hide each other: the matrix says it then. */
  private static final int MOST_LINKED = 6;

  private static final int MOST_PER_ROW = 4;

  private final Report report;
  private final Cells cells;
  private final List<Host.HostNode> nodes;
  private final StringBuilder svg = new StringBuilder();

  /** Over all lines and boxes. */
  private final StringBuilder labels = new StringBuilder();

  private MachineDrawing(Report report) {
    this.report = report;
    this.cells = new Cells(report);
    List<Host.HostNode> all = report.host().nodes();
    this.nodes =
        Stream.concat(
                all.stream().filter(node -> !node.cpus().isEmpty()),
                all.stream().filter(node -> node.cpus().isEmpty()))
            .toList();
  }

  static String of(Report report) {
    return new MachineDrawing(report).draw();
  }

  private String draw() {
    int height = (y(nodes.size() - 1) + BOX_HEIGHT) + 12;
    svg.append(
        String.format(
            Locale.ROOT,
            "<svg role=\"img\" aria-labelledby=\"tm dm\" viewBox=\"0 0 %d %d\"><title id=\"tm\">The"
                + " machine</title><desc id=\"dm\">%s</desc>%n",
            WIDTH,
            height,
            Html.text(description())));
    if (nodes.size() <= MOST_LINKED) {
      for (int from = 0; from < nodes.size(); from++) {
        for (int to = from + 1; to < nodes.size(); to++) {
          link(from, to);
        }
      }
    }
    for (int i = 0; i < nodes.size(); i++) {
      box(i);
    }
    return svg.append(labels).append("</svg>\n").toString();
  }

  private long withCpus() {
    return nodes.stream().filter(node -> !node.cpus().isEmpty()).count();
  }

  /** Nodes without CPUs begin a row of their own. */
  private int row(int index) {
    int cpus = (int) withCpus();
    int cpuRows = (cpus + MOST_PER_ROW - 1) / MOST_PER_ROW;
    return index < cpus ? index / MOST_PER_ROW : cpuRows + (index - cpus) / MOST_PER_ROW;
  }

  private int x(int index) {
    int row = row(index);
    int first = 0;
    while (row(first) != row) {
      first++;
    }
    int count = 0;
    while (first + count < nodes.size() && row(first + count) == row) {
      count++;
    }
    int slot = WIDTH / count;
    return slot * (index - first) + (slot - BOX_WIDTH) / 2;
  }

  /** Labels stand above rows of two, and bent lines above longer ones. */
  private int top() {
    int longest = (int) Math.min(MOST_PER_ROW, Math.max(withCpus(), nodes.size() - withCpus()));
    return longest > 2 ? BEND + BEND_STEP : longest > 1 ? 28 : 12;
  }

  private int y(int index) {
    return top() + row(index) * ROW;
  }

  private void link(int from, int to) {
    int x1 = x(from) + BOX_WIDTH / 2;
    int y1 = y(from) + BOX_HEIGHT / 2;
    int x2 = x(to) + BOX_WIDTH / 2;
    int y2 = y(to) + BOX_HEIGHT / 2;
    boolean isBeside = row(from) == row(to);
    int bend = isBeside && to - from > 1 ? BEND + BEND_STEP * (to - from - 2) : 0;
    // A quadratic curve comes half as near as its control point.
    svg.append(
        String.format(
            Locale.ROOT,
            "<path class=\"link\" d=\"M%d %dQ%d %d %d %d\"/>%n",
            x1,
            y1,
            (x1 + x2) / 2,
            (y1 + y2) / 2 - 2 * bend,
            x2,
            y2));
    // Neighbours have theirs above the gap between them; lines that cross theirs before they do.
    int above = isBeside ? Math.max(bend, BOX_HEIGHT / 2) : 0;
    int part = isBeside ? 2 : 3;
    labels.append(
        String.format(
            Locale.ROOT,
            "<text class=\"middle\" x=\"%d\" y=\"%d\">%s</text>%n",
            x1 + (x2 - x1) / part,
            y1 + (y2 - y1) / part - above - 6,
            Html.text(between(from, to))));
  }

  /** Says what is known of the way between two nodes: measured, if it was. */
  private String between(int from, int to) {
    Host.HostNode one = nodes.get(from);
    Host.HostNode other = nodes.get(to);
    return cells
        .of(Measure.LATENCY, one.id(), other.id(), PageKind.SMALL, true)
        .or(() -> cells.of(Measure.LATENCY, other.id(), one.id(), PageKind.SMALL, true))
        .map(figure -> Quantities.three(figure.median()) + " ns")
        .orElseGet(() -> "distance " + distance(one, other));
  }

  private int distance(Host.HostNode from, Host.HostNode to) {
    List<Host.HostNode> all = report.host().nodes();
    return report.host().distances().get(all.indexOf(from)).get(all.indexOf(to));
  }

  private void box(int index) {
    Host.HostNode node = nodes.get(index);
    boolean isDevice = node.cpus().isEmpty();
    int middle = x(index) + BOX_WIDTH / 2;
    String cpus = isDevice ? "no CPUs" : "CPUs " + shortened(node.cpus());
    svg.append(
        String.format(
            Locale.ROOT,
            "<rect class=\"node%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"8\"/>"
                + "<text class=\"middle strong\" x=\"%d\" y=\"%d\">node %d</text>"
                + "<text class=\"middle\" x=\"%d\" y=\"%d\">%s</text>"
                + "<text class=\"middle\" x=\"%d\" y=\"%d\">%s</text>%n",
            isDevice ? " device" : "",
            x(index),
            y(index),
            BOX_WIDTH,
            BOX_HEIGHT,
            middle,
            y(index) + 18,
            node.id(),
            middle,
            y(index) + 35,
            Html.text(cpus),
            middle,
            y(index) + 52,
            Html.text(memory(node))));
  }

  private static String shortened(String cpus) {
    return cpus.length() <= 18 ? cpus : cpus.substring(0, 17) + "…";
  }

  private String memory(Host.HostNode node) {
    if (node.bytes() == 0) {
      return "no memory";
    }
    String own =
        cells
            .of(Measure.LATENCY, node.id(), node.id(), PageKind.SMALL, true)
            .map(figure -> ", " + Quantities.three(figure.median()) + " ns")
            .orElse("");
    return Quantities.binary(node.bytes()) + own;
  }

  private String description() {
    StringBuilder words = new StringBuilder();
    for (Host.HostNode node : nodes) {
      words
          .append("Node ")
          .append(node.id())
          .append(node.cpus().isEmpty() ? " has no CPUs" : " has CPUs " + node.cpus())
          .append(" and ")
          .append(memory(node))
          .append(". ");
    }
    return words.toString().strip();
  }
}
