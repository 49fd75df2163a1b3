/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import org.cdmalloc.spi.MemorySource;
import org.junit.jupiter.api.Test;

/** Blocks at multiples of an alignment. */
abstract class AlignmentContract extends BlockContract {
  @Test
  void aBlockBeginsAtAMultipleOfItsAlignmentAndCostsNoMore() {
    for (Door door : doorsToOneNode()) {
      long inTheWay = door.allocate(1);
      // "a power of two, 1 … 2 MiB, the size of a huge page"
      for (long alignment = 1; alignment <= MemorySource.ALIGNMENT_BYTES; alignment *= 2) {
        for (long bytes : new long[] {0, 1, PAGE + 1, alignment + 1, UNIT + 1}) {
          long before = report(0).usedBytes() + report(ARENA).usedBytes();
          long block = door.allocate(bytes, alignment);
          long cost = cost(door, bytes, alignment);
          // "its address, a multiple of both 4096 and the alignment"
          assertEquals(0, block % (cost % PAGE == 0 ? PAGE : 16), door::name);
          assertEquals(0, block % alignment, door + ", alignment=" + alignment);
          // The pages between an aligned block and the next are free.
          assertEquals(cost, memory.usableBytes(block));
          assertEquals(
              before + cost, report(0).usedBytes() + report(ARENA).usedBytes(), door::name);
          door.free(block);
        }
      }
      door.free(inTheWay);
    }
    assertNothingTaken();
  }

  @Test
  void whatIsNoAlignmentIsRefused() {
    for (Door door : doors()) {
      // "IllegalArgumentException if bytes is negative, or the alignment not as said"
      for (long alignment :
          new long[] {
            0,
            -1,
            3,
            24,
            PAGE - 1,
            PAGE + 1,
            3 * PAGE,
            UNIT - PAGE,
            2 * UNIT,
            1L << 62,
            Long.MAX_VALUE,
            Long.MIN_VALUE,
            -PAGE
          }) {
        assertIllegal(door + ", " + alignment, () -> door.allocate(1, alignment));
        assertIllegal(door + ", " + alignment, () -> door.allocate(0, alignment));
      }
      assertIllegal(door, () -> door.allocate(-1, 1));
    }
    assertNothingTaken();
  }

  @Test
  void whereNoAlignedPlaceIsLeftOtherBlocksStillAre() {
    for (Door door : doorsToOneNode()) {
      long capacity = door.name().contains("device") ? ARENA_BYTES : CAPACITY;
      List<Long> first = new ArrayList<>();
      for (long at = 0; at < capacity; at += UNIT) {
        first.add(door.allocate(1, UNIT));
      }
      // "NodeMemoryExhaustedException if there is no room"
      assertExhausted(1, () -> door.allocate(1, UNIT));
      long other = door.allocate(1, UNIT / 2);
      assertEquals(0, other % (UNIT / 2));
      door.free(other);
      door.free(first.remove(0));
      first.add(door.allocate(1, UNIT));
      first.forEach(door::free);
    }
    assertNothingTaken();
  }
}
