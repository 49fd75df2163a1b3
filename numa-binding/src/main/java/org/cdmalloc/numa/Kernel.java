/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;
import java.nio.file.Path;
import java.util.Arrays;
import org.cdmalloc.topology.NodeMask;

/**
 * The kernel's calls on address ranges, each with its checks: a failure that the caller does not
 * name becomes an exception with function, errno and arguments. Stateless and safe for any thread;
 * tests override single calls to let them fail.
 *
 * <p>Node masks are passed one word longer than {@link NodeMask#MAX_NODES} needs, with {@code
 * maxnode = bits + 1}: the kernel drops the last bit it is told of (mm/mempolicy.c, {@code
 * get_nodes}).
 */
class Kernel {
  static final int PROT_NONE = 0;
  static final int PROT_READ_WRITE = 3;

  /** Policies, flags and advice: include/uapi/linux/mempolicy.h and asm-generic/mman-common.h. */
  static final int MPOL_DEFAULT = 0;

  static final int MPOL_PREFERRED = 1;
  static final int MPOL_BIND = 2;
  private static final int MPOL_F_STATIC_NODES = 1 << 15;
  static final int MPOL_MF_STRICT = 1;
  static final int MPOL_MF_MOVE = 2;
  static final int MADV_DONTNEED = 4;
  static final int MADV_DONTFORK = 10;
  static final int MADV_NOHUGEPAGE = 15;

  /** Since Linux 5.4; of a part of a huge page it makes small ones. */
  static final int MADV_COLD = 20;

  static final int MADV_POPULATE_WRITE = 23;

  /** As MADV_DONTNEED, which a locked range refuses; since Linux 5.18. */
  static final int MADV_DONTNEED_LOCKED = 24;

  private static final int MPOL_F_NODE = 1;
  private static final int MPOL_F_ADDR = 2;
  private static final int MAP_PRIVATE_ANONYMOUS = 0x22;
  private static final int MASK_WORDS = NodeMask.MAX_NODES / Long.SIZE + 1;
  static final long MAX_NODE = NodeMask.MAX_NODES + 1L;
  private static final int SC_PAGESIZE = 30;

  /** The same number on all architectures, as for all calls since Linux 5.1. */
  static final int SET_MEMPOLICY_HOME_NODE = 450;

  private static final Path NUMA_MAPS = Path.of("/proc/self/numa_maps");
  private static final Path STATUS = Path.of("/proc/thread-self/status");

  private final SystemCalls calls;

  Kernel(SystemCalls calls) {
    this.calls = calls;
  }

  /** Maps fresh memory; returns its address, or −errno. */
  long map(long bytes, int protection) {
    long address =
        LibC.mmap(0, bytes, protection, MAP_PRIVATE_ANONYMOUS | calls.mapNoReserve(), -1, 0);
    return address == -1 ? -Errno.last() : address;
  }

  /** Unmaps a range. */
  void unmap(long address, long bytes) {
    if (LibC.munmap(address, bytes) != 0) {
      throw Errno.failed("munmap", Errno.last(), range(address, bytes));
    }
  }

  /** Changes protection; returns 0 or errno. */
  int protect(long address, long bytes, int protection) {
    return LibC.mprotect(address, bytes, protection) == 0 ? 0 : Errno.last();
  }

  /** Keeps pages in memory, and brings them in; 0 or errno, and some may then be locked. */
  int lock(long address, long bytes) {
    return LibC.mlock(address, bytes) == 0 ? 0 : Errno.last();
  }

  /** Lets the kernel bring pages in when they are touched, and give them back; 0 or errno. */
  int unlock(long address, long bytes) {
    return LibC.munlock(address, bytes) == 0 ? 0 : Errno.last();
  }

  /** Gives advice; returns 0 or errno. */
  int advise(long address, long bytes, int advice) {
    return LibC.madvise(address, bytes, advice) == 0 ? 0 : Errno.last();
  }

  /** Gives advice that must be taken. */
  void adviseOrThrow(long address, long bytes, int advice) {
    int errno = advise(address, bytes, advice);
    if (errno != 0) {
      throw Errno.failed("madvise", errno, range(address, bytes) + ", advice=" + advice);
    }
  }

  /** Writes to each page of a range of which none is there. */
  void touch(long address, long bytes, int pageBytes) {
    Pointer memory = new Pointer(address);
    for (long at = 0; at < bytes; at += pageBytes) {
      memory.setByte(at, (byte) 0);
    }
  }

  /** Binds a range to nodes; returns 0 or errno. */
  int bind(long address, long bytes, NodeMask nodes, int flags) {
    return setPolicy(address, bytes, MPOL_BIND | MPOL_F_STATIC_NODES, nodes, flags);
  }

  /**
   * Binds a range to several nodes, the home node first where Linux 5.17 is; returns 0 or errno.
   */
  int confine(long address, long bytes, NodeMask nodes, int home) {
    int errno = setPolicy(address, bytes, MPOL_BIND | MPOL_F_STATIC_NODES, nodes, 0);
    if (errno == 0) {
      // A hint, so its failure is none: without it more pages have to be moved.
      setHomeNode(address, bytes, home);
    }
    return errno;
  }

  /** Lets a range that is bound to several nodes begin with one; returns 0 or errno. */
  int setHomeNode(long address, long bytes, int node) {
    return LibC.syscall(SET_MEMPOLICY_HOME_NODE, address, bytes, node, 0, 0, 0) == 0
        ? 0
        : Errno.last();
  }

