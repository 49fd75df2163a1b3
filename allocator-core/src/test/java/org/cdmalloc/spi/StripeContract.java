/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.spi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.Test;

/**
 * How the pages of one region come from several nodes. Runs over the nodes that there are: on a
 * host with one, the stripes have one node, and what is special about several is not seen.
 */
abstract class StripeContract extends PurgeContract {
  /** Stripes over all nodes under test, over some, and over each alone. */
  private List<Stripe> stripes() {
    NodeMask nodes = nodesToStripe(source);
    List<Stripe> stripes = new ArrayList<>();
    stripes.add(even());
    stripes.add(weighted());
    Map<Integer, Integer> lastHeaviest = new TreeMap<>();
    nodes.stream().forEach(node -> lastHeaviest.put(node, node == nodes.last() ? 5 : 1));
    stripes.add(Stripe.weighted(lastHeaviest));
    stripes.add(Stripe.even(NodeMask.of(nodes.first(), nodes.last())));
    stripes.add(Stripe.weighted(Map.of(nodes.last(), Stripe.MAX_WEIGHT)));
    return stripes;
  }

  private Stripe even() {
    return Stripe.even(nodesToStripe(source));
  }

  /** Weights 3, 1, 2, 3, 1, … */
  private Stripe weighted() {
    Map<Integer, Integer> weights = new TreeMap<>();
    nodesToStripe(source).stream()
        .forEach(node -> weights.put(node, new int[] {3, 1, 2}[weights.size() % 3]));
    return Stripe.weighted(weights);
  }

  private Map<Integer, Long> freeBytesByNode() {
    Map<Integer, Long> free = new TreeMap<>();
    source.machine().withMemory().stream().forEach(node -> free.put(node, source.freeBytes(node)));
    return free;
  }

  /** Asserts that nodes have less free memory than before, by what a striped range takes. */
  private void assertTaken(Map<Integer, Long> before, Region region, long offset, long bytes) {
    long page = source.osPageBytes();
    before.forEach(
        (node, free) ->
            assertFree(
                free - region.stripe().pages(node, offset / page, (offset + bytes) / page) * page,
                node));
  }

  @Test
  @Clause({
    "Reserves address space whose memory shall come from the nodes of a stripe: its OS page i,"
        + " counted from the region's first byte, from node(i).",
    "or each page with that of the node which the stripe names",
    "each page of a striped region on its own.",
    "stripe nodes of machine() with memory"
  })
  void eachPageOfAStripedRegionLiesOnItsOwnNode() {
    long page = source.osPageBytes();
    for (Stripe stripe : stripes()) {
      Region region = reserve(stripe, 3 * CHUNK_BYTES);
      commit(region, CHUNK_BYTES, CHUNK_BYTES);
      assertResident(region, CHUNK_BYTES, CHUNK_BYTES);
      assertAbsent(region, 0, CHUNK_BYTES);
      assertAbsent(region, 2 * CHUNK_BYTES, CHUNK_BYTES);
      // Ranges that begin and end anywhere in a round, and one page of each place in it.
      for (long first = 0; first < 2L * stripe.roundPages() && first * page < CHUNK_BYTES / 2; ) {
        commit(region, first * page, page);
        first += 2;
      }
      commit(region, CHUNK_BYTES / 2, CHUNK_BYTES);
      commit(region, CHUNK_BYTES + page, 2 * CHUNK_BYTES - page);
      commit(region, 0, region.bytes());
      assertResident(region, 0, region.bytes());
      release(region);
    }
  }

  @Test
  @Clause({
    "Returns how the region's OS pages are dealt out to nodes.",
    "one node, or several in turn",
    "of a striped region the first."
  })
  void aRegionSaysHowItIsStriped() {
    for (Stripe stripe : stripes()) {
      Region region = reserve(stripe, CHUNK_BYTES);
      assertEquals(stripe, region.stripe());
      assertEquals(stripe.nodes().first(), region.node());
      assertEquals(CHUNK_BYTES, region.bytes());
      assertTrue(region.isBound() || !source.diagnosis().binds(), source.diagnosis()::toString);
    }
  }

  @Test
  @Clause("or each page with that of the node which the stripe names")
  void nodesGetPagesByTheirWeights() {
    Stripe stripe = weighted();
    int page = source.osPageBytes();
    int rounds = Math.max(1, (int) (CHUNK_BYTES / page / stripe.roundPages()));
    long bytes = (long) rounds * stripe.roundPages() * page;
    Region region = reserve(stripe, bytes);
    Map<Integer, Long> before = freeBytesByNode();
    commit(region, 0, bytes);
    assertResident(region, 0, bytes);
    assertTaken(before, region, 0, bytes);
    Map<Integer, Integer> expected = new TreeMap<>();
    stripe.nodes().stream().forEach(node -> expected.put(node, rounds * stripe.weight(node)));
    Residency residency = source.residency(region, 0, bytes);
    if (region.isBound() && (stripe.isSingle() || tellsPagesOfStripes())) {
      assertEquals(expected, residency.pagesByNode());
    }
  }

  @Test
  @Clause({
    "What the address of every root buffer is a multiple of: the size of a huge page, 2 MiB.",
    "Every root, and the region where it has an address, begins at a multiple of ALIGNMENT_BYTES."
  })
  void everyRootIsAligned() {
    assertEquals(2 << 20, MemorySource.ALIGNMENT_BYTES);
    int alignment = (int) MemorySource.ALIGNMENT_BYTES;
    long page = source.osPageBytes();
    for (long bytes : new long[] {page, 3 * page, CHUNK_BYTES, MemorySource.ROOT_BYTES + page}) {
      for (Region region : List.of(reserve(bytes), reserve(even(), bytes))) {
        assertEquals(0, region.address() % alignment);
        for (ByteBuffer root : region.roots()) {
          assertEquals(0, root.alignmentOffset(0, alignment));
        }
      }
    }
  }

