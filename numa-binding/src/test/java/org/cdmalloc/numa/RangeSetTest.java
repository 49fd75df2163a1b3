/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.BitSet;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

final class RangeSetTest {
  private static final int LIMIT = 64;

  @Test
  void agreesWithASetOfBits() {
    long seed = Long.getLong("seed", 1L);
    SplittableRandom random = new SplittableRandom(seed);
    for (int round = 0; round < 200; round++) {
      RangeSet set = new RangeSet();
      BitSet bits = new BitSet();
      for (int step = 0; step < 100; step++) {
        int start = random.nextInt(LIMIT);
        int end = start + 1 + random.nextInt(LIMIT - start);
        if (random.nextBoolean()) {
          set.add(start, end);
          bits.set(start, end);
        } else {
          set.remove(start, end);
          bits.clear(start, end);
        }
        check(set, bits, random, "replay with -Dseed=" + seed);
      }
    }
  }

  private static void check(RangeSet set, BitSet bits, SplittableRandom random, String message) {
    int start = random.nextInt(LIMIT);
    int end = start + 1 + random.nextInt(LIMIT - start);
    BitSet gaps = new BitSet();
    set.gaps(start, end).forEach(gap -> gaps.set((int) gap.start(), (int) gap.end()));
    BitSet expected = new BitSet();
    expected.set(start, end);
    expected.andNot(bits);
    assertEquals(expected, gaps, message);
    assertEquals(end - start - expected.cardinality(), set.coveredBytes(start, end), message);
    assertEquals(bits.get(start), set.contains(start), message);
    int pieces = 1;
    for (int i = 1; i < LIMIT; i++) {
      pieces += bits.get(i) != bits.get(i - 1) ? 1 : 0;
    }
    assertEquals(pieces, set.pieces(LIMIT), message);
  }

  @Test
  void whatIsAddedApartStaysApartAndTakesThePlaceOfWhatItOverlaps() {
    RangeSet set = new RangeSet();
    set.addApart(10, 20);
    set.addApart(20, 30);
    assertEquals(2, set.runs());
    assertEquals(20, set.coveredBytes(0, 100));
    set.addApart(12, 15);
    assertEquals(4, set.runs());
    assertEquals(20, set.coveredBytes(0, 100));
    set.addApart(5, 25);
    assertEquals(2, set.runs());
    set.remove(0, 100);
    assertEquals(0, set.runs());
  }
}
