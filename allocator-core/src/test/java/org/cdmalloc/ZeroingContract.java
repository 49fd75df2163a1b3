/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.cdmalloc.internal.address.BufferAddress;
import org.junit.jupiter.api.Test;

/**
 * What {@link Zeroing} promises. That memory is not zeroed can be seen too: a test writes to pages
 * that no block had yet, through the region, and finds its own bytes in the buffer that gets them.
 */
abstract class ZeroingContract extends BufferContract {
  private static final int DIRT = 0x77;

  private WatchedSource watched;

  private NodeAllocator open(Zeroing zeroing) {
    watched = new WatchedSource(source());
    return builder(watched.source())
        .deviceArena(ARENA, 0, ARENA_BYTES)
        .zeroing(zeroing)
        .purgeDelay(Duration.ZERO)
        .open();
  }

  /** Asserts what each page of a buffer holds: zeros, or the test's own bytes. */
  private static void assertPages(String expected, ByteBuffer buffer) {
    StringBuilder pages = new StringBuilder();
    for (int at = 0; at < buffer.capacity(); at += PAGE) {
      ByteBuffer page = buffer.slice(at, PAGE);
      pages.append(firstOther(page, 0) < 0 ? '0' : firstOther(page, DIRT) < 0 ? 'D' : '?');
    }
    assertEquals(expected, pages.toString());
  }

  @Test
  void pagesThatABlockUsedAreZeroedAndFreshOnesAreNotWrittenAgain() {
    try (NodeAllocator zeroing = open(Zeroing.ON_ALLOCATE)) {
      SystemMemory node = zeroing.at(NODE_0);
      // Pages 0 and 2 were in blocks, 1 and 3 never: they came with the unit.
      long first = node.allocate(PAGE, 2 * PAGE);
      long third = node.allocate(PAGE, 2 * PAGE);
      assertEquals(first + 2 * PAGE, third);
      node.free(first);
      node.free(third);
      fill(watched.look(first, 8 * PAGE), DIRT);
      ByteBuffer buffer = node.allocateBuffer(8 * PAGE);
      assertEquals(first, BufferAddress.of(buffer));
      // "Memory that comes fresh from the kernel holds zeros and is never zeroed again"
      // "Buffers are zeroed when they are allocated."
      assertPages("0D0DDDDD", buffer);
      node.free(buffer);
      fill(watched.look(first, 8 * PAGE), DIRT);
      // Each of them was in a block by now.
      assertPages("00000000", node.allocateBuffer(8 * PAGE));
      assertPages("00", node.tryAllocateBuffer(2 * PAGE).put(0, (byte) 0));
    }
  }

  @Test
  void whatATrimTookComesFreshAgain() {
    try (NodeAllocator zeroing = open(Zeroing.ON_ALLOCATE)) {
      SystemMemory node = zeroing.at(NODE_0);
      ByteBuffer used = node.allocateBuffer((int) UNIT);
      long address = BufferAddress.of(used);
      fill(used, 0x5a);
      node.free(used);
      assertEquals(UNIT, zeroing.trim());
      // One page brings the unit's memory back; the others hold the kernel's zeros.
      node.allocate(PAGE);
      ByteBuffer rest = watched.look(address + PAGE, (int) UNIT - PAGE);
      assertEquals(-1, firstOther(rest, 0));
      fill(rest, DIRT);
      // "Memory that comes fresh from the kernel holds zeros and is never zeroed again"
      assertPages("DDD", node.allocateBuffer(3 * PAGE));
    }
  }

  @Test
  void aBufferIsZeroedToItsLastPageWhateverItsSize() {
    try (NodeAllocator zeroing = open(Zeroing.ON_ALLOCATE)) {
      for (Placement placement : List.of(NODE_0, deviceOf(zeroing).placement())) {
        for (int bytes : new int[] {1, PAGE, 17 << 10, (16 << 10) + 1, 3 << 20}) {
          long block = zeroing.allocate(bytes, placement);
          int usable = (int) zeroing.usableBytes(block);
          fill(zeroing.buffer(block, usable), 0x5a);
          zeroing.free(block);
          ByteBuffer buffer = zeroing.allocateBuffer(bytes, placement);
          assertEquals(block, BufferAddress.of(buffer));
          assertEquals(-1, firstOther(zeroing.buffer(block, usable), 0), "bytes=" + bytes);
          zeroing.free(buffer);
        }
      }
    }
  }

