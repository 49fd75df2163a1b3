/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

/** Told how far a run is. */
interface Progress {
  /**
   * A cell begins.
   *
   * @param cell what
   * @param done how many cells were done
   * @param all how many there are
   * @param leftNanos how long the rest will take; negative while nobody knows
   */
  void begins(Cell cell, int done, int all, long leftNanos);

  /** Told once nothing more is measured. */
  default void ends() {}
}
