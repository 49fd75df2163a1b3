/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.spi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.cdmalloc.NativeCallException;
import org.cdmalloc.topology.Node;
import org.junit.jupiter.api.Test;

/** How regions come and go. */
abstract class ReserveContract extends FactsContract {
  /** Beyond the addresses of every platform: those of x86-64 and AArch64 have at most 57 bits. */
  private static final long BEYOND_ADDRESSES = 1L << 60;

  @Test
  @Clause("No memory is used yet.")
  void reserveUsesNoMemory() {
    long before = source.freeBytes(firstNode());
    Region region = reserve(4 * CHUNK_BYTES);
    assertAbsent(region, 0, region.bytes());
    assertFree(before, firstNode());
  }

  @Test
  @Clause("IllegalArgumentException if there is no such node, it has no memory")
  void reserveRefusesNodesWithoutMemory() {
    assertIllegal(() -> source.reserve(NO_SUCH_NODE, CHUNK_BYTES));
    assertIllegal(() -> source.reserve(-1, CHUNK_BYTES));
    for (Node node : source.machine().nodes()) {
      if (!node.hasMemory()) {
        assertIllegal(() -> source.reserve(node.id(), CHUNK_BYTES));
      }
    }
  }

  @Test
  @Clause({
    "bytes how much, positive, a whole multiple of osPageBytes()",
    "or the size is not as said"
  })
  void reserveRefusesWhatIsNoSize() {
    int node = firstNode();
    long page = source.osPageBytes();
    for (long bytes :
        new long[] {0, -1, -page, 1, page / 2, page + 1, Long.MIN_VALUE, Long.MAX_VALUE}) {
      assertIllegal(() -> source.reserve(node, bytes));
    }
    assertEquals(page, reserve(page).bytes());
  }

  @Test
  @Clause({
    "Reserves address space whose memory shall come from one node: reserve() with Stripe.of.",
    "node a node of machine() with memory",
    "bytes how much, as there",
    "a region of that node alone",
    "Returns the node whose memory this is",
    "Returns the region's length."
  })
  void regionIsOfItsNodeAndSize() {
    long page = source.osPageBytes();
    for (int node : nodesUnderTest(source).stream().toArray()) {
      for (long bytes : new long[] {page, CHUNK_BYTES - page, CHUNK_BYTES, 3 * CHUNK_BYTES}) {
        Region region = reserve(node, bytes);
        assertEquals(node, region.node());
        assertEquals(Stripe.of(node), region.stripe());
        assertEquals(bytes, region.bytes());
      }
    }
  }

  @Test
  @Clause({
    "the region; Region.isBound() is false if the platform refuses to bind, and diagnosis() then"
        + " says why",
    "true if regions are bound to their nodes and residency can be read back",
    "Tells whether the platform took the binding to the node."
  })
  void regionIsBoundOrTheDiagnosisSaysWhyNot() {
    for (int node : nodesUnderTest(source).stream().toArray()) {
      Region region = reserve(node, CHUNK_BYTES);
      assertTrue(region.isBound() || !source.diagnosis().binds(), source.diagnosis()::toString);
      assertTrue(
          region.isBound() || !source.diagnosis().findings().isEmpty(),
          source.diagnosis()::toString);
    }
  }

  @Test
  @Clause({
    "empty for a region that cannot be viewed, which must then have an address",
    "The bytes between the starts of two root buffers of a region: 1 GiB.",
    "the i-th begins at offset i * MemorySource.ROOT_BYTES"
  })
  void regionHasAnAddressOrARootPerGibibyte() {
    assertEquals(1L << 30, MemorySource.ROOT_BYTES);
    long page = source.osPageBytes();
    for (long bytes :
        new long[] {
          page, MemorySource.ROOT_BYTES, MemorySource.ROOT_BYTES + page, 2 * MemorySource.ROOT_BYTES
        }) {
      Region region = reserve(bytes);
      if (region.roots().isEmpty()) {
        assertNotEquals(0, region.address());
        continue;
      }
      assertEquals((bytes - 1) / MemorySource.ROOT_BYTES + 1, region.roots().size());
      for (int root = 0; root < region.roots().size(); root++) {
        long rest = bytes - root * MemorySource.ROOT_BYTES;
        long capacity = region.roots().get(root).capacity();
        assertTrue(
            capacity >= Math.min(rest, MemorySource.ROOT_BYTES) && capacity <= rest,
            "root=" + root + ", capacity=" + capacity + ", rest=" + rest);
      }
    }
  }

  @Test
  @Clause("Reserves address space")
  void regionsWithAddressesDoNotOverlap() {
    List<Region> regions = new ArrayList<>();
    for (int i = 1; i <= 8; i++) {
      regions.add(reserve(i * CHUNK_BYTES));
    }
    regions.removeIf(region -> region.address() == 0);
    regions.sort(Comparator.comparingLong(Region::address));
    for (int i = 1; i < regions.size(); i++) {
      Region below = regions.get(i - 1);
      assertTrue(below.address() + below.bytes() <= regions.get(i).address());
    }
  }

  @Test
  @Clause({
    "A call of the platform that fails in a way which the method does not name is an unchecked"
        + " exception with the function's name, its error and its arguments",
    "what the failing method had taken so far has then been given back"
  })
  void whatThePlatformCannotReserveIsAnExceptionWithItsArguments() {
    long before = source.freeBytes(firstNode());
    for (int i = 0; i < 3; i++) {
      RuntimeException failure =
          assertThrows(RuntimeException.class, () -> source.reserve(firstNode(), BEYOND_ADDRESSES));
      String message = failure.getMessage();
      assertTrue(message.matches("(?s).*[bB]ytes=" + BEYOND_ADDRESSES + "\\b.*"), message);
      if (!(failure instanceof IllegalArgumentException)) {
        assertTrue(
            message.contains(
                assertInstanceOf(NativeCallException.class, failure).function() + " failed"),
            message);
      }
    }
    assertFree(before, firstNode());
    commit(reserve(CHUNK_BYTES), 0, CHUNK_BYTES);
  }

  @Test
  @Clause("Gives up a region: all its memory and its locks at once")
  void releaseGivesAllMemoryAtOnce() {
    long before = source.freeBytes(firstNode());
    for (int round = 0; round < 3; round++) {
      Region region = reserve(4 * CHUNK_BYTES);
      commit(region, 0, CHUNK_BYTES);
      commit(region, 2 * CHUNK_BYTES, source.osPageBytes());
      release(region);
      assertFree(before, firstNode());
    }
  }

  @Test
  @Clause("region a region of this source, not released before")
  void releasingOneRegionLeavesTheOthers() {
    Region one = reserve(CHUNK_BYTES);
    Region other = reserve(CHUNK_BYTES);
    commit(other, 0, CHUNK_BYTES);
    release(one);
    assertResident(other, 0, CHUNK_BYTES);
    assertStale(() -> source.release(one));
    assertResident(other, 0, CHUNK_BYTES);
  }
}
