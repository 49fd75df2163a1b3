/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

/** In whose name alone a block can be freed: what its run's owner is in the zone. */
interface BlockOwner {
  /**
   * Gives the block up.
   *
   * @return true for the one caller who frees it, false for all others
   */
  boolean leave();
}
