/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.util.Objects;
import org.cdmalloc.topology.NodeMask;

/**
 * Where a block shall lie: the kernel's memory policies with the kernel's meaning
 * (set_mempolicy(2)). Immutable, safe for use by any number of threads, free of reference to any
 * allocator except for a device placement, which only its {@link DeviceNode} hands out.
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
    /** On one of several nodes, nearest to the caller first, or not at all: MPOL_BIND. */
    BIND,
    /** On a device node or not at all. */
    DEVICE
  }

  /**
   * On the node whose CPU runs the calling thread, else on the next nearest system node. Implicit:
   * no node is named, so no device node is ever used.
   */
  public static final Placement LOCAL = new Placement(Mode.LOCAL, NodeMask.EMPTY, null);

  private final Mode mode;
  private final NodeMask nodes;
  private final Object capability;

  private Placement(Mode mode, NodeMask nodes, Object capability) {
    this.mode = mode;
    this.nodes = nodes;
    this.capability = capability;
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
    return new Placement(Mode.ON_NODE, NodeMask.of(node), null);
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
    return new Placement(Mode.PREFERRED, NodeMask.of(node), null);
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
    if (nodes.isEmpty()) {
      throw new IllegalArgumentException("bind needs a node: nodes=(none)");
    }
    return new Placement(Mode.BIND, nodes, null);
  }

  /**
   * Returns the placement on a device node; only its {@link DeviceNode} calls this.
   *
   * @param node the device node's number
   * @param capability what proves the right to it, compared by identity
   */
  static Placement onDevice(int node, Object capability) {
    return new Placement(Mode.DEVICE, NodeMask.of(node), capability);
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

  @Override
  public boolean equals(Object other) {
    return other instanceof Placement that
        && that.mode == mode
        && that.nodes.equals(nodes)
        && Objects.equals(that.capability, capability);
  }

  @Override
  public int hashCode() {
    return 31 * mode.hashCode() + nodes.hashCode();
  }

  /** Prints {@code local}, {@code on node 2}, {@code bind 0-1}. */
  @Override
  public String toString() {
    return switch (mode) {
      case LOCAL -> "local";
      case ON_NODE -> "on node " + nodes;
      case PREFERRED -> "preferred " + nodes;
      case BIND -> "bind " + nodes;
      case DEVICE -> "device " + nodes;
    };
  }
}
