/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import org.cdmalloc.internal.lifecycle.NodeStates;

/**
 * All that changes when a node comes or goes, at one moment: which zones there are, whose addresses
 * are known, and which lists of zones serve which node. Immutable; published as a whole, so that
 * whoever reads it sees all of a change or nothing.
 *
 * @param addresses whose an address is
 * @param zones in the order in which they came
 * @param states of the nodes that come and go
 * @param hasLost whether one of them was lost
 */
record NodeSnapshot(
    AddressMap addresses, List<BackedZone> zones, NodeStates<Paths> states, boolean hasLost) {
  /** Without zones. */
  static final NodeSnapshot EMPTY =
      new NodeSnapshot(AddressMap.EMPTY, List.of(), NodeStates.none(), false);

  /** Returns this snapshot with one more zone. */
  NodeSnapshot with(BackedZone zone, AddressMap extended) {
    List<BackedZone> all = new ArrayList<>(zones);
    all.add(zone);
    return new NodeSnapshot(extended, List.copyOf(all), states, hasLost);
  }

  /** Returns this snapshot without a zone. */
  NodeSnapshot without(BackedZone zone) {
    List<BackedZone> rest = zones.stream().filter(other -> other != zone).toList();
    return new NodeSnapshot(addresses.without(zone), rest, states, hasLost);
  }

  /** Returns this snapshot with other states. */
  NodeSnapshot with(UnaryOperator<NodeStates<Paths>> change) {
    NodeStates<Paths> changed = change.apply(states);
    return new NodeSnapshot(addresses, zones, changed, changed.hasFailed());
  }
}
