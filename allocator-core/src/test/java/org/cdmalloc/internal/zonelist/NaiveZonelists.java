/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zonelist;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.cdmalloc.topology.LoadRule;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;
import org.cdmalloc.topology.SpillMode;

/**
 * Fallback orders in the plainest words: devices are struck from the candidates, the rest are
 * sorted again before each choice, by three keys that are never joined into one number. Shares
 * nothing with {@link ZonelistBuilder}.
 */
final class NaiveZonelists {
  private final Machine machine;
  private final NodeMask devices;
  private final LoadRule rule;
  private final Map<Integer, Integer> loads = new HashMap<>();

  private NaiveZonelists(Machine machine, NodeMask devices, LoadRule rule) {
    this.machine = machine;
    this.devices = devices;
    this.rule = rule;
  }

  /** Returns the fallback order of every online node. */
  static Map<Integer, List<Integer>> fallback(
      Machine machine, NodeMask devices, LoadRule rule, SpillMode spill) {
    NaiveZonelists naive = new NaiveZonelists(machine, devices, rule);
    Map<Integer, List<Integer>> orders = new TreeMap<>();
    for (Node local : machine.nodes()) {
      List<Integer> order = new ArrayList<>();
      if (local.hasMemory()) {
        order.add(local.id());
      }
      List<Integer> others = naive.othersOf(local);
      if (spill == SpillMode.RAM || !devices.contains(local.id())) {
        order.addAll(others);
      }
      orders.put(local.id(), order);
    }
    return orders;
  }

  private List<Integer> othersOf(Node local) {
    List<Node> candidates =
        machine.nodes().stream()
            .filter(node -> node.hasMemory() && !node.equals(local))
            .filter(node -> !devices.contains(node.id()))
            .collect(Collectors.toCollection(ArrayList::new));
    Comparator<Node> preference =
        Comparator.<Node>comparingInt(node -> steps(local, node))
            .thenComparingInt(node -> loads.getOrDefault(node.id(), 0))
            .thenComparingInt(Node::id);
    List<Integer> others = new ArrayList<>();
    int lastDistance = machine.distances().between(local.id(), local.id());
    int assigned = machine.nodes().size();
    while (!candidates.isEmpty()) {
      candidates.sort(preference);
      int chosen = candidates.remove(0).id();
      assigned--;
      int distance = machine.distances().between(local.id(), chosen);
      if (distance != lastDistance) {
        if (rule == LoadRule.ASSIGN) {
          loads.put(chosen, assigned);
        } else {
          loads.merge(chosen, 1, Integer::sum);
        }
      }
      lastDistance = distance;
      others.add(chosen);
    }
    return others;
  }

  private int steps(Node local, Node node) {
    int steps = machine.distances().between(local.id(), node.id());
    if (node.id() < local.id()) {
      steps++;
    }
    if (node.hasCpus()) {
      steps++;
    }
    return steps;
  }
}
