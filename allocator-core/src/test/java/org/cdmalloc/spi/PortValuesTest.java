/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.spi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.cdmalloc.spi.CommitResult.Outcome;
import org.junit.jupiter.api.DisplayNameGeneration;
import org.junit.jupiter.api.Test;

/** The port's values: the same for every source. */
@DisplayNameGeneration(ClauseNames.class)
final class PortValuesTest {
  private static final Residency MIXED =
      new Residency(
          4096, new int[] {1, 0, 1, Residency.UNKNOWN, Residency.NOT_PRESENT, 1}, "move_pages");

  @Test
  @Clause({"Tells whether every page lay on one node.", "Returns where a page lay."})
  void residencyTellsEachPage() {
    assertEquals(1, MIXED.node(0));
    assertEquals(Residency.NOT_PRESENT, MIXED.node(4));
    assertFalse(MIXED.isAllOn(1));
    assertTrue(new Residency(4096, new int[] {3, 3}, "x").isAllOn(3));
  }

  @Test
  @Clause("pages by node, ascending; pages that are not present or unknown under those values")
  void residencyCountsPages() {
    assertEquals("{-2=1, -1=1, 0=1, 1=3}", MIXED.pagesByNode().toString());
    assertEquals(Map.of(2, 2), new Residency(4096, new int[] {2, 2}, "x").pagesByNode());
  }

  @Test
  @Clause("Prints 16 pages on node 0 (move_pages).")
  void residencyPrintsItself() {
    assertEquals("16 pages on node 0 (move_pages)", all(0, 16, "move_pages").toString());
    assertEquals(
        "1 page not present, 1 page unknown, 1 page on node 0, 3 pages on node 1 (move_pages)",
        MIXED.toString());
  }

  private static Residency all(int node, int pages, String askedBy) {
    int[] nodes = new int[pages];
    Arrays.fill(nodes, node);
    return new Residency(4096, nodes, askedBy);
  }

  @Test
  @Clause({
    "a node, NOT_PRESENT or UNKNOWN per page; copied",
    "Immutable, and out of date as soon as the kernel moves a page."
  })
  void residencyKeepsItsOwnCopy() {
    int[] nodes = {5};
    Residency residency = new Residency(4096, nodes, "x");
    nodes[0] = 6;
    assertEquals(5, residency.node(0));
  }

  @Test
  @Clause("Makes a diagnosis; the list is copied.")
  void diagnosisKeepsItsOwnCopy() {
    List<String> findings = new ArrayList<>(List.of("mbind is refused"));
    Diagnosis diagnosis = new Diagnosis(false, findings);
    findings.clear();
    assertEquals(List.of("mbind is refused"), diagnosis.findings());
  }

  @Test
  @Clause({
    "NullPointerException if the list or a sentence is null",
    "NullPointerException if an argument is null"
  })
  void nothingIsNull() {
    List<String> withNull = new ArrayList<>();
    withNull.add(null);
    assertThrows(NullPointerException.class, () -> new Diagnosis(true, withNull));
    assertThrows(NullPointerException.class, () -> new Diagnosis(true, null));
    assertThrows(NullPointerException.class, () -> new CommitResult(null, ""));
    assertThrows(NullPointerException.class, () -> new CommitResult(Outcome.NODE_FULL, null));
  }

  @Test
  @Clause("Tells whether the range is committed.")
  void onlyCommittedIsCommitted() {
    for (Outcome outcome : Outcome.values()) {
      assertEquals(outcome == Outcome.COMMITTED, new CommitResult(outcome, "").isCommitted());
    }
    assertEquals(new CommitResult(Outcome.COMMITTED, ""), CommitResult.COMMITTED);
  }

  @Test
  @Clause({"true if all of the range is locked", "a result that is not locked"})
  void aRefusalToLockHasADetailAndNothingElse() {
    assertTrue(LockResult.LOCKED.isLocked());
    assertEquals("", LockResult.LOCKED.detail());
    LockResult refused = LockResult.refused("locked_bytes=8");
    assertFalse(refused.isLocked());
    assertEquals("locked_bytes=8", refused.detail());
    assertThrows(NullPointerException.class, () -> LockResult.refused(null));
    assertThrows(IllegalArgumentException.class, () -> LockResult.refused(""));
    assertThrows(IllegalArgumentException.class, () -> new LockResult(true, "x"));
  }

