/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;

/** Medians and quantiles. */
final class DistributionTest {
  @Test
  void quantilesLieBetweenValuesByTheirDistance() {
    Distribution five = Distribution.of(50, 10, 40, 20, 30);
    assertEquals(30, five.median());
    assertEquals(10, five.quantile(0));
    assertEquals(50, five.quantile(1));
    assertEquals(14, five.quantile(0.1), 1e-9);
    assertEquals(46, five.quantile(0.9), 1e-9);
    assertEquals(32.0 / 30, five.spread(), 1e-9);
    assertEquals(25, Distribution.of(10, 20, 30, 40).median());
    assertEquals(7, Distribution.of(7).quantile(0.9));
    assertEquals(5, five.count());
  }

  @Test
  void whatIsGivenIsCopied() {
    double[] values = {1, 2, 3};
    Distribution three = Distribution.of(values);
    values[1] = 100;
    assertEquals(2, three.median());
  }

  @Test
  void ofNothingThereIsNone() {
    assertThrows(IllegalArgumentException.class, Distribution::of);
  }
}
