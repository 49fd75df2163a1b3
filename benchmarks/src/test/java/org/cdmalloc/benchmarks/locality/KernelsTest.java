/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashSet;
import java.util.Set;
import java.util.SplittableRandom;
import org.cdmalloc.NodeAllocator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The loops do what they say, on memory that is theirs. */
final class KernelsTest {
  private static final int BYTES = 768 << 10;

  private final NodeAllocator memory = NodeAllocator.open();
  private final long address = memory.allocate(BYTES, 4096);

  @AfterEach
  void close() {
    memory.close();
  }

  @Test
  void aRingHasEachLineOnce() {
    for (int lines : new int[] {1, 2, 3, 64, 1000}) {
      Kernels.link(
          address, (long) lines * Kernels.LINE_BYTES, new SplittableRandom(lines), new Stop());
      Set<Long> seen = new HashSet<>();
      long at = address;
      for (int i = 0; i < lines; i++) {
        assertTrue(seen.add(at), "twice");
        assertEquals(0, (at - address) % Kernels.LINE_BYTES);
        assertTrue(at >= address && at < address + (long) lines * Kernels.LINE_BYTES);
        at = Kernels.chase(at, 1);
      }
      assertEquals(address, at, "lines=" + lines);
      assertEquals(address, Kernels.chase(address, lines));
    }
  }

  @Test
  void aRingThatIsGivenUpStaysInItsRange() {
    long bytes = 16 << 20;
    long large = memory.allocate(bytes, 4096);
    Stop stop = new Stop();
    stop.ask();
    Kernels.link(large, bytes, new SplittableRandom(1), stop);
    long lines = bytes / Kernels.LINE_BYTES;
    long steps = 0;
    long at = large;
    do {
      at = Kernels.chase(at, 1);
      assertTrue(at >= large && at < large + bytes);
      steps++;
    } while (at != large && steps < lines);
    assertTrue(steps < lines, "it was linked to its end");
    memory.free(large);
  }

  @Test
  void readAddsUpAWordOfEachLine() {
    Kernels.write(address, BYTES);
    long sum = 0;
    for (long at = 0; at < BYTES; at += Kernels.LINE_BYTES) {
      sum += RawMemory.getLong(address + at);
    }
    assertEquals(sum, Kernels.read(address, BYTES));
    for (long at = 0; at < BYTES; at += 8) {
      assertEquals(at % 4096 / 8, RawMemory.getLong(address + at));
    }
  }

  @Test
  void copyMakesTheSecondHalfTheFirst() {
    Kernels.write(address, BYTES);
    Kernels.copy(address, BYTES);
    for (long at = 0; at < BYTES / 2; at += 8) {
      assertEquals(at % 4096 / 8, RawMemory.getLong(address + BYTES / 2 + at));
    }
  }

  @Test
  void triadAddsThreeTimesTheThirdPart() {
    long part = BYTES / 3;
    for (long at = 0; at < part; at += 8) {
      RawMemory.putDouble(address + part + at, (double) at);
      RawMemory.putDouble(address + 2 * part + at, 2);
    }
    Kernels.triad(address, BYTES);
    for (long at = 0; at < part; at += 8) {
      assertEquals(at + 6.0, RawMemory.getDouble(address + at));
    }
  }

  @Test
  void whatIsCountedIsWhatIsMoved() {
    assertEquals(StreamLoop.PIECE_BYTES, StreamLoop.countedBytes(Measure.READ));
    assertEquals(StreamLoop.PIECE_BYTES, StreamLoop.countedBytes(Measure.WRITE));
    assertEquals(StreamLoop.PIECE_BYTES, StreamLoop.countedBytes(Measure.COPY));
    assertEquals(StreamLoop.PIECE_BYTES, StreamLoop.countedBytes(Measure.TRIAD));
  }

  @Test
  void volatileAccessSeesWhatWasWritten() {
    RawMemory.putVolatile(address, 42);
    assertEquals(42, RawMemory.getVolatile(address));
    assertEquals(42, RawMemory.getLong(address));
  }
}
