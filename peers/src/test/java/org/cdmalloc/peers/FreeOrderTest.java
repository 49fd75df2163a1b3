/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.peers;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Each order frees each block once. */
final class FreeOrderTest {
  @ParameterizedTest
  @EnumSource(FreeOrder.class)
  void eachBlockIsFreedOnce(FreeOrder order) {
    int[] sorted = order.of(Batch.COUNT);
    Arrays.sort(sorted);
    assertArrayEquals(IntStream.range(0, Batch.COUNT).toArray(), sorted);
  }

  @Test
  void theOrdersAreWhatTheyAreCalled() {
    assertArrayEquals(new int[] {0, 1, 2, 3}, FreeOrder.FIFO.of(4));
    assertArrayEquals(new int[] {3, 2, 1, 0}, FreeOrder.LIFO.of(4));
    int[] random = FreeOrder.RANDOM.of(Batch.COUNT);
    assertArrayEquals(random, FreeOrder.RANDOM.of(Batch.COUNT));
    long inPlace = IntStream.range(0, Batch.COUNT).filter(index -> random[index] == index).count();
    assertTrue(inPlace < 6, () -> "inPlace=" + inPlace);
    assertFalse(Arrays.equals(random, FreeOrder.FIFO.of(Batch.COUNT)));
  }
}
