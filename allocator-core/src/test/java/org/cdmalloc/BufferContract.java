/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import org.cdmalloc.internal.address.BufferAddress;
import org.junit.jupiter.api.Test;

/** Blocks as buffers, and buffers over parts of blocks. */
abstract class BufferContract extends AddressAllocatorContract {
  private static final int[] SIZES = {0, 1, 4095, 4096, 4097, 67 << 10, 1 << 20};

  /** "Buffers are direct, big-endian and exact in capacity." */
  private static void assertExact(int bytes, ByteBuffer buffer) {
    assertTrue(buffer.isDirect());
    assertFalse(buffer.isReadOnly());
    assertEquals(ByteOrder.BIG_ENDIAN, buffer.order());
    assertEquals(bytes, buffer.capacity());
    assertEquals(bytes, buffer.limit());
    assertEquals(0, buffer.position());
  }

  @Test
  void aBufferIsDirectBigEndianExactAndZeroed() {
    for (Door door : doors()) {
      for (int bytes : SIZES) {
        // "a direct, big-endian buffer of exactly that capacity"
        ByteBuffer dirty = door.uninitialized().apply(bytes);
        assertExact(bytes, dirty);
        fill(dirty, 0x5a);
        door.free(dirty);
        // "zeroed by default"
        ByteBuffer buffer = door.buffer().apply(bytes);
        assertExact(bytes, buffer);
        assertEquals(-1, firstOther(buffer, 0), door + ", bytes=" + bytes);
        fill(buffer, 0x5a);
        door.free(buffer);
        // "zeroed by default; or null"
        ByteBuffer tried = door.tryBuffer().apply(bytes);
        assertExact(bytes, tried);
        assertEquals(-1, firstOther(tried, 0), door + ", bytes=" + bytes);
        fill(tried, 0x5a);
        door.free(tried);
      }
    }
    assertNothingTaken();
  }

  @Test
  void aBufferAtAPlacementIsTheSame() {
    for (SystemMemory view : List.of(memory, memory.systemView(), memory.at(Placement.LOCAL))) {
      for (Placement placement :
          List.of(Placement.LOCAL, NODE_0, Placement.preferred(0), device().placement())) {
        for (int bytes : SIZES) {
          ByteBuffer dirty = view.allocateBufferUninitialized(bytes, placement);
          assertExact(bytes, dirty);
          fill(dirty, 0x5a);
          view.free(dirty);
          for (boolean tried : new boolean[] {true, false}) {
            ByteBuffer buffer =
                tried
                    ? view.tryAllocateBuffer(bytes, placement)
                    : view.allocateBuffer(bytes, placement);
            assertExact(bytes, buffer);
            assertEquals(-1, firstOther(buffer, 0), placement + ", bytes=" + bytes);
            fill(buffer, 0x5a);
            view.free(buffer);
          }
        }
      }
    }
    assertNothingTaken();
  }

  @Test
  void anyViewWithTheSameIndexZeroFreesTheBlock() {
    for (Door door : doors()) {
      // "Position, limit, order, duplicates and read-only views make no difference."
      ByteBuffer buffer = door.buffer().apply(10_000);
      door.free(buffer.position(17).limit(99).order(ByteOrder.LITTLE_ENDIAN));
      door.free(door.buffer().apply(10_000).duplicate().position(5));
      door.free(door.buffer().apply(10_000).asReadOnlyBuffer());
      door.free(door.buffer().apply(10_000).slice(0, 0));
      ByteBuffer inner = door.buffer().apply(10_000);
      assertIllegal(door, () -> door.free(inner.slice(1, 10)));
      assertIllegal(door, () -> door.free(inner.slice(PAGE, 10)));
      assertIllegal(door, () -> memory.residency(inner.slice(PAGE, 10)));
      assertEquals(cost(door, 10_000, 1), memory.usableBytes(BufferAddress.of(inner)));
      door.free(inner);
      // "MemoryCorruptionError if the block that began there was freed before"
      assertThrows(MemoryCorruptionError.class, () -> door.free(inner));
      assertThrows(MemoryCorruptionError.class, () -> memory.residency(inner));
    }
    assertNothingTaken();
  }

  @Test
  void whatANamedPlacementGivesHoldsItsContentThere() {
    for (Placement placement : List.of(NODE_0, Placement.preferred(0), device().placement())) {
      ByteBuffer buffer = memory.allocateBuffer(3 << 20, placement);
      fill(buffer, 0x5a);
      assertTrue(memory.residency(buffer).isAllOn(0), () -> memory.residency(buffer).toString());
      assertEquals(-1, firstOther(buffer, 0x5a));
      memory.free(buffer);
    }
  }

