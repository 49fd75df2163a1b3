/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import org.cdmalloc.spi.MemorySource;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** What is left of an allocator once it was closed. */
abstract class ClosedContract extends ShrinkerContract {
  private static void assertClosed(String what, Executable call) {
    String message = assertThrows(IllegalStateException.class, call, what).getMessage();
    assertTrue(message.contains("allocator is closed"), what + ": " + message);
  }

  private static void assertClosed(Door door, long... addresses) {
    assertClosed(door + ".allocate", () -> door.allocate(1));
    assertClosed(door + ".allocate aligned", () -> door.allocate(1, PAGE));
    assertClosed(door + ".tryAllocate", () -> door.tryAllocate().applyAsLong(1));
    assertClosed(door + ".allocateBuffer", () -> door.buffer().apply(1));
    assertClosed(door + ".allocateBufferUninitialized", () -> door.uninitialized().apply(1));
    assertClosed(door + ".tryAllocateBuffer", () -> door.tryBuffer().apply(1));
    assertClosed(door + ".free", () -> door.free(ByteBuffer.allocateDirect(1)));
    for (long address : addresses) {
      assertClosed(door + ".free", () -> door.free(address));
    }
  }

  private void assertClosed(SystemMemory view, long... addresses) {
    for (Placement placement : List.of(Placement.LOCAL, NODE_0, memory.device(ARENA).placement())) {
      assertClosed("allocate", () -> view.allocate(1, placement));
      assertClosed("tryAllocate", () -> view.tryAllocate(1, placement));
      assertClosed("allocateBuffer", () -> view.allocateBuffer(1, placement));
      assertClosed("Uninitialized", () -> view.allocateBufferUninitialized(1, placement));
      assertClosed("tryAllocateBuffer", () -> view.tryAllocateBuffer(1, placement));
      assertClosed("arena", () -> view.arena(placement));
    }
    for (long address : addresses) {
      assertClosed("usableBytes", () -> view.usableBytes(address));
      assertClosed("buffer", () -> view.buffer(address, 1));
    }
  }

  @Test
  void everyMethodOfEveryObjectRefuses() {
    List<Door> doors = doors();
    NodeArena arena = memory.arena(NODE_0);
    SystemMemory there = memory.at(NODE_0);
    DeviceNode device = device();
    long live = memory.allocate(2 * PAGE, NODE_0);
    long freed = memory.allocate(PAGE, NODE_0);
    memory.free(freed);
    arena.allocate(1);
    memory.close();
    // Live, freed, inside, misaligned, and never this allocator's.
    long[] addresses = {live, freed, live + PAGE, live + 1, 12_345, 0};
    // "After the allocator was closed every method throws IllegalStateException."
    doors.forEach(door -> assertClosed(door, addresses));
    assertClosed(memory, addresses);
    assertClosed(memory.systemView(), addresses);
    assertClosed(there, addresses);
    for (long address : addresses) {
      assertClosed("residency", () -> memory.residency(address));
    }
    assertClosed("residency", () -> memory.residency(ByteBuffer.allocateDirect(1)));
    assertClosed("audit", memory::audit);
    assertClosed("at", () -> memory.at(NODE_0));
    assertClosed("at a new placement", () -> memory.at(Placement.preferred(0)));
    assertClosed("arena", device::arena);
    assertClosed("online", device::online);
    // "Does nothing … after the allocator was closed."
    arena.close();
    arena.close();
    // "Does nothing the second time"
    memory.close();
    assertEquals(0, memory.trim());
    assertSame(device, memory.device(ARENA));
  }

  @Test
  void aDeviceThatWasNeverOnlineStaysSo() {
    memory.close();
    assertClosed("online", () -> memory.device(ARENA).online());
    assertTrue(!report(ARENA).online());
  }

  @Test
  void closingGivesTheMemoryBack() {
    MemorySource source = source();
    NodeAllocator first = builder(source).open();
    long free = source.freeBytes(0);
    first.allocate(8 * MEBIBYTE, NODE_0);
    first.arena(NODE_0).allocate(MEBIBYTE);
    first.close();
    // "Refuses all further requests and gives the memory back."
    if (!source.isReal()) {
      assertEquals(free, source.freeBytes(0));
    }
    try (NodeAllocator second = builder(source).open()) {
      assertTrue(second.allocate(8 * MEBIBYTE, NODE_0) != 0);
    }
  }

  @Test
  void requestsThatMeetTheCloseOfTheAllocatorAreServedOrRefused() throws InterruptedException {
    for (int round = 0; round < 20; round++) {
      NodeAllocator closing = builder().open();
      CountDownLatch taken = new CountDownLatch(50 * round);
      List<Callable<Void>> tasks = new ArrayList<>();
      for (int thread = 0; thread < 3; thread++) {
        NodeArena arena = closing.arena(NODE_0);
        tasks.add(
            () -> {
              assertClosed(
                  "requests",
                  () -> {
                    while (true) {
                      long block = closing.tryAllocate(PAGE, NODE_0);
                      taken.countDown();
                      arena.tryAllocate(3 * PAGE);
                      if (block != 0) {
                        closing.free(block);
                      }
                    }
                  });
              arena.close();
              return null;
            });
      }
      tasks.add(
          () -> {
            taken.await();
            closing.close();
            return null;
          });
      atOnce("round=" + round, tasks);
    }
  }
}
