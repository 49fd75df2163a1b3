/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.util.ArrayList;
import java.util.List;
import org.cdmalloc.internal.zone.NumaEvents;

/**
 * The zones that a request may use, in the order in which it tries them: a zonelist with its zones
 * filled in, for callers of one node. Made once; a request only walks it.
 */
public final class ZonePath {
  private final BackedZone[] zones;
  private final int[] floorPages;
  private final int[] events;
  private final int caller;

  /**
   * Makes a path.
   *
   * @param caller the node of the CPU on which its callers run
   * @param keepsReserve true for requests that name no node they insist on: they stop at each
   *     zone's low mark, what is below it serves those that insist
   * @param interleaves true if the first zone is the one whose turn it is
   * @param zones in order, at least one
   */
  ZonePath(int caller, boolean keepsReserve, boolean interleaves, BackedZone... zones) {
    this(caller, keepsReserve ? 0 : zones.length, interleaves, zones);
  }

  private ZonePath(int caller, int keepsReserveFrom, boolean interleaves, BackedZone... zones) {
    this.caller = caller;
    this.zones = zones;
    this.floorPages = new int[zones.length];
    this.events = new int[zones.length];
    for (int i = 0; i < zones.length; i++) {
      floorPages[i] = i >= keepsReserveFrom ? zones[i].zone().watermarks().lowPages() : 0;
      events[i] =
          (i == 0 ? NumaEvents.HIT : NumaEvents.MISS)
              | (i == 0 && interleaves ? NumaEvents.INTERLEAVE_HIT : 0)
              | (zones[i].node() == caller ? NumaEvents.LOCAL : NumaEvents.OTHER);
    }
  }

  /**
   * Makes a path that walks on from a zone which may be used up into zones that may not.
   *
   * @param caller as for the other one
   * @param first the zone whose pages may all be taken
   * @param others the zones that keep what is below their low marks, in order
   */
  static ZonePath spilling(int caller, BackedZone first, List<BackedZone> others) {
    List<BackedZone> zones = new ArrayList<>(others);
    zones.add(0, first);
    return new ZonePath(caller, 1, false, zones.toArray(BackedZone[]::new));
  }

  int length() {
    return zones.length;
  }

  BackedZone zone(int index) {
    return zones[index];
  }

  int floorPages(int index) {
    return floorPages[index];
  }

  /** Returns what an allocation from a zone counts there. */
  int events(int index) {
    return events[index];
  }

  int caller() {
    return caller;
  }

  /** Counts, at the node that was wanted, that another one served. */
  void countForeign() {
    Lender wanted = zones[0].shares().isEmpty() ? zones[0] : zones[0].shares().first();
    wanted.zone().count(NumaEvents.FOREIGN);
  }
}
