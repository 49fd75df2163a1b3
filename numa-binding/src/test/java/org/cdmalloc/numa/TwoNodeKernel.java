/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.IntStream;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;

/**
 * The kernel of this host, which seems to have one more node, so that what needs two can be tested
 * on a host with one. Pages of that node lie on the host's first; which they are is kept here, and
 * the calls that tell or check where pages lie answer by it. A policy for it is really set, under
 * another flag, so that mappings are cut and merge as with a second node.
 *
 * <p>Like a kernel before 5.17, it knows no home node there: what is confined to both nodes lies on
 * the first until it is moved.
 */
class TwoNodeKernel extends Kernel {
  /** The host's first node with memory. */
  static final int HERE = Machine.fromSysfs(Machine.SYSFS).withMemory().first();

  /** The lowest number that no node of the host has. */
  static final int OTHER =
      IntStream.range(0, Long.SIZE)
          .filter(node -> !Machine.fromSysfs(Machine.SYSFS).possible().contains(node))
          .findFirst()
          .orElseThrow();

  static final long NODE_BYTES = 1L << 30;

  /** Also the lock of both books. */
  private final Set<Long> pagesOfOther = new TreeSet<>();

  private final RangeSet targetsOther = new RangeSet();

  TwoNodeKernel() {
    super(SystemCalls.of(System.getProperty("os.arch")).orElseThrow());
  }

  /** Returns a machine of the two nodes. */
  static Machine machine() {
    return Machine.builder()
        .node(Node.of(HERE, "0", NODE_BYTES))
        .node(Node.of(OTHER, "1", NODE_BYTES))
        .build();
  }

  /** Writes what sysfs would say of free memory on each of the two. */
  static void writeFree(Path sysfs, long hereBytes, long otherBytes) {
    writeMeminfo(sysfs, HERE, "MemFree: " + hereBytes / 1024 + " kB\n");
    writeMeminfo(sysfs, OTHER, "MemFree: " + otherBytes / 1024 + " kB\n");
  }

  /** Writes that both are full of clean page cache. */
  static void writeCache(Path sysfs) {
    for (int node : new int[] {HERE, OTHER}) {
      writeMeminfo(
          sysfs,
          node,
          "MemFree: 1 kB\nNode 0 Active(file): 999999 kB\nNode 0 Inactive(file): 1 kB\n");
    }
  }

