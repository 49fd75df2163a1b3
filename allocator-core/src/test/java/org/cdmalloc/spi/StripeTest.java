/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.spi;

import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** Pages are dealt out as by hand: one after the other, round after round. */
final class StripeTest {
  private static final long FAR = 1L << 62;

  private static Stripe random(SplittableRandom random) {
    Map<Integer, Integer> weights = new HashMap<>();
    int nodes = 1 + random.nextInt(6);
    int most = random.nextInt(4) == 0 ? Stripe.MAX_WEIGHT : 1 + random.nextInt(5);
    while (weights.size() < nodes) {
      weights.put(random.nextInt(NodeMask.MAX_NODES), 1 + random.nextInt(most));
    }
    return Stripe.weighted(weights);
  }

  /** Deals pages out until at least so many are dealt, and the last round is whole. */
  private static List<Integer> dealt(Stripe stripe, int pages) {
    List<Integer> dealt = new ArrayList<>();
    while (dealt.size() < pages) {
      for (int node : stripe.nodes().stream().toArray()) {
        for (int turn = 0; turn < stripe.weight(node); turn++) {
          dealt.add(node);
        }
      }
    }
    return dealt;
  }

  @Test
  void pagesAreDealtRoundAfterRound() {
    long seed = Long.getLong("seed", 20170308L);
    SplittableRandom random = new SplittableRandom(seed);
    for (int round = 0; round < 300; round++) {
      Stripe stripe = random(random);
      String at = "stripe=" + stripe + "; replay with -Dseed=" + seed;
      List<Integer> dealt = dealt(stripe, 3 * stripe.roundPages());
      for (int page = 0; page < dealt.size(); page++) {
        assertEquals(dealt.get(page), stripe.node(page), at);
      }
      for (int page = 0; page < dealt.size() - stripe.roundPages(); page++) {
        int end = page;
        while (end < dealt.size() && dealt.get(end).equals(dealt.get(page))) {
          end++;
        }
        assertEquals(stripe.isSingle() ? Long.MAX_VALUE : end, stripe.runEnd(page), at);
      }
      for (int range = 0; range < 20; range++) {
        int from = random.nextInt(dealt.size() + 1);
        int to = from + random.nextInt(dealt.size() + 1 - from);
        long all = 0;
        for (int node : stripe.nodes().stream().toArray()) {
          long counted = dealt.subList(from, to).stream().filter(n -> n == node).count();
          assertEquals(counted, stripe.pages(node, from, to), at + ", from=" + from + ", to=" + to);
          all += counted;
        }
        assertEquals(to - from, all, at);
      }
    }
  }

  @Test
  void largePageNumbersAreDealtAsSmallOnes() {
    long seed = Long.getLong("seed", 20170309L);
    SplittableRandom random = new SplittableRandom(seed);
    for (int round = 0; round < 300; round++) {
      Stripe stripe = random(random);
      String at = "stripe=" + stripe + "; replay with -Dseed=" + seed;
      long shift = random.nextLong(FAR / stripe.roundPages()) * stripe.roundPages();
      for (int page = 0; page < stripe.roundPages(); page++) {
        assertEquals(stripe.node(page), stripe.node(shift + page), at);
        if (!stripe.isSingle()) {
          assertEquals(stripe.runEnd(page), stripe.runEnd(shift + page) - shift, at);
        }
      }
      long rounds = shift / stripe.roundPages();
      long all = 0;
      for (int node : stripe.nodes().stream().toArray()) {
        assertEquals(rounds * stripe.weight(node), stripe.pages(node, 0, shift), at);
        assertEquals(rounds * stripe.weight(node), stripe.pages(node, 1, shift + 1), at);
        all += stripe.pages(node, 0, Long.MAX_VALUE);
      }
      assertEquals(Long.MAX_VALUE, all, at);
      assertTrue(stripe.nodes().contains(stripe.node(Long.MAX_VALUE)), at);
      assertEquals(Long.MAX_VALUE, stripe.runEnd(Long.MAX_VALUE), at);
    }
  }

  @Test
  void runsFollowEachOtherToTheEnd() {
    Stripe stripe = Stripe.weighted(Map.of(4, 2, 0, 1, 7, 3));
    List<String> runs = new ArrayList<>();
    for (long page = 0; page < 12; page = stripe.runEnd(page)) {
      runs.add(page + ":" + stripe.node(page));
    }
    assertEquals(List.of("0:0", "1:4", "3:7", "6:0", "7:4", "9:7"), runs);
    // Neighbouring rounds of two nodes never begin and end on the same one.
    assertEquals(2, Stripe.even(NodeMask.of(0, 1)).runEnd(1));
  }

  @Test
  void oneNodeHasAllPages() {
    Stripe stripe = Stripe.of(5);
    assertTrue(stripe.isSingle());
    assertEquals(NodeMask.of(5), stripe.nodes());
    assertEquals(5, stripe.first());
    assertEquals(1, stripe.roundPages());
    assertEquals(5, stripe.node(0));
    assertEquals(5, stripe.node(FAR + 17));
    assertEquals(Long.MAX_VALUE, stripe.runEnd(0));
    assertEquals(9, stripe.pages(5, 3, 12));
    assertTrue(Stripe.weighted(Map.of(5, 7)).isSingle());
    assertFalse(Stripe.even(NodeMask.of(5, 6)).isSingle());
  }

