/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.architecture;

import java.util.Map;
import org.cdmalloc.Placement;
import org.cdmalloc.topology.NodeMask;

/** Requests that name no device: near the caller, and on nodes that are a device in no scenario. */
final class ImplicitRequests extends RequestMix {
  private static final Placement[] PLACEMENTS = {
    Placement.LOCAL,
    Placement.preferred(0),
    Placement.preferredMany(NodeMask.of(0, 3)),
    Placement.onNode(1),
    Placement.bind(NodeMask.of(0, 1)),
    Placement.bind(NodeMask.of(1, 3)).withHomeNode(3),
    Placement.interleave(NodeMask.of(0, 1)),
    Placement.weightedInterleave(Map.of(1, 2, 3, 1))
  };

  private static final long MAGAZINE_BYTES = 128 << 10;

  private static final Placement NODE_0 = Placement.onNode(0);

  private final NodeMask devices;
  private final boolean fallsBack;

  /**
   * Makes the scenario.
   *
   * @param devices which nodes are devices; none of 0, 1 and 3
   * @param fallsBack whether node 0 is full some of the time
   * @param seed of what is random
   */
  ImplicitRequests(int[] devices, boolean fallsBack, long seed) {
    super(devices, seed, MAGAZINE_BYTES);
    this.devices = NodeMask.of(devices);
    this.fallsBack = fallsBack;
  }

  /** Uses all pages of all zones and all paths once, so that they are there, and gives all back. */
  @Override
  public void prepare() {
    NodeMask system = memory.machine().withMemory().without(devices);
    fill(Placement.bind(system)).run();
    for (Placement placement : PLACEMENTS) {
      fill(placement).run();
    }
    fill(NODE_0).run();
    system.stream().forEach(node -> exchange(Placement.onNode(node)));
    mix(2_000, PLACEMENTS);
  }

  @Override
  public void run() {
    mix(4_000, PLACEMENTS);
    exchange(NODE_0);
    if (fallsBack) {
      Runnable free = fill(NODE_0);
      mix(4_000, PLACEMENTS);
      free.run();
    }
  }
}
