/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.util.Arrays;
import org.cdmalloc.spi.Residency;
import org.cdmalloc.topology.NodeMask;

/** Asks where pages lie, by the best call that this process is allowed. */
final class ResidencyQuery {
  /** Pages asked about in one call: keeps the arrays of a large query small. */
  private static final int CALL_PAGES = 1 << 14;

  private final Kernel kernel;
  private final Capability.ResidencyCall call;
  private final int pageBytes;

  ResidencyQuery(Kernel kernel, Capability.ResidencyCall call) {
    this.kernel = kernel;
    this.call = call;
    this.pageBytes = kernel.pageBytes();
  }

  /** Asks about a range of whole pages. The caller holds the locks of the region's nodes. */
  Residency ask(LinuxRegion region, long offset, long bytes) {
    int[] nodes = new int[Math.toIntExact(bytes / pageBytes)];
    switch (call) {
      case MOVE_PAGES -> movePages(region.address() + offset, nodes);
      case GET_MEMPOLICY -> getMempolicy(region, offset, nodes);
      case NUMA_MAPS -> numaMaps(region, offset, nodes);
      default -> Arrays.fill(nodes, Residency.UNKNOWN);
    }
    return new Residency(pageBytes, nodes, call.callName());
  }

  /** Tells whether pages are counted by mapping only, so that it is not known which they are. */
  boolean countsOnly() {
    return call == Capability.ResidencyCall.NUMA_MAPS;
  }

  /** Counts the pages on certain nodes of all the mappings in which a range lies. */
  long countOn(NodeMask nodes, long address, long bytes) {
    return kernel.numaMaps().pagesOn(nodes, address, address + bytes);
  }

  /**
   * Tells whether some page of a range that was just populated is known to lie on certain nodes.
   * Where pages are only counted, or nothing tells, no page is known to.
   */
  boolean isAnyOn(NodeMask nodes, long address, long bytes) {
    return tellsPages() && Arrays.stream(populated(address, bytes)).anyMatch(nodes::contains);
  }

  /** Tells whether the call names the node of each page, even where neighbours lie on others. */
  boolean tellsPages() {
    return call == Capability.ResidencyCall.MOVE_PAGES
        || call == Capability.ResidencyCall.GET_MEMPOLICY;
  }

  /** Tells whether pages can be moved one by one: by the same call that is asked first. */
  boolean moves() {
    return call == Capability.ResidencyCall.MOVE_PAGES;
  }

  /**
   * Asks about a range that was just populated, of a call that {@link #tellsPages}: a node or a
   * negative number per page.
   */
  int[] populated(long address, long bytes) {
    int[] where = new int[Math.toIntExact(bytes / pageBytes)];
    if (call == Capability.ResidencyCall.MOVE_PAGES) {
      movePages(address, where);
    } else {
      Arrays.setAll(where, page -> kernel.nodeOfPage(address + (long) page * pageBytes));
    }
    return where;
  }

  private void movePages(long address, int[] nodes) {
    for (int from = 0; from < nodes.length; from += CALL_PAGES) {
      int[] part = new int[Math.min(CALL_PAGES, nodes.length - from)];
      long start = address + (long) from * pageBytes;
      int errno = kernel.queryPages(start, pageBytes, part);
      if (errno != 0) {
        throw Errno.failed(
            "move_pages", errno, Kernel.range(start, (long) part.length * pageBytes));
      }
      for (int page = 0; page < part.length; page++) {
        nodes[from + page] = node(part[page]);
      }
    }
  }

  /** This call brings absent pages in, so it is asked about committed ones only. */
  private void getMempolicy(LinuxRegion region, long offset, int[] nodes) {
    for (int page = 0; page < nodes.length; page++) {
      long at = offset + (long) page * pageBytes;
      nodes[page] =
          region.committed().contains(at)
              ? Math.max(Residency.UNKNOWN, kernel.nodeOfPage(region.address() + at))
              : Residency.NOT_PRESENT;
    }
  }

  /**
   * A mapping holds no pages but its region's, see {@link AddressSpace}. Its counts place its
   * committed pages if they are on one node, and at least as many as were committed: if there are
   * fewer, some are swapped out and nobody can say which.
   */
  private void numaMaps(LinuxRegion region, long offset, int[] nodes) {
    NumaMaps maps = kernel.numaMaps();
    NumaMaps.Mapping mapping = maps.at(region.address() + offset);
    int node = node(region, mapping);
    for (int page = 0; page < nodes.length; page++) {
      long at = offset + (long) page * pageBytes;
      if (region.address() + at >= mapping.end()) {
        mapping = maps.at(region.address() + at);
        node = node(region, mapping);
      }
      nodes[page] = region.committed().contains(at) ? node : Residency.NOT_PRESENT;
    }
  }

  private int node(LinuxRegion region, NumaMaps.Mapping mapping) {
    long start = Math.max(0, mapping.start() - region.address());
    long end = Math.min(region.bytes(), mapping.end() - region.address());
    long committedPages = region.committed().coveredBytes(start, end) / pageBytes;
    return mapping.pages() >= committedPages && mapping.nodes().size() == 1
        ? mapping.nodes().first()
        : Residency.UNKNOWN;
  }

  /** A page that was never written is ENOENT, or EFAULT where it was read as the page of zeros. */
  private static int node(int status) {
    if (status >= 0) {
      return status;
    }
    return status == -Errno.ENOENT || status == -Errno.EFAULT
        ? Residency.NOT_PRESENT
        : Residency.UNKNOWN;
  }
}
