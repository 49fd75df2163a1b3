/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.util.Map;
import java.util.Objects;
import java.util.OptionalInt;
import org.cdmalloc.spi.Stripe;
import org.cdmalloc.topology.NodeMask;

/**
 * Where a block shall lie: the kernel's memory policies with the kernel's meaning
 * (set_mempolicy(2)). Immutable, safe for use by any number of threads, free of reference to any
 * allocator except for a device placement, which only its {@link DeviceNode} hands out.
 *
 * <p>What threads keep ready of a node ({@link NodeAllocator.Builder#magazineBytes}) comes back for
 * a request when no node of its placement has room, not before: {@link #LOCAL}, {@link #preferred}
 * and all others that allow several nodes go on to the next one while other threads, or what they
 * exchange blocks through, keep memory of the first.
 */
public final class Placement {
  /** What a placement asks for. */
  public enum Mode {
    /** Near the caller: MPOL_LOCAL. */
    LOCAL,
    /** On one node or not at all: MPOL_BIND to one node. */
    ON_NODE,
    /** On one node, else near it: MPOL_PREFERRED. */
    PREFERRED,
    /** On one of several nodes, nearest to the caller first; else on any: MPOL_PREFERRED_MANY. */
    PREFERRED_MANY,
    /** On one of several nodes, nearest to the caller first, or not at all: MPOL_BIND. */
    BIND,
    /** On several nodes in turn; where one is full, near it: MPOL_INTERLEAVE. */
    INTERLEAVE,
    /** As INTERLEAVE, more for the nodes of more weight: MPOL_WEIGHTED_INTERLEAVE. */
    WEIGHTED_INTERLEAVE,
    /** On a device node or not at all. */
    DEVICE
  }

  /**
   * On the node whose CPU runs the calling thread, else on the next nearest system node. Implicit:
   * no node is named, so no device node is ever used.
   *
   * <p>On which node a platform thread runs is not asked for each block that it has ready: every
   * 1024 requests at one placement, and when it has none. That holds for all placements that go by
   * the caller.
   */
  public static final Placement LOCAL = new Placement(Mode.LOCAL, NodeMask.EMPTY);

  private static final int NO_HOME = -1;

  private final Mode mode;
  private final NodeMask nodes;
  private final Map<Integer, Integer> weights;
  private final int home;
  private final Object capability;
  private final int hash;

  private Placement(Mode mode, NodeMask nodes) {
    this(mode, nodes, Map.of(), NO_HOME, null);
  }

  private Placement(
      Mode mode, NodeMask nodes, Map<Integer, Integer> weights, int home, Object capability) {
    this.mode = mode;
    this.nodes = nodes;
    this.weights = weights;
    this.home = home;
    this.capability = capability;
    this.hash = Objects.hash(mode, nodes, weights, home);
  }

  /**
   * Returns the placement on one node: there, or an exception.
   *
   * @param node the node's number
   * @return the placement
   * @throws IllegalArgumentException if it is not a node number; whether the machine has the node
   *     is known when the placement is used
   */
  public static Placement onNode(int node) {
    return new Placement(Mode.ON_NODE, NodeMask.of(node));
  }

  /**
   * Returns the placement on one node, or else on the next of that node's fallback list.
   *
   * @param node the node's number
   * @return the placement
   * @throws IllegalArgumentException if it is not a node number; whether the machine has the node
   *     is known when the placement is used
   */
  public static Placement preferred(int node) {
    return new Placement(Mode.PREFERRED, NodeMask.of(node));
  }

  /**
   * Returns the placement on one of several nodes, nearest to the caller first: there, or an
   * exception. Nodes that the machine lacks are left out when the placement is used.
   *
   * @param nodes the nodes
   * @return the placement
   * @throws IllegalArgumentException if the mask is empty
   */
  public static Placement bind(NodeMask nodes) {
    return new Placement(Mode.BIND, requireSome(nodes, "bind"));
  }

  /**
   * Returns the placement on one of several nodes, nearest to the caller first, or else on any
   * system node, nearest first. Nodes that the machine lacks are left out when the placement is
   * used.
   *
   * @param nodes the nodes
   * @return the placement
   * @throws IllegalArgumentException if the mask is empty
   */
  public static Placement preferredMany(NodeMask nodes) {
    return new Placement(Mode.PREFERRED_MANY, requireSome(nodes, "preferredMany"));
  }