  @Test
  void rawBlocksAndUninitialisedBuffersAreNotZeroedOnAllocation() {
    for (Zeroing when : List.of(Zeroing.ON_ALLOCATE, Zeroing.NEVER)) {
      try (NodeAllocator zeroing = open(when)) {
        SystemMemory node = zeroing.at(NODE_0);
        ByteBuffer used = node.allocateBuffer(PAGE);
        fill(used, DIRT);
        node.free(used);
        // "allocateBufferUninitialized and raw addresses are not zeroed on allocation under any of
        // these"
        ByteBuffer again = node.allocateBufferUninitialized(PAGE);
        assertPages("D", again);
        node.free(again);
        again = zeroing.allocateBufferUninitialized(PAGE, NODE_0);
        assertPages("D", again);
        node.free(again);
        try (NodeArena arena = node.arena(NODE_0)) {
          assertPages("D", arena.allocateBufferUninitialized(PAGE));
        }
        assertPages("D", node.buffer(node.allocate(PAGE), PAGE));
      }
    }
  }

  @Test
  void nothingIsZeroedWhereThatIsWanted() {
    try (NodeAllocator zeroing = open(Zeroing.NEVER)) {
      SystemMemory node = zeroing.at(NODE_0);
      ByteBuffer used = node.allocateBuffer(4 * PAGE);
      assertPages("0000", used);
      fill(used, DIRT);
      node.free(used);
      // "Nothing is zeroed: buffers may show what a block held before."
      assertPages("DDDD", node.allocateBuffer(4 * PAGE));
      try (NodeArena arena = zeroing.arena(NODE_0)) {
        fill(arena.allocateBuffer(PAGE), DIRT);
      }
      assertPages("D", node.tryAllocateBuffer(PAGE));
    }
  }

  @Test
  void secretsDoNotOutliveTheirBlockWhereBlocksAreZeroedOnFree() {
    try (NodeAllocator zeroing = open(Zeroing.ON_FREE)) {
      DeviceNode device = deviceOf(zeroing);
      List<Door> doors =
          List.of(
              Door.of("allocator", zeroing.at(NODE_0)),
              Door.of("arena", zeroing.arena(NODE_0)),
              Door.of("device", device),
              Door.of("arena of the device", device.arena()));
      for (Door from : doors) {
        for (Door to : doors) {
          for (int pages : new int[] {1, 3, 8, 600}) {
            long block = from.allocate((long) pages * PAGE);
            ByteBuffer region = watched.look(block, pages * PAGE);
            // "all memory holds zeros when it is handed out, raw addresses too"
            assertEquals(-1, firstOther(region, 0), from + ", " + to);
            fill(zeroing.buffer(block, pages * PAGE), 0x5a);
            to.free(block);
            // "Blocks are zeroed when they are freed", "secrets do not outlive their block"
            assertEquals(-1, firstOther(region, 0), from + ", " + to);
          }
          ByteBuffer buffer = from.uninitialized().apply(2 * PAGE);
          assertPages("00", buffer);
          fill(buffer, DIRT);
          to.free(buffer);
          assertPages("00", buffer);
        }
      }
    }
  }

  @Test
  void aLostNodeChangesNothingForBlocksThatLieElsewhere() {
    try (NodeAllocator zeroing = open(Zeroing.ON_FREE)) {
      DeviceNode device = deviceOf(zeroing);
      long lost = device.allocate(PAGE);
      ByteBuffer there = watched.look(lost, PAGE);
      fill(there, DIRT);
      ByteBuffer buffer = zeroing.allocateBuffer(PAGE, NODE_0);
      fill(buffer, DIRT);
      device.fail("of the test");
      zeroing.free(buffer);
      assertPages("0", buffer);
      // "Such blocks can be freed, and are not touched then."
      zeroing.free(lost);
      assertPages("D", there);
    }
  }

  @Test
  void closingAnArenaZeroesItsBlocksWhereThatIsWanted() {
    try (NodeAllocator zeroing = open(Zeroing.ON_FREE)) {
      List<ByteBuffer> buffers = new ArrayList<>();
      ByteBuffer other = zeroing.allocateBuffer(PAGE, NODE_0);
      fill(other, DIRT);
      try (NodeArena arena = zeroing.arena(NODE_0)) {
        for (int pages = 1; pages < 20; pages++) {
          buffers.add(arena.allocateBuffer(pages * PAGE));
          fill(buffers.get(buffers.size() - 1), DIRT);
        }
      }
      buffers.forEach(buffer -> assertEquals(-1, firstOther(buffer, 0)));
      assertPages("D", other);
    }
  }

  @Test
  void aFreeThatIsRefusedZeroesNothing() {
    try (NodeAllocator zeroing = open(Zeroing.ON_FREE)) {
      ByteBuffer buffer = zeroing.allocateBuffer(4 * PAGE, NODE_0);
      fill(buffer, DIRT);
      long block = BufferAddress.of(buffer);
      for (long wrong : new long[] {block + 1, block + PAGE, block + 2 * PAGE + 5}) {
        assertIllegal(wrong, () -> zeroing.free(wrong));
      }
      assertPages("DDDD", buffer);
      zeroing.free(block);
      assertPages("0000", buffer);
    }
  }

