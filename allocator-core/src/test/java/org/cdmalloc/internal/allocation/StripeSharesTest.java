/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.cdmalloc.NodeMemoryExhaustedException.Reason;
import org.cdmalloc.internal.zone.NumaEvents;
import org.cdmalloc.internal.zone.Watermarks;
import org.cdmalloc.internal.zone.Zone;
import org.cdmalloc.spi.AddressOnlySource;
import org.cdmalloc.spi.Stripe;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What the nodes of a stripe lend it, page by page. */
final class StripeSharesTest {
  private static final int PAGE = Zone.PAGE_BYTES;
  private static final long UNIT = Backing.COMMIT_BYTES;
  private static final int UNIT_PAGES = (int) (UNIT / PAGE);

  private final List<BackedZone> zones = new ArrayList<>();

  /** Zones of nodes 0, 1, …, with so many units each and a low mark of so many pages. */
  private List<BackedZone> zones(int lowPages, int... units) {
    Machine.Builder machine = Machine.builder();
    for (int node = 0; node < units.length; node++) {
      machine.node(Node.of(node, Integer.toString(node), 64L << 20));
    }
    AddressOnlySource source = AddressOnlySource.of(machine.build());
    Watermarks marks = new Watermarks(0, lowPages, lowPages);
    for (int node = 0; node < units.length; node++) {
      zones.add(BackedZone.ofNode(node, node, units[node] * UNIT, marks, source));
    }
    return zones;
  }

  @AfterEach
  void metadataIsWhole() {
    zones.forEach(zone -> zone.zone().validate());
    zones.forEach(BackedZone::close);
  }

  private int[] lentPages() {
    return zones.stream().mapToInt(zone -> zone.zone().lentPages()).toArray();
  }

  @Test
  void aStripeIsAsLongAsItsFirstNodeThatHasGivenAllLetsItBe() {
    List<BackedZone> nodes = zones(0, 4, 2, 8);
    assertEquals(
        3 * 2 * UNIT,
        new StripeShares(Stripe.weighted(Map.of(0, 1, 1, 1, 2, 1)), nodes, PAGE).capacityBytes());
    // 2 units of node 1 are a third of node 0's turn in each round.
    assertEquals(
        4 * UNIT / 3 * 4 / UNIT * UNIT,
        new StripeShares(Stripe.weighted(Map.of(0, 3, 1, 1)), nodes.subList(0, 2), PAGE)
            .capacityBytes());
    // At least one round, however little a node has.
    StripeShares large =
        new StripeShares(Stripe.weighted(Map.of(0, 255, 1, 255)), nodes.subList(0, 2), 64 << 10);
    assertEquals(510L * (64 << 10) / UNIT * UNIT, large.capacityBytes());
  }

  @Test
  void eachNodeLendsThePagesThatAreItsOwn() {
    StripeShares shares =
        new StripeShares(Stripe.weighted(Map.of(0, 2, 1, 1)), zones(0, 4, 4), PAGE);
    assertNull(shares.lend(0, 3 * PAGE));
    assertArrayEquals(new int[] {2, 1}, lentPages());
    // The second page of node 0's turn, and node 1's.
    assertNull(shares.lend(4 * PAGE, 2 * PAGE));
    assertArrayEquals(new int[] {3, 2}, lentPages());
    assertNull(shares.lend(6 * PAGE, PAGE));
    assertArrayEquals(new int[] {4, 2}, lentPages());
    shares.repay(4 * PAGE, 3 * PAGE);
    assertArrayEquals(new int[] {2, 1}, lentPages());
    shares.repay(0, 3 * PAGE);
    assertArrayEquals(new int[] {0, 0}, lentPages());
  }

  @Test
  void largeOsPagesAreDealtOutWhole() {
    StripeShares shares =
        new StripeShares(Stripe.weighted(Map.of(0, 1, 1, 1)), zones(0, 4, 4), 64 << 10);
    assertNull(shares.lend(0, 3 * (64 << 10)));
    assertArrayEquals(new int[] {32, 16}, lentPages());
    shares.repay(0, 3 * (64 << 10));
  }

  @Test
  void oneNodeThatCannotLendTakesNothingOfTheOthers() {
    int low = 100;
    StripeShares shares =
        new StripeShares(Stripe.weighted(Map.of(0, 1, 1, 1, 2, 1)), zones(low, 4, 1, 4), PAGE);
    int most = UNIT_PAGES - low;
    Refusal refusal = shares.lend(0, 3L * (most + 1) * PAGE);
    assertEquals(Reason.LOW_MARK, refusal.reason());
    assertEquals("stripe=0-2, node=1, share_pages=" + (most + 1), refusal.detail());
    assertArrayEquals(new int[] {0, 0, 0}, lentPages());
    // To the low mark and no further.
    assertNull(shares.lend(0, 3L * most * PAGE));
    assertEquals(low, zones.get(1).zone().freePages());
    shares.repay(0, 3L * most * PAGE);
  }

  @Test
  void aNodeGivesBackWhatIsIdleBeforeItRefuses() {
    List<BackedZone> nodes = zones(0, 2, 2);
    long run = nodes.get(1).take(2 * UNIT_PAGES, 0, 0, NumaEvents.NONE, 1, null);
    assertTrue(run >= 0);
    StripeShares shares = new StripeShares(Stripe.weighted(Map.of(0, 1, 1, 1)), nodes, PAGE);
    assertEquals(Reason.LOW_MARK, shares.lend(0, 2 * PAGE).reason());
    nodes.get(1).free(0, null);
    assertEquals(2 * UNIT_PAGES, nodes.get(1).zone().committedPages());
    assertNull(shares.lend(0, 2 * PAGE));
    assertEquals(0, nodes.get(1).zone().committedPages());
    shares.repay(0, 2 * PAGE);
  }

  @Test
  void aBlockIsCountedAtTheNodeOfItsFirstPage() {
    List<BackedZone> nodes = zones(0, 2, 2);
    StripeShares shares = new StripeShares(Stripe.weighted(Map.of(0, 1, 1, 1)), nodes, PAGE);
    shares.countAt(0, 0);
    shares.countAt(2 * PAGE, 1);
    shares.countAt(3 * PAGE, 1);
    long[] zero = nodes.get(0).zone().events();
    long[] one = nodes.get(1).zone().events();
    assertArrayEquals(new long[] {2, 1}, new long[] {hits(zero), hits(one)});
    assertArrayEquals(new long[] {2, 1}, count(NumaEvents.INTERLEAVE_HIT, zero, one));
    assertArrayEquals(new long[] {1, 1}, count(NumaEvents.LOCAL, zero, one));
    assertArrayEquals(new long[] {1, 0}, count(NumaEvents.OTHER, zero, one));
  }

  private static long hits(long[] events) {
    return count(NumaEvents.HIT, events)[0];
  }

  private static long[] count(int kind, long[]... events) {
    long[] counts = new long[events.length];
    for (int i = 0; i < events.length; i++) {
      counts[i] = events[i][Integer.numberOfTrailingZeros(kind)];
    }
    return counts;
  }
}
