/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.util.BitSet;
import java.util.List;
import org.cdmalloc.NodeMemoryExhaustedException.Reason;
import org.cdmalloc.internal.zone.NumaEvents;
import org.cdmalloc.internal.zone.Zone;
import org.cdmalloc.spi.Stripe;

/**
 * What the zones of several nodes lend a striped zone: for each range that it commits, the pages of
 * the range that are each node's. So a node's capacity is one number, whoever uses it, and its low
 * mark holds for all. Immutable but for the zones.
 */
final class StripeShares {
  /** Those of a zone that stands on its own. */
  static final StripeShares NONE = new StripeShares(null, List.of(), Zone.PAGE_BYTES);

  private final Stripe stripe;
  private final List<Lender> zones;
  private final boolean empty;
  private final int osPageBytes;

  /**
   * Makes the shares.
   *
   * @param stripe how pages are dealt out
   * @param zones the zones of its nodes
   * @param osPageBytes the size of the pages that are dealt out
   */
  StripeShares(Stripe stripe, List<? extends Lender> zones, int osPageBytes) {
    this.stripe = stripe;
    this.zones = List.copyOf(zones);
    this.empty = zones.isEmpty();
    this.osPageBytes = osPageBytes;
  }

  boolean isEmpty() {
    return empty;
  }

  Stripe stripe() {
    return stripe;
  }

  /** Returns the most that can ever be lent: where the first node has given all. */
  long capacityBytes() {
    long rounds = Long.MAX_VALUE;
    for (Lender zone : zones) {
      long osPages = (long) zone.zone().capacityPages() * Zone.PAGE_BYTES / osPageBytes;
      rounds = Math.min(rounds, osPages / stripe.weight(zone.node()));
    }
    long bytes = Math.max(1, rounds) * stripe.roundPages() * osPageBytes;
    return Math.min(Capacities.MOST_BYTES, Capacities.wholeUnits(bytes));
  }

  /**
   * Borrows the pages of a range; a node that has its capacity committed gives back first what is
   * idle.
   *
   * @param offset of the range in the striped region, whole OS pages
   * @param bytes its length
   * @return null if all nodes gave their share, else why one did not, and none has lent anything
   */
  Refusal lend(long offset, long bytes) {
    int lenders = 0;
    try {
      for (Lender zone : zones) {
        int pages = pages(zone, offset, bytes);
        int floorPages = zone.zone().watermarks().lowPages();
        if (pages > 0
            && !zone.zone().lend(pages, floorPages)
            && (zone.purge(false) == 0 || !zone.zone().lend(pages, floorPages))) {
          return new Refusal(
              Reason.LOW_MARK,
              "stripe=" + stripe + ", node=" + zone.node() + ", share_pages=" + pages);
        }
        lenders++;
      }
      return null;
    } finally {
      // Giving back what is idle may fail.
      if (lenders < zones.size()) {
        zones.subList(0, lenders).forEach(lender -> repay(lender, offset, bytes));
      }
    }
  }

  /** Gives back what was lent for a range. */
  void repay(long offset, long bytes) {
    for (Lender lender : zones) {
      repay(lender, offset, bytes);
    }
  }

  private void repay(Lender lender, long offset, long bytes) {
    lender.zone().repay(pages(lender, offset, bytes));
  }

  /**
   * Gives back what was lent for single OS pages.
   *
   * @param first an OS page, counted from the striped region's first
   * @param osPages which, counted from that one
   */
  void repay(long first, BitSet osPages) {
    for (Lender lender : zones) {
      long pages =
          osPages.stream().filter(page -> stripe.node(first + page) == lender.node()).count();
      lender.zone().repay((int) pages * (osPageBytes / Zone.PAGE_BYTES));
    }
  }

  private int pages(Lender zone, long offset, long bytes) {
    long from = offset / osPageBytes;
    long osPages = stripe.pages(zone.node(), from, from + bytes / osPageBytes);
    return (int) (osPages * osPageBytes / Zone.PAGE_BYTES);
  }

  /** Counts a block at the node of its first page. */
  void countAt(long offset, int caller) {
    int node = stripe.node(offset / osPageBytes);
    int place = node == caller ? NumaEvents.LOCAL : NumaEvents.OTHER;
    for (Lender zone : zones) {
      if (zone.node() == node) {
        zone.zone().count(NumaEvents.HIT | NumaEvents.INTERLEAVE_HIT | place);
      }
    }
  }

  /** Returns the zone of the node that a walk with this stripe wants first. */
  Lender first() {
    return zones.get(0);
  }
}
