/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.lifecycle;

import java.util.HashMap;
import java.util.Map;
import org.cdmalloc.NodeState;
import org.cdmalloc.topology.NodeMask;

/**
 * The states of the nodes that come and go, and what requests for each walk: one immutable
 * snapshot. A change makes a new one; whoever read the old one acts on it entirely.
 *
 * @param <P> what a request for a node walks
 */
public final class NodeStates<P> {
  /**
   * One node.
   *
   * @param state its state
   * @param paths what its requests walk; null while there is nothing
   * @param cause why it was lost; else empty
   * @param <P> what a request for a node walks
   */
  public record Row<P>(NodeState state, P paths, String cause) {}

  private final Map<Integer, Row<P>> rows;
  private final NodeMask failed;

  private NodeStates(Map<Integer, Row<P>> rows) {
    this.rows = Map.copyOf(rows);
    this.failed = in(NodeState.FAILED);
  }

  /**
   * Makes a snapshot without nodes.
   *
   * @param <P> what a request for a node walks
   * @return an empty one
   */
  public static <P> NodeStates<P> none() {
    return new NodeStates<>(Map.of());
  }

  /**
   * Returns this snapshot with a node of which nothing is there yet.
   *
   * @param node its number
   * @return a new snapshot
   */
  public NodeStates<P> withPossible(int node) {
    return with(node, new Row<>(NodeState.POSSIBLE, null, ""));
  }

  /**
   * Returns this snapshot with a node in its next state.
   *
   * @param node its number
   * @param next the state
   * @param paths what its requests walk then, or null
   * @param cause why it was lost, or empty
   * @return a new snapshot
   * @throws IllegalStateException if no step leads there
   */
  public NodeStates<P> become(int node, NodeState next, P paths, String cause) {
    NodeState now = of(node).state();
    if (!now.canBecome(next)) {
      throw new IllegalStateException(
          "node cannot become "
              + next
              + ": node="
              + node
              + ", state="
              + now
              + (now == NodeState.FAILED ? ", cause=" + of(node).cause() : ""));
    }
    return with(node, new Row<>(next, paths, cause));
  }

  private NodeStates<P> with(int node, Row<P> row) {
    Map<Integer, Row<P>> changed = new HashMap<>(rows);
    changed.put(node, row);
    return new NodeStates<>(changed);
  }

  /**
   * Returns one node's state.
   *
   * @param node a node that comes and goes
   * @return its row
   */
  public Row<P> of(int node) {
    return rows.get(node);
  }

  /**
   * Returns the nodes in a state.
   *
   * @param state the state
   * @return their numbers
   */
  public NodeMask in(NodeState state) {
    return NodeMask.of(
        rows.entrySet().stream()
            .filter(row -> row.getValue().state() == state)
            .mapToInt(Map.Entry::getKey)
            .toArray());
  }

  /**
   * Tells whether a node was lost.
   *
   * @return false as a rule
   */
  public boolean hasFailed() {
    return !failed.isEmpty();
  }

  /**
   * Returns the nodes that were lost.
   *
   * @return their numbers; empty as a rule
   */
  public NodeMask failed() {
    return failed;
  }
}
