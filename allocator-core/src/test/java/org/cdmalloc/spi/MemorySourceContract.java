/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.spi;

import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.OptionalLong;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.Test;

/**
 * What every {@link MemorySource} does: a test for each clause of the port, with the clause above
 * the assertion. A subclass names the source and says how exact its platform is ({@link
 * MemorySourceFixture}); it needs some 20 MiB of free memory on each node under test, and 3 GiB of
 * address space.
 *
 * <p>Where the neighbourhood of a range must stay as it was, ranges are chunks of {@link
 * #CHUNK_BYTES}: a kernel may back a whole huge page when one of its pages is touched.
 */
public abstract class MemorySourceContract extends MemorySourceFixture {
  private static final int CHUNK = (int) CHUNK_BYTES;
  private static final int NO_SUCH_NODE = NodeMask.MAX_NODES - 1;

  @Test
  void factsAboutTheSourceDoNotChange() {
    // "a word: linux, emulated"
    assertTrue(source.name().matches("[a-z]+"), source.name());
    assertEquals(source.name(), source.name());
    assertEquals(source.isReal(), source.isReal());
    // "its online nodes as they were when the source was opened"
    assertEquals(source.machine(), source.machine());
    // "a power of two, in bytes: 4, 16 or 64 KiB"
    assertTrue(List.of(4 << 10, 16 << 10, 64 << 10).contains(source.osPageBytes()));
    assertEquals(source.osPageBytes(), source.osPageBytes());
    // "bytes, positive"
    assertTrue(source.limitBytes() > 0);
    // "the same value each time"
    assertEquals(source.diagnosis(), source.diagnosis());
  }

  @Test
  void everyThreadRunsOnANodeOfTheMachine() throws Exception {
    // "a node of machine()"
    for (int node : inThreads(thread -> source.currentNode())) {
      assertTrue(source.machine().online().contains(node), "node=" + node);
    }
  }

  @Test
  void freeBytesBelongToANode() {
    for (Node node : source.machine().nodes()) {
      long free = source.freeBytes(node.id());
      // "bytes, not negative; 0 for a node without memory"
      assertTrue(node.hasMemory() ? free >= 0 : free == 0, node + ", free=" + free);
    }
    // "IllegalArgumentException if the machine has no such node"
    assertIllegal(() -> source.freeBytes(NO_SUCH_NODE));
    assertIllegal(() -> source.freeBytes(-1));
  }

  @Test
  void reserveUsesNoMemory() {
    long before = source.freeBytes(firstNode());
    Region region = reserve(4 * CHUNK_BYTES);
    // "No memory is used yet."
    assertAbsent(region, 0, region.bytes());
    assertFree(before, firstNode());
  }

  @Test
  void reserveRefusesWhatIsNoRegion() {
    int node = firstNode();
    long page = source.osPageBytes();
    // "if there is no such node, it has no memory, or the size is not as said"
    assertIllegal(() -> source.reserve(NO_SUCH_NODE, CHUNK_BYTES));
    assertIllegal(() -> source.reserve(-1, CHUNK_BYTES));
    for (Node other : source.machine().nodes()) {
      if (!other.hasMemory()) {
        assertIllegal(() -> source.reserve(other.id(), CHUNK_BYTES));
      }
    }
    // "positive, a whole multiple of osPageBytes()"
    for (long bytes : new long[] {0, -page, page / 2, page + 1, Long.MIN_VALUE}) {
      assertIllegal(() -> source.reserve(node, bytes));
    }
  }

  @Test
  void regionIsOfItsNode() {
    for (int node : nodesUnderTest(source).stream().toArray()) {
      Region region = reserve(node, CHUNK_BYTES);
      assertEquals(node, region.node());
      assertEquals(CHUNK_BYTES, region.bytes());
      // "Region.isBound() is false if the platform refuses to bind, and diagnosis() then says why"
      assertTrue(region.isBound() || !source.diagnosis().findings().isEmpty());
      assertTrue(region.isBound() || !source.diagnosis().binds());
    }
  }

