/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.spi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

/** How memory goes, and how a source tells where it is. */
abstract class PurgeContract extends CommitContract {
  private void assertPurged(Region region, long offset, long bytes, long committedBytes) {
    long back = source.purge(region, offset, bytes);
    assertTrue(back >= 0 && back <= committedBytes, "back=" + back + ", was=" + committedBytes);
  }

  @Test
  @Clause("and holds nothing until it is committed again")
  void purgedRangeIsGone() {
    Region region = reserve(3 * CHUNK_BYTES);
    commit(region, 0, region.bytes());
    long offset = source.osPageBytes();
    source.purge(region, offset, CHUNK_BYTES);
    assertAbsent(region, offset, CHUNK_BYTES);
    assertResident(region, 0, offset);
    long end = offset + CHUNK_BYTES;
    assertResident(region, end, region.bytes() - end);
    commit(region, offset, CHUNK_BYTES);
    assertResident(region, 0, region.bytes());
  }

  @Test
  @Clause("Gives the memory of a range back, whether or not all of it is committed")
  void purgingWhatIsNotCommittedHoldsNothing() {
    Region region = reserve(2 * CHUNK_BYTES);
    long before = source.freeBytes(region.node());
    commit(region, 0, CHUNK_BYTES);
    source.purge(region, CHUNK_BYTES, CHUNK_BYTES);
    assertAbsent(region, CHUNK_BYTES, CHUNK_BYTES);
    assertResident(region, 0, CHUNK_BYTES);
    source.purge(region, 0, 2 * CHUNK_BYTES);
    source.purge(region, 0, CHUNK_BYTES);
    assertAbsent(region, 0, 2 * CHUNK_BYTES);
    assertFree(before, region.node());
  }

  @Test
  @Clause("the bytes that the platform really took back: 0 where a source can only zero")
  void noMoreComesBackThanWasThere() {
    Region region = reserve(4 * CHUNK_BYTES);
    assertPurged(region, 0, region.bytes(), 0);
    commit(region, CHUNK_BYTES, CHUNK_BYTES);
    assertPurged(region, 0, region.bytes(), CHUNK_BYTES);
    assertPurged(region, 0, region.bytes(), 0);
    commit(region, 0, region.bytes());
    assertPurged(region, CHUNK_BYTES, source.osPageBytes(), source.osPageBytes());
    assertPurged(region, 0, region.bytes(), region.bytes() - source.osPageBytes());
  }

  @Test
  @Clause({
    "Asks where the pages of a range lie.",
    "one entry per OS page: a node, or a negative value of Residency",
    "Returns the number of pages asked about.",
    "from 0, in address order"
  })
  void residencyHasAnEntryForEachPage() {
    Region region = reserve(3 * CHUNK_BYTES);
    commit(region, CHUNK_BYTES, CHUNK_BYTES);
    int page = source.osPageBytes();
    Residency residency = source.residency(region, CHUNK_BYTES - page, CHUNK_BYTES + 2L * page);
    assertEquals(page, residency.osPageBytes());
    assertEquals(CHUNK_BYTES / page + 2, residency.pages());
    for (int i = 0; i < residency.pages(); i++) {
      int node = residency.node(i);
      boolean committed = i > 0 && i < residency.pages() - 1;
      assertTrue(committed ? node != Residency.NOT_PRESENT : node < 0, residency::toString);
      assertTrue(
          node < 0
              ? node == Residency.NOT_PRESENT || node == Residency.UNKNOWN
              : source.machine().online().contains(node),
          residency::toString);
    }
    assertEquals(1, source.residency(region, region.bytes() - page, page).pages());
    assertEquals(3 * CHUNK_BYTES / page, source.residency(region, 0, region.bytes()).pages());
  }

  @Test
  @Clause("Never brings a page in.")
  void askingWherePagesLieBringsNoneIn() {
    Region region = reserve(3 * CHUNK_BYTES);
    commit(region, CHUNK_BYTES, CHUNK_BYTES);
    long free = source.freeBytes(region.node());
    for (int round = 0; round < 3; round++) {
      source.residency(region, 0, region.bytes());
    }
    assertAbsent(region, 0, CHUNK_BYTES);
    assertAbsent(region, 2 * CHUNK_BYTES, CHUNK_BYTES);
    assertFree(free, region.node());
  }
}
