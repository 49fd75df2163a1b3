/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.topology;

import java.util.List;
import java.util.Objects;

/**
 * The two orders in which one node's zones are tried: the kernel's ZONELIST_FALLBACK and
 * ZONELIST_NOFALLBACK, by node number. Immutable.
 *
 * @param node whose lists these are
 * @param kind whether the node is system RAM or a device's memory
 * @param fallback the nodes to try, in order; begins with {@code node} if it has memory
 * @param noFallback {@code node} alone if it has memory, else nothing
 */
public record Zonelist(int node, Kind kind, List<Integer> fallback, List<Integer> noFallback) {
  /** What a node's memory is. */
  public enum Kind {
    /** System RAM: every implicit request may use it. */
    SYSTEM,
    /** A coherent device's memory: in no other node's list, reached by name only. */
    DEVICE
  }

  /**
   * Makes a pair of lists; they are copied.
   *
   * @param node whose lists these are
   * @param kind whether the node is system RAM or a device's memory
   * @param fallback the nodes to try, in order
   * @param noFallback {@code node} alone, or nothing
   * @throws NullPointerException if an argument or an element is null
   */
  public Zonelist {
    Objects.requireNonNull(kind, "kind");
    fallback = List.copyOf(fallback);
    noFallback = List.copyOf(noFallback);
  }
}
