/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import org.cdmalloc.topology.NodeMask;

/** All kinds of placements that need no right to a device. */
enum PlacementKind {
  LOCAL,
  ON_NODE,
  PREFERRED,
  PREFERRED_MANY,
  PREFERRED_MANY_FROM,
  BIND,
  BIND_FROM,
  INTERLEAVE,
  WEIGHTED_INTERLEAVE;

  static final PlacementKind[] VALUES = values();

  /** Draws one on some of certain nodes. */
  Placement draw(SplittableRandom random, NodeMask nodes, NodeMask homes) {
    int node = pick(random, nodes);
    NodeMask mask = NodeMask.of(node);
    for (int other : nodes.stream().toArray()) {
      mask = random.nextBoolean() ? mask.or(NodeMask.of(other)) : mask;
    }
    return of(random, node, mask, pick(random, homes));
  }

  /** Returns one on a node or a mask, as the kind wants it. */
  Placement of(SplittableRandom random, int node, NodeMask mask, int home) {
    return switch (this) {
      case LOCAL -> Placement.LOCAL;
      case ON_NODE -> Placement.onNode(node);
      case PREFERRED -> Placement.preferred(node);
      case PREFERRED_MANY -> Placement.preferredMany(mask);
      case PREFERRED_MANY_FROM -> Placement.preferredMany(mask).withHomeNode(home);
      case BIND -> Placement.bind(mask);
      case BIND_FROM -> Placement.bind(mask).withHomeNode(home);
      case INTERLEAVE -> Placement.interleave(mask);
      case WEIGHTED_INTERLEAVE -> {
        Map<Integer, Integer> weights = new TreeMap<>();
        mask.stream().forEach(member -> weights.put(member, 1 + random.nextInt(5)));
        yield Placement.weightedInterleave(weights);
      }
    };
  }

  static int pick(SplittableRandom random, NodeMask nodes) {
    return nodes.stream().skip(random.nextInt(nodes.size())).findFirst().orElseThrow();
  }
}
