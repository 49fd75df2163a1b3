/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.spi;

import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/**
 * What every {@link MemorySource} does whose memory can be looked at: the clauses of {@link
 * AddressOnlyContract} and those about contents. Each test is named after the sentences of the port
 * that it checks. A subclass names the source and says how exact its platform is ({@link
 * MemorySourceFixture}); it needs some 20 MiB of free memory on each node under test, and 4 GiB of
 * address space.
 */
public abstract class MemorySourceContract extends AddressOnlyContract {
  private static final int CHUNK = (int) CHUNK_BYTES;

  @Test
  @Clause(
      "the i-th views the bytes from offset i * MemorySource.ROOT_BYTES, at least that many or to"
          + " the end")
  void rootsCoverTheRegion() {
    Region region = reserve(MemorySource.ROOT_BYTES + CHUNK_BYTES);
    commit(region, 0, CHUNK_BYTES);
    commit(region, MemorySource.ROOT_BYTES, CHUNK_BYTES);
    view(region, MemorySource.ROOT_BYTES, CHUNK).put(0, (byte) 1).put(CHUNK - 1, (byte) 2);
    assertEquals(2, region.roots().size());
    assertTrue(region.roots().get(0).capacity() >= MemorySource.ROOT_BYTES);
    ByteBuffer last = region.roots().get(1);
    assertEquals(CHUNK, last.capacity());
    assertEquals(1, last.get(0));
    assertEquals(2, last.get(CHUNK - 1));
    assertZeros(view(region, 0, CHUNK));
    assertZeros(region.roots().get(0).slice(0, CHUNK));
  }

  @Test
  @Clause("Backs a range with memory of the region's node")
  void committedRangeHoldsWhatIsWritten() {
    Region region = reserve(3 * CHUNK_BYTES);
    commit(region, CHUNK_BYTES, CHUNK_BYTES);
    fill(view(region, CHUNK_BYTES, CHUNK), 7);
    assertFilled(view(region, CHUNK_BYTES, CHUNK), 7);
    assertEquals(7, view(region, 0, 3 * CHUNK).get(CHUNK));
    assertEquals(7, view(region, 0, 3 * CHUNK).get(2 * CHUNK - 1));
    assertResident(region, CHUNK_BYTES, CHUNK_BYTES);
  }

  @Test
  @Clause("zeroed unless something wrote to the range while it was not committed.")
  void committedRangeIsZeroed() {
    long page = source.osPageBytes();
    Region region = reserve(3 * CHUNK_BYTES);
    commit(region, CHUNK_BYTES, CHUNK_BYTES);
    assertZeros(view(region, CHUNK_BYTES, CHUNK));
    for (long offset : new long[] {0, 3 * page, CHUNK - page}) {
      commit(region, offset, page);
      ByteBuffer range = view(region, offset, (int) page);
      assertZeros(range);
      fill(range, 1);
    }
    for (int round = 1; round <= 3; round++) {
      source.purge(region, 0, region.bytes());
      commit(region, 0, region.bytes());
      assertZeros(view(region, 0, 3 * CHUNK));
      fill(view(region, 0, 3 * CHUNK), round);
    }
  }

  @Test
  @Clause("zeroed unless something wrote to the range while it was not committed.")
  void regionsDoNotShareMemory() {
    Region one = reserve(CHUNK_BYTES);
    Region other = reserve(CHUNK_BYTES);
    commit(one, 0, CHUNK_BYTES);
    fill(view(one, 0, CHUNK), 1);
    commit(other, 0, CHUNK_BYTES);
    assertZeros(view(other, 0, CHUNK));
    fill(view(other, 0, CHUNK), 2);
    assertFilled(view(one, 0, CHUNK), 1);
  }

  @Test
  @Clause("Committing what is committed keeps its content.")
  void committingWhatIsCommittedKeepsItsContent() {
    Region region = reserve(3 * CHUNK_BYTES);
    commit(region, 0, 2 * CHUNK_BYTES);
    fill(view(region, 0, 2 * CHUNK), 5);
    commit(region, CHUNK_BYTES, 2 * CHUNK_BYTES);
    commit(region, source.osPageBytes(), source.osPageBytes());
    assertFilled(view(region, 0, 2 * CHUNK), 5);
    assertZeros(view(region, 2 * CHUNK_BYTES, CHUNK));
  }

