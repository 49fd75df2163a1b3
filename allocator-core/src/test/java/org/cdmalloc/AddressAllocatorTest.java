/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.atomic.AtomicInteger;
import org.cdmalloc.spi.AddressOnlySource;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;

/** The allocator over addresses keeps all of the contract that needs no look at memory. */
final class AddressAllocatorTest {
  private static final long NODE_BYTES = 256L << 20;

  @Nested
  final class OneNodeOfLargePages extends AddressAllocatorContract {
    @Override
    protected MemorySource source() {
      Machine machine = Machine.builder().node(Node.of(0, "0", NODE_BYTES)).build();
      return AddressOnlySource.of(machine, 64 << 10, () -> 0);
    }
  }

  @Nested
  final class OneNodeOfWhichThreadsKeepBlocks extends AddressAllocatorContract {
    @Override
    protected MemorySource source() {
      return AddressOnlySource.of(Machine.builder().node(Node.of(0, "0", NODE_BYTES)).build());
    }

    @Override
    protected long magazineBytes() {
      return 4 << 20;
    }
  }

  @Nested
  final class SixtyFourNodes extends AddressAllocatorContract {
    private final AtomicInteger caller = new AtomicInteger();

    @Override
    protected MemorySource source() {
      Machine.Builder machine = Machine.builder();
      for (int node = 0; node < 64; node++) {
        machine.node(Node.of(node, Integer.toString(node), NODE_BYTES));
      }
      // Callers are everywhere.
      return AddressOnlySource.of(
          machine.build(), 4 << 10, () -> Math.floorMod(caller.getAndIncrement(), 64));
    }
  }

  @Test
  void blocksThatNobodyCanSeeCannotBeZeroedOnFree() {
    Machine machine = Machine.builder().node(Node.of(0, "0", NODE_BYTES)).build();
    AddressOnlySource source = AddressOnlySource.of(machine);
    NodeAllocator.Builder builder = NodeAllocator.builder().source(source).zeroing(Zeroing.ON_FREE);
    String message = assertThrows(IllegalArgumentException.class, builder::open).getMessage();
    assertTrue(message.contains("source=addresses, zeroing=ON_FREE"), message);
    assertEquals(NODE_BYTES, source.freeBytes(0));
    for (Zeroing zeroing : new Zeroing[] {Zeroing.NEVER, Zeroing.ON_ALLOCATE}) {
      try (NodeAllocator open = builder.zeroing(zeroing).open()) {
        open.free(open.allocate(1));
      }
    }
  }
}
