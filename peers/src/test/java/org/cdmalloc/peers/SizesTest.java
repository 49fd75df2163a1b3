/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.peers;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import org.junit.jupiter.api.Test;

/** The sizes are what the page says they are. */
final class SizesTest {
  private static final int[] BANDS = {15, 512, 4 << 10, 32 << 10, 256 << 10, 1 << 20};
  private static final double[] SHARES = {0.50, 0.25, 0.15, 0.08, 0.02};

  @Test
  void theMixHasItsShareInEachBand() {
    int[] mix = Sizes.table(Sizes.MIX);
    assertEquals(Sizes.COUNT, mix.length);
    for (int band = 0; band < SHARES.length; band++) {
      int low = BANDS[band];
      int high = BANDS[band + 1];
      long count = Arrays.stream(mix).filter(bytes -> bytes > low && bytes <= high).count();
      assertEquals(SHARES[band] * Sizes.COUNT, (double) count, 1, "band up to " + high);
    }
    assertTrue(Arrays.stream(mix).allMatch(bytes -> bytes >= 16 && bytes <= 1 << 20));
  }

  @Test
  void theMixIsLogUniformInEachBand() {
    int[] mix = Sizes.table(Sizes.MIX);
    for (int band = 0; band < SHARES.length; band++) {
      double low = Math.max(16, BANDS[band]);
      int high = BANDS[band + 1];
      double middle = Math.sqrt(low * high);
      long all = Arrays.stream(mix).filter(bytes -> bytes > low && bytes <= high).count();
      long below = Arrays.stream(mix).filter(bytes -> bytes > low && bytes <= middle).count();
      assertEquals(0.5, (double) below / all, 0.03, "band up to " + high);
    }
  }

  @Test
  void theMixIsTheSameEveryTimeAndNotSorted() {
    int[] mix = Sizes.table(Sizes.MIX);
    assertArrayEquals(mix, Sizes.table(Sizes.MIX));
    int[] firstHalf = Arrays.copyOf(mix, mix.length / 2);
    double ofAll = Arrays.stream(mix).average().orElseThrow();
    assertEquals(22_900, ofAll, 1_500);
    assertEquals(ofAll, Arrays.stream(firstHalf).average().orElseThrow(), ofAll / 4);
  }

  @Test
  void oneSizeIsAlwaysTheSame() {
    Sizes sizes = Sizes.of(Sizes.table("4096"), 4095);
    for (int i = 0; i < 3; i++) {
      assertEquals(4096, sizes.next());
    }
  }

  @Test
  void aWalkComesBackToWhereItBegan() {
    int[] mix = Sizes.table(Sizes.MIX);
    Sizes sizes = Sizes.of(mix, 7);
    for (int i = 0; i < 2 * Sizes.COUNT; i++) {
      assertEquals(mix[(i + 7) % Sizes.COUNT], sizes.next());
    }
  }

  @Test
  void otherNamesAreRefused() {
    for (String name : new String[] {"", "0", "-1", "4k", "9999999999"}) {
      IllegalArgumentException refused =
          assertThrows(IllegalArgumentException.class, () -> Sizes.table(name));
      assertEquals("not a size: '" + name + "'", refused.getMessage());
    }
  }
}