  @Test
  @Clause({
    "as far as they can be moved.",
    "Addresses and content stay, and others may read and write them meanwhile."
  })
  void movedRangesKeepWhatIsWrittenToThemMeanwhile() throws Exception {
    if (!moves()) {
      return;
    }
    Region region = reserve(4 * CHUNK_BYTES);
    commit(region, 0, region.bytes());
    int words = 4 * CHUNK / Long.BYTES;
    int[] nodes = nodesUnderTest(source).stream().toArray();
    AtomicInteger writing = new AtomicInteger(THREADS - 1);
    inThreads(
        thread -> {
          ByteBuffer all = view(region, 0, 4 * CHUNK);
          if (thread == 0) {
            // Moves as long as others write, and each way at least once.
            for (int round = 0; round < 2 * nodes.length || writing.get() > 0; round++) {
              source.move(region, CHUNK_BYTES, 2 * CHUNK_BYTES, nodes[round % nodes.length]);
            }
            return 0;
          }
          try {
            // Each its own words, of all pages; what it wrote the round before must be there.
            for (long round = 0; round < 20; round++) {
              for (int word = thread; word < words; word += 16 * THREADS) {
                long before = round == 0 ? 0 : word * 31L + round - 1;
                assertEquals(before, all.getLong(word * Long.BYTES));
                all.putLong(word * Long.BYTES, word * 31L + round);
              }
            }
          } finally {
            writing.decrementAndGet();
          }
          return 0;
        });
  }

  @Test
  @Clause("until it is moved again or purged.")
  void movedRangesReadAsZerosOncePurged() {
    if (!moves()) {
      return;
    }
    Region region = reserve(2 * CHUNK_BYTES);
    commit(region, 0, region.bytes());
    fill(view(region, 0, 2 * CHUNK), 3);
    move(region, CHUNK_BYTES / 2, CHUNK_BYTES, nodesUnderTest(source).last());
    assertFilled(view(region, 0, 2 * CHUNK), 3);
    source.purge(region, CHUNK_BYTES / 2, CHUNK_BYTES);
    assertZeros(view(region, CHUNK_BYTES / 2, CHUNK));
    assertFilled(view(region, 0, CHUNK / 2), 3);
    commit(region, 0, region.bytes());
    assertZeros(view(region, CHUNK_BYTES / 2, CHUNK));
    assertFilled(view(region, 3 * CHUNK_BYTES / 2, CHUNK / 2), 3);
  }

  @Test
  @Clause({
    "zeroed unless something wrote to the range while it was not committed.",
    "Committing what is committed keeps its content.",
    "The range reads as zeros afterwards"
  })
  void aStripedRegionHoldsWhatIsWritten() {
    int page = source.osPageBytes();
    Region region = reserve(Stripe.even(nodesToStripe(source)), 3 * CHUNK_BYTES);
    commit(region, page, CHUNK_BYTES);
    assertZeros(view(region, page, CHUNK));
    fill(view(region, page, CHUNK), 4);
    commit(region, 0, 2 * CHUNK_BYTES);
    assertZeros(view(region, 0, page));
    assertFilled(view(region, page, CHUNK), 4);
    assertZeros(view(region, page + CHUNK_BYTES, CHUNK - page));
    source.purge(region, 2L * page, CHUNK_BYTES);
    assertZeros(view(region, 2L * page, CHUNK));
    assertFilled(view(region, page, page), 4);
    commit(region, 0, region.bytes());
    assertZeros(view(region, 2L * page, CHUNK));
    assertResident(region, 0, region.bytes());
  }

  @Test
  @Clause({
    "Whatever breaks this rule is an IllegalArgumentException and changes nothing.",
    "and none writes to memory that was, except that purge and release may zero it."
  })
  void whatIsCommittedIsWrittenByItsUserOnly() {
    Region region = reserve(firstNode(), bytesBeyondNode(source, firstNode()).orElseThrow());
    Region other = reserve(2 * CHUNK_BYTES);
    long page = source.osPageBytes();
    commit(region, 0, CHUNK_BYTES);
    fill(view(region, 0, CHUNK), 3);
    assertFalse(source.commit(region, 0, region.bytes()).isCommitted());
    source.residency(region, 0, 2 * CHUNK_BYTES);
    assertIllegal(() -> source.commit(region, 1, page));
    assertIllegal(() -> source.purge(region, 1, page));
    assertIllegal(() -> source.purge(region, 0, page + 1));
    assertIllegal(() -> source.purge(region, 0, region.bytes() + page));
    commit(region, CHUNK_BYTES, page);
    source.purge(region, CHUNK_BYTES, page);
    commit(other, 0, CHUNK_BYTES);
    source.purge(other, 0, CHUNK_BYTES);
    release(other);
    assertFilled(view(region, 0, CHUNK), 3);
  }

