/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

/**
 * What became of the requests that wanted a node or were served by it, since the allocator was
 * opened: the kernel's counters with the kernel's meaning (numastat(8),
 * Documentation/admin-guide/numastat.rst, {@code zone_statistics} of mm/page_alloc.c).
 *
 * <p>Counted in blocks, whatever their size, as the kernel counts an allocation of any order once.
 * A block of a striped zone, whose pages lie on several nodes, counts once, at the node of its
 * first page. A request that nobody could serve counts nowhere. On which node a thread runs is
 * asked as seldom as {@link Placement#LOCAL} says.
 *
 * <p>At rest {@code numaHit + numaMiss = localNode + otherNode} at each node, {@code interleaveHit
 * ≤ numaHit} at each node, and over all nodes the misses are as many as the foreign ones. While
 * others allocate the figures are read one after another and may be a few blocks apart.
 *
 * @param numaHit blocks that this node was wanted for, and served
 * @param numaMiss blocks that another node was wanted for, and this one served
 * @param numaForeign blocks that this node was wanted for, and another one served
 * @param interleaveHit blocks that this node served because it was its turn in an interleaving;
 *     they are in {@code numaHit} too
 * @param localNode blocks that this node served to a thread on one of its CPUs
 * @param otherNode blocks that this node served to a thread on another node's CPU
 */
public record NumaCounters(
    long numaHit,
    long numaMiss,
    long numaForeign,
    long interleaveHit,
    long localNode,
    long otherNode) {
  /** Nothing was counted yet. */
  public static final NumaCounters ZERO = new NumaCounters(0, 0, 0, 0, 0, 0);
}
