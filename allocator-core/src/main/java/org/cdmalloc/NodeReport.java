/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.util.List;
import org.cdmalloc.topology.Zonelist.Kind;

/**
 * The account of one node at one moment. The figures are read one after another while others
 * allocate and free; at rest they agree.
 *
 * @param node the node
 * @param kind system RAM or a device's memory; totals of the two are never added up
 * @param backingNode the node whose memory it is: the node itself, or the host of a designated
 *     arena
 * @param online false for a device node of which nothing is reserved yet; all figures but the
 *     capacity are then 0
 * @param capacityBytes the most that may be used
 * @param committedBytes what the kernel gave so far
 * @param usedBytes what live blocks hold
 * @param liveBlocks how many there are
 * @param lowMarkBytes what requests that do not insist on the node leave free
 * @param freeBlocksPerOrder free blocks of 4 KiB · 2<sup>i</sup>, as in {@code /proc/buddyinfo}
 */
public record NodeReport(
    int node,
    Kind kind,
    int backingNode,
    boolean online,
    long capacityBytes,
    long committedBytes,
    long usedBytes,
    int liveBlocks,
    long lowMarkBytes,
    List<Integer> freeBlocksPerOrder) {
  /**
   * Makes a report; the list is copied.
   *
   * @param node as {@link #node()}
   * @param kind as {@link #kind()}
   * @param backingNode as {@link #backingNode()}
   * @param online as {@link #online()}
   * @param capacityBytes as {@link #capacityBytes()}
   * @param committedBytes as {@link #committedBytes()}
   * @param usedBytes as {@link #usedBytes()}
   * @param liveBlocks as {@link #liveBlocks()}
   * @param lowMarkBytes as {@link #lowMarkBytes()}
   * @param freeBlocksPerOrder as {@link #freeBlocksPerOrder()}
   */
  public NodeReport {
    freeBlocksPerOrder = List.copyOf(freeBlocksPerOrder);
  }
}
