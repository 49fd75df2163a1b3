/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.cdmalloc.topology.NodeMask;

/**
 * What the figures say, in words: comparisons inside one report, of figures that nothing disturbed.
 */
final class Findings {
  private static final double PERCENT = 100;
  private static final double WORTH_SAYING = 0.1;

  private final Report report;
  private final Cells cells;
  private final List<String> words = new ArrayList<>();

  private Findings(Report report) {
    this.report = report;
    this.cells = new Cells(report);
  }

  static List<String> of(Report report) {
    Findings findings = new Findings(report);
    findings.nearAndFar();
    findings.hugePages();
    findings.teams();
    findings.firmware();
    findings.disturbed();
    return findings.words;
  }

  private void say(String format, Object... arguments) {
    words.add(String.format(Locale.ROOT, format, arguments));
  }

  private Optional<Figure> latency(int cpuNode, int memoryNode, PageKind pages) {
    return cells
        .of(Measure.LATENCY, cpuNode, memoryNode, pages, true)
        .filter(figure -> !figure.has(Mark.DISTURBED));
  }

  private void nearAndFar() {
    for (int cpuNode : report.cpuNodes()) {
      List<Figure> row =
          report.memoryNodes().stream()
              .flatMap(memoryNode -> latency(cpuNode, memoryNode, PageKind.SMALL).stream())
              .sorted(Comparator.comparingDouble(Figure::median))
              .toList();
      if (row.size() > 1 && row.size() == report.memoryNodes().size()) {
        Figure near = row.get(0);
        Figure far = row.get(row.size() - 1);
        say(
            "From node %d the nearest memory is node %d's, %s ns a load; node %d's takes %s ns, %s"
                + " times as long.",
            cpuNode,
            near.memoryNode(),
            Quantities.three(near.median()),
            far.memoryNode(),
            Quantities.three(far.median()),
            Quantities.three(far.median() / near.median()));
      } else if (row.size() == 1) {
        say(
            "A load by node %d's CPUs from node %d's memory takes %s ns.",
            cpuNode, row.get(0).memoryNode(), Quantities.three(row.get(0).median()));
      }
    }
  }

  private void hugePages() {
    List<Figure[]> gains = new ArrayList<>();
    for (int cpuNode : report.cpuNodes()) {
      for (int memoryNode : report.memoryNodes()) {
        Optional<Figure> small = latency(cpuNode, memoryNode, PageKind.SMALL);
        Optional<Figure> huge =
            latency(cpuNode, memoryNode, PageKind.HUGE)
                .filter(figure -> !figure.has(Mark.FEWER_HUGE_PAGES));
        if (small.isPresent()
            && huge.isPresent()
            && small.get().bytes() == huge.get().bytes()
            && small.get().median() / huge.get().median() > 1 + WORTH_SAYING) {
          gains.add(new Figure[] {small.get(), huge.get()});
        }
      }
    }
    gains.sort(Comparator.comparingDouble(Findings::percentOff).reversed());
    if (!gains.isEmpty()) {
      Figure small = gains.get(0)[0];
      Figure huge = gains.get(0)[1];
      double least = percentOff(gains.get(gains.size() - 1));
      String others =
          switch (gains.size()) {
            case 1 -> "";
            case 2 -> String.format(Locale.ROOT, "; off that of one other pair %.0f %%", least);
            default ->
                String.format(
                    Locale.ROOT,
                    "; off those of %d other pairs %.0f to %.0f %%",
                    gains.size() - 1,
                    least,
                    percentOff(gains.get(1)));
          };
      say(
          "Huge pages take %.0f %% off a load from node %d to node %d: %s ns instead of %s%s.",
          percentOff(gains.get(0)),
          small.cpuNode(),
          small.memoryNode(),
          Quantities.three(huge.median()),
          Quantities.three(small.median()),
          others);
    }
  }

  private static double percentOff(Figure[] smallAndHuge) {
    return PERCENT * (1 - smallAndHuge[1].median() / smallAndHuge[0].median());
  }

  /** Of the memory that each node's CPUs read fastest together. */
  private void teams() {
    for (int cpuNode : report.cpuNodes()) {
      report.memoryNodes().stream()
          .flatMap(memoryNode -> read(cpuNode, memoryNode, false).stream())
          .max(Comparator.comparingDouble(Figure::median))
          .ifPresent(
              all ->
                  read(cpuNode, all.memoryNode(), true)
                      .ifPresent(
                          one ->
                              say(
                                  "One CPU of node %d reads %s GB/s of node %d, %d together %s.",
                                  cpuNode,
                                  Quantities.three(one.median()),
                                  all.memoryNode(),
                                  all.threads(),
                                  Quantities.three(all.median()))));
    }
  }

  private Optional<Figure> read(int cpuNode, int memoryNode, boolean alone) {
    return cells
        .of(Measure.READ, cpuNode, memoryNode, PageKind.HUGE, alone)
        .filter(figure -> !figure.has(Mark.DISTURBED));
  }

  private void firmware() {
    for (Host.HostNode node : report.host().nodes()) {
      if (node.readLatencyNanos() > 0) {
        report.cpuNodes().stream()
            .filter(cpuNode -> NodeMask.parse(node.nearNodes()).contains(cpuNode))
            .flatMap(cpuNode -> latency(cpuNode, node.id(), PageKind.HUGE).stream())
            .findFirst()
            .ifPresent(
                figure ->
                    say(
                        "Firmware says %d ns for a read of node %d from near; measured: %s ns.",
                        node.readLatencyNanos(), node.id(), Quantities.three(figure.median())));
      }
    }
  }

  private void disturbed() {
    long count = report.figures().stream().filter(figure -> figure.has(Mark.DISTURBED)).count();
    if (count > 0) {
      say(
          "Disturbed: %d of %d figures. Something else ran, or they spread by over 15 %%; they are"
              + " marked with * and not used above.",
          count, report.figures().size());
    }
  }
}
