/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

/** What a placement was resolved to: gives each request the zones that it may use. */
public interface Paths {
  /**
   * Chooses for one request.
   *
   * @param bytes its size
   * @return the zones, for the thread that calls
   * @throws IllegalStateException if the placement's node is not online
   */
  ZonePath choose(long bytes);

  /**
   * Tells whether the choice is the same as long as the caller runs on one node, so that it need
   * not be made for each request.
   *
   * @return false where requests take turns, or the zones may change
   */
  default boolean isByCaller() {
    return false;
  }
}
