/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.architecture;

import org.cdmalloc.Placement;
import org.cdmalloc.topology.NodeMask;

/**
 * Requests on one node, by its name or, where it is a device, by the right to it. Its zone sees the
 * same either way.
 */
final class NodeRequests extends RequestMix {
  private final Placement placement;

  NodeRequests(int[] devices, int node, long seed) {
    // Of a node blocks are kept ready, and of a device none: that alone would differ.
    super(devices, seed, 0);
    boolean isDevice = NodeMask.of(devices).contains(node);
    placement = isDevice ? memory.device(node).placement() : Placement.onNode(node);
    if (!isDevice) {
      reside(placement);
    }
  }

  @Override
  public void prepare() {
    fill(placement).run();
    mix(1_000, placement);
  }

  @Override
  public void run() {
    mix(2_000, placement);
    fill(placement).run();
    mix(1_000, placement);
  }
}