  @Test
  void aPartOfALiveBlockCanBeSeenWhereverItWasAllocated() {
    for (Door door : doors()) {
      long block = door.allocate(10_000);
      int end = (int) cost(door, 10_000, 1);
      for (SystemMemory view : List.of(memory, memory.systemView(), memory.at(NODE_0))) {
        ByteBuffer whole = view.buffer(block, end);
        assertExact(end, whole);
        fill(whole, 0x11);
        // "the part's first byte, anywhere in the block"
        for (int at : new int[] {0, 1, PAGE - 1, PAGE, PAGE + 7, 9_999, end - 1}) {
          // "its length, 0 … to the end of the block's usableBytes"
          for (int bytes : new int[] {0, 1, end - at}) {
            ByteBuffer part = view.buffer(block + at, bytes);
            assertExact(bytes, part);
            if (bytes > 0) {
              // "Its content is as it is."
              assertEquals(0x11, part.get(bytes - 1));
              part.put(bytes - 1, (byte) at);
              assertEquals((byte) at, whole.get(at + bytes - 1));
              fill(whole, 0x11);
            }
          }
          // "or the part ends outside the block"
          for (int bytes : new int[] {end - at + 1, Integer.MAX_VALUE}) {
            assertIllegal(at, () -> view.buffer(block + at, bytes));
          }
          // "IllegalArgumentException if bytes is negative"
          assertIllegal(at, () -> view.buffer(block + at, -1));
          assertIllegal(at, () -> view.buffer(block + at, Integer.MIN_VALUE));
        }
        // A part frees its block if it begins where that does, and no other.
        assertIllegal("part", () -> view.free(view.buffer(block + 1, 5)));
      }
      door.free(memory.buffer(block, 0));
    }
    assertNothingTaken();
  }

  @Test
  void whatIsInNoLiveBlockCannotBeSeen() {
    long block = memory.allocate(5 * PAGE, NODE_0);
    long next = memory.allocate(6 * PAGE, NODE_0);
    memory.free(next);
    // "the address is foreign"
    for (long foreign : new long[] {0, 1, -1, 12_345, Long.MIN_VALUE}) {
      assertIllegal(foreign, () -> memory.buffer(foreign, 1));
      assertIllegal(foreign, () -> memory.buffer(foreign, 0));
    }
    assertEquals(block + 8 * PAGE, next);
    memory.free(block);
    // Of slabs, too.
    memory.free(memory.allocate(100));
    // "MemoryCorruptionError if the address lies in no live block"
    for (long gone : new long[] {block, block + 1, block + 2 * PAGE, next, next + PAGE - 1}) {
      assertThrows(MemoryCorruptionError.class, () -> memory.buffer(gone, 0));
      assertThrows(MemoryCorruptionError.class, () -> memory.buffer(gone, 1));
    }
  }

  @Test
  void theLargestBufferOfANodeIsSeenInParts() {
    long block = memory.allocate(CAPACITY, NODE_0);
    // "Of a block that is longer than any buffer, part after part can be seen."
    for (long at = 0; at < CAPACITY; at += 3 * MEBIBYTE) {
      int bytes = (int) Math.min(3 * MEBIBYTE, CAPACITY - at);
      fill(memory.buffer(block + at, bytes), (int) (at / MEBIBYTE));
    }
    ByteBuffer whole = memory.buffer(block, (int) CAPACITY);
    for (int at = 0; at < CAPACITY; at += PAGE) {
      assertEquals(at / MEBIBYTE / 3 * 3, whole.get(at));
    }
    memory.free(block);
  }

  @Test
  void aBufferThatOutlivesItsAllocatorReadsZeros() {
    ByteBuffer buffer = memory.allocateBuffer(1 << 20);
    ByteBuffer part = memory.buffer(BufferAddress.of(buffer) + PAGE, PAGE);
    ByteBuffer ofDevice = device().allocateBuffer(PAGE);
    for (ByteBuffer each : List.of(buffer, ofDevice)) {
      fill(each, 0x5a);
    }
    memory.close();
    System.gc();
    // "A buffer that is still reachable reads zeros"
    for (ByteBuffer each : List.of(buffer, part, ofDevice)) {
      assertEquals(-1, firstOther(each, 0));
    }
  }

  @Test
  void aCopyIsPinnedAndFreedWithItsPin() {
    LimitedLocks locks = limitLocks();
    DeviceNode holder = device().withQuota(MEBIBYTE);
    ByteBuffer content = ByteBuffer.allocate(67 << 10);
    for (int i = 0; i < content.capacity(); i++) {
      content.put(i, (byte) (i % 251));
    }
    content.position(5).limit(content.capacity() - 3);
    locks.refuse(true);
    assertNotLocked(() -> holder.copyOf(content));
    assertEquals(0, used(holder));
    assertNothingTaken();
    locks.refuse(false);
    try (DevicePin pin = holder.copyOf(content)) {
      assertTrue(pin.isInPlace());
      assertEquals(1, locks.locked());
      assertEquals(content, pin.buffer(content.remaining()));
      locks.refuse(true);
      holder.pin(pin.address()).close();
      assertEquals(1, locks.locked());
      assertEquals(pin.bytes(), used(holder));
    }
    assertEquals(0, locks.locked());
    assertEquals(0, used(holder));
    assertEquals(5, content.position());
    assertNothingTaken();
  }
}
