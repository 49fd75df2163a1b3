/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zonelist;

import java.util.List;
import org.cdmalloc.topology.NodeMask;
import org.cdmalloc.topology.Zonelist;

/**
 * Which system nodes an implicit request tries, by the node of the CPU that it runs on. A caller on
 * a system node with memory uses that node's fallback list; a caller on a device node, or on a node
 * without memory, uses the list of the nearest system node.
 */
public final class CallerLists {
  private final List<Zonelist> rows;
  private final NodeMask system;

  /**
   * Prepares the lists of a machine.
   *
   * @param rows the zonelists of all online nodes, built with {@link
   *     org.cdmalloc.topology.SpillMode#RAM}, so that the row of a device shows which system nodes
   *     are near it
   * @param system the system nodes with memory, at least one
   */
  public CallerLists(List<Zonelist> rows, NodeMask system) {
    this.rows = rows;
    this.system = system;
  }

  /**
   * Returns the list of a caller.
   *
   * @param caller the node of the caller's CPU, online
   * @return system nodes with memory, at least one, each once
   */
  public List<Integer> of(int caller) {
    if (system.contains(caller)) {
      return row(caller);
    }
    for (int near : row(caller)) {
      if (system.contains(near)) {
        return row(near);
      }
    }
    throw new IllegalStateException(
        "a row without system nodes: node=" + caller + ", system=" + system);
  }

  /**
   * Returns the system nodes that are near a device, for those of its holders that may spill.
   *
   * @param device a device node
   * @return system nodes with memory, nearest first
   */
  public List<Integer> beside(int device) {
    return row(device).stream().filter(system::contains).toList();
  }

  private List<Integer> row(int node) {
    for (Zonelist list : rows) {
      if (list.node() == node) {
        return list.fallback();
      }
    }
    throw new IllegalArgumentException("no such node: node=" + node);
  }
}
