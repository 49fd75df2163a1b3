/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import org.cdmalloc.NodeFailedException;
import org.cdmalloc.topology.NodeMask;

/** Whom it concerns that nodes were lost. */
final class LostNodes {
  private LostNodes() {}

  /**
   * Returns the nodes on which part of a block lies and that were lost.
   *
   * @param nodes what is known of nodes
   * @param zone the block's zone
   * @param page its first page
   * @param pages its length
   */
  static NodeMask of(NodeSnapshot nodes, BackedZone zone, int page, int pages) {
    return zone.nodesOf(page, pages).and(nodes.states().failed());
  }

  /**
   * Throws if part of a block lies on a node that was lost.
   *
   * @param nodes what is known of nodes
   * @param zone the block's zone
   * @param page its first page
   * @param pages its length
   * @param address its first byte, for the message
   * @throws NodeFailedException if so
   */
  static void requireSound(NodeSnapshot nodes, BackedZone zone, int page, int pages, long address) {
    NodeMask lost = of(nodes, zone, page, pages);
    if (!lost.isEmpty()) {
      int node = lost.first();
      throw new NodeFailedException(
          node,
          "block lies on a node that was lost: address=0x"
              + Long.toHexString(address)
              + ", node="
              + node
              + ", cause="
              + nodes.states().of(node).cause()
              + "; free it");
    }
  }
}
