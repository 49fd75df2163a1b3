/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Reports for tests, of a machine with two nodes of CPUs and a device. */
final class Reports {
  private static final long GIBIBYTE = 1L << 30;

  private Reports() {}

  static Host host() {
    return new Host(
        "A <processor> & more",
        "6.12.0",
        true,
        "17.0.15",
        "absolute addresses",
        "madvise",
        true,
        Map.of(1, 48L << 10, 2, 2L << 20, 3, 64L << 20),
        List.of(
            new Host.HostNode(0, "0-3", 64 * GIBIBYTE, -1, -1, -1, -1, ""),
            new Host.HostNode(1, "4-7", 64 * GIBIBYTE, -1, -1, -1, -1, ""),
            new Host.HostNode(2, "", 16 * GIBIBYTE, 300, 350, 40_000, 30_000, "0")),
        List.of(List.of(10, 21, 40), List.of(21, 10, 40), List.of(40, 40, 10)));
  }

  static Figure figure(
      Measure measure, int cpuNode, int memoryNode, PageKind pages, long bytes, double median) {
    return new Figure(
        measure,
        cpuNode,
        Integer.toString(4 * cpuNode + 3),
        memoryNode,
        1,
        pages,
        pages == PageKind.HUGE ? bytes : 0,
        bytes,
        median,
        median * 0.98,
        median * 1.03,
        List.of(median * 0.99, median, median * 1.01),
        300,
        0.999,
        0,
        0,
        Set.of());
  }

  static Figure marked(Figure figure, Mark... marks) {
    return new Figure(
        figure.measure(),
        figure.cpuNode(),
        figure.cpus(),
        figure.memoryNode(),
        figure.threads(),
        figure.pages(),
        figure.hugeBytes(),
        figure.bytes(),
        figure.median(),
        figure.low(),
        figure.high(),
        figure.batches(),
        figure.chunks(),
        figure.cpuOverWall(),
        figure.traffic(),
        figure.restNanos(),
        Set.of(marks));
  }

  static Report of(List<Figure> figures) {
    return new Report(
        Report.SCHEMA,
        "cdmalloc 0.1.0",
        "2026-11-28T00:00:00Z",
        "normal",
        false,
        host(),
        figures,
        List.of(new Refused("memory of node 2 from node 1", "the node is too full: <none>")),
        List.of("this is a virtual machine"));
  }

  /** Two nodes, near and far, and a device; some are marked. */
  static Report typical() {
    List<Figure> figures = new ArrayList<>();
    for (int cpuNode = 0; cpuNode < 2; cpuNode++) {
      for (int memoryNode = 0; memoryNode < 3; memoryNode++) {
        double latency = memoryNode == 2 ? 320 : cpuNode == memoryNode ? 90 : 150;
        figures.add(
            figure(Measure.LATENCY, cpuNode, memoryNode, PageKind.SMALL, GIBIBYTE, latency * 1.3));
        figures.add(figure(Measure.LATENCY, cpuNode, memoryNode, PageKind.HUGE, GIBIBYTE, latency));
        figures.add(
            figure(Measure.READ, cpuNode, memoryNode, PageKind.HUGE, GIBIBYTE, 2000 / latency));
        for (long bytes = 16 << 10; bytes < GIBIBYTE; bytes *= 4) {
          double share = Math.log((double) bytes) / Math.log((double) GIBIBYTE);
          figures.add(
              figure(
                  Measure.LATENCY,
                  cpuNode,
                  memoryNode,
                  PageKind.HUGE,
                  bytes,
                  latency * share * share));
        }
      }
    }
    figures.set(0, marked(figures.get(0), Mark.DISTURBED, Mark.MAY_HIT_CACHE));
    return of(figures);
  }
}