  @Test
  void aNodeThatIsNotInTheStripeHasNothing() {
    Stripe stripe = Stripe.even(NodeMask.of(1, 3));
    for (int node : new int[] {Integer.MIN_VALUE, -1, 0, 2, 4, Integer.MAX_VALUE}) {
      assertEquals(0, stripe.weight(node));
      assertEquals(0, stripe.pages(node, 0, FAR));
    }
    assertEquals(1, stripe.weight(3));
    assertEquals(NodeMask.of(1, 3), stripe.nodes());
  }

  @Test
  void aWholeMachineOfTheLargestWeightsIsAStripe() {
    Map<Integer, Integer> weights = new TreeMap<>();
    for (int node = 0; node < NodeMask.MAX_NODES; node++) {
      weights.put(node, Stripe.MAX_WEIGHT);
    }
    Stripe stripe = Stripe.weighted(weights);
    assertEquals(NodeMask.MAX_NODES * Stripe.MAX_WEIGHT, stripe.roundPages());
    assertEquals(NodeMask.MAX_NODES - 1, stripe.node(stripe.roundPages() - 1));
    assertEquals(0, stripe.node(stripe.roundPages()));
  }

  @Test
  void theMapThatWasGivenMakesNoDifferenceLater() {
    Map<Integer, Integer> weights = new TreeMap<>(Comparator.reverseOrder());
    weights.put(0, 1);
    weights.put(1, 2);
    Stripe stripe = Stripe.weighted(weights);
    weights.clear();
    assertEquals(2, stripe.weight(1));
    // In the order of node numbers, whatever the map's is.
    assertEquals(0, stripe.node(0));
    assertEquals(1, stripe.node(1));
    assertEquals(0, stripe.first());
  }

  @Test
  void equalStripesDealTheSamePages() {
    Stripe stripe = Stripe.weighted(Map.of(0, 2, 1, 2));
    assertEquals(stripe, Stripe.weighted(new TreeMap<>(Map.of(1, 2, 0, 2))));
    assertEquals(stripe.hashCode(), Stripe.weighted(Map.of(1, 2, 0, 2)).hashCode());
    assertEquals(Stripe.even(NodeMask.of(0, 1)), Stripe.weighted(Map.of(0, 1, 1, 1)));
    assertEquals(Stripe.of(2), Stripe.even(NodeMask.of(2)));
    assertNotEquals(stripe, Stripe.even(NodeMask.of(0, 1)));
    assertNotEquals(stripe, Stripe.weighted(Map.of(0, 2, 2, 2)));
    assertNotEquals(stripe, Stripe.weighted(Map.of(0, 1, 1, 3)));
    assertNotEquals(stripe, Stripe.weighted(Map.of(0, 2, 1, 2, 2, 2)));
    assertFalse(stripe.equals(null));
  }

  @Test
  void aStripePrintsNodesOrWeights() {
    assertEquals("2", Stripe.of(2).toString());
    assertEquals("0-3,8", Stripe.even(NodeMask.of(0, 1, 2, 3, 8)).toString());
    assertEquals("0:3,1:1", Stripe.weighted(Map.of(1, 1, 0, 3)).toString());
    assertEquals("4:2", Stripe.weighted(Map.of(4, 2)).toString());
  }

  @Test
  void whatIsNoStripeIsRefusedByName() {
    assertAll(
        () -> refused("weights={}", () -> Stripe.weighted(Map.of())),
        () -> refused("weights={}", () -> Stripe.even(NodeMask.EMPTY)),
        () -> refused("node=-1", () -> Stripe.of(-1)),
        () -> refused("node=1024", () -> Stripe.of(NodeMask.MAX_NODES)),
        () -> refused("node=-3", () -> Stripe.weighted(Map.of(0, 1, -3, 1))),
        () -> refused("node=1024", () -> Stripe.weighted(Map.of(0, 1, 1024, 1))),
        () -> refused("node=2, weight=0", () -> Stripe.weighted(Map.of(0, 1, 2, 0))),
        () -> refused("node=2, weight=-1", () -> Stripe.weighted(Map.of(0, 1, 2, -1))),
        () -> refused("node=2, weight=256", () -> Stripe.weighted(Map.of(0, 1, 2, 256))));
  }

  @Test
  void whatIsNullIsRefused() {
    Map<Integer, Integer> nullNode = new HashMap<>(Map.of(0, 1));
    nullNode.put(null, 1);
    Map<Integer, Integer> nullWeight = new HashMap<>(Map.of(0, 1));
    nullWeight.put(1, null);
    assertThrows(NullPointerException.class, () -> Stripe.even(null));
    assertThrows(NullPointerException.class, () -> Stripe.weighted(null));
    assertThrows(NullPointerException.class, () -> Stripe.weighted(nullNode));
    assertThrows(NullPointerException.class, () -> Stripe.weighted(nullWeight));
  }

  @Test
  void whatIsNoPageIsRefusedByName() {
    Stripe stripe = Stripe.even(NodeMask.of(0, 1));
    assertAll(
        () -> refused("page=-1", () -> stripe.node(-1)),
        () -> refused("page=-9223372036854775808", () -> stripe.node(Long.MIN_VALUE)),
        () -> refused("page=-2", () -> stripe.runEnd(-2)),
        () -> refused("page=-2", () -> Stripe.of(0).runEnd(-2)),
        () -> refused("fromPage=-1, toPage=4", () -> stripe.pages(0, -1, 4)),
        () -> refused("fromPage=5, toPage=4", () -> stripe.pages(0, 5, 4)));
  }

  private static void refused(String figures, Executable call) {
    String message = assertThrows(IllegalArgumentException.class, call).getMessage();
    assertTrue(message.contains(figures), message);
  }
}