  @Test
  @Clause("Every method may be called by any number of threads at once.")
  void threadsWriteToDisjointRangesAtOnce() throws Exception {
    int chunks = 2 * THREADS;
    Region region = reserve(chunks * CHUNK_BYTES);
    inThreads(
        thread -> {
          for (int chunk = thread; chunk < chunks; chunk += THREADS) {
            long offset = chunk * CHUNK_BYTES;
            commit(region, offset, CHUNK_BYTES);
            fill(view(region, offset, CHUNK), thread + 1);
            source.purge(region, offset, CHUNK_BYTES / 2);
            commit(region, offset, CHUNK_BYTES / 2);
          }
          return thread;
        });
    for (int chunk = 0; chunk < chunks; chunk++) {
      long offset = chunk * CHUNK_BYTES;
      assertZeros(view(region, offset, CHUNK / 2));
      assertFilled(view(region, offset + CHUNK / 2, CHUNK / 2), chunk % THREADS + 1);
    }
  }

  @Test
  @Clause("The range reads as zeros afterwards")
  void purgedRangeReadsZeros() {
    Region region = reserve(3 * CHUNK_BYTES);
    commit(region, 0, region.bytes());
    fill(view(region, 0, 3 * CHUNK), 9);
    int offset = source.osPageBytes();
    source.purge(region, offset, CHUNK_BYTES);
    assertZeros(view(region, offset, CHUNK));
    assertFilled(view(region, 0, offset), 9);
    assertFilled(view(region, offset + CHUNK_BYTES, 2 * CHUNK - offset), 9);
    source.purge(region, 0, region.bytes());
    assertZeros(view(region, 0, 3 * CHUNK));
  }

  @Test
  @Clause("a stray access to it is harmless.")
  void strayAccessToAPurgedRangeIsHarmless() {
    Region region = reserve(CHUNK_BYTES);
    commit(region, 0, CHUNK_BYTES);
    ByteBuffer range = view(region, 0, CHUNK);
    source.purge(region, 0, CHUNK_BYTES);
    assertEquals(0, range.get(CHUNK - 1));
    range.put(0, (byte) 1);
    commit(region, 0, CHUNK_BYTES);
    assertResident(region, 0, CHUNK_BYTES);
  }

  @Test
  @Clause({
    "a direct, big-endian buffer of exactly that capacity",
    "offset of the range's first byte in the region, in bytes; any",
    "bytes the range's length, 0 … 2^31 − 1; any"
  })
  void viewIsExact() {
    Region region = reserve(2 * CHUNK_BYTES);
    commit(region, 0, region.bytes());
    ByteBuffer whole = view(region, 0, 2 * CHUNK);
    int[][] ranges = {{0, 0}, {0, 1}, {1, 6}, {CHUNK - 3, 7}, {2 * CHUNK - 1, 1}, {2 * CHUNK, 0}};
    for (int[] range : ranges) {
      ByteBuffer view = source.view(region, range[0], range[1]);
      assertTrue(view.isDirect());
      assertFalse(view.isReadOnly());
      assertEquals(ByteOrder.BIG_ENDIAN, view.order());
      assertEquals(range[1], view.capacity());
      assertEquals(range[1], view.limit());
      assertEquals(0, view.position());
      for (int i = 0; i < view.capacity(); i++) {
        view.put(i, (byte) (i + 1));
        assertEquals(i + 1, whole.get(range[0] + i));
      }
    }
  }

  @Test
  @Clause("bytes the range's length, 0 … 2^31 − 1; any")
  void viewReachesTheEdgesOfRoots() {
    Region region = reserve(2 * MemorySource.ROOT_BYTES);
    int root = (int) MemorySource.ROOT_BYTES;
    assertEquals(root, view(region, 0, root).capacity());
    assertEquals(root, view(region, MemorySource.ROOT_BYTES, root).capacity());
    for (long offset : new long[] {0, root - 1L, root, 2L * root - 1}) {
      assertEquals(1, view(region, offset, 1).capacity());
      assertEquals(0, view(region, offset, 0).capacity());
    }
    assertEquals(0, view(region, 2L * root, 0).capacity());
    assertIllegal(() -> source.view(region, 2L * root, 1));
    assertIllegal(() -> source.view(region, 2L * root + 1, 0));
  }

