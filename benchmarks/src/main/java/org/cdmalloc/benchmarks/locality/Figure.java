/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/**
 * One thing that was measured, and all that is needed to judge it. Immutable.
 *
 * @param measure what
 * @param cpuNode the node whose CPUs did it
 * @param cpus which of them, as the kernel lists CPUs
 * @param memoryNode the node on which the memory lay, before and after, as the kernel said; in a
 *     {@link Measure#PING_PONG} that of the second CPU
 * @param threads how many
 * @param pages the pages that were asked for
 * @param hugeBytes how much of the memory was huge pages
 * @param bytes how much memory was used
 * @param median of all batches, in the measure's unit
 * @param low what a tenth of all chunks were below
 * @param high what a tenth of all chunks were above
 * @param batches the median of each batch, in the order of time; each had memory of its own
 * @param chunks how many measurements a batch has
 * @param cpuOverWall which part of the time the thread ran, in the batch where it ran least
 * @param traffic how much other CPUs moved meanwhile, in GB/s; 0 where there were none
 * @param restNanos how long these rested between two pieces of it
 * @param marks what to know before it is used
 */
record Figure(
    Measure measure,
    int cpuNode,
    String cpus,
    int memoryNode,
    int threads,
    PageKind pages,
    long hugeBytes,
    long bytes,
    double median,
    double low,
    double high,
    List<Double> batches,
    int chunks,
    double cpuOverWall,
    double traffic,
    int restNanos,
    Set<Mark> marks) {
  Figure {
    batches = List.copyOf(batches);
    // In order: a file that is written twice is the same.
    marks = Collections.unmodifiableSet(new TreeSet<>(marks));
  }

  boolean has(Mark mark) {
    return marks.contains(mark);
  }
}
