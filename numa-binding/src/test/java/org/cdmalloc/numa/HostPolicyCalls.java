/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.cdmalloc.spi.PolicyCalls;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.NodeMask;

/** The memory policy calls of the kernel that runs the tests. */
final class HostPolicyCalls implements PolicyCalls {
  private static final int CAP_SYS_NICE = 23;

  /** Far more than MAX_NUMNODES: what a call writes behind a mask stays in it. */
  private static final int WORDS = 1 << 10;

  private static final int ASKED_AGAIN = 5;
  private static final long PAUSE_NANOS = 10_000_000;

  private final SystemCallNumbers numbers = SystemCallNumbers.ofThisHost();
  private final Machine machine = Machine.fromSysfs(Machine.SYSFS);
  private final int pageBytes = ThisHost.KERNEL.pageBytes();

  @Override
  public String release() {
    return System.getProperty("os.version");
  }

  @Override
  public int pageBytes() {
    return pageBytes;
  }

  /** Counts the digits of a mask that is printed in full: four nodes each. */
  @Override
  public int maxNodes() {
    return status("Mems_allowed:").replace(",", "").length() * 4;
  }

  @Override
  public boolean hasSysNice() {
    return (Long.parseUnsignedLong(status("CapEff:"), 16) >>> CAP_SYS_NICE & 1) != 0;
  }

  private static String status(String key) {
    try (Stream<String> lines = Files.lines(Path.of("/proc/self/status"))) {
      String line = lines.filter(text -> text.startsWith(key)).findFirst().orElseThrow();
      return line.substring(key.length()).strip();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public NodeMask online() {
    return machine.online();
  }

  @Override
  public NodeMask withMemory() {
    return machine.withMemory();
  }

  /** Interleaving goes by the number of a page: the first one's is a multiple of 8. */
  @Override
  public long map(long bytes) {
    long round = 8L * pageBytes;
    long address = ThisHost.KERNEL.map(bytes + round, Kernel.PROT_READ_WRITE);
    if (address < 0) {
      throw Errno.failed("mmap", (int) -address, "bytes=" + bytes);
    }
    long start = (address + round - 1) / round * round;
    if (start > address) {
      unmap(address, start - address);
    }
    if (start < address + round) {
      unmap(start + bytes, address + round - start);
    }
    return start;
  }

  @Override
  public int unmap(long address, long bytes) {
    return LibC.munmap(address, bytes) == 0 ? 0 : -Errno.last();
  }

  @Override
  public int lock(long address, long bytes) {
    return -ThisHost.KERNEL.lock(address, bytes);
  }

  @Override
  public int unlock(long address, long bytes) {
    return -ThisHost.KERNEL.unlock(address, bytes);
  }

  @Override
  public int touch(long address) {
    new Pointer(address).setByte(0, (byte) 1);
    return 0;
  }

  @Override
  public int advise(long address, long bytes, int advice) {
    return -ThisHost.KERNEL.advise(address, bytes, advice);
  }

  @Override
  public int setMempolicy(int mode, long[] mask, long maxnode) {
    try (Memory words = words()) {
      return call(numbers.of("set_mempolicy"), mode, in(words, mask), maxnode, 0, 0, 0);
    }
  }

  @Override
  public int mbind(long address, long bytes, int mode, long[] mask, long maxnode, int flags) {
    try (Memory words = words()) {
      return call(numbers.of("mbind"), address, bytes, mode, in(words, mask), maxnode, flags);
    }
  }

  @Override
  public int setMempolicyHomeNode(long address, long bytes, long node, long flags) {
    return call(numbers.of("set_mempolicy_home_node"), address, bytes, node, flags, 0, 0);
  }

  @Override
  public int getMempolicy(int[] value, long[] mask, long maxnode, long address, long flags) {
    try (Memory words = words();
        Memory told = new Memory(Integer.BYTES)) {
      told.setInt(0, value[0]);
      long nodes = in(words, mask);
      int result =
          call(
              numbers.of("get_mempolicy"),
              Pointer.nativeValue(told),
              nodes,
              maxnode,
              address,
              flags,
              0);
      value[0] = told.getInt(0);
      if (mask != null) {
        words.read(0, mask, 0, Math.min(mask.length, WORDS));
      }
      return result;
    }
  }

  /**
   * A page that the kernel is moving at this moment, to compact memory or into a huge page, is told
   * as absent: whoever only asks, asks again before that is believed.
   */
  @Override
  public int movePages(long[] addresses, int[] nodes, int[] status, int flags) {
    int result = movePagesOnce(addresses, nodes, status, flags);
    for (int i = 0; nodes == null && i < ASKED_AGAIN && isAbsent(status); i++) {
      LockSupport.parkNanos(PAUSE_NANOS);
      result = movePagesOnce(addresses, nodes, status, flags);
    }
    return result;
  }

  private static boolean isAbsent(int[] status) {
    return Arrays.stream(status).anyMatch(page -> page == -Errno.ENOENT);
  }

  private int movePagesOnce(long[] addresses, int[] nodes, int[] status, int flags) {
    int count = addresses.length;
    try (Memory pages = new Memory((long) count * Long.BYTES);
        Memory targets = new Memory((long) count * Integer.BYTES);
        Memory answers = new Memory((long) count * Integer.BYTES)) {
      pages.write(0, addresses, 0, count);
      if (nodes != null) {
        targets.write(0, nodes, 0, count);
      }
      answers.clear();
      int result =
          call(
              numbers.of("move_pages"),
              0,
              count,
              Pointer.nativeValue(pages),
              nodes == null ? 0 : Pointer.nativeValue(targets),
              Pointer.nativeValue(answers),
              flags);
      answers.read(0, status, 0, count);
      return result;
    }
  }

  private static Memory words() {
    Memory words = new Memory((long) WORDS * Long.BYTES);
    words.clear();
    return words;
  }

  private static long in(Memory words, long[] mask) {
    if (mask == null) {
      return 0;
    }
    words.write(0, mask, 0, Math.min(mask.length, WORDS));
    return Pointer.nativeValue(words);
  }

  private static int call(long number, long a, long b, long c, long d, long e, long f) {
    long result = LibC.syscall(number, a, b, c, d, e, f);
    return result < 0 ? -Errno.last() : (int) result;
  }
}