  @Test
  @Clause("IllegalArgumentException if the range is not in the region")
  void viewOutsideTheRegionIsRefused() {
    Region region = reserve(CHUNK_BYTES);
    long[][] ranges = {
      {-1, 1},
      {-1, 0},
      {0, -1},
      {1, CHUNK},
      {CHUNK, 1},
      {CHUNK + 1, 0},
      {0, Integer.MAX_VALUE},
      {0, Integer.MIN_VALUE},
      {Long.MAX_VALUE, 1},
      {Long.MIN_VALUE, 1}
    };
    for (long[] range : ranges) {
      assertIllegal(() -> source.view(region, range[0], (int) range[1]));
    }
  }

  @Test
  @Clause({
    "Returns a buffer over a range that may be larger than the region's own root buffers can show.",
    "or crosses more root buffers than one buffer can show; the message names the largest block"
        + " that the source can view"
  })
  void viewAcrossRootsIsExactOrRefused() {
    Region region = reserve(MemorySource.ROOT_BYTES + 2 * CHUNK_BYTES);
    long offset = MemorySource.ROOT_BYTES - CHUNK_BYTES;
    commit(region, offset, 3 * CHUNK_BYTES);
    fill(view(region, offset, CHUNK), 1);
    fill(view(region, MemorySource.ROOT_BYTES, 2 * CHUNK), 2);
    if (viewsCrossRoots()) {
      ByteBuffer view = view(region, offset, 3 * CHUNK);
      assertFilled(view.slice(0, CHUNK), 1);
      assertFilled(view.slice(CHUNK, 2 * CHUNK), 2);
    } else {
      String message = assertIllegal(() -> source.view(region, offset + CHUNK - 1, 2));
      assertTrue(message.matches("(?s).*largest block.*\\d.*"), message);
    }
  }

  @Test
  @Clause({
    "After release a region may not be used again: IllegalStateException.",
    "A region of another source is an IllegalArgumentException."
  })
  void viewOfAReleasedOrForeignRegionIsRefused() {
    Region region = reserve(CHUNK_BYTES);
    commit(region, 0, CHUNK_BYTES);
    release(region);
    assertAll(
        () -> assertStale(() -> source.view(region, 0, CHUNK)),
        () -> assertStale(() -> source.view(region, 0, 0)),
        () -> assertIllegal(() -> source.view(foreign(), 0, 1)));
  }

  @Test
  @Clause({
    "Returns the address of a direct buffer's index 0, for a JVM that will not tell the core"
        + " itself.",
    "buffer a direct buffer",
    "its address",
    "UnsupportedOperationException if the source cannot know it",
    "of the first byte where the whole region is contiguous, or 0 where only the roots know"
  })
  void addressesOfBuffersAreThoseOfTheRegionOrNotKnown() {
    Region region = reserve(CHUNK_BYTES);
    ByteBuffer view = view(region, 0, CHUNK);
    long address;
    try {
      address = source.addressOf(view);
    } catch (UnsupportedOperationException e) {
      return;
    }
    assertEquals(address, source.addressOf(view.duplicate().position(3)));
    assertEquals(address + 17, source.addressOf(source.view(region, 17, 5)));
    assertTrue(region.address() == 0 || region.address() == address);
  }

  @Test
  @Clause({
    "its address space as soon as no buffer that views it can be reached any more, so that a stale"
        + " buffer reads zeros and never faults.",
    "which keeps the region mapped"
  })
  void staleBufferReadsZeros() {
    Region region = reserve(2 * CHUNK_BYTES);
    commit(region, 0, CHUNK_BYTES);
    ByteBuffer slice = view(region, 0, CHUNK).slice(1, CHUNK - 1);
    fill(slice, 6);
    release(region);
    Region next = reserve(2 * CHUNK_BYTES);
    commit(next, 0, 2 * CHUNK_BYTES);
    fill(view(next, 0, 2 * CHUNK), 8);
    System.gc();
    assertZeros(slice);
  }
}