  @Test
  void rootsCoverTheRegion() {
    Region region = reserve(MemorySource.ROOT_BYTES + CHUNK_BYTES);
    // "empty for a region that cannot be viewed, which must then have an address"
    assumeFalse(region.roots().isEmpty(), "the source has no buffers to look at");
    commit(region, 0, CHUNK_BYTES);
    commit(region, MemorySource.ROOT_BYTES, CHUNK_BYTES);
    view(region, MemorySource.ROOT_BYTES, CHUNK).put(0, (byte) 1).put(CHUNK - 1, (byte) 2);
    // "the i-th views the bytes from offset i * MemorySource.ROOT_BYTES, at least that many or to
    // the
    // end"
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
  void committedRangeIsZeroedAndHoldsWhatIsWritten() {
    Region region = reserve(3 * CHUNK_BYTES);
    // "CommitResult.COMMITTED, or what was full"
    assertEquals(CommitResult.COMMITTED, source.commit(region, CHUNK_BYTES, CHUNK_BYTES));
    ByteBuffer range = view(region, CHUNK_BYTES, CHUNK);
    // "Backs a range with memory of the region's node, zeroed."
    assertZeros(range);
    fill(range, 7);
    assertFilled(view(region, CHUNK_BYTES, CHUNK), 7);
    assertEquals(7, view(region, 0, 3 * CHUNK).get(CHUNK));
    assertEquals(7, view(region, 0, 3 * CHUNK).get(2 * CHUNK - 1));
  }

  @Test
  void committedRangeLiesOnItsNode() {
    for (int node : nodesUnderTest(source).stream().toArray()) {
      Region region = reserve(node, 3 * CHUNK_BYTES);
      commit(region, CHUNK_BYTES, CHUNK_BYTES);
      // "all of the range is then resident on that node"
      assertResident(region, CHUNK_BYTES, CHUNK_BYTES);
      // "No method touches memory that was not committed"
      assertAbsent(region, 0, CHUNK_BYTES);
      assertAbsent(region, 2 * CHUNK_BYTES, CHUNK_BYTES);
    }
  }

  @Test
  void everyPageCanBeCommittedAlone() {
    long page = source.osPageBytes();
    Region region = reserve(CHUNK_BYTES);
    for (long offset : new long[] {0, 3 * page, CHUNK - page}) {
      commit(region, offset, page);
      assertResident(region, offset, page);
      ByteBuffer range = view(region, offset, (int) page);
      assertZeros(range);
      fill(range, 1);
    }
  }

  @Test
  void committingWhatIsCommittedKeepsItsContent() {
    Region region = reserve(3 * CHUNK_BYTES);
    commit(region, 0, 2 * CHUNK_BYTES);
    fill(view(region, 0, 2 * CHUNK), 5);
    commit(region, CHUNK_BYTES, 2 * CHUNK_BYTES);
    commit(region, source.osPageBytes(), source.osPageBytes());
    // "Committing what is committed keeps its content."
    assertFilled(view(region, 0, 2 * CHUNK), 5);
    assertZeros(view(region, 2 * CHUNK_BYTES, CHUNK));
  }

  @Test
  void regionsDoNotShareMemory() {
    Region one = reserve(CHUNK_BYTES);
    Region other = reserve(CHUNK_BYTES);
    commit(one, 0, CHUNK_BYTES);
    fill(view(one, 0, CHUNK), 1);
    commit(other, 0, CHUNK_BYTES);
    // "Backs a range with memory of the region's node, zeroed."
    assertZeros(view(other, 0, CHUNK));
    fill(view(other, 0, CHUNK), 2);
    assertFilled(view(one, 0, CHUNK), 1);
  }

  @Test
  void freeBytesFollowWhatIsCommitted() {
    long bytes = 2 * CHUNK_BYTES;
    Region region = reserve(2 * bytes);
    long before = source.freeBytes(region.node());
    commit(region, 0, bytes);
    // "the memory of a node that nothing uses at this moment"
    assertFree(before - bytes, region.node());
    commit(region, 0, bytes);
    assertFree(before - bytes, region.node());
    commit(region, bytes / 2, bytes);
    assertFree(before - bytes - bytes / 2, region.node());
    source.purge(region, 0, bytes / 2);
    assertFree(before - bytes, region.node());
    // "Gives up a region: all its memory at once"
    release(region);
    assertFree(before, region.node());
  }

  @Test
  void rangesThatAreNoneAreRefusedAndChangeNothing() {
    Region region = reserve(2 * CHUNK_BYTES);
    long page = source.osPageBytes();
    commit(region, 0, CHUNK_BYTES);
    fill(view(region, 0, CHUNK), 3);
    long[][] ranges = {
      {0, 0},
      {0, -page},
      {-page, page},
      {-page, 2 * page},
      {1, page},
      {page / 2, page},
      {0, page - 1},
      {0, page + 1},
      {0, 2 * CHUNK_BYTES + page},
      {2 * CHUNK_BYTES, page},
      {CHUNK_BYTES, 2 * CHUNK_BYTES},
      {4 * CHUNK_BYTES, page},
      {page, Long.MAX_VALUE - page + 1},
      {Long.MAX_VALUE - page + 1, page},
      {Long.MIN_VALUE, page},
      {0, Long.MIN_VALUE},
    };
    for (long[] range : ranges) {
      // "whole multiples of osPageBytes(), and lie in the region. Whatever breaks this rule is an
      // IllegalArgumentException"
      assertIllegal(() -> source.commit(region, range[0], range[1]));
      assertIllegal(() -> source.purge(region, range[0], range[1]));
      assertIllegal(() -> source.residency(region, range[0], range[1]));
    }
    // "and changes nothing"
    assertFilled(view(region, 0, CHUNK), 3);
    assertAbsent(region, CHUNK_BYTES, CHUNK_BYTES);
  }

  @Test
  void fullNodeIsAValue() {
    int node = firstNode();
    OptionalLong beyond = bytesBeyondNode(source, node);
    assumeTrue(beyond.isPresent(), "filling a node of this host could harm it");
    Region region = reserve(node, beyond.getAsLong());
    long before = source.freeBytes(node);
    // "A node or a limit that is full is a value"
    CommitResult result = source.commit(region, 0, region.bytes());
    assertFalse(result.isCommitted());
    // "for what was full, the figures that decided, as name=value pairs"
    assertTrue(result.detail().matches("[^=,]+=[^=,]+(, [^=,]+=[^=,]+)*"), result.detail());
    // "nothing of the range is then committed"
    assertAbsent(region, 0, CHUNK_BYTES);
    assertAbsent(region, region.bytes() - CHUNK_BYTES, CHUNK_BYTES);
    assertFree(before, region.node());
    commit(region, 0, CHUNK_BYTES);
    assertResident(region, 0, CHUNK_BYTES);
  }

  @Test
  void threadsCommitDisjointRangesAtOnce() throws Exception {
    long chunksPerThread = 2;
    Region region = reserve(THREADS * chunksPerThread * CHUNK_BYTES);
    long before = source.freeBytes(region.node());
    // "Every method may be called by any number of threads at once."
    inThreads(
        thread -> {
          for (int i = 0; i < chunksPerThread; i++) {
            long offset = (long) (i * THREADS + thread) * CHUNK;
            commit(region, offset, CHUNK_BYTES);
            fill(view(region, offset, CHUNK), thread + 1);
            source.purge(region, offset, CHUNK_BYTES / 2);
            commit(region, offset, CHUNK_BYTES / 2);
          }
          return thread;
        });
    assertResident(region, 0, region.bytes());
    assertFree(before - region.bytes(), region.node());
    for (int chunk = 0; chunk < THREADS * chunksPerThread; chunk++) {
      long offset = chunk * CHUNK_BYTES;
      assertZeros(view(region, offset, CHUNK / 2));
      assertFilled(view(region, offset + CHUNK / 2, CHUNK / 2), chunk % THREADS + 1);
    }
  }

  @Test
  void purgedRangeIsGoneAndReadsZeros() {
    Region region = reserve(3 * CHUNK_BYTES);
    commit(region, 0, region.bytes());
    fill(view(region, 0, 3 * CHUNK), 9);
    long offset = source.osPageBytes();
    long bytes = CHUNK_BYTES;
    // "the bytes that the platform really took back: 0 where a source can only zero"
    long back = source.purge(region, offset, bytes);
    assertTrue(back >= 0 && back <= bytes, "back=" + back);
    // "holds nothing until it is committed again"
    assertAbsent(region, offset, bytes);
    assertResident(region, 0, offset);
    assertResident(region, offset + bytes, region.bytes() - offset - bytes);
    // "The range reads as zeros afterwards"
    assertZeros(view(region, offset, CHUNK));
    assertFilled(view(region, 0, (int) offset), 9);
    assertFilled(view(region, offset + bytes, (int) (region.bytes() - offset - bytes)), 9);
  }

  @Test
  void purgedRangeCanBeCommittedAgain() {
    Region region = reserve(2 * CHUNK_BYTES);
    for (int round = 1; round <= 3; round++) {
      commit(region, 0, region.bytes());
      assertResident(region, 0, region.bytes());
      // "Backs a range with memory of the region's node, zeroed."
      assertZeros(view(region, 0, 2 * CHUNK));
      fill(view(region, 0, 2 * CHUNK), round);
      source.purge(region, 0, region.bytes());
    }
  }

  @Test
  void purgingWhatWasNotCommittedHoldsNothing() {
    Region region = reserve(2 * CHUNK_BYTES);
    commit(region, 0, CHUNK_BYTES);
    fill(view(region, 0, CHUNK), 4);
    source.purge(region, CHUNK_BYTES, CHUNK_BYTES);
    source.purge(region, 0, 2 * CHUNK_BYTES);
    source.purge(region, 0, CHUNK_BYTES);
    // "holds nothing until it is committed again"
    assertAbsent(region, 0, 2 * CHUNK_BYTES);
    assertZeros(view(region, 0, 2 * CHUNK));
  }

  @Test
  void strayAccessToAPurgedRangeIsHarmless() {
    Region region = reserve(CHUNK_BYTES);
    commit(region, 0, CHUNK_BYTES);
    ByteBuffer range = view(region, 0, CHUNK);
    source.purge(region, 0, CHUNK_BYTES);
    // "a stray access to it is harmless"
    assertEquals(0, range.get(CHUNK - 1));
    range.put(0, (byte) 1);
    commit(region, 0, CHUNK_BYTES);
    assertResident(region, 0, CHUNK_BYTES);
  }

  @Test
  void viewIsExact() {
    Region region = reserve(2 * CHUNK_BYTES);
    commit(region, 0, region.bytes());
    ByteBuffer whole = view(region, 0, 2 * CHUNK);
    int[][] ranges = {{0, 0}, {0, 1}, {1, 6}, {CHUNK - 3, 7}, {2 * CHUNK - 1, 1}, {2 * CHUNK, 0}};
    for (int[] range : ranges) {
      ByteBuffer view = source.view(region, range[0], range[1]);
      // "a direct, big-endian buffer of exactly that capacity"
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
      // "IllegalArgumentException if the range is not in the region"
      assertIllegal(() -> source.view(region, range[0], (int) range[1]));
    }
  }

  @Test
  void viewAcrossRootsIsExactOrRefused() {
    Region region = reserve(MemorySource.ROOT_BYTES + 2 * CHUNK_BYTES);
    long offset = MemorySource.ROOT_BYTES - CHUNK_BYTES;
    commit(region, offset, 3 * CHUNK_BYTES);
    fill(view(region, offset, CHUNK), 1);
    fill(view(region, MemorySource.ROOT_BYTES, 2 * CHUNK), 2);
    if (viewsCrossRoots()) {
      // "Returns a buffer over a range that may be larger than the region's own root buffers can
      // show."
      ByteBuffer view = view(region, offset, 3 * CHUNK);
      assertFilled(view.slice(0, CHUNK), 1);
      assertFilled(view.slice(CHUNK, 2 * CHUNK), 2);
    } else {
      // "or crosses more root buffers than one buffer can show; the message names the largest
      // block"
      String message = assertIllegal(() -> source.view(region, offset + CHUNK - 1, 2));
      assertTrue(message.matches("(?s).*largest block.*\\d.*"), message);
    }
  }

  @Test
  void addressesOfBuffersAreThoseOfTheRegionOrNotKnown() {
    Region region = reserve(CHUNK_BYTES);
    ByteBuffer view = view(region, 0, CHUNK);
    long address;
    try {
      address = source.addressOf(view);
    } catch (UnsupportedOperationException e) {
      // "if the source cannot know it"
      return;
    }
    // "the address of a direct buffer's index 0"
    assertEquals(address, source.addressOf(view.duplicate().position(3)));
    assertEquals(address + 17, source.addressOf(source.view(region, 17, 5)));
    // "of the first byte where the whole region is contiguous"
    assertTrue(region.address() == 0 || region.address() == address);
  }

  @Test
  void residencyHasAnEntryForEachPage() {
    Region region = reserve(3 * CHUNK_BYTES);
    commit(region, CHUNK_BYTES, CHUNK_BYTES);
    Residency residency = source.residency(region, 0, region.bytes());
    int pagesPerChunk = CHUNK / source.osPageBytes();
    // "one entry per OS page: a node, or a negative value of Residency"
    assertEquals(source.osPageBytes(), residency.osPageBytes());
    assertEquals(3 * pagesPerChunk, residency.pages());
    assertFalse(residency.askedBy().isBlank());
    for (int page = 0; page < residency.pages(); page++) {
      int node = residency.node(page);
      boolean committed = page / pagesPerChunk == 1;
      assertTrue(committed ? node != Residency.NOT_PRESENT : node < 0, residency::toString);
    }
    // "Never brings a page in."
    assertAbsent(region, 0, CHUNK_BYTES);
    assertAbsent(region, 2 * CHUNK_BYTES, CHUNK_BYTES);
  }

  @Test
  void releasedRegionIsRefused() {
    Region region = reserve(CHUNK_BYTES);
    commit(region, 0, CHUNK_BYTES);
    release(region);
    // "After release a region may not be used again: IllegalStateException."
    assertAll(
        () -> assertStale(() -> source.commit(region, 0, CHUNK_BYTES)),
        () -> assertStale(() -> source.purge(region, 0, CHUNK_BYTES)),
        () -> assertStale(() -> source.view(region, 0, CHUNK)),
        () -> assertStale(() -> source.residency(region, 0, CHUNK_BYTES)),
        () -> assertStale(() -> source.release(region)));
  }

  @Test
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
    // "so that a stale buffer reads zeros and never faults"
    assertZeros(slice);
  }
}
