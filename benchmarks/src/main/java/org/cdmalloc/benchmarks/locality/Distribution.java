/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import java.util.Arrays;

/**
 * Many short measurements of one thing: the median, and within what a tenth of them each side lies.
 * The median of hundreds of chunks of some 100 µs hardly moves when something else runs for a
 * while, where a mean, or a median of long ones, does. Immutable.
 */
final class Distribution {
  private final double[] sorted;

  private Distribution(double[] sorted) {
    this.sorted = sorted;
  }

  /**
   * Makes one of values.
   *
   * @param values one at least; copied
   */
  static Distribution of(double... values) {
    if (values.length == 0) {
      throw new IllegalArgumentException("no values");
    }
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return new Distribution(sorted);
  }

  int count() {
    return sorted.length;
  }

  double median() {
    return quantile(0.5);
  }

  /** Returns the value that a part of all are below, between two of them by their distance. */
  double quantile(double part) {
    double at = part * (sorted.length - 1);
    int below = (int) at;
    int above = Math.min(below + 1, sorted.length - 1);
    return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
  }

  /** Returns how far the middle eight tenths lie apart, as a part of the median. */
  double spread() {
    return (quantile(0.9) - quantile(0.1)) / median();
  }
}
