/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import static java.nio.ByteOrder.LITTLE_ENDIAN;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.cdmalloc.MemoryCorruptionError;

/**
 * A second block on which a device works in place of one that is lent to it, so that a CPU which
 * uses the lent one meanwhile is found: what the kernel's swiotlb does for devices that cannot
 * reach a buffer. The lent block holds a pattern until it comes back. Not safe for use by several
 * threads at once; whoever hands the block over orders the beginning before the end.
 */
final class Bounce {
  /** The memory of a block, in parts, because a block may be larger than a buffer. */
  @FunctionalInterface
  interface Views {
    /** Returns a new buffer of exactly these bytes. */
    ByteBuffer view(long offset, int bytes);
  }

  /** A multiple of 8, so that no word of the pattern lies in two windows. */
  private static final int WINDOW_BYTES = 1 << 20;

  private static final long NONE = -1;

  /** The step from one word of the pattern to the next, mixed as in SplittableRandom. */
  private static final long GOLDEN_GAMMA = 0x9e3779b97f4a7c15L;

  /** The windows of both blocks, made before a byte is copied: from then on nothing can fail. */
  private final List<ByteBuffer> block;

  private final List<ByteBuffer> device;
  private final long bytes;
  private final long seed;

  private Bounce(Views block, Views device, long bytes, long seed) {
    this.block = windows(block, bytes);
    this.device = windows(device, bytes);
    this.bytes = bytes;
    this.seed = seed;
  }

  /**
   * Copies a block to the one on which the device works, and fills it with a pattern.
   *
   * @param block the block that is lent
   * @param device the one on which the device works
   * @param bytes the size of both
   * @param seed makes the pattern; another one for each loan, so that no leftover looks right
   */
  static Bounce begin(Views block, Views device, long bytes, long seed) {
    Bounce bounce = new Bounce(block, device, bytes, seed);
    for (int i = 0; i < bounce.block.size(); i++) {
      ByteBuffer lent = bounce.block.get(i);
      bounce.device.get(i).put(lent);
      bounce.fill(lent.clear(), (long) i * WINDOW_BYTES);
    }
    return bounce;
  }

  /**
   * Copies the device's bytes into the block that was lent, in any case; then tells whether
   * somebody wrote to it meanwhile. Of 256 bytes that are written at random, one is as the pattern
   * has it, and not seen.
   *
   * @param address of the block that was lent, for the message
   * @param holder who lent it, for the message
   * @throws MemoryCorruptionError if the pattern is not whole; names its first byte that is not
   */
  void end(long address, String holder) {
    long broken = NONE;
    for (int i = 0; i < block.size(); i++) {
      ByteBuffer lent = block.get(i).clear();
      if (broken == NONE) {
        broken = firstBroken(lent, (long) i * WINDOW_BYTES);
      }
      lent.put(device.get(i).clear());
    }
    if (broken != NONE) {
      throw new MemoryCorruptionError(
          "a lent block was written to by a CPU: address=0x"
              + Long.toHexString(address)
              + ", offset="
              + broken
              + ", bytes="
              + bytes
              + ", holder="
              + holder
              + "; it has the device's bytes now; wait for the loan's end before using the block");
    }
  }

  private static List<ByteBuffer> windows(Views views, long bytes) {
    List<ByteBuffer> windows = new ArrayList<>();
    for (long offset = 0; offset < bytes; offset += WINDOW_BYTES) {
      int length = (int) Math.min(WINDOW_BYTES, bytes - offset);
      windows.add(views.view(offset, length).order(LITTLE_ENDIAN));
    }
    return windows;
  }

  private void fill(ByteBuffer lent, long offset) {
    int at = 0;
    for (; at + Long.BYTES <= lent.capacity(); at += Long.BYTES) {
      lent.putLong(at, word(offset + at));
    }
    for (; at < lent.capacity(); at++) {
      lent.put(at, pattern(offset + at));
    }
  }

  private long firstBroken(ByteBuffer lent, long offset) {
    int at = 0;
    while (at + Long.BYTES <= lent.capacity() && lent.getLong(at) == word(offset + at)) {
      at += Long.BYTES;
    }
    while (at < lent.capacity() && lent.get(at) == pattern(offset + at)) {
      at++;
    }
    return at < lent.capacity() ? offset + at : NONE;
  }

  private byte pattern(long offset) {
    return (byte) (word(offset) >>> (Byte.SIZE * (offset % Long.BYTES)));
  }

  /** Returns the word of the pattern in which a byte lies, the lowest byte first. */
  private long word(long offset) {
    long z = seed + GOLDEN_GAMMA * (offset / Long.BYTES);
    z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
    z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
    return z ^ (z >>> 31);
  }
}