  /**
   * Returns the placement on several nodes in turn. The OS pages of a block of an OS page and more
   * are dealt out one by one; smaller blocks lie on one node each, and go round the nodes one after
   * another. Where a node has no room, a block lies on one of the nodes, or else on any system
   * node, as a whole. Nodes that the machine lacks are left out when the placement is used.
   *
   * @param nodes the nodes
   * @return the placement
   * @throws IllegalArgumentException if the mask is empty
   */
  public static Placement interleave(NodeMask nodes) {
    return new Placement(Mode.INTERLEAVE, requireSome(nodes, "interleave"));
  }

  /**
   * Returns the placement on several nodes in turn, as {@link #interleave} does, where each turn of
   * a node is as many OS pages, or as many smaller blocks, as its weight. The weights are the
   * placement's own: those of {@code /sys/kernel/mm/mempolicy/weighted_interleave} are not used.
   *
   * @param weights by node, 1 … 255
   * @return the placement
   * @throws IllegalArgumentException if there is no node, a number is not a node's, or a weight is
   *     not as said
   */
  public static Placement weightedInterleave(Map<Integer, Integer> weights) {
    NodeMask nodes = Stripe.weighted(weights).nodes();
    return new Placement(Mode.WEIGHTED_INTERLEAVE, nodes, Map.copyOf(weights), NO_HOME, null);
  }

  /**
   * Returns the same placement with a home node: the node from which nearness is judged, instead of
   * the caller's (set_mempolicy_home_node(2)). It need not be one of the placement's nodes.
   *
   * @param node the node's number; whether the machine has it is known when the placement is used
   * @return a {@link #bind} or {@link #preferredMany} placement
   * @throws IllegalArgumentException if it is not a node number, or the placement is of another
   *     kind, for which a home node means nothing
   */
  public Placement withHomeNode(int node) {
    if (mode != Mode.BIND && mode != Mode.PREFERRED_MANY) {
      throw new IllegalArgumentException(
          "only bind and preferredMany have a home node: placement=" + this + ", node=" + node);
    }
    return new Placement(mode, nodes, weights, NodeMask.of(node).first(), capability);
  }

  private static NodeMask requireSome(NodeMask nodes, String kind) {
    if (nodes.isEmpty()) {
      throw new IllegalArgumentException(kind + " needs a node: nodes=(none); name at least one");
    }
    return nodes;
  }

  /**
   * Returns the placement on a device node; only its {@link DeviceNode} calls this.
   *
   * @param node the device node's number
   * @param capability what proves the right to it, compared by identity
   */
  static Placement onDevice(int node, Object capability) {
    return new Placement(Mode.DEVICE, NodeMask.of(node), Map.of(), NO_HOME, capability);
  }

  /** Returns what proves the right to a device node; null for all other placements. */
  Object capability() {
    return capability;
  }

  /**
   * Returns what the placement asks for.
   *
   * @return the mode
   */
  public Mode mode() {
    return mode;
  }

  /**
   * Returns the nodes that the placement names.
   *
   * @return none for {@link #LOCAL}
   */
  public NodeMask nodes() {
    return nodes;
  }

  /**
   * Returns the weights of a weighted interleaving.
   *
   * @return by node, immutable; empty for all other placements
   */
  public Map<Integer, Integer> weights() {
    return weights;
  }

  /**
   * Returns the node from which nearness is judged.
   *
   * @return empty where that is the caller's
   */
  public OptionalInt homeNode() {
    return home == NO_HOME ? OptionalInt.empty() : OptionalInt.of(home);
  }

  @Override
  public boolean equals(Object other) {
    return other == this
        || (other instanceof Placement that
            && that.mode == mode
            && that.nodes.equals(nodes)
            && that.weights.equals(weights)
            && that.home == home
            && that.capability == capability);
  }

  @Override
  public int hashCode() {
    return hash;
  }

  /** Prints {@code local}, {@code on node 2}, {@code bind 0-1}, {@code bind 0-1 from node 3}. */
  @Override
  public String toString() {
    String text =
        switch (mode) {
          case LOCAL -> "local";
          case ON_NODE -> "on node " + nodes;
          case PREFERRED -> "preferred " + nodes;
          case PREFERRED_MANY -> "preferred many " + nodes;
          case BIND -> "bind " + nodes;
          case INTERLEAVE -> "interleave " + nodes;
          case WEIGHTED_INTERLEAVE -> "weighted interleave " + Stripe.weighted(weights);
          case DEVICE -> "device " + nodes;
        };
    return home == NO_HOME ? text : text + " from node " + home;
  }
}
