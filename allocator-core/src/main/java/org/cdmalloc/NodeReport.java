/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.util.List;
import java.util.Objects;
import org.cdmalloc.topology.Zonelist.Kind;

/**
 * The account of one node at one moment. The figures are read one after another while others
 * allocate and free; at rest they agree. Immutable.
 *
 * <p>A node's capacity is used by its own zone, whose blocks lie on this node alone unless they
 * were moved, by blocks of other zones that were moved here, and by striped zones, which deal their
 * pages out to several nodes and have a {@link StripeReport} of their own.
 *
 * @param node the node
 * @param kind system RAM or a device's memory; totals of the two are never added up
 * @param backingNode the node whose memory it is: the node itself, or the host of a designated
 *     arena
 * @param state where a device node is in its life; of one of which nothing is reserved all figures
 *     but the capacity are 0
 * @param capacityBytes the most that may be used
 * @param reservedBytes the address space of the node's own zone, which costs no memory
 * @param committedBytes what the kernel gave to the node's own zone and did not get back
 * @param usedBytes what live blocks of the node's own zone hold of this node
 * @param stripedBytes what the kernel gave of this node to striped zones, used by them or not
 * @param displacedBytes what the last looks found elsewhere of what is committed in the node's own
 *     zone, as {@link NodeAllocator#audit()} and its sampler look; nothing that was not looked at
 * @param movedOutBytes what live blocks of the node's own zone hold of other nodes, because they
 *     were moved there
 * @param movedInBytes what blocks of other zones hold of this node, because they were moved here
 * @param demotedBytes what was ever moved of the node's own blocks to its demotion target, by
 *     drains and to make room; never less than before, until the node is brought online without
 *     blocks
 * @param promotedBytes how much of that ever came back to the node: where both grow side by side,
 *     blocks are moved out that are still in use, and the device is too small for its holders. Of
 *     the same kind as {@code pgdemote} and {@code pgpromote} in the kernel's {@code /proc/vmstat}
 * @param liveBlocks how many blocks of the node's own zone are live
 * @param marks the levels of free memory at which requests are turned away
 * @param freeBlocksPerOrder free blocks of 4 KiB · 2<sup>i</sup> in the node's own zone, committed
 *     or not, as in {@code /proc/buddyinfo}; what threads keep ready is not in them. Together more
 *     than {@link #freeBytes()} where striped zones took a part of the capacity, less where blocks
 *     are kept ready
 * @param counters what became of the requests for this node
 * @param magazines what threads keep ready of the node's own zone; it is in {@link #freeBytes()}
 *     and in {@link #cachedBytes()}
 */
public record NodeReport(
    int node,
    Kind kind,
    int backingNode,
    NodeState state,
    long capacityBytes,
    long reservedBytes,
    long committedBytes,
    long usedBytes,
    long stripedBytes,
    long displacedBytes,
    long movedOutBytes,
    long movedInBytes,
    long demotedBytes,
    long promotedBytes,
    long liveBlocks,
    Marks marks,
    List<Integer> freeBlocksPerOrder,
    NumaCounters counters,
    MagazineReport magazines) {
  /**
   * Makes a report; the list is copied.
   *
   * @param node as {@link #node()}
   * @param kind as {@link #kind()}
   * @param backingNode as {@link #backingNode()}
   * @param state as {@link #state()}
   * @param capacityBytes as {@link #capacityBytes()}
   * @param reservedBytes as {@link #reservedBytes()}
   * @param committedBytes as {@link #committedBytes()}
   * @param usedBytes as {@link #usedBytes()}
   * @param stripedBytes as {@link #stripedBytes()}
   * @param displacedBytes as {@link #displacedBytes()}
   * @param movedOutBytes as {@link #movedOutBytes()}
   * @param movedInBytes as {@link #movedInBytes()}
   * @param demotedBytes as {@link #demotedBytes()}
   * @param promotedBytes as {@link #promotedBytes()}
   * @param liveBlocks as {@link #liveBlocks()}
   * @param marks as {@link #marks()}
   * @param freeBlocksPerOrder as {@link #freeBlocksPerOrder()}
   * @param counters as {@link #counters()}
   * @param magazines as {@link #magazines()}
   * @throws NullPointerException if an argument or an element is null
   */
  public NodeReport {
    Objects.requireNonNull(kind, "kind");
    Objects.requireNonNull(state, "state");
    Objects.requireNonNull(marks, "marks");
    freeBlocksPerOrder = List.copyOf(freeBlocksPerOrder);
    Objects.requireNonNull(counters, "counters");
    Objects.requireNonNull(magazines, "magazines");
  }

  /**
   * Returns the report of a device node of which nothing is reserved.
   *
   * @param node the device node
   * @param backingNode the node whose memory it is
   * @param state where it is in its life
   * @param capacityBytes the most that may be used once it is online
   * @return a report without any other figure
   */
  public static NodeReport offline(int node, int backingNode, NodeState state, long capacityBytes) {
    return new NodeReport(
        node,
        Kind.DEVICE,
        backingNode,
        state,
        capacityBytes,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        Marks.NONE,
        List.of(),
        NumaCounters.ZERO,
        MagazineReport.NONE);
  }

  /**
   * Tells whether the node serves those who have the right to it.
   *
   * @return true for a system node, and for a device node that is online or draining
   */
  public boolean online() {
    return state.isServing();
  }

  /**
   * Returns what is left of the capacity for new blocks: neither in live blocks, moved here or not,
   * nor in striped zones. What threads keep ready counts as free, though it serves others only when
   * it came back ({@link #magazines()}). Whether the kernel has as much is another question.
   *
   * @return bytes, not negative
   */
  public long freeBytes() {
    return Math.max(0, capacityBytes - usedBytes - stripedBytes - movedInBytes);
  }

  /**
   * Returns what the node's own zone holds of the kernel in no live block: the most that a trim can
   * give back.
   *
   * @return bytes, not negative
   */
  public long cachedBytes() {
    // A block is counted before the memory behind it.
    return Math.max(0, committedBytes - usedBytes);
  }
}
