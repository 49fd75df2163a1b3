/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.spi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.cdmalloc.NodeAccessException;
import org.junit.jupiter.api.Test;

/**
 * How committed pages are moved. Runs over the nodes that there are: on a host with one, ranges are
 * moved to where they are, and what is special about several is not seen.
 */
abstract class MoveContract extends StripeContract {
  /** Each node under test, the region's own last. */
  private List<Integer> targets(int own) {
    List<Integer> nodes = new ArrayList<>(nodesUnderTest(source).stream().boxed().toList());
    nodes.remove((Integer) own);
    nodes.add(own);
    return nodes;
  }

  final void move(Region region, long offset, long bytes, int node) {
    MoveResult result = source.move(region, offset, bytes, node);
    assertFalse(result.isRefused(), result::toString);
    assertEquals(List.of(), result.unmoved());
    assertTrue(result.residency().isAllOn(node), result::toString);
    assertEquals(bytes / source.osPageBytes(), result.residency().pages());
    assertOn(node, region, offset, bytes);
  }

  final void assertOn(int node, Region region, long offset, long bytes) {
    Residency residency = source.residency(region, offset, bytes);
    assertTrue(residency.isAllOn(node), () -> "node=" + node + ", residency=" + residency);
  }

  @Test
  @Clause({
    "Moves the pages of a committed range to another node",
    "The range stays committed, on the nodes where its pages then are, until it is moved again or"
        + " purged.",
    "No neighbour of the range is moved",
    "a node of machine() with memory",
    "one of the region's own, too",
    "what was refused, or where each page is now",
    "empty if the platform was asked to move pages",
    "where each OS page of the range lay afterwards"
  })
  void movedRangeLiesOnTheOtherNodeAndItsNeighboursDoNot() {
    if (!moves()) {
      return;
    }
    long page = source.osPageBytes();
    int own = firstNode();
    for (long[] range :
        new long[][] {
          {CHUNK_BYTES, CHUNK_BYTES},
          {CHUNK_BYTES, page},
          {CHUNK_BYTES / 2, 2 * CHUNK_BYTES},
          {CHUNK_BYTES + 3 * page, 5 * page},
          {0, 3 * CHUNK_BYTES},
        }) {
      Region region = reserve(own, 3 * CHUNK_BYTES);
      commit(region, 0, region.bytes());
      long end = range[0] + range[1];
      for (int node : targets(own)) {
        long ownFree = source.freeBytes(own);
        long otherFree = source.freeBytes(node);
        move(region, range[0], range[1], node);
        assertTrue(range[0] == 0 || isAllOn(own, region, 0, range[0]));
        assertTrue(end == region.bytes() || isAllOn(own, region, end, region.bytes() - end));
        if (node != own) {
          assertFree(otherFree - range[1], node);
          assertFree(ownFree + range[1], own);
          // Committing what is committed changes nothing, wherever it lies.
          commit(region, 0, region.bytes());
          assertOn(node, region, range[0], range[1]);
          move(region, range[0], range[1], own);
        }
        assertFree(ownFree, own);
      }
      release(region);
    }
  }

  private boolean isAllOn(int node, Region region, long offset, long bytes) {
    return source.residency(region, offset, bytes).isAllOn(node);
  }

  @Test
  @Clause("until it is moved again or purged.")
  void purgedAndCommittedAnewARangeIsOnItsOwnNodes() {
    if (!moves()) {
      return;
    }
    for (Stripe stripe : List.of(Stripe.of(firstNode()), Stripe.even(nodesToStripe(source)))) {
      Region region = reserve(stripe, 2 * CHUNK_BYTES);
      commit(region, 0, region.bytes());
      long page = source.osPageBytes();
      for (int node : targets(firstNode())) {
        move(region, page, CHUNK_BYTES, node);
        source.purge(region, page, CHUNK_BYTES);
        assertAbsent(region, page, CHUNK_BYTES);
        assertResident(region, 0, page);
        commit(region, 0, region.bytes());
        assertResident(region, 0, region.bytes());
      }
      release(region);
    }
  }

