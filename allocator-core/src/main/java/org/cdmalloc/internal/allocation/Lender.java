/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import org.cdmalloc.internal.zone.Zone;

/** The zone of a node, as a striped zone knows it that borrows of the node's capacity. */
interface Lender {
  /**
   * Returns the node.
   *
   * @return its number
   */
  int node();

  /**
   * Returns the page account, whose pages are lent.
   *
   * @return the zone
   */
  Zone zone();

  /**
   * Gives the memory of units back which are free as a whole.
   *
   * @param onlyIdle spares units that were in use since this was last called
   * @return the bytes that were committed and are no longer
   */
  long purge(boolean onlyIdle);
}