  /** Lets a range prefer a node; returns 0 or errno. */
  int prefer(long address, long bytes, int node) {
    return setPolicy(address, bytes, MPOL_PREFERRED | MPOL_F_STATIC_NODES, NodeMask.of(node), 0);
  }

  /** Lets a range prefer a node, or throws. */
  void preferOrThrow(long address, long bytes, int node) {
    int errno = prefer(address, bytes, node);
    if (errno != 0) {
      throw Errno.failed("mbind", errno, range(address, bytes) + ", mode=PREFERRED, node=" + node);
    }
  }

  /** Takes a binding away: the range prefers its node, or has no policy where the node is gone. */
  void unbind(long address, long bytes, int node) {
    if (prefer(address, bytes, node) == 0) {
      return;
    }
    int errno = setPolicy(address, bytes, MPOL_DEFAULT, NodeMask.EMPTY, 0);
    if (errno != 0) {
      throw Errno.failed("mbind", errno, range(address, bytes) + ", mode=DEFAULT");
    }
  }

  /** Sets the policy of a range: mbind(2); returns 0 or errno. All policy passes here. */
  int setPolicy(long address, long bytes, int mode, NodeMask nodes, int flags) {
    try (Memory mask = new Memory((long) MASK_WORDS * Long.BYTES)) {
      mask.write(0, maskWords(nodes), 0, MASK_WORDS);
      long result =
          LibC.syscall(
              calls.mbind(), address, bytes, mode, Pointer.nativeValue(mask), MAX_NODE, flags);
      return result == 0 ? 0 : Errno.last();
    }
  }

  /** Returns a mask as mbind(2) reads it: node n is bit n % 64 of word n / 64. */
  static long[] maskWords(NodeMask nodes) {
    return nodes.toWords(MASK_WORDS);
  }

  /**
   * Asks where pages lie without bringing any in: move_pages(2) without target nodes.
   *
   * @param address of the first page
   * @param pageBytes the size of a page
   * @param status receives a node or −errno per page
   * @return 0 or errno
   */
  int queryPages(long address, int pageBytes, int[] status) {
    int count = status.length;
    try (Memory pages = new Memory((long) count * Long.BYTES);
        Memory nodes = new Memory((long) count * Integer.BYTES)) {
      for (int i = 0; i < count; i++) {
        pages.setLong((long) i * Long.BYTES, address + (long) i * pageBytes);
      }
      long result =
          LibC.syscall(
              calls.movePages(),
              0,
              count,
              Pointer.nativeValue(pages),
              0,
              Pointer.nativeValue(nodes),
              0);
      if (result < 0) {
        return Errno.last();
      }
      nodes.read(0, status, 0, count);
      return 0;
    }
  }

  /**
   * Moves pages, each to a node of its own: move_pages(2). Which of them moved is to be asked
   * afterwards: what this call tells of each page is not meaningful after an error, and with 0 some
   * may still be where they were. Of those the kernel writes nothing; here they are EBUSY.
   *
   * @param addresses one in each page
   * @param targets a node per page
   * @param status receives a node or −errno per page, if the call returns 0
   * @return 0 or errno
   */
  int movePages(long[] addresses, int[] targets, int[] status) {
    int count = addresses.length;
    try (Memory pages = new Memory((long) count * Long.BYTES);
        Memory nodes = new Memory((long) count * Integer.BYTES);
        Memory told = new Memory((long) count * Integer.BYTES)) {
      pages.write(0, addresses, 0, count);
      nodes.write(0, targets, 0, count);
      Arrays.fill(status, -Errno.EBUSY);
      told.write(0, status, 0, count);
      long result =
          LibC.syscall(
              calls.movePages(),
              0,
              count,
              Pointer.nativeValue(pages),
              Pointer.nativeValue(nodes),
              Pointer.nativeValue(told),
              MPOL_MF_MOVE);
      if (result < 0) {
        return Errno.last();
      }
      told.read(0, status, 0, count);
      return 0;
    }
  }

  /** Asks where the page of an address lies; brings it in if it is not there. Node or −errno. */
  int nodeOfPage(long address) {
    try (Memory node = new Memory(Integer.BYTES)) {
      node.setInt(0, -1);
      long result =
          LibC.syscall(
              calls.getMempolicy(),
              Pointer.nativeValue(node),
              0,
              0,
              address,
              MPOL_F_NODE | MPOL_F_ADDR,
              0);
      return result == 0 ? node.getInt(0) : -Errno.last();
    }
  }

  /** Reads what the kernel counts of each mapping of this process; empty where it does not. */
  NumaMaps numaMaps() {
    return NumaMaps.of(KeyedText.lines(NUMA_MAPS));
  }

  /** Returns the nodes on which the calling thread may have memory, now; none if not told. */
  NodeMask allowedNodes() {
    return allowedNodes(KeyedText.of(STATUS));
  }

  /** Reads them from the status of a process or thread: cpuset(7). */
  static NodeMask allowedNodes(KeyedText status) {
    String list = status.word("Mems_allowed_list:");
    return list.isEmpty() ? NodeMask.EMPTY : NodeMask.parse(list);
  }

  /** Returns the CPU that runs the calling thread, or −1 if it is not told. */
  int currentCpu() {
    return LibC.sched_getcpu();
  }

  /** Returns the size of an OS page, in bytes. */
  int pageBytes() {
    return (int) LibC.sysconf(SC_PAGESIZE);
  }

  static String range(long address, long bytes) {
    return "address=0x" + Long.toHexString(address) + ", bytes=" + bytes;
  }
}
