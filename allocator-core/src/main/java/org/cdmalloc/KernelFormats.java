/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.util.List;
import java.util.Locale;
import org.cdmalloc.topology.Zonelist.Kind;

/**
 * The lines of {@code /proc/buddyinfo}, {@code /proc/zoneinfo} and a node's {@code numastat}, blank
 * for blank as the kernel prints them ({@code frag_show_print} and {@code zoneinfo_show_print} of
 * mm/vmstat.c, {@code node_read_numastat} of drivers/base/node.c).
 */
final class KernelFormats {
  private static final int PAGE_BYTES = 4096;

  /** What readers of buddyinfo expect at least: NR_PAGE_ORDERS of most kernels. */
  private static final int ORDERS = 11;

  private KernelFormats() {}

  /** Returns the name of the zone that a node's memory is. */
  static String zone(Kind kind) {
    return kind == Kind.DEVICE ? "Movable" : "Normal";
  }

  /** Prints the line of a zone, with 0 for the orders that it lacks. */
  static String buddyinfo(int node, String zone, List<Integer> freeBlocksPerOrder) {
    StringBuilder line = new StringBuilder(128);
    line.append(String.format(Locale.ROOT, "Node %d, zone %8s ", node, zone));
    for (int order = 0; order < Math.max(ORDERS, freeBlocksPerOrder.size()); order++) {
      int blocks = order < freeBlocksPerOrder.size() ? freeBlocksPerOrder.get(order) : 0;
      line.append(String.format(Locale.ROOT, "%6d ", blocks));
    }
    return line.append('\n').toString();
  }

  /**
   * Prints the paragraph of a node's zone: the lines that have a figure here. Nothing is kept back
   * for requests that could use no other zone, because a node has one zone only; so the protection
   * is 0 against each of the five zones that a kernel may have.
   */
  static String zoneinfo(NodeReport report) {
    NumaCounters counters = report.counters();
    return String.format(
        Locale.ROOT,
        """
        Node %d, zone %8s
          pages free     %d
                boost    0
                min      %d
                low      %d
                high     %d
                spanned  %d
                present  %d
                managed  %d
                cma      0
                protection: (0, 0, 0, 0, 0)
              nr_free_pages %d
              numa_hit     %d
              numa_miss    %d
              numa_foreign %d
              numa_interleave %d
              numa_local   %d
              numa_other   %d
          pagesets
          node_unreclaimable:  0
          start_pfn:           0
        """,
        report.node(),
        zone(report.kind()),
        pages(report.freeBytes()),
        pages(report.marks().minBytes()),
        pages(report.marks().lowBytes()),
        pages(report.marks().highBytes()),
        pages(report.reservedBytes()),
        pages(report.capacityBytes()),
        pages(report.capacityBytes()),
        pages(report.freeBytes()),
        counters.numaHit(),
        counters.numaMiss(),
        counters.numaForeign(),
        counters.interleaveHit(),
        counters.localNode(),
        counters.otherNode());
  }

  /** Prints the file of a node. */
  static String numastat(NumaCounters counters) {
    return String.format(
        Locale.ROOT,
        """
        numa_hit %d
        numa_miss %d
        numa_foreign %d
        interleave_hit %d
        local_node %d
        other_node %d
        """,
        counters.numaHit(),
        counters.numaMiss(),
        counters.numaForeign(),
        counters.interleaveHit(),
        counters.localNode(),
        counters.otherNode());
  }

  private static long pages(long bytes) {
    return bytes / PAGE_BYTES;
  }
}
