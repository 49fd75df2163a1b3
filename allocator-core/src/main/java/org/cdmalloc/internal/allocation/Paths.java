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
}
