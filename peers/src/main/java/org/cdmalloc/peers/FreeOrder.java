/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.peers;

import java.util.SplittableRandom;

/** In which order blocks are freed that were allocated one after the other. */
public enum FreeOrder {
  /** In one that is the same in every run. */
  RANDOM,
  /** The oldest first. */
  FIFO,
  /** The newest first. */
  LIFO;

  /** The seed of {@link #RANDOM}. */
  static final long SEED = 256;

  /**
   * Returns the order.
   *
   * @param count how many blocks
   * @return their indices
   */
  int[] of(int count) {
    int[] order = new int[count];
    for (int i = 0; i < count; i++) {
      order[i] = this == LIFO ? count - 1 - i : i;
    }
    if (this == RANDOM) {
      shuffle(order, new SplittableRandom(SEED));
    }
    return order;
  }

  /** Fisher and Yates. */
  static void shuffle(int[] values, SplittableRandom random) {
    for (int i = values.length - 1; i > 0; i--) {
      int other = random.nextInt(i + 1);
      int value = values[i];
      values[i] = values[other];
      values[other] = value;
    }
  }
}
