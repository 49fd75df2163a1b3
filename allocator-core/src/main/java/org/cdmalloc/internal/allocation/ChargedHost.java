/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import org.cdmalloc.internal.account.Account;
import org.cdmalloc.internal.zone.Zone;

/**
 * A device's zone that takes blocks in for a holder, who pays for them.
 *
 * @param zone the zone
 * @param account the holder's
 */
record ChargedHost(BackedZone zone, Account account) implements Host {
  @Override
  public Host place() {
    return zone;
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
    long bytes = (long) pages * Zone.PAGE_BYTES;
    Account full = account.charge(bytes);
    if (full != null) {
      return Refusal.ofQuota(full);
    }
    Refusal refusal = null;
    boolean taken = false;
    try {
      refusal = zone.takeGuests(pages);
      taken = refusal == null;
    } finally {
      if (!taken) {
        account.credit(bytes);
      }
    }
    return refusal;
  }

  @Override
  public boolean makeRoom(int pages) {
    return zone.makeRoom(pages);
  }

  @Override
  public void returnGuests(int pages) {
    zone.returnGuests(pages);
    account.credit((long) pages * Zone.PAGE_BYTES);
  }
}
