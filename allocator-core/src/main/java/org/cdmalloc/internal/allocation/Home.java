/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import org.cdmalloc.spi.Region;
import org.cdmalloc.spi.Stripe;

/** A zone as its own blocks know it that are moved. */
interface Home extends Lender, Host {
  @Override
  int node();

  /** Returns how the zone's pages are dealt out to nodes while they are not moved. */
  Stripe stripe();

  /** Returns the nodes that lend the zone its capacity; none for the zone of a node. */
  StripeShares shares();

  /** Returns the region, or throws if the zone is closed. */
  Region requireRegion();

  /** Tells whether memory can be asked for; for whoever holds the lock of its committers. */
  boolean isOpen();

  /** Returns the address of an offset in the region. */
  long addressAt(long offset);

  /** Sets capacity aside, if need be after giving back what is idle; for who holds that lock. */
  boolean hold(int pages);

  /** Takes note that the source did not take a unit's memory; for who holds that lock. */
  void purgeLater(int unit);

  /** Brings back what the zone's depot keeps ready, and asks threads for what they keep. */
  void emptyDepot();
}
