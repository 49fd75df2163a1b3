/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import org.cdmalloc.NodeMemoryExhaustedException.Reason;
import org.cdmalloc.internal.account.Account;
import org.cdmalloc.internal.zone.Zone;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.MemorySource;

/**
 * A system node's zone that takes in what a device has to give up: below the device's ceiling,
 * above the zone's low mark, and where the node has room by the platform's account. Who pays for a
 * block on the device goes on to do so.
 *
 * @param zone the zone
 * @param device the device's account
 * @param source asked for the node's room
 */
record DemotedHost(BackedZone zone, Account device, MemorySource source) implements Host {
  @Override
  public Host place() {
    return zone;
  }

  @Override
  public Account account() {
    return null;
  }

  @Override
  public int node() {
    return zone.node();
  }

  @Override
  public int backingNode() {
    return zone.backingNode();
  }

  @Override
  public Refusal takeGuests(int pages) {
    long bytes = Pages.offset(pages);
    if (!device.chargeCeiling(bytes)) {
      return new Refusal(
          Reason.CAPACITY_HELD, "spill_ceiling_bytes=" + device.ceiling().limitBytes());
    }
    Refusal refusal = null;
    boolean taken = false;
    try {
      CommitResult room = source.room(zone.backingNode(), bytes);
      refusal =
          room.isCommitted()
              ? zone.takeGuests(pages, zone.zone().watermarks().lowPages())
              : new Refusal(Reason.MEMORY_REFUSED, room.outcome() + " " + room.detail());
      taken = refusal == null;
    } finally {
      if (!taken) {
        device.creditCeiling(bytes);
      }
    }
    return refusal;
  }

  @Override
  public boolean isRefuge() {
    return true;
  }

  /** Nothing gives way to what had to give way itself. */
  @Override
  public boolean makeRoom(int pages) {
    return false;
  }

  @Override
  public void returnGuests(int pages) {
    zone.returnGuests(pages);
    device.creditCeiling((long) pages * Zone.PAGE_BYTES);
  }
}
