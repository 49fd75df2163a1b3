/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.atomic.AtomicInteger;
import org.cdmalloc.spi.AddressOnlySource;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A block is freed, pinned and lent at once: whatever comes first, it is freed once, after all. */
final class HeldBlockThreadsTest {
  private static final int ROUNDS = 2_000;
  private static final int BYTES = 1 << 20;

  /** Who frees the block. */
  private enum Free {
    BY_HAND,
    BY_ARENA
  }

  private final Machine machine =
      Machine.builder().node(Node.of(0, "0", 64 << 20)).node(Node.memoryOnly(1, 64 << 20)).build();

  @ParameterizedTest
  @EnumSource
  void aBlockIsFreedOnceAfterItsLastUse(Free how) throws InterruptedException {
    try (NodeAllocator memory =
        NodeAllocator.builder().source(AddressOnlySource.of(machine)).open()) {
      DeviceNode device = memory.device(1);
      device.online();
      CyclicBarrier start = new CyclicBarrier(3);
      CyclicBarrier end = new CyclicBarrier(3);
      AtomicInteger uses = new AtomicInteger();
      NodeArena[] arena = {device.arena()};
      long[] block = {arena[0].allocate(BYTES)};
      List<Callable<Void>> tasks =
          List.of(
              () -> {
                for (int round = 0; round < ROUNDS; round++) {
                  start.await();
                  if (how == Free.BY_HAND) {
                    memory.free(block[0]);
                  } else {
                    arena[0].close();
                  }
                  end.await();
                  assertThrows(MemoryCorruptionError.class, () -> memory.free(block[0]));
                  assertEquals(0, device.holders().get(0).usedBytes());
                  assertEquals(0, memory.report().node(1).liveBlocks());
                  arena[0] = device.arena();
                  block[0] = arena[0].allocate(BYTES);
                }
                return null;
              },
              () -> {
                for (int round = 0; round < ROUNDS; round++) {
                  start.await();
                  try {
                    DeviceLoan loan = device.lend(block[0]);
                    uses.incrementAndGet();
                    assertTrue(loan.complete());
                  } catch (MemoryCorruptionError e) {
                    // Freed before.
                  }
                  end.await();
                }
                return null;
              },
              () -> {
                for (int round = 0; round < ROUNDS; round++) {
                  start.await();
                  try (DevicePin pin = device.pin(block[0])) {
                    uses.incrementAndGet();
                    assertTrue(pin.isInPlace());
                  } catch (MemoryCorruptionError e) {
                    // Freed before.
                  }
                  end.await();
                }
                return null;
              });
      AllocatorFixture.atOnce("how=" + how, tasks);
      assertTrue(uses.get() > ROUNDS / 100, "uses=" + uses);
    }
  }
}
