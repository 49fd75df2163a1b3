/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.cdmalloc.MemoryCorruptionError;
import org.cdmalloc.internal.zone.Seeds;
import org.junit.jupiter.api.Test;

final class BounceTest {
  private static final long ADDRESS = 0x7f001000L;
  private static final int WINDOW = 1 << 20;
  private static final int[] SIZES = {
    1, 7, 8, 9, 4096, 4099, WINDOW - 1, WINDOW, WINDOW + 1, 3 * WINDOW + 5
  };

  /** A block of memory, and what lies right behind it. */
  private static final class Memory {
    private static final byte BEHIND = 0x5a;

    final ByteBuffer bytes;
    final int size;

    Memory(int size) {
      this.bytes = ByteBuffer.allocateDirect(size + Long.BYTES);
      this.size = size;
      for (int i = size; i < bytes.capacity(); i++) {
        bytes.put(i, BEHIND);
      }
    }

    ByteBuffer view(long offset, int length) {
      assertTrue(offset + length <= size, () -> "view ends outside: " + offset + "+" + length);
      return bytes.slice((int) offset, length);
    }

    byte[] content() {
      for (int i = size; i < bytes.capacity(); i++) {
        assertEquals(BEHIND, bytes.get(i));
      }
      byte[] copy = new byte[size];
      bytes.get(0, copy);
      return copy;
    }

    void fill(SplittableRandom random) {
      byte[] noise = new byte[size];
      random.nextBytes(noise);
      bytes.put(0, noise);
    }
  }

  @Test
  void bytesGoOutAndComeBack() {
    SplittableRandom random = new SplittableRandom(1);
    for (int size : SIZES) {
      Memory block = new Memory(size);
      Memory device = new Memory(size);
      block.fill(random);
      byte[] sent = block.content();
      Bounce bounce = Bounce.begin(block::view, device::view, size, random.nextLong());
      assertArrayEquals(sent, device.content());
      device.fill(random);
      byte[] result = device.content();
      bounce.end(ADDRESS, "device2");
      assertArrayEquals(result, block.content());
    }
  }

  @Test
  void aReaderSeesThePatternAndEachLoanHasItsOwn() {
    int size = 2 * WINDOW;
    Memory block = new Memory(size);
    Bounce.begin(block::view, new Memory(size)::view, size, 1);
    byte[] first = block.content();
    Bounce.begin(block::view, new Memory(size)::view, size, 2);
    byte[] second = block.content();
    int alike = 0;
    int[] counts = new int[256];
    for (int i = 0; i < size; i++) {
      alike += first[i] == second[i] ? 1 : 0;
      counts[first[i] & 0xff]++;
    }
    assertTrue(alike < size / 128, "alike=" + alike);
    assertTrue(Arrays.stream(counts).allMatch(count -> count < size / 128));
  }

  @Test
  void aByteThatChangesAnywhereIsFoundAndTheDevicesBytesStay() {
    Seeds.upTo(200)
        .forEach(
            seed -> {
              try {
                changeOneByte(new SplittableRandom(seed));
              } catch (AssertionError e) {
                throw Seeds.failure(seed, e);
              }
            });
  }

  private static void changeOneByte(SplittableRandom random) {
    int size = SIZES[random.nextInt(SIZES.length)];
    int at = random.nextBoolean() ? random.nextInt(size) : size - 1;
    Memory block = new Memory(size);
    Memory device = new Memory(size);
    Bounce bounce = Bounce.begin(block::view, device::view, size, random.nextLong());
    block.bytes.put(at, (byte) (block.bytes.get(at) + 1 + random.nextInt(255)));
    // A later one is not named.
    block.bytes.put(at + random.nextInt(size - at), block.bytes.get(at));
    device.fill(random);
    MemoryCorruptionError error =
        assertThrows(MemoryCorruptionError.class, () -> bounce.end(ADDRESS, "device2/cache"));
    assertEquals(
        "a lent block was written to by a CPU: address=0x7f001000, offset="
            + at
            + ", bytes="
            + size
            + ", holder=device2/cache; it has the device's bytes now;"
            + " wait for the loan's end before using the block",
        error.getMessage());
    assertArrayEquals(device.content(), block.content());
  }

  @Test
  void offsetsBeyondTwoGibibytesAreNotCutOff() {
    // Two mebibytes stand for the whole block: each window lies where its number is even or odd.
    Memory block = new Memory(2 * WINDOW);
    Memory device = new Memory(2 * WINDOW);
    long bytes = (1L << 31) + WINDOW + 3;
    long[] last = new long[2];
    Bounce.begin(
        (offset, length) -> {
          last[0] = Math.max(last[0], offset + length);
          return block.view(offset % (2 * WINDOW), length);
        },
        (offset, length) -> {
          last[1] = Math.max(last[1], offset + length);
          return device.view(offset % (2 * WINDOW), length);
        },
        bytes,
        1);
    assertEquals(bytes, last[0]);
    assertEquals(bytes, last[1]);
  }
}