  @Test
  @Clause({
    "Reserves address space whose memory shall come from the nodes of a stripe: its OS page i,"
        + " counted from the region's first byte, from node(i).",
    "on the nodes where its pages then are"
  })
  void partsOfMovedRangesAreMovedOn() {
    if (!moves()) {
      return;
    }
    Region region = reserve(Stripe.even(nodesToStripe(source)), 4 * CHUNK_BYTES);
    commit(region, 0, region.bytes());
    long page = source.osPageBytes();
    for (int node : targets(firstNode())) {
      move(region, CHUNK_BYTES, 2 * CHUNK_BYTES, node);
      move(region, CHUNK_BYTES + 2 * page, 7 * page, firstNode());
      assertOn(node, region, CHUNK_BYTES, 2 * page);
      assertOn(node, region, CHUNK_BYTES + 9 * page, CHUNK_BYTES);
      assertResident(region, 0, CHUNK_BYTES);
      assertResident(region, 3 * CHUNK_BYTES, CHUNK_BYTES);
    }
    source.purge(region, 0, region.bytes());
    assertAbsent(region, 0, region.bytes());
  }

  @Test
  @Clause({
    "A node that has no room for all of it is a value, and nothing was moved",
    "else what was full, as name=value pairs, and nothing was moved",
    "all of them after a refusal"
  })
  void aNodeWithoutRoomIsAValue() {
    for (int node : targets(firstNode())) {
      long free = countsFreeBytesExactly() ? source.freeBytes(node) : Long.MAX_VALUE;
      if (!moves() || node == firstNode() || free > MOST_TO_FILL) {
        continue;
      }
      Region filler = reserve(node, free / CHUNK_BYTES * CHUNK_BYTES);
      Region region = reserve(2 * CHUNK_BYTES);
      commit(region, 0, region.bytes());
      commit(filler, 0, filler.bytes());
      MoveResult result = source.move(region, 0, region.bytes(), node);
      assertTrue(result.isRefused(), result::toString);
      assertTrue(result.refusal().contains("node=" + node), result::toString);
      assertEquals(1, result.unmoved().size());
      assertEquals(
          new MoveResult.Unmoved(0, result.residency().pages(), firstNode(), result.refusal()),
          result.unmoved().get(0));
      assertResident(region, 0, region.bytes());
      release(filler);
      move(region, 0, region.bytes(), node);
      release(region);
    }
  }

  @Test
  @Clause({
    "if there is no such node, it has no memory, or not all of the range is committed",
    "Whatever breaks this rule is an IllegalArgumentException and changes nothing."
  })
  void whatCannotBeMovedIsRefused() {
    Region region = reserve(3 * CHUNK_BYTES);
    long page = source.osPageBytes();
    commit(region, CHUNK_BYTES, CHUNK_BYTES);
    assertIllegal(() -> source.move(region, CHUNK_BYTES, CHUNK_BYTES, NO_SUCH_NODE));
    assertIllegal(() -> source.move(region, CHUNK_BYTES, CHUNK_BYTES, -1));
    source.machine().online().without(source.machine().withMemory()).stream()
        .forEach(node -> assertIllegal(() -> source.move(region, CHUNK_BYTES, page, node)));
    if (moves()) {
      assertIllegal(() -> source.move(region, 0, CHUNK_BYTES, firstNode()));
      assertIllegal(() -> source.move(region, CHUNK_BYTES, CHUNK_BYTES + page, firstNode()));
    }
    assertResident(region, CHUNK_BYTES, CHUNK_BYTES);
  }

  @Test
  @Clause(
      "NodeAccessException if the platform does not let this process move pages and see where they"
          + " are; nothing was moved")
  void aPlatformThatMovesNothingSaysSo() {
    if (moves()) {
      return;
    }
    Region region = reserve(CHUNK_BYTES);
    commit(region, 0, CHUNK_BYTES);
    String message =
        assertThrows(
                NodeAccessException.class, () -> source.move(region, 0, CHUNK_BYTES, firstNode()))
            .getMessage();
    assertTrue(message.contains("node=" + firstNode()), message);
    assertResident(region, 0, CHUNK_BYTES);
  }
}
