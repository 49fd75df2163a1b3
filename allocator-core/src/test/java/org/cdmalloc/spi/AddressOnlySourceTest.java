/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.spi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.util.BitSet;
import java.util.SplittableRandom;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;

/** The source of addresses keeps the contract, and its books agree with a plainer kind. */
final class AddressOnlySourceTest {
  private abstract static class Contract extends AddressOnlyContract {
    private final int osPageBytes;

    Contract(int osPageBytes) {
      this.osPageBytes = osPageBytes;
    }

    @Override
    protected MemorySource open() {
      return AddressOnlySource.of(machine(), osPageBytes, () -> 2);
    }

    @Override
    protected Region foreign() {
      return open().reserve(1, CHUNK_BYTES);
    }

    @Test
    @Clause("UnsupportedOperationException if the region has no root buffers")
    void nothingCanBeViewed() {
      Region region = reserve(CHUNK_BYTES);
      commit(region, 0, CHUNK_BYTES);
      assertTrue(region.roots().isEmpty());
      assertThrows(UnsupportedOperationException.class, () -> source.view(region, 0, 0));
      assertThrows(UnsupportedOperationException.class, () -> source.view(region, 17, 5));
      assertIllegal(() -> source.view(region, CHUNK_BYTES, 1));
      assertIllegal(() -> source.view(foreign(), 0, 1));
      release(region);
      assertStale(() -> source.view(region, 0, 1));
    }

    @Test
    @Clause("UnsupportedOperationException if the source cannot know it")
    void noBufferHasAnAddressHere() {
      ByteBuffer buffer = ByteBuffer.allocateDirect(8);
      assertThrows(UnsupportedOperationException.class, () -> source.addressOf(buffer));
    }

    @Test
    @Clause("Reserves address space whose memory shall come from a node.")
    void addressesAreAlignedAndNeverInventedTwice() {
      long end = 0;
      for (int round = 0; round < 20; round++) {
        Region region = reserve((1 + round) * (long) source.osPageBytes());
        assertEquals(0, region.address() % CHUNK_BYTES);
        assertTrue(region.address() > end, "regions touch");
        end = region.address() + region.bytes();
        release(region);
      }
    }
  }

  @Nested
  final class OfSmallPages extends Contract {
    OfSmallPages() {
      super(4 << 10);
    }
  }

  @Nested
  final class OfLargePages extends Contract {
    OfLargePages() {
      super(64 << 10);
    }
  }

  private static Machine machine() {
    return Machine.builder()
        .node(Node.of(1, "0-3", 64L << 20))
        .node(Node.of(2, "4-7", 0))
        .node(Node.memoryOnly(63, 64L << 30))
        .build();
  }

  @Test
  void theBooksAgreeWithABitPerPage() {
    long seed = Long.getLong("seed", 20170308L);
    SplittableRandom random = new SplittableRandom(seed);
    AddressOnlySource source = AddressOnlySource.of(machine());
    int pages = 64;
    Region region = source.reserve(1, pages * 4096L);
    BitSet model = new BitSet();
    for (int step = 0; step < 20_000; step++) {
      int from = random.nextInt(pages);
      int to = from + 1 + random.nextInt(pages - from);
      String at = "step=" + step + "; replay with -Dseed=" + seed;
      if (random.nextInt(5) < 2) {
        assertTrue(source.commit(region, from * 4096L, (to - from) * 4096L).isCommitted(), at);
        model.set(from, to);
      } else {
        int had = model.get(from, to).cardinality();
        assertEquals(had * 4096L, source.purge(region, from * 4096L, (to - from) * 4096L), at);
        model.clear(from, to);
      }
      assertEquals((64L << 20) - model.cardinality() * 4096L, source.freeBytes(1), at);
      Residency residency = source.residency(region, 0, pages * 4096L);
      for (int page = 0; page < pages; page++) {
        assertEquals(model.get(page) ? 1 : Residency.NOT_PRESENT, residency.node(page), at);
      }
    }
  }
}
