/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntSupplier;
import org.cdmalloc.topology.LoadRule;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.NodeMask;
import org.cdmalloc.topology.SpillMode;
import org.cdmalloc.topology.Zonelist;

/**
 * On which node a page lands: the policy names where the search begins and perhaps a mask, and the
 * first node of that node's zonelist that is in the mask and has room gives the page ({@code
 * policy_nodemask} and {@code alloc_pages_mpol} of mm/mempolicy.c).
 *
 * <p>The zonelists are those of a plain kernel: it knows no device nodes, so what does not insist
 * on its nodes overflows to all others, devices among them. A node has room until its last byte is
 * used; a kernel stops earlier, at watermarks.
 *
 * <p>Accounts may be read by any thread; everything else is for one thread at a time.
 */
final class PagePlacement {
  /** No node had room. */
  static final int NONE = -1;

  private static final int LARGEST_WEIGHT = 255;

  private final int pageBytes;
  private final IntSupplier currentNode;
  private final NodeMask withMemory;
  private final Map<Integer, NodeAccount> accounts = new LinkedHashMap<>();
  private final Map<Integer, List<Integer>> zonelists = new HashMap<>();
  private final Map<Integer, Integer> weights = new HashMap<>();

  /**
   * Makes the placement of a machine all of whose memory is free.
   *
   * @param machine its nodes, memory and distances
   * @param pageBytes the size of a page
   * @param currentNode asked for the node whose CPU runs the calling thread
   */
  PagePlacement(Machine machine, int pageBytes, IntSupplier currentNode) {
    this.pageBytes = pageBytes;
    this.currentNode = currentNode;
    this.withMemory = machine.withMemory();
    machine.nodes().forEach(node -> accounts.put(node.id(), new NodeAccount(node)));
    for (Zonelist list : machine.zonelists(NodeMask.EMPTY, LoadRule.ACCUMULATE, SpillMode.RAM)) {
      zonelists.put(list.node(), list.fallback());
    }
  }

  NodeMask withMemory() {
    return withMemory;
  }

  /** Returns the account of an online node. */
  NodeAccount account(int node) {
    return accounts.get(node);
  }

  /** Sets the pages that a node gets per round of a weighted interleaving; 1 unless set. */
  void setWeight(int node, int weight) {
    if (weight < 1 || weight > LARGEST_WEIGHT) {
      throw new IllegalArgumentException(
          "not a weight: node=" + node + ", weight=" + weight + ", limit=" + LARGEST_WEIGHT);
    }
    weights.put(node, weight);
  }

  /**
   * Takes memory for a page where a policy wants it.
   *
   * @param policy the one that decides, of whatever scope
   * @param page its number in the address space: anonymous memory is interleaved by it
   * @return the node that gave it, or {@link #NONE}
   */
  int take(MemoryPolicy policy, long page) {
    NodeMask nodes = policy.nodes();
    return switch (policy.mode()) {
      case DEFAULT, LOCAL -> takeNearest(currentNode.getAsInt(), withMemory);
      case PREFERRED -> takeNearest(nodes.first(), withMemory);
      case BIND -> takeNearest(start(policy), nodes);
      case PREFERRED_MANY -> {
        int node = takeNearest(start(policy), nodes);
        yield node != NONE ? node : takeNearest(start(policy), withMemory);
      }
      case INTERLEAVE -> takeNearest(interleaved(nodes, page), withMemory);
      case WEIGHTED_INTERLEAVE -> takeNearest(interleavedByWeight(nodes, page), withMemory);
    };
  }

  /** Takes memory for a page from one node, and returns false if it has none. */
  boolean takeFrom(int node) {
    return accounts.get(node).tryTake(pageBytes);
  }

  /** Gives the memory of a page back. */
  void give(int node) {
    accounts.get(node).give(pageBytes);
  }

  private int takeNearest(int start, NodeMask allowed) {
    for (int node : zonelists.get(start)) {
      if (allowed.contains(node) && takeFrom(node)) {
        return node;
      }
    }
    return NONE;
  }

  private int start(MemoryPolicy policy) {
    return policy.home() == MemoryPolicy.NO_HOME ? currentNode.getAsInt() : policy.home();
  }

  private static int interleaved(NodeMask nodes, long page) {
    int place = (int) (page % nodes.size());
    return nodes.stream().skip(place).findFirst().orElseThrow();
  }

  private int interleavedByWeight(NodeMask nodes, long page) {
    int[] members = nodes.stream().toArray();
    long total = nodes.stream().mapToLong(this::weight).sum();
    long place = page % total;
    int i = 0;
    while (place >= weight(members[i])) {
      place -= weight(members[i]);
      i++;
    }
    return members[i];
  }

  private int weight(int node) {
    return weights.getOrDefault(node, 1);
  }
}
