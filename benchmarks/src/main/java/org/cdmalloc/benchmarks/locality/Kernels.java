/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import java.util.SplittableRandom;

/**
 * The loops that are measured. Each is a method of its own, so that it is compiled for itself, and
 * returns what it read, so that nothing of it is left out. They count turns with an int, as the
 * compiler likes it, which is enough for 16 GiB. The counting rules are STREAM's (J. McCalpin):
 * what a loop says that it reads and writes; what a processor reads of a line before it writes to
 * it is not counted.
 */
final class Kernels {
  /** The unit that caches hold. */
  static final int LINE_BYTES = 64;

  /** Copies go in pieces: a whole one may bypass the caches, and on JDK 25 does. */
  private static final int PIECE_BYTES = 32 << 10;

  private static final int PAGE_BYTES = 4 << 10;
  private static final int LINES_BETWEEN_LOOKS = 1 << 16;
  private static final int LINES_A_TURN = 4;
  private static final int WORD = Long.BYTES;
  private static final double SCALAR = 3;

  private Kernels() {}

  /**
   * Links the lines of a range into one ring in random order, each by the address of the next one:
   * Sattolo's cycle (S. Sattolo, An algorithm to generate a random cyclic permutation, 1986). Two
   * passes over the range itself, no Java heap.
   *
   * @param address where it begins, a multiple of a line
   * @param bytes its length, a multiple of a line
   * @param random the order
   * @param stop asked now and then: a ring of many lines takes seconds. Then every line leads to
   *     one of the range, and that is all that can be said
   */
  static void link(long address, long bytes, SplittableRandom random, Stop stop) {
    long lines = bytes / LINE_BYTES;
    for (long line = 0; line < lines; line++) {
      RawMemory.putLong(address + line * LINE_BYTES, address + line * LINE_BYTES);
    }
    for (long line = lines - 1; line > 0; line--) {
      if ((line & (LINES_BETWEEN_LOOKS - 1)) == 0 && stop.isAsked()) {
        return;
      }
      long here = address + line * LINE_BYTES;
      long there = address + random.nextLong(line) * LINE_BYTES;
      long next = RawMemory.getLong(here);
      RawMemory.putLong(here, RawMemory.getLong(there));
      RawMemory.putLong(there, next);
    }
  }

  /**
   * Follows a ring: each load's address is what the one before it loaded.
   *
   * @param from a line of the ring
   * @param loads how many
   * @return the line where it ends
   */
  static long chase(long from, int loads) {
    long at = from;
    for (int i = 0; i < loads; i++) {
      at = RawMemory.getLong(at);
    }
    return at;
  }

  /**
   * Reads one word of each line, so that all lines are loaded, and counts whole lines. They are
   * read in the order of their addresses, which stays the order when a compiler unrolls the loop:
   * four streams at once, unrolled, take up to 1.6 times as long where a processor fetches ahead.
   */
  static long read(long address, long bytes) {
    int turns = (int) (bytes / (LINES_A_TURN * LINE_BYTES));
    long a = 0;
    long b = 0;
    long c = 0;
    long d = 0;
    long at = address;
    for (int i = 0; i < turns; i++) {
      a += RawMemory.getLong(at);
      b += RawMemory.getLong(at + LINE_BYTES);
      c += RawMemory.getLong(at + 2 * LINE_BYTES);
      d += RawMemory.getLong(at + 3 * LINE_BYTES);
      at += LINES_A_TURN * LINE_BYTES;
    }
    return a + b + c + d;
  }

  /**
   * Writes a range: a page word by word, and that page, which is then in the first cache, over the
   * rest. A copy stores as wide as the processor can, which no loop of single words does.
   */
  static long write(long address, long bytes) {
    int words = PAGE_BYTES / WORD;
    long at = address;
    for (int i = 0; i < words; i++) {
      RawMemory.putLong(at, i);
      at += WORD;
    }
    int pages = (int) (bytes / PAGE_BYTES) - 1;
    for (int i = 0; i < pages; i++) {
      RawMemory.copy(address, at, PAGE_BYTES);
      at += PAGE_BYTES;
    }
    return at;
  }

  /** Copies a half of a range to the other one: half of it is read, half of it written. */
  static long copy(long address, long bytes) {
    long half = bytes / 2 / PIECE_BYTES * PIECE_BYTES;
    int pieces = (int) (half / PIECE_BYTES);
    long at = address;
    for (int i = 0; i < pieces; i++) {
      RawMemory.copy(at, at + half, PIECE_BYTES);
      at += PIECE_BYTES;
    }
    return at;
  }

  /** Of two thirds of a range makes the third one: a = b + 3 c. */
  static double triad(long address, long bytes) {
    long part = bytes / 3 / LINE_BYTES * LINE_BYTES;
    long b = address + part;
    long c = b + part;
    int turns = (int) (part / (4 * WORD));
    long at = 0;
    for (int i = 0; i < turns; i++) {
      double first = RawMemory.getDouble(b + at) + SCALAR * RawMemory.getDouble(c + at);
      double second =
          RawMemory.getDouble(b + at + WORD) + SCALAR * RawMemory.getDouble(c + at + WORD);
      double third =
          RawMemory.getDouble(b + at + 2 * WORD) + SCALAR * RawMemory.getDouble(c + at + 2 * WORD);
      double fourth =
          RawMemory.getDouble(b + at + 3 * WORD) + SCALAR * RawMemory.getDouble(c + at + 3 * WORD);
      RawMemory.putDouble(address + at, first);
      RawMemory.putDouble(address + at + WORD, second);
      RawMemory.putDouble(address + at + 2 * WORD, third);
      RawMemory.putDouble(address + at + 3 * WORD, fourth);
      at += 4 * WORD;
    }
    return part;
  }
}
