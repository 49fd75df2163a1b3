/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The figures of a report by their places in its matrices. Of the latencies of a pair of nodes only
 * the one over all the memory that was used has a place: those of less are of caches. Immutable.
 */
final class Cells {
  private final Map<List<Object>, Figure> byPlace = new HashMap<>();

  Cells(Report report) {
    Map<Integer, Long> most = new HashMap<>();
    report.figures().forEach(figure -> most.merge(figure.memoryNode(), figure.bytes(), Math::max));
    for (Figure figure : report.figures()) {
      boolean isWorkingSet =
          figure.measure() == Measure.LATENCY && figure.bytes() < most.get(figure.memoryNode());
      if (!isWorkingSet) {
        byPlace.put(place(figure), figure);
      }
    }
  }

  private static List<Object> place(Figure figure) {
    return place(
        figure.measure(),
        figure.cpuNode(),
        figure.memoryNode(),
        figure.pages(),
        figure.threads() == 1);
  }

  private static List<Object> place(
      Measure measure, int cpuNode, int memoryNode, PageKind pages, boolean alone) {
    return List.of(measure, cpuNode, memoryNode, pages, alone);
  }

  /** Returns the figure of a matrix's cell, if there is one. */
  Optional<Figure> of(Measure measure, int cpuNode, int memoryNode, PageKind pages, boolean alone) {
    return Optional.ofNullable(byPlace.get(place(measure, cpuNode, memoryNode, pages, alone)));
  }
}