  @Test
  void anArenaMayBeClosedAfterItsAllocatorWhateverIsZeroed() {
    for (Zeroing when : Zeroing.values()) {
      NodeAllocator zeroing = open(when);
      NodeArena arena = zeroing.arena(NODE_0);
      ByteBuffer buffer = arena.allocateBuffer(PAGE);
      fill(buffer, DIRT);
      zeroing.close();
      // "Does nothing … after the allocator was closed."
      arena.close();
      assertPages("0", buffer);
    }
  }

  private static DeviceNode deviceOf(NodeAllocator zeroing) {
    DeviceNode device = zeroing.device(ARENA);
    device.online();
    assertTrue(zeroing.report().node(ARENA).online());
    return device;
  }

  private ByteBuffer lookAt(long address) {
    return watched.look(address, 2 * PAGE);
  }

  @Test
  void memoryThatChangesItsAccountIsZeroed() {
    for (Zeroing when : Zeroing.values()) {
      try (NodeAllocator zeroing = open(when)) {
        DeviceNode root = zeroing.device(ARENA);
        root.online();
        DeviceNode first = root.named("first");
        DeviceNode second = root.named("second");
        long block = first.allocate(2 * PAGE);
        fill(lookAt(block), DIRT);
        first.free(block);
        // Its own is no secret.
        assertEquals(block, first.allocate(2 * PAGE));
        assertEquals(when == Zeroing.ON_FREE, firstOther(lookAt(block), 0) < 0);
        fill(lookAt(block), DIRT);
        first.free(block);
        // "memory that was in use is zeroed before it is handed to one of them, by raw address and
        // uninitialised buffer too, unless zeroing is NEVER"
        boolean hidden = when != Zeroing.NEVER;
        assertEquals(block, second.allocate(2 * PAGE));
        assertEquals(hidden, firstOther(lookAt(block), 0) < 0);
        fill(lookAt(block), DIRT);
        second.free(block);
        ByteBuffer buffer = first.allocateBufferUninitialized(2 * PAGE);
        assertEquals(block, BufferAddress.of(buffer));
        assertEquals(hidden, firstOther(buffer, 0) < 0);
      }
    }
  }

  @Test
  void whatIsSpilledIsHiddenBothWays() {
    Placement there = Placement.onNode(nearest());
    for (Zeroing when : Zeroing.values()) {
      try (NodeAllocator zeroing = open(when)) {
        DeviceNode root = zeroing.device(ARENA);
        root.online();
        root.allocate(ARENA_BYTES);
        DeviceNode holder = root.spilling(SpillBudget.ofBytes(MEBIBYTE));
        boolean hidden = when != Zeroing.NEVER;
        long block = zeroing.allocate(2 * PAGE, there);
        fill(lookAt(block), DIRT);
        zeroing.free(block);
        assertEquals(block, holder.allocate(2 * PAGE));
        assertEquals(hidden, firstOther(lookAt(block), 0) < 0);
        fill(lookAt(block), DIRT);
        holder.free(block);
        assertEquals(block, zeroing.allocate(2 * PAGE, there));
        assertEquals(hidden, firstOther(lookAt(block), 0) < 0);
        zeroing.free(block);
        try (NodeArena arena = holder.arena()) {
          assertEquals(block, arena.allocate(2 * PAGE));
          fill(lookAt(block), DIRT);
        }
        assertEquals(block, zeroing.allocate(2 * PAGE, there));
        assertEquals(hidden, firstOther(lookAt(block), 0) < 0);
      }
    }
  }

  @Test
  void whatWasSpilledAndCameBackByNameIsHidden() {
    Placement there = Placement.onNode(nearest());
    try (NodeAllocator zeroing = open(Zeroing.ON_ALLOCATE)) {
      DeviceNode root = zeroing.device(ARENA);
      root.online();
      long all = root.allocate(ARENA_BYTES);
      SpillBudget budget = SpillBudget.ofBytes(UNIT);
      DeviceNode holder = root.spilling(budget);
      long block = holder.allocate(UNIT);
      root.free(all);
      zeroing.move(block, root.placement());
      zeroing.move(block, there);
      assertEquals(0, budget.spilledBytes());
      fill(lookAt(block), DIRT);
      holder.free(block);
      assertEquals(block, zeroing.allocate(UNIT, there));
      assertEquals(-1, firstOther(lookAt(block), 0));
    }
  }
}
