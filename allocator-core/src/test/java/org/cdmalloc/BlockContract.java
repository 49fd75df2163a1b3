/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** Blocks by address: what they cost, which sizes there are, and what is no block. */
abstract class BlockContract extends AllocatorFixture {
  private static final long[] SIZES = {0, 1, 4095, 4096, 4097, 67 << 10, 1 << 20};

  @Test
  void aBlockCostsItsPagesAndNoMore() {
    for (Door door : doorsToOneNode()) {
      for (long bytes : SIZES) {
        long block = door.allocate(bytes);
        // "A block takes whole pages of 4 KiB." "0 counts as 1."
        // "they have a multiple of 16 bytes"
        long expected = cost(door, bytes, 1);
        assertEquals(expected, report(0).usedBytes() + report(ARENA).usedBytes(), door::name);
        // "Its address is a multiple of 4096." "size and address are multiples of 16"
        assertEquals(0, block % (expected % PAGE == 0 ? PAGE : 16), door::name);
        // "how many bytes of a block may be used: its size, rounded up to whole pages of 4 KiB"
        assertEquals(expected, memory.usableBytes(block));
        assertEquals(expected, memory.systemView().usableBytes(block));
        assertEquals(expected, memory.at(NODE_0).usableBytes(block));
        door.free(block);
        assertNothingTaken();
      }
    }
  }

  @Test
  void tryAllocateGivesTheSameBlocks() {
    for (Door door : doors()) {
      for (long bytes : SIZES) {
        // "its address, or 0"
        long block = door.tryAllocate().applyAsLong(bytes);
        assertNotEquals(0, block);
        assertTrue(memory.usableBytes(block) >= bytes);
        door.free(block);
      }
    }
    assertNothingTaken();
  }

  @Test
  void aNegativeSizeIsRefusedEverywhere() {
    for (Door door : doors()) {
      // "A negative size is an IllegalArgumentException."
      for (long bytes : new long[] {-1, -PAGE, Long.MIN_VALUE}) {
        assertIllegal(door, () -> door.allocate(bytes));
        assertIllegal(door, () -> door.allocate(bytes, PAGE));
        assertIllegal(door, () -> door.tryAllocate().applyAsLong(bytes));
      }
      for (int bytes : new int[] {-1, Integer.MIN_VALUE}) {
        assertIllegal(door, () -> door.buffer().apply(bytes));
        assertIllegal(door, () -> door.uninitialized().apply(bytes));
        assertIllegal(door, () -> door.tryBuffer().apply(bytes));
      }
    }
    for (Placement placement : List.of(Placement.LOCAL, NODE_0, memory.device(ARENA).placement())) {
      assertIllegal(placement, () -> memory.allocate(-1, placement));
      assertIllegal(placement, () -> memory.tryAllocate(-1, placement));
      assertIllegal(placement, () -> memory.allocateBuffer(-1, placement));
      assertIllegal(placement, () -> memory.allocateBufferUninitialized(-1, placement));
      assertIllegal(placement, () -> memory.tryAllocateBuffer(-1, placement));
    }
    assertNothingTaken();
  }

  @Test
  void aSizeBeyondAllCapacitiesIsExhaustion() {
    // "A size beyond all capacities is exhaustion: the block may fit elsewhere."
    for (Door door : doors()) {
      for (long bytes : new long[] {1L << 60, Long.MAX_VALUE - 4095, Long.MAX_VALUE}) {
        assertExhausted(bytes, () -> door.allocate(bytes));
        assertExhausted(bytes, () -> door.allocate(bytes, UNIT));
        assertEquals(0, door.tryAllocate().applyAsLong(bytes), door::name);
      }
    }
    for (Door door : doorsToOneNode()) {
      for (int bytes : new int[] {(int) CAPACITY + 1, Integer.MAX_VALUE}) {
        // "NodeMemoryExhaustedException from allocate…, and 0 or null from tryAllocate…."
        assertExhausted(bytes, () -> door.allocate(bytes));
        assertExhausted(bytes, () -> door.buffer().apply(bytes));
        assertExhausted(bytes, () -> door.uninitialized().apply(bytes));
        assertEquals(0, door.tryAllocate().applyAsLong(bytes), door::name);
        assertNull(door.tryBuffer().apply(bytes), door::name);
      }
    }
    assertNull(memory.tryAllocateBuffer(Integer.MAX_VALUE, NODE_0));
    assertEquals(0, memory.tryAllocate(Long.MAX_VALUE, NODE_0));
    // "Nothing is taken then."
    assertNothingTaken();
  }