  @Test
  @Clause({
    "Returns how the region's OS pages are dealt out to nodes.",
    "Returns the node whose memory this is; of a striped region the first."
  })
  void aRegionIsOfOneNodeOrStriped() {
    Region plain = new Region(3, 8, true, 4096, List.of());
    assertEquals(Stripe.of(3), plain.stripe());
    Stripe stripe = Stripe.weighted(Map.of(5, 1, 2, 4));
    Region striped = new Region(stripe, 8, true, 4096, List.of());
    assertEquals(stripe, striped.stripe());
    assertEquals(2, striped.node());
    assertThrows(
        NullPointerException.class, () -> new Region((Stripe) null, 8, true, 4096, List.of()));
  }

  @Test
  @Clause({
    "empty for a region that cannot be viewed, which must then have an address",
    "or 0 where only the roots know",
    "The fields are immutable"
  })
  void regionHasBytesAndAnAddressOrRoots() {
    List<ByteBuffer> roots = new ArrayList<>(List.of(ByteBuffer.allocateDirect(8)));
    Region viewed = new Region(3, 8, true, 0, roots);
    roots.clear();
    assertEquals(1, viewed.roots().size());
    assertThrows(UnsupportedOperationException.class, () -> viewed.roots().clear());
    Region addressed = new Region(3, 8, false, 4096, List.of());
    assertEquals(4096, addressed.address());
    assertFalse(addressed.isBound());
    assertThrows(
        IllegalArgumentException.class, () -> new Region(0, 8, true, 0, List.<ByteBuffer>of()));
    for (long bytes : new long[] {0, -8}) {
      assertThrows(IllegalArgumentException.class, () -> new Region(0, bytes, true, 1, List.of()));
    }
  }

  @Test
  @Clause({
    "Returns a buffer over a range of one root buffer.",
    "IllegalArgumentException if the range is not in the region, or not in one root buffer"
  })
  void regionSlicesTheRootThatARangeIsIn() {
    ByteBuffer second = ByteBuffer.allocateDirect(8).order(ByteOrder.LITTLE_ENDIAN);
    second.put(3, (byte) 77);
    List<ByteBuffer> roots = List.of(ByteBuffer.allocateDirect(16), second);
    Region region = new Region(0, MemorySource.ROOT_BYTES + 8, true, 4096, roots);
    ByteBuffer slice = region.slice(MemorySource.ROOT_BYTES + 2, 4);
    assertEquals(4, slice.capacity());
    assertEquals(77, slice.get(1));
    assertEquals(ByteOrder.BIG_ENDIAN, slice.order());
    assertEquals(0, region.slice(region.bytes(), 0).capacity());
    assertEquals(16, region.slice(0, 16).capacity());
    IllegalArgumentException crossing =
        assertThrows(IllegalArgumentException.class, () -> region.slice(0, 17));
    assertTrue(crossing.getMessage().contains("largest block that can be viewed has 16 bytes"));
    assertThrows(IllegalArgumentException.class, () -> region.slice(region.bytes() - 3, 4));
    assertThrows(IllegalArgumentException.class, () -> region.slice(region.bytes() + 1, 0));
    assertThrows(IllegalArgumentException.class, () -> region.slice(-1, 1));
    assertThrows(IllegalArgumentException.class, () -> region.slice(1, -1));
  }

  @Test
  @Clause("UnsupportedOperationException if the region has no root buffers")
  void regionWithoutRootsSlicesNothing() {
    Region addressed = new Region(3, 8, false, 4096, List.of());
    assertThrows(UnsupportedOperationException.class, () -> addressed.slice(0, 8));
    assertThrows(IllegalArgumentException.class, () -> addressed.slice(4, 8));
  }
}
