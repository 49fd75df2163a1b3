/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zonelist;

import java.util.ArrayList;
import java.util.List;
import org.cdmalloc.topology.DistanceMatrix;
import org.cdmalloc.topology.LoadRule;
import org.cdmalloc.topology.NodeMask;
import org.cdmalloc.topology.SpillMode;
import org.cdmalloc.topology.Zonelist;
import org.cdmalloc.topology.Zonelist.Kind;

/**
 * The kernel's {@code build_zonelists} with the rule of the coherent-device-memory patches: a pure
 * function from nodes, distances and a device mask to lists. Sources: mm/page_alloc.c of Linux 4.10
 * and 6.1 ({@code find_next_best_node}, {@code build_zonelists}); A. Khandual, linux-mm, 8 March
 * 2017, "[PATCH 1/2] mm: Change generic FALLBACK zonelist creation process".
 *
 * <p>Where every node comes from is one walk per node, in ascending order of nodes: each step takes
 * the node that is nearest by distance, then by a slight preference for higher numbers and for
 * nodes without CPUs, then by the load that earlier walks left behind. Loads live as long as one
 * build. The device rule is one line, {@code continue} before the load is counted: to the walks of
 * the others a device is what a node without memory is. Its own walk counts, as that of every
 * online node does: it may turn the order of equally distant nodes in the lists of higher-numbered
 * nodes.
 *
 * <p>Only online nodes have lists here. Linux 5.18 and later also walk from nodes that are possible
 * but offline, whose distances no file of sysfs tells; the loads which those walks leave behind are
 * not known and not counted.
 */
public final class ZonelistBuilder {
  /** What a node with CPUs costs more: PENALTY_FOR_NODE_WITH_CPUS of mm/page_alloc.c. */
  private static final int PENALTY_FOR_NODE_WITH_CPUS = 1;

  /** Keeps load below distance in one comparable number; above any load of NodeMask.MAX_NODES. */
  private static final long LOAD_LIMIT = 1L << 20;

  private final NodeMask memory;
  private final NodeMask cpus;
  private final DistanceMatrix distances;
  private final int[] online;

  /**
   * Prepares the building of lists.
   *
   * @param memory the nodes with memory
   * @param cpus the nodes with CPUs
   * @param distances between all online nodes
   */
  public ZonelistBuilder(NodeMask memory, NodeMask cpus, DistanceMatrix distances) {
    this.memory = memory;
    this.cpus = cpus;
    this.distances = distances;
    this.online = distances.nodes().stream().toArray();
  }

  /**
   * Builds the lists of all online nodes.
   *
   * @param devices the device nodes
   * @param rule how load is counted
   * @param spill what follows a device in its own list
   * @return a list per online node, ascending
   */
  public List<Zonelist> build(NodeMask devices, LoadRule rule, SpillMode spill) {
    int[] load = new int[distances.nodes().last() + 1];
    List<Zonelist> lists = new ArrayList<>(online.length);
    for (int local : online) {
      List<Integer> order = walk(local, devices, rule, load);
      List<Integer> self = memory.contains(local) ? List.of(local) : List.of();
      boolean device = devices.contains(local);
      // A strict list is cut after the walk, so that the loads that RAM rows see do not depend on
      // it.
      lists.add(
          new Zonelist(
              local,
              device ? Kind.DEVICE : Kind.SYSTEM,
              device && spill == SpillMode.STRICT ? self : order,
              self));
    }
    return lists;
  }

  private List<Integer> walk(int local, NodeMask devices, LoadRule rule, int[] load) {
    List<Integer> order = new ArrayList<>();
    boolean[] used = new boolean[load.length];
    int previous = local;
    int falling = online.length;
    for (int next = nextBest(local, used, load); next >= 0; next = nextBest(local, used, load)) {
      used[next] = true;
      if (devices.contains(next) && next != local) {
        continue;
      }
      if (distances.between(local, next) != distances.between(local, previous)) {
        load[next] = rule == LoadRule.ASSIGN ? falling : load[next] + 1;
      }
      if (memory.contains(next)) {
        order.add(next);
      }
      previous = next;
      falling--;
    }
    return order;
  }

  /** The kernel's find_next_best_node: the local node first, whether or not it has memory. */
  private int nextBest(int local, boolean[] used, int[] load) {
    if (!used[local]) {
      return local;
    }
    long least = Long.MAX_VALUE;
    int best = -1;
    for (int node : online) {
      if (used[node] || !memory.contains(node)) {
        continue;
      }
      int steps =
          distances.between(local, node)
              + (node < local ? 1 : 0)
              + (cpus.contains(node) ? PENALTY_FOR_NODE_WITH_CPUS : 0);
      long cost = steps * LOAD_LIMIT + load[node];
      if (cost < least) {
        least = cost;
        best = node;
      }
    }
    return best;
  }
}