  @Test
  void anExhaustedDeviceAndAnExhaustedNodeServeAgainOnceABlockIsFreed() {
    for (Door door : doorsToOneNode()) {
      long bytes = door.name().contains("device") ? ARENA_BYTES : CAPACITY;
      long all = door.allocate(bytes);
      assertExhausted(1, () -> door.allocate(1));
      assertEquals(0, door.tryAllocate().applyAsLong(1));
      assertNull(door.tryBuffer().apply(1));
      door.free(all);
      door.free(door.allocate(bytes));
    }
    assertNothingTaken();
  }

  @Test
  void whatIsNotTheFirstByteOfALiveBlockIsDetectedByEveryObject() {
    for (Door from : doors()) {
      long block = from.allocate(5 * PAGE);
      // "no block of this allocator begins there: the address is foreign, misaligned, or inside a
      // block"
      for (long wrong :
          new long[] {
            0, 1, 12_345, -1, Long.MIN_VALUE, block + 1, block + PAGE, block + 4 * PAGE
          }) {
        for (Door door : doors()) {
          assertIllegal(door + ", " + wrong, () -> door.free(wrong));
        }
        assertIllegal(wrong, () -> memory.usableBytes(wrong));
        assertIllegal(wrong, () -> memory.systemView().usableBytes(wrong));
        assertIllegal(wrong, () -> memory.residency(wrong));
      }
      assertEquals(5 * PAGE, memory.usableBytes(block));
      from.free(block);
      assertIllegal(block + 1, () -> memory.free(block + 1));
    }
    assertNothingTaken();
  }

  @Test
  void buffersOfOthersAreRefusedByEveryObject() {
    for (Door door : doors()) {
      // "IllegalArgumentException if it is on the Java heap, or no block of this allocator begins
      // at its index 0"
      assertIllegal(door, () -> door.free(ByteBuffer.allocate(16)));
      assertIllegal(door, () -> door.free(ByteBuffer.allocateDirect(16)));
    }
    assertIllegal("heap", () -> memory.residency(ByteBuffer.allocate(16)));
    assertIllegal("foreign", () -> memory.residency(ByteBuffer.allocateDirect(16)));
    assertThrows(NullPointerException.class, () -> memory.free(null));
  }

  @Test
  void anyObjectFreesABlockOfAnyOtherAndASecondFreeIsDetected() {
    for (Door from : doors()) {
      for (Door to : doors()) {
        // "Frees a block of this allocator, wherever it lies and whoever allocated it."
        long block = from.allocate(3 * PAGE);
        to.free(block);
        assertNothingTaken();
        // "MemoryCorruptionError if the block that began there was freed before"
        for (Door again : doors()) {
          assertThrows(
              MemoryCorruptionError.class,
              () -> again.free(block),
              from + ", " + to + ", " + again);
        }
        assertThrows(MemoryCorruptionError.class, () -> memory.usableBytes(block));
        assertThrows(MemoryCorruptionError.class, () -> memory.residency(block));
      }
    }
    assertNothingTaken();
  }

  @Test
  void anyThreadFreesAnyBlock() throws InterruptedException {
    for (Door door : doors()) {
      long block = door.allocate(PAGE);
      // "The block is live until it is freed, by any thread and through any object of the same
      // allocator"
      atOnce(
          door.name(),
          List.of(
              () -> {
                door.free(block);
                return null;
              }));
      assertThrows(MemoryCorruptionError.class, () -> door.free(block));
    }
  }

  static void assertIllegal(Object what, Executable call) {
    assertThrows(IllegalArgumentException.class, call, what::toString);
  }

  static void assertExhausted(long bytes, Executable call) {
    NodeMemoryExhaustedException refused =
        assertThrows(NodeMemoryExhaustedException.class, call, () -> "bytes=" + bytes);
    assertEquals(bytes, refused.requestedBytes());
    assertTrue(refused.getMessage().contains("bytes=" + bytes), refused::getMessage);
  }
}
