/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.spi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.util.BitSet;
import java.util.Map;
import java.util.OptionalLong;
import java.util.SplittableRandom;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;

/** The source of addresses keeps the contract, and its books agree with a plainer kind. */
final class AddressOnlySourceTest {
  private abstract static class Contract extends AddressOnlyContract {
    private final Machine machine;
    private final int osPageBytes;
    private AddressOnlySource opened;

    Contract(Machine machine, int osPageBytes) {
      this.machine = machine;
      this.osPageBytes = osPageBytes;
    }

    @Override
    protected MemorySource open() {
      opened = AddressOnlySource.of(machine, osPageBytes, () -> 2);
      return opened;
    }

    @Override
    protected Region foreign() {
      return AddressOnlySource.of(machine).reserve(firstNode(), CHUNK_BYTES);
    }

    @Override
    protected OptionalLong lockedBytes() {
      return OptionalLong.of(opened.lockedBytes());
    }

    @Override
    protected boolean limitLocks(long bytes) {
      opened.limitLocks(bytes);
      return true;
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
    @Clause({
      "Reserves address space",
      "and the region where it has an address, begins at a multiple of ALIGNMENT_BYTES."
    })
    void addressesAreAlignedAndNeverInventedTwice() {
      long end = 0;
      for (int round = 0; round < 20; round++) {
        Region region = reserve((1 + round) * (long) source.osPageBytes());
        assertEquals(0, region.address() % MemorySource.ALIGNMENT_BYTES);
        assertTrue(region.address() > end, "regions touch");
        end = region.address() + region.bytes();
        release(region);
      }
    }
  }

  @Nested
  final class OfSmallPages extends Contract {
    OfSmallPages() {
      super(machine(), 4 << 10);
    }
  }

  @Nested
  final class OfLargePages extends Contract {
    OfLargePages() {
      super(machine(), 64 << 10);
    }
  }

  @Nested
  final class Of64Nodes extends Contract {
    Of64Nodes() {
      super(nodes(64), 4 << 10);
    }
  }

  private static Machine nodes(int count) {
    Machine.Builder machine = Machine.builder();
    for (int node = 0; node < count; node++) {
      machine.node(Node.of(node, Integer.toString(node), 256L << 20));
    }
    return machine.build();
  }

  private static Machine machine() {
    return Machine.builder()
        .node(Node.of(1, "0-3", 64L << 20))
        .node(Node.of(2, "4-7", 0))
        .node(Node.memoryOnly(63, 64L << 30))
        .build();
  }

  @Test
  void aFullNodeOfAStripeChargesNoneOfTheOthers() {
    AddressOnlySource source = AddressOnlySource.of(nodes(64));
    int full = 40;
    Region filler = source.reserve(full, 256L << 20);
    assertTrue(source.commit(filler, 0, (256L << 20) - 4096).isCommitted());
    Region region = source.reserve(Stripe.even(source.machine().withMemory()), 1 << 20);
    // Two pages of each node, of which this one has one.
    CommitResult refused = source.commit(region, 0, 128 * 4096);
    assertEquals(
        new CommitResult(
            CommitResult.Outcome.NODE_FULL, "node=40, free_bytes=4096, wanted_bytes=8192"),
        refused);
    for (int node = 0; node < 64; node++) {
      assertEquals(node == full ? 4096 : 256L << 20, source.freeBytes(node), "node=" + node);
    }
    assertTrue(source.residency(region, 0, 1 << 20).isAllOn(Residency.NOT_PRESENT));
    assertTrue(source.commit(region, 0, 64 * 4096).isCommitted());
    for (int node = 0; node < 64; node++) {
      assertEquals(node == full ? 0 : (256L << 20) - 4096, source.freeBytes(node));
    }
  }

  @Test
  void theBooksAgreeWithABitPerPage() {
    agreeWithABitPerPage(Stripe.of(1));
    agreeWithABitPerPage(Stripe.weighted(Map.of(1, 3, 63, 2)));
  }

  private static void agreeWithABitPerPage(Stripe stripe) {
    long seed = Long.getLong("seed", 20170308L);
    SplittableRandom random = new SplittableRandom(seed);
    AddressOnlySource source = AddressOnlySource.of(machine());
    int pages = 64;
    Region region = source.reserve(stripe, pages * 4096L);
    BitSet model = new BitSet();
    for (int step = 0; step < 20_000; step++) {
      int from = random.nextInt(pages);
      int to = from + 1 + random.nextInt(pages - from);
      String at = "stripe=" + stripe + ", step=" + step + "; replay with -Dseed=" + seed;
      if (random.nextInt(5) < 2) {
        assertTrue(source.commit(region, from * 4096L, (to - from) * 4096L).isCommitted(), at);
        model.set(from, to);
      } else {
        int had = model.get(from, to).cardinality();
        assertEquals(had * 4096L, source.purge(region, from * 4096L, (to - from) * 4096L), at);
        model.clear(from, to);
      }
      long onFirst = model.stream().filter(page -> stripe.node(page) == 1).count();
      assertEquals((64L << 20) - onFirst * 4096L, source.freeBytes(1), at);
      long onOther = model.cardinality() - onFirst;
      assertEquals((64L << 30) - onOther * 4096L, source.freeBytes(63), at);
      Residency residency = source.residency(region, 0, pages * 4096L);
      for (int page = 0; page < pages; page++) {
        int expected = model.get(page) ? stripe.node(page) : Residency.NOT_PRESENT;
        assertEquals(expected, residency.node(page), at);
      }
    }
  }
}
