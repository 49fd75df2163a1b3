/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.peers;

import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

/**
 * The sizes that a thread asks for, one after the other and over again: always the same, or {@link
 * #MIX}. Both are read from a table, so that the works cost the same.
 */
final class Sizes {
  /** The name of sizes as programs ask for them: many small ones, few large ones. */
  static final String MIX = "mix";

  /** All sizes that the comparison knows. */
  static final List<String> NAMES = List.of("64", "256", "1024", "4096", "65536", "1048576", MIX);

  /** How many sizes there are before they repeat; a power of two. */
  static final int COUNT = 4096;

  /** The seed of the mix. */
  static final long SEED = 2017;

  /** The upper ends of the bands of the mix, each but the first open at its lower end. */
  private static final int[] BAND_BYTES = {512, 4 << 10, 32 << 10, 256 << 10, 1 << 20};

  private static final int SMALLEST_BYTES = 16;

  /** How many of the sizes are in each band: 50, 25, 15, 8 and 2 percent. */
  private static final int[] BAND_COUNTS = {2048, 1024, 614, 328, 82};

  private final int[] table;
  private int at;

  private Sizes(int[] table, int at) {
    this.table = table;
    this.at = at;
  }

  /**
   * Returns the sizes of a name.
   *
   * @param name bytes, or {@link #MIX}
   * @return them in a new array of {@link #COUNT}
   * @throws IllegalArgumentException if it is neither
   */
  static int[] table(String name) {
    int[] table = new int[COUNT];
    if (name.equals(MIX)) {
      mix(table, new SplittableRandom(SEED));
      return table;
    }
    if (!name.matches("[1-9][0-9]{0,8}")) {
      throw new IllegalArgumentException("not a size: '" + name + "'");
    }
    Arrays.fill(table, Integer.parseInt(name));
    return table;
  }

  /**
   * Returns a walk over a table.
   *
   * @param table as {@link #table} returns it
   * @param start where to begin
   * @return a new one, for one thread
   */
  static Sizes of(int[] table, int start) {
    return new Sizes(table, start);
  }

  /** Log-uniform in each band, and as many of each part of a band as of any other. */
  private static void mix(int[] table, SplittableRandom random) {
    int filled = 0;
    double low = SMALLEST_BYTES;
    for (int band = 0; band < BAND_BYTES.length; band++) {
      int count = BAND_COUNTS[band];
      double factor = BAND_BYTES[band] / low;
      for (int i = 0; i < count; i++) {
        double bytes = low * Math.pow(factor, (i + random.nextDouble()) / count);
        table[filled++] = Math.min(BAND_BYTES[band], (int) Math.ceil(bytes));
      }
      low = BAND_BYTES[band];
    }
    FreeOrder.shuffle(table, random);
  }

  /** Returns the next size. */
  int next() {
    return table[at++ & (table.length - 1)];
  }
}
