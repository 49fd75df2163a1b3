/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.topology;

/**
 * How the kernel's zonelist builder counts the load of a node that comes first in a group of equal
 * distance, so that the lists of several nodes do not all turn to the same neighbour
 * (mm/page_alloc.c, {@code build_zonelists}).
 */
public enum LoadRule {
  /**
   * The load is overwritten, {@code node_load[node] = load}, with a value that starts at the number
   * of online nodes and falls by one per node placed: Linux before 5.16, hence the tables of the
   * 2017 mails.
   */
  ASSIGN,
  /**
   * The load is added to, {@code node_load[node] += 1}: Linux 6.1 and later. Loads add up since
   * commit 54d032ced983 of Linux 5.16 ("mm/page_alloc: use accumulated load when building node
   * fallback list"), whose first form added the falling value of {@link #ASSIGN} and may order
   * equally distant nodes of larger machines otherwise.
   */
  ACCUMULATE
}