  private static void writeMeminfo(Path sysfs, int node, String lines) {
    try {
      Path folder = Files.createDirectories(sysfs.resolve("devices/system/node/node" + node));
      Files.writeString(folder.resolve("meminfo"), "Node " + node + " " + lines);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Says whether a page for the other node really gets there; each does unless overridden. */
  boolean hasRoom() {
    return true;
  }

  @Override
  void unmap(long address, long bytes) {
    synchronized (pagesOfOther) {
      super.unmap(address, bytes);
      forget(address, bytes);
      targetsOther.remove(address, address + bytes);
    }
  }

  @Override
  int advise(long address, long bytes, int advice) {
    synchronized (pagesOfOther) {
      boolean[] absent = advice == MADV_POPULATE_WRITE ? absent(address, bytes) : new boolean[0];
      int errno = super.advise(address, bytes, advice);
      if (errno == 0 && advice == MADV_POPULATE_WRITE) {
        place(address, absent);
      } else if (errno == 0 && advice == MADV_DONTNEED) {
        forget(address, bytes);
      }
      return errno;
    }
  }

  @Override
  void touch(long address, long bytes, int pageBytes) {
    synchronized (pagesOfOther) {
      boolean[] absent = absent(address, bytes);
      super.touch(address, bytes, pageBytes);
      place(address, absent);
    }
  }

  @Override
  int setPolicy(long address, long bytes, int mode, NodeMask nodes, int flags) {
    synchronized (pagesOfOther) {
      boolean strict = (flags & MPOL_MF_STRICT) != 0;
      boolean moves = (flags & MPOL_MF_MOVE) != 0;
      if (strict && !moves && !allOn(nodes, address, bytes)) {
        return Errno.EIO;
      }
      boolean isOther = nodes.equals(NodeMask.of(OTHER));
      int errno =
          isOther
              // The same node without STATIC_NODES: another policy all the same.
              ? super.setPolicy(address, bytes, mode & 0xff, NodeMask.of(HERE), 0)
              : super.setPolicy(address, bytes, mode, nodes.without(NodeMask.of(OTHER)), flags);
      if (errno == 0 && isOther) {
        targetsOther.add(address, address + bytes);
      } else if (errno == 0) {
        targetsOther.remove(address, address + bytes);
      }
      if (errno == 0 && moves) {
        moveTo(nodes, address, bytes);
        return strict && !allOn(nodes, address, bytes) ? Errno.EIO : 0;
      }
      return errno;
    }
  }

  private void moveTo(NodeMask nodes, long address, long bytes) {
    boolean[] absent = absent(address, bytes);
    for (int page = 0; page < absent.length; page++) {
      long at = pageAt(address, page);
      if (!absent[page] && !isAmong(nodes, at)) {
        book(at, nodes.first());
      }
    }
  }

  private void book(long page, int node) {
    if (node != OTHER) {
      pagesOfOther.remove(page);
    } else if (hasRoom()) {
      pagesOfOther.add(page);
    }
  }

  @Override
  int queryPages(long address, int pageBytes, int[] status) {
    synchronized (pagesOfOther) {
      int errno = super.queryPages(address, pageBytes, status);
      for (int page = 0; page < status.length; page++) {
        long at = address + (long) page * pageBytes;
        status[page] = status[page] >= 0 && pagesOfOther.contains(at) ? OTHER : status[page];
      }
      return errno;
    }
  }

  @Override
  int nodeOfPage(long address) {
    synchronized (pagesOfOther) {
      int node = super.nodeOfPage(address);
      return node >= 0 && pagesOfOther.contains(address) ? OTHER : node;
    }
  }

  @Override
  NodeMask allowedNodes() {
    return super.allowedNodes().or(NodeMask.of(OTHER));
  }

  @Override
  int movePages(long[] addresses, int[] targets, int[] status) {
    synchronized (pagesOfOther) {
      int[] here = new int[targets.length];
      Arrays.setAll(here, page -> targets[page] == OTHER ? HERE : targets[page]);
      int errno = super.movePages(addresses, here, status);
      for (int page = 0; page < targets.length && errno == 0; page++) {
        book(addresses[page], targets[page]);
        status[page] = pagesOfOther.contains(addresses[page]) ? OTHER : status[page];
      }
      return errno;
    }
  }

  private boolean allOn(NodeMask nodes, long address, long bytes) {
    boolean[] absent = absent(address, bytes);
    return IntStream.range(0, absent.length)
        .allMatch(page -> absent[page] || isAmong(nodes, pageAt(address, page)));
  }

  /** Where a page that is not of the other node lies, the host's kernel checks. */
  private boolean isAmong(NodeMask nodes, long page) {
    return pagesOfOther.contains(page) ? nodes.contains(OTHER) : !nodes.equals(NodeMask.of(OTHER));
  }

  private boolean[] absent(long address, long bytes) {
    int[] status = new int[(int) (bytes / pageBytes())];
    int errno = super.queryPages(address, pageBytes(), status);
    if (errno != 0) {
      throw Errno.failed("move_pages", errno, range(address, bytes));
    }
    boolean[] absent = new boolean[status.length];
    for (int page = 0; page < absent.length; page++) {
      absent[page] = status[page] < 0;
    }
    return absent;
  }

  /** Books pages that came in by the policy which they had. */
  private void place(long address, boolean[] came) {
    for (int page = 0; page < came.length; page++) {
      long at = pageAt(address, page);
      if (came[page] && targetsOther.contains(at)) {
        book(at, OTHER);
      }
    }
  }

  private void forget(long address, long bytes) {
    pagesOfOther.removeIf(page -> page >= address && page < address + bytes);
  }

  private long pageAt(long address, int page) {
    return address + (long) page * pageBytes();
  }
}