  @Test
  @Clause("IllegalArgumentException if one of the nodes does not exist or has no memory")
  void aStripeWithANodeThatHasNoMemoryIsRefused() {
    int node = firstNode();
    assertIllegal(() -> source.reserve(Stripe.of(NO_SUCH_NODE), CHUNK_BYTES));
    assertIllegal(() -> source.reserve(Stripe.even(NodeMask.of(node, NO_SUCH_NODE)), CHUNK_BYTES));
    assertIllegal(
        () -> source.reserve(Stripe.weighted(Map.of(node, 9, NO_SUCH_NODE, 1)), CHUNK_BYTES));
    for (Node other : source.machine().nodes()) {
      if (!other.hasMemory()) {
        Stripe stripe = Stripe.even(NodeMask.of(node, other.id()));
        assertIllegal(() -> source.reserve(stripe, CHUNK_BYTES));
      }
    }
  }

  @Test
  @Clause({
    "or the size is not as said",
    "bytes how much, positive, a whole multiple of osPageBytes()"
  })
  void aStripeOfNoSizeIsRefused() {
    long page = source.osPageBytes();
    for (long bytes : new long[] {0, -page, 1, page + 1, Long.MIN_VALUE, Long.MAX_VALUE}) {
      assertIllegal(() -> source.reserve(even(), bytes));
    }
    // A region need not have a page for each of its nodes.
    Region region = reserve(even(), page);
    commit(region, 0, page);
    assertResident(region, 0, page);
  }

  /** Returns a size of which the share of the stripe's first node is more than that node has. */
  private long bytesBeyondFirstNode(Stripe stripe) {
    long beyond = bytesBeyondNode(source, stripe.first()).orElseThrow();
    long rounds = beyond / source.osPageBytes() / stripe.weight(stripe.first()) + 1;
    return (rounds * stripe.roundPages() * source.osPageBytes() / CHUNK_BYTES + 1) * CHUNK_BYTES;
  }

  @Test
  @Clause({
    "One node of a stripe that is full is enough.",
    "and nothing of the range is then committed"
  })
  void aFullNodeOfAStripeIsAValueAndNothingIsLost() {
    for (Stripe stripe : List.of(even(), weighted())) {
      Region region = reserve(stripe, bytesBeyondFirstNode(stripe));
      long last = region.bytes() - CHUNK_BYTES;
      commit(region, CHUNK_BYTES, CHUNK_BYTES);
      Map<Integer, Long> before = freeBytesByNode();
      CommitResult result = source.commit(region, 0, region.bytes());
      assertFalse(result.isCommitted());
      assertTrue(result.detail().matches("[^=,]+=[^=,]+(, [^=,]+=[^=,]+)*"), result.detail());
      assertAbsent(region, 0, CHUNK_BYTES);
      assertAbsent(region, last, CHUNK_BYTES);
      assertResident(region, CHUNK_BYTES, CHUNK_BYTES);
      before.forEach((node, free) -> assertFree(free, node));
      commit(region, 0, CHUNK_BYTES);
      assertResident(region, 0, 2 * CHUNK_BYTES);
      release(region);
    }
  }

  @Test
  @Clause({
    "Gives the memory of a range back, whether or not all of it is committed",
    "Gives up a region: all its memory and its locks at once"
  })
  void eachNodeOfAStripeGetsItsMemoryBack() {
    long page = source.osPageBytes();
    for (Stripe stripe : stripes()) {
      Map<Integer, Long> before = freeBytesByNode();
      Region region = reserve(stripe, 3 * CHUNK_BYTES);
      commit(region, 0, 2 * CHUNK_BYTES);
      assertTaken(before, region, 0, 2 * CHUNK_BYTES);
      source.purge(region, CHUNK_BYTES + page, 2 * CHUNK_BYTES - page);
      assertAbsent(region, CHUNK_BYTES + page, 2 * CHUNK_BYTES - page);
      assertResident(region, 0, CHUNK_BYTES + page);
      assertTaken(before, region, 0, CHUNK_BYTES + page);
      commit(region, page, 2 * CHUNK_BYTES);
      assertResident(region, 0, 2 * CHUNK_BYTES + page);
      assertTaken(before, region, 0, 2 * CHUNK_BYTES + page);
      release(region);
      before.forEach((node, free) -> assertFree(free, node));
    }
  }

  @Test
  @Clause("Every method may be called by any number of threads at once.")
  void threadsUseStripesAndNodesAtOnce() throws Exception {
    Map<Integer, Long> before = freeBytesByNode();
    List<Stripe> stripes = stripes();
    stripes.add(Stripe.of(firstNode()));
    inThreads(
        thread -> {
          for (int round = 0; round < 6; round++) {
            Region region =
                reserve(stripes.get((thread + round) % stripes.size()), 2 * CHUNK_BYTES);
            commit(region, CHUNK_BYTES, CHUNK_BYTES);
            assertResident(region, CHUNK_BYTES, CHUNK_BYTES);
            source.purge(region, CHUNK_BYTES, CHUNK_BYTES / 2);
            assertAbsent(region, 0, CHUNK_BYTES);
            release(region);
          }
          return thread;
        });
    before.forEach((node, free) -> assertFree(free, node));
  }
}
