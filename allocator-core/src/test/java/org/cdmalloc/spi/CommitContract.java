/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.spi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

/**
 * How memory comes, by the accounts: free bytes and residency. Where the neighbourhood of a range
 * must stay as it was, ranges are chunks: a kernel may back a whole huge page when one of its pages
 * is touched.
 */
abstract class CommitContract extends ReserveContract {
  @Test
  @Clause({
    "Either all of the range is then resident there",
    "The range is resident on its node",
    "CommitResult.COMMITTED, or what was full",
    "Tells whether the range is committed."
  })
  void committedRangeLiesOnItsNode() {
    for (int node : nodesUnderTest(source).stream().toArray()) {
      Region region = reserve(node, 3 * CHUNK_BYTES);
      CommitResult result = source.commit(region, CHUNK_BYTES, CHUNK_BYTES);
      assertEquals(CommitResult.COMMITTED, result);
      assertTrue(result.isCommitted());
      assertResident(region, CHUNK_BYTES, CHUNK_BYTES);
    }
  }

  @Test
  @Clause(
      "No method touches memory that was not committed, though a kernel may back the rest of a huge"
          + " page")
  void whatIsNotCommittedIsNotTouched() {
    Region region = reserve(5 * CHUNK_BYTES);
    commit(region, CHUNK_BYTES, CHUNK_BYTES);
    commit(region, 3 * CHUNK_BYTES, CHUNK_BYTES);
    source.residency(region, 0, region.bytes());
    source.purge(region, 3 * CHUNK_BYTES, CHUNK_BYTES);
    assertAbsent(region, 0, CHUNK_BYTES);
    assertAbsent(region, 2 * CHUNK_BYTES, CHUNK_BYTES);
    assertAbsent(region, 4 * CHUNK_BYTES, CHUNK_BYTES);
  }

  @Test
  @Clause({"offset of the range's first byte in the region", "bytes the range's length, positive"})
  void everyPageCanBeCommittedAlone() {
    long page = source.osPageBytes();
    Region region = reserve(CHUNK_BYTES);
    for (long offset : new long[] {0, 3 * page, CHUNK_BYTES - page}) {
      commit(region, offset, page);
      assertResident(region, offset, page);
    }
  }

  @Test
  @Clause({
    "Returns the memory of a node that nothing uses at this moment, by the platform's own account."
  })
  void freeBytesFollowWhatIsCommitted() {
    long bytes = 2 * CHUNK_BYTES;
    Region region = reserve(2 * bytes);
    long before = source.freeBytes(region.node());
    commit(region, 0, bytes);
    assertFree(before - bytes, region.node());
    commit(region, 0, bytes);
    assertFree(before - bytes, region.node());
    commit(region, bytes / 2, bytes);
    assertFree(before - bytes - bytes / 2, region.node());
    source.purge(region, 0, bytes / 2);
    assertFree(before - bytes, region.node());
    release(region);
    assertFree(before, region.node());
  }

  @Test
  @Clause({
    "A node or a limit that is full is a value, CommitResult: expected",
    "and nothing of the range is then committed",
    "or nothing is, and the result says what was full",
    "Never ends in a kill by the kernel where a check with a margin could have told.",
    "for what was full, the figures that decided, as name=value pairs; for what is committed, what"
        + " had lain elsewhere for a moment; else empty"
  })
  void fullNodeIsAValue() {
    int node = firstNode();
    Region region = reserve(node, bytesBeyondNode(source, node).orElseThrow());
    long before = source.freeBytes(node);
    CommitResult result = source.commit(region, 0, region.bytes());
    assertFalse(result.isCommitted());
    assertTrue(result.detail().matches("[^=,]+=[^=,]+(, [^=,]+=[^=,]+)*"), result.detail());
    assertAbsent(region, 0, CHUNK_BYTES);
    assertAbsent(region, region.bytes() - CHUNK_BYTES, CHUNK_BYTES);
    assertFree(before, region.node());
    CommitResult little = source.commit(region, 0, CHUNK_BYTES);
    assertTrue(little.isCommitted(), little::toString);
    assertEquals("", little.detail());
    assertResident(region, 0, CHUNK_BYTES);
  }

  @Test
  @Clause({"and nothing of the range is then committed", "or nothing is"})
  void whatWasCommittedBeforeStaysWhenTheRestDoesNotFit() {
    int node = firstNode();
    Region region = reserve(node, bytesBeyondNode(source, node).orElseThrow());
    commit(region, 0, CHUNK_BYTES);
    long before = source.freeBytes(node);
    assertFalse(source.commit(region, 0, region.bytes()).isCommitted());
    assertResident(region, 0, CHUNK_BYTES);
    assertAbsent(region, region.bytes() - CHUNK_BYTES, CHUNK_BYTES);
    assertFree(before, node);
  }
}
