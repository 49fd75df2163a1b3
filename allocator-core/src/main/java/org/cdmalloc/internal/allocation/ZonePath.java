/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

/**
 * The zones that a request may use, in the order in which it tries them: a zonelist with its zones
 * filled in. Made once; a request only walks it.
 */
public final class ZonePath {
  private final BackedZone[] zones;
  private final boolean keepsReserve;

  /**
   * Makes a path.
   *
   * @param keepsReserve true for requests that name no node they insist on: they stop at each
   *     zone's low mark, what is below it serves those that insist
   * @param zones in order
   */
  ZonePath(boolean keepsReserve, BackedZone... zones) {
    this.keepsReserve = keepsReserve;
    this.zones = zones;
  }

  int length() {
    return zones.length;
  }

  BackedZone zone(int index) {
    return zones[index];
  }

  int floorPages(int index) {
    return keepsReserve ? zones[index].zone().watermarks().lowPages() : 0;
  }
}
