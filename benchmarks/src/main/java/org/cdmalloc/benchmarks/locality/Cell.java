/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import java.util.List;
import java.util.stream.Collectors;

/**
 * What is to be measured: a place in the report. Immutable.
 *
 * @param measure what
 * @param cpuNode the node whose CPUs do it
 * @param cpus which of them, one at least; the first one is that of the figure
 * @param memoryNode the node of the memory, or of the second CPU
 * @param pages which pages
 * @param bytes how much memory
 * @param restNanos how long CPUs that make traffic rest between two pieces of it
 */
record Cell(
    Measure measure,
    int cpuNode,
    List<Integer> cpus,
    int memoryNode,
    PageKind pages,
    long bytes,
    int restNanos) {
  Cell {
    cpus = List.copyOf(cpus);
  }

  /** Returns the CPUs as the kernel lists them, but in their own order. */
  String cpuList() {
    return cpus.stream().map(cpu -> Integer.toString(cpu)).collect(Collectors.joining(","));
  }

  /** Says what it is, for people. */
  String words() {
    String who =
        measure == Measure.PING_PONG
            ? "CPUs of nodes " + cpuNode + " and " + memoryNode
            : "CPUs of node " + cpuNode + ", memory of node " + memoryNode;
    String size = bytes > 0 ? ", " + Quantities.binary(bytes) : "";
    String threads = cpus.size() > 1 ? ", " + cpus.size() + " threads" : "";
    return measure.title + ", " + who + size + ", pages of " + pages.title + threads;
  }
}
