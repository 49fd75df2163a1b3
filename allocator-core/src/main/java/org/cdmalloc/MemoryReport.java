/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.cdmalloc.topology.Zonelist.Kind;

/**
 * The account of an allocator at one moment: every node that has a capacity, and every striped
 * zone. The figures are read one after another while others allocate and free; at rest they agree.
 * Immutable, safe for use by any number of threads.
 *
 * <p><b>Two totals.</b> {@link #system()} and {@link #device()} are told apart, and nothing here
 * adds them up: memory that most requests can never use must not look like memory that is there (J.
 * Glisse, linux-mm, 2016, on the coherent-device-memory patches: to be reported apart from
 * MemTotal).
 *
 * <p><b>The kernel's formats.</b> {@link #buddyinfo()}, {@link #zoneinfo()} and {@link
 * #numastat(int)} print what {@code /proc/buddyinfo}, {@code /proc/zoneinfo} and {@code
 * /sys/devices/system/node/node}<i>N</i>{@code /numastat} print (mm/vmstat.c, drivers/base/node.c),
 * so that a tool which reads those reads these. Pages are of 4 KiB, whatever the kernel's are. A
 * system node is the zone {@code Normal}, a device node the zone {@code Movable}, as which the
 * memory of a device comes up. A striped zone is no node and has no line in any of them: what it
 * takes of a node is missing in that node's {@code pages free}.
 *
 * @param nodes every node that has a capacity, ascending
 * @param stripes every striped zone, in the order in which they came into use
 * @param displacements what did not lie where it was committed when it was last looked at, as
 *     {@link NodeAllocator#audit()} and its sampler look, and was not given back; by node, then by
 *     where it was found
 * @param holders every holder of a device's capability, by node, a holder before those below it;
 *     what one uses is in the figures of its node, and of system nodes as far as it was spilled
 */
public record MemoryReport(
    List<NodeReport> nodes,
    List<StripeReport> stripes,
    List<Displacement> displacements,
    List<HolderReport> holders) {
  /**
   * The figures of all nodes of one kind, added up; striped zones are in {@code stripedBytes}
   * alone.
   *
   * @param capacityBytes as {@link NodeReport#capacityBytes()}; of device nodes that are not online
   *     too
   * @param reservedBytes as {@link NodeReport#reservedBytes()}
   * @param committedBytes as {@link NodeReport#committedBytes()}
   * @param usedBytes as {@link NodeReport#usedBytes()}
   * @param stripedBytes as {@link NodeReport#stripedBytes()}
   * @param cachedBytes as {@link NodeReport#cachedBytes()}
   * @param liveBlocks as {@link NodeReport#liveBlocks()}
   */
  public record Totals(
      long capacityBytes,
      long reservedBytes,
      long committedBytes,
      long usedBytes,
      long stripedBytes,
      long cachedBytes,
      long liveBlocks) {}

  /**
   * Makes a report; the lists are copied, the nodes sorted.
   *
   * @param nodes one report per node, in any order
   * @param stripes one report per striped zone
   * @param displacements as {@link #displacements()}
   * @param holders as {@link #holders()}
   * @throws IllegalArgumentException if two reports are of one node
   * @throws NullPointerException if an argument or an element is null
   */
  public MemoryReport {
    List<NodeReport> ascending = new ArrayList<>(nodes);
    ascending.sort(Comparator.comparingInt(NodeReport::node));
    for (int i = 1; i < ascending.size(); i++) {
      int node = ascending.get(i).node();
      if (node == ascending.get(i - 1).node()) {
        throw new IllegalArgumentException("node is reported twice: node=" + node);
      }
    }
    nodes = List.copyOf(ascending);
    stripes = List.copyOf(stripes);
    displacements = List.copyOf(displacements);
    holders = List.copyOf(holders);
  }

  /**
   * Returns the account of one node.
   *
   * @param node the node's number
   * @return its report
   * @throws IllegalArgumentException if the node has no capacity in this allocator
   */
  public NodeReport node(int node) {
    return nodes.stream()
        .filter(report -> report.node() == node)
        .findFirst()
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "node has no capacity here: node="
                        + node
                        + ", nodes="
                        + nodes.stream().map(NodeReport::node).toList()));
  }

  /**
   * Returns the totals of system RAM.
   *
   * @return the figures of all system nodes
   */
  public Totals system() {
    return totals(Kind.SYSTEM);
  }

  /**
   * Returns the totals of devices' memory, online or not.
   *
   * @return the figures of all device nodes; all 0 where there is none
   */
  public Totals device() {
    return totals(Kind.DEVICE);
  }

  private Totals totals(Kind kind) {
    long capacityBytes = 0;
    long reservedBytes = 0;
    long committedBytes = 0;
    long usedBytes = 0;
    long stripedBytes = 0;
    long cachedBytes = 0;
    long liveBlocks = 0;
    for (NodeReport report : nodes) {
      if (report.kind() == kind) {
        capacityBytes += report.capacityBytes();
        reservedBytes += report.reservedBytes();
        committedBytes += report.committedBytes();
        usedBytes += report.usedBytes();
        stripedBytes += report.stripedBytes();
        cachedBytes += report.cachedBytes();
        liveBlocks += report.liveBlocks();
      }
    }
    return new Totals(
        capacityBytes,
        reservedBytes,
        committedBytes,
        usedBytes,
        stripedBytes,
        cachedBytes,
        liveBlocks);
  }

  /**
   * Prints the free blocks of each order, as {@code /proc/buddyinfo} does. All free blocks of a
   * node's own zone are there, committed or not, but not what threads keep ready, as the kernel
   * leaves out what CPUs do; orders from 0, at least eleven of them as on most kernels, more where
   * blocks can be larger than 4 MiB.
   *
   * @return a line per node that is online, each ended by a line feed; empty if there is none
   */
  public String buddyinfo() {
    StringBuilder text = new StringBuilder();
    for (NodeReport report : nodes) {
      if (report.online()) {
        text.append(
            KernelFormats.buddyinfo(
                report.node(), KernelFormats.zone(report.kind()), report.freeBlocksPerOrder()));
      }
    }
    return text.toString();
  }

  /**
   * Prints the figures of each node's zone, as {@code /proc/zoneinfo} does, so far as there are
   * any: no statistics of the node as a whole, no sets of pages per CPU. {@code free} and {@code
   * nr_free_pages} are {@link NodeReport#freeBytes()}, {@code spanned} is {@link
   * NodeReport#reservedBytes()}, {@code present} and {@code managed} are the capacity; pages are
   * numbered from the zone's start, so {@code start_pfn} is 0.
   *
   * @return a paragraph per node that is online, each line ended by a line feed; empty if there is
   *     none
   */
  public String zoneinfo() {
    StringBuilder text = new StringBuilder();
    for (NodeReport report : nodes) {
      if (report.online()) {
        text.append(KernelFormats.zoneinfo(report));
      }
    }
    return text.toString();
  }

  /**
   * Prints the counters of one node, as {@code /sys/devices/system/node/node}<i>N</i>{@code
   * /numastat} does. They count blocks; see {@link NumaCounters}.
   *
   * @param node the node's number
   * @return six lines, each ended by a line feed; all 0 for a device node that is not online
   * @throws IllegalArgumentException as {@link #node(int)}
   */
  public String numastat(int node) {
    return KernelFormats.numastat(node(node).counters());
  }
}
