/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

/**
 * What came of one batch of a cell.
 *
 * @param values of its chunks, in the measure's unit
 * @param cpuOverWall which part of the time the thread ran
 * @param hugeBytes how much of the memory was huge pages
 * @param traffic what other CPUs moved meanwhile, in GB/s
 */
record Batch(Distribution values, double cpuOverWall, long hugeBytes, double traffic) {
  /** A thread that ran for less of the time shared its CPU. */
  private static final double LEAST_CPU = 0.98;

  private static final double MOST_SPREAD = 0.15;

  boolean isDisturbed() {
    return cpuOverWall < LEAST_CPU || values.spread() > MOST_SPREAD;
  }
}
