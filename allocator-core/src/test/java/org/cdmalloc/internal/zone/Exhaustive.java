/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zone;

import java.util.Arrays;

/**
 * Enumerates all ways through a test that makes choices: the test asks {@link #index} for each
 * choice and is run again as long as {@link #next} says so. An odometer whose wheels appear as they
 * are asked for.
 */
final class Exhaustive {
  private int[] values = new int[16];
  private int[] bounds = new int[16];
  private int wheels;
  private int position;
  private boolean started;

  /** Turns to the next way; false when there is none. */
  boolean next() {
    position = 0;
    if (!started) {
      started = true;
      return true;
    }
    while (wheels > 0 && values[wheels - 1] == bounds[wheels - 1] - 1) {
      wheels--;
    }
    if (wheels == 0) {
      return false;
    }
    values[wheels - 1]++;
    return true;
  }

  /** Makes a choice: each number of 0 … bound − 1 in one of the ways. */
  int index(int bound) {
    if (position == wheels) {
      if (wheels == values.length) {
        values = Arrays.copyOf(values, 2 * wheels);
        bounds = Arrays.copyOf(bounds, 2 * wheels);
      }
      values[wheels] = 0;
      bounds[wheels] = bound;
      wheels++;
    }
    return values[position++];
  }

  @Override
  public String toString() {
    return Arrays.toString(Arrays.copyOf(values, position));
  }
}
