/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

/**
 * How long to measure.
 *
 * @param batches how often memory is taken anew: where pages lie in caches differs each time
 * @param chunks measurements in a batch
 * @param retries how often a disturbed batch is made again
 * @param mostBytes the largest memory of a cell
 * @param sweeps whether working sets are swept for every pair of nodes, not only for near ones
 */
record Effort(String name, int batches, int chunks, int retries, long mostBytes, boolean sweeps) {
  static final Effort QUICK = new Effort("quick", 2, 150, 1, 128L << 20, false);
  static final Effort NORMAL = new Effort("normal", 3, 300, 2, 512L << 20, false);
  static final Effort THOROUGH = new Effort("thorough", 5, 600, 3, 8L << 30, true);
}
