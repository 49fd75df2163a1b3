/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.nio.file.Path;
import java.util.List;
import org.cdmalloc.NativeCallException;

/**
 * Which pages the memory of a range consists of: madvise(2), smaps of proc(5). For programs that
 * measure what huge pages gain; the memory itself stays where it is, and as it is. Stateless, safe
 * for use by any number of threads.
 */
public final class HugePages {
  private static final Path SMAPS = Path.of("/proc/self/smaps");
  private static final int MADV_HUGEPAGE = 14;

  /** Since Linux 6.1: now, and not when khugepaged comes by. */
  private static final int MADV_COLLAPSE = 25;

  private HugePages() {}

  /**
   * Makes huge pages of a range that was written to, as far as the kernel does so at once: Linux
   * 6.1 and later. Where it does not, or has no huge page free, pages stay as they are; {@link
   * #bytes} tells.
   *
   * @param address a multiple of 2 MiB
   * @param bytes a multiple of 2 MiB
   * @throws NativeCallException if the range is not mapped
   */
  public static void use(long address, long bytes) {
    advise(address, bytes, MADV_HUGEPAGE);
    // What became of it is asked: it may succeed in part.
    LibC.madvise(address, bytes, MADV_COLLAPSE);
  }

  /**
   * Keeps small pages in a range, and makes them of huge ones where those were there before they
   * are given back and written to again.
   *
   * @param address a multiple of the OS page size
   * @param bytes a multiple of the OS page size
   * @throws NativeCallException if the range is not mapped
   */
  public static void avoid(long address, long bytes) {
    advise(address, bytes, Kernel.MADV_NOHUGEPAGE);
  }

  /** A kernel that was built without huge pages does not know the advice. */
  private static void advise(long address, long bytes, int advice) {
    if (LibC.madvise(address, bytes, advice) != 0 && Errno.last() != Errno.EINVAL) {
      throw Errno.failed(
          "madvise", Errno.last(), Kernel.range(address, bytes) + ", advice=" + advice);
    }
  }

  /**
   * Returns how much of the mappings that a range lies in is huge pages. After {@link #use} or
   * {@link #avoid} the range is a mapping of its own, unless its neighbours had the same advice.
   *
   * @param address where the range begins
   * @param bytes its length
   * @return AnonHugePages of smaps, in bytes; 0 where it cannot be read
   */
  public static long bytes(long address, long bytes) {
    return anonymousHugeBytes(KeyedText.lines(SMAPS), address, address + bytes);
  }

  /** Adds up what the lines of smaps say of the mappings that a range touches. */
  static long anonymousHugeBytes(List<String> lines, long start, long end) {
    long sum = 0;
    boolean isWithin = false;
    for (String line : lines) {
      int dash = line.indexOf('-');
      if (dash > 0 && line.substring(0, dash).matches("[0-9a-f]+")) {
        long from = Long.parseUnsignedLong(line, 0, dash, 16);
        long to = Long.parseUnsignedLong(line, dash + 1, line.indexOf(' '), 16);
        isWithin = from < end && to > start;
      } else if (isWithin && line.startsWith("AnonHugePages:")) {
        sum += Long.parseLong(line.replaceAll("\\D", "")) << 10;
      }
    }
    return sum;
  }
}
