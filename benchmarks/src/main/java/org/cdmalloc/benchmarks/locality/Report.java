/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import java.util.List;
import java.util.stream.Stream;

/**
 * All that was found of a host. Immutable.
 *
 * @param schema the version of what a file with it looks like
 * @param version the program's
 * @param taken when, UTC, ISO 8601
 * @param effort how long each thing was measured
 * @param isPartial whether it was ended early
 * @param host where
 * @param figures what was measured, in the order of time
 * @param refused what was not, and why
 * @param notes what else a reader must know
 */
record Report(
    int schema,
    String version,
    String taken,
    String effort,
    boolean isPartial,
    Host host,
    List<Figure> figures,
    List<Refused> refused,
    List<String> notes) {
  /** What {@link ReportFile} writes, and the newest that it reads. */
  static final int SCHEMA = 1;

  Report {
    figures = List.copyOf(figures);
    refused = List.copyOf(refused);
    notes = List.copyOf(notes);
  }

  /** Returns the figures of a measure. */
  Stream<Figure> of(Measure measure) {
    return figures.stream().filter(figure -> figure.measure() == measure);
  }

  /** Says how many CPUs measured bandwidth together. */
  String teams() {
    List<Integer> sizes =
        figures.stream()
            .filter(figure -> figure.measure().isBandwidth() && figure.threads() > 1)
            .map(Figure::threads)
            .distinct()
            .sorted()
            .toList();
    String most = sizes.isEmpty() ? "no" : sizes.get(sizes.size() - 1).toString();
    return sizes.size() > 1 ? sizes.get(0) + " to " + most + " CPUs" : most + " CPUs";
  }

  /** Returns the nodes whose CPUs measured, ascending. */
  List<Integer> cpuNodes() {
    return figures.stream().map(Figure::cpuNode).distinct().sorted().toList();
  }

  /** Returns the nodes whose memory was measured, ascending. */
  List<Integer> memoryNodes() {
    return figures.stream()
        .filter(figure -> figure.measure() != Measure.PING_PONG)
        .map(Figure::memoryNode)
        .distinct()
        .sorted()
        .toList();
  }
}
