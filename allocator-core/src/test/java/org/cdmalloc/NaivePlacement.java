/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.NodeMask;

/**
 * The kernel's rules of placement in the plainest words, for tests to hold the allocator against:
 * {@code build_zonelists} and {@code find_next_best_node} of Linux 6.1 mm/page_alloc.c, with the
 * nodes struck that the coherent-device-memory patches struck, and {@code policy_nodemask}, {@code
 * interleave_nodes}, {@code offset_il_node} and {@code weighted_interleave_nid} of mm/mempolicy.c.
 * Shares nothing with what it judges but the values {@link Machine}, {@link NodeMask} and {@link
 * Placement}.
 */
public final class NaivePlacement {
  private static final int PENALTY_FOR_NODE_WITH_CPUS = 1;

  private final Machine machine;
  private final NodeMask devices;
  private final NodeMask system;

  /** What {@code dmesg} says: "Fallback order for Node %d", by node. */
  private final Map<Integer, List<Integer>> zonelists = new TreeMap<>();

  private final Map<Integer, Integer> nodeLoad = new HashMap<>();

  /**
   * Builds the zonelists of a machine.
   *
   * @param machine its nodes and distances
   * @param devices those that are in no other node's list
   */
  public NaivePlacement(Machine machine, NodeMask devices) {
    this.machine = machine;
    this.devices = devices;
    this.system = machine.withMemory().without(devices);
    machine.online().stream().forEach(node -> zonelists.put(node, zonelist(node)));
  }

  private List<Integer> zonelist(int local) {
    List<Integer> order = new ArrayList<>();
    List<Integer> used = new ArrayList<>();
    int previous = local;
    for (int node = nextBest(local, used); node >= 0; node = nextBest(local, used)) {
      used.add(node);
      // The patch: before the load is counted.
      if (devices.contains(node) && node != local) {
        continue;
      }
      if (distance(local, node) != distance(local, previous)) {
        nodeLoad.merge(node, 1, Integer::sum);
      }
      previous = node;
      if (machine.withMemory().contains(node)) {
        order.add(node);
      }
    }
    return order;
  }

  private int nextBest(int local, List<Integer> used) {
    if (!used.contains(local)) {
      return local;
    }
    int smallest = Integer.MAX_VALUE;
    int best = -1;
    for (int node : machine.withMemory().stream().toArray()) {
      if (used.contains(node)) {
        continue;
      }
      int value = distance(local, node);
      value += node < local ? 1 : 0;
      value += machine.withCpus().contains(node) ? PENALTY_FOR_NODE_WITH_CPUS : 0;
      value = value * NodeMask.MAX_NODES + nodeLoad.getOrDefault(node, 0);
      if (value < smallest) {
        smallest = value;
        best = node;
      }
    }
    return best;
  }

  private int distance(int from, int to) {
    return machine.distances().between(from, to);
  }

  /**
   * Returns the system nodes that a caller tries who names none: those of its own node's list, or,
   * where that is a device or has no memory, of the system node that is nearest to it.
   *
   * @param caller the node of the caller's CPU
   * @return in order
   */
  public List<Integer> fallback(int caller) {
    List<Integer> own = zonelists.get(caller);
    if (system.contains(caller)) {
      return own;
    }
    return zonelists.get(own.stream().filter(system::contains).findFirst().orElseThrow());
  }

  /**
   * Returns the nodes that a block may lie on as a whole, in the order in which they are tried.
   *
   * @param placement one of system nodes, of which the machine has one at least
   * @param caller the node of the caller's CPU
   * @param turn how many blocks an interleaving placed before
   * @return at least one
   */
  public List<Integer> order(Placement placement, int caller, long turn) {
    int start = placement.homeNode().orElse(caller);
    NodeMask allowed = placement.nodes().and(system);
    return switch (placement.mode()) {
      case LOCAL -> fallback(caller);
      case ON_NODE, BIND -> only(fallback(start), allowed);
      case PREFERRED -> fallback(allowed.first());
      case PREFERRED_MANY -> twoPasses(fallback(start), allowed);
      case INTERLEAVE, WEIGHTED_INTERLEAVE -> {
        List<Integer> round = round(placement);
        yield fallback(round.get((int) (turn % round.size())));
      }
      case DEVICE -> List.of(placement.nodes().first());
    };
  }

  /**
   * Returns the nodes of one round of an interleaving: page i of what is dealt out lies on element
   * i modulo the length.
   *
   * @param placement an interleaving
   * @return each node as many times in a row as its weight
   */
  public List<Integer> round(Placement placement) {
    List<Integer> round = new ArrayList<>();
    for (int node : placement.nodes().and(system).stream().toArray()) {
      for (int i = 0; i < placement.weights().getOrDefault(node, 1); i++) {
        round.add(node);
      }
    }
    return round;
  }

  /**
   * Tells whether the pages of a block lie on several nodes in turn.
   *
   * @param placement any placement
   * @param bytes the block's size
   * @param osPageBytes the size of the pages that are dealt out
   * @return false if it lies on one node as a whole
   */
  public boolean isDealtOut(Placement placement, long bytes, int osPageBytes) {
    boolean interleaves =
        placement.mode() == Placement.Mode.INTERLEAVE
            || placement.mode() == Placement.Mode.WEIGHTED_INTERLEAVE;
    return interleaves && bytes >= osPageBytes && placement.nodes().and(system).size() > 1;
  }

  /**
   * Returns where a block goes, as a whole, of which one of several nodes has no page to give.
   *
   * @param placement an interleaving
   * @param caller the node of the caller's CPU
   * @return its nodes first, then all other system nodes
   */
  public List<Integer> insteadOfDealing(Placement placement, int caller) {
    return twoPasses(fallback(caller), placement.nodes());
  }

  /**
   * Tells whether a placement takes no other node than those that it names, and therefore may use
   * what lies below the low mark.
   *
   * @param placement any placement
   * @return true if so
   */
  public static boolean insists(Placement placement) {
    return switch (placement.mode()) {
      case ON_NODE, BIND, DEVICE -> true;
      case LOCAL, PREFERRED, PREFERRED_MANY, INTERLEAVE, WEIGHTED_INTERLEAVE -> false;
    };
  }

  private static List<Integer> only(List<Integer> order, NodeMask allowed) {
    return order.stream().filter(allowed::contains).toList();
  }

  private static List<Integer> twoPasses(List<Integer> order, NodeMask first) {
    List<Integer> passes = new ArrayList<>(only(order, first));
    order.stream().filter(node -> !first.contains(node)).forEach(passes::add);
    return passes;
  }
}
