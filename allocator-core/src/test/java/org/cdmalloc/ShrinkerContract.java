/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What a {@link Shrinker} is registered for, and when it is called. */
abstract class ShrinkerContract extends AuditContract {
  /** A cache of blocks of a MiB that anybody may free. */
  private static final class Cache implements Shrinker {
    final ConcurrentLinkedQueue<Long> blocks = new ConcurrentLinkedQueue<>();
    final AtomicLong calls = new AtomicLong();
    private final NodeAllocator memory;

    Cache(NodeAllocator memory) {
      this.memory = memory;
    }

    @Override
    public long shrink(long bytes) {
      calls.incrementAndGet();
      long freed = 0;
      for (Long block = blocks.peek(); freed < bytes && block != null; block = blocks.peek()) {
        memory.free(blocks.remove());
        freed += MEBIBYTE;
      }
      return freed;
    }
  }

  /** Asks until there is room: how long that takes is a thread's affair. */
  private static long untilServed(NodeAllocator memory, Placement placement) {
    long block = 0;
    while (block == 0) {
      block = memory.tryAllocate(MEBIBYTE, placement);
    }
    return block;
  }

  private void assertReclaimed(NodeAllocator open, int node, Cache cache, Cache other) {
    Placement placement = node == ARENA ? open.device(ARENA).placement() : Placement.onNode(node);
    long capacity = open.report().node(node).capacityBytes();
    for (long bytes = 0; bytes + MEBIBYTE <= capacity; bytes += MEBIBYTE) {
      cache.blocks.add(untilServed(open, placement));
    }
    // Nothing is left but what the cache holds.
    for (int i = 0; i < 4; i++) {
      cache.blocks.add(untilServed(open, placement));
    }
    assertNotEquals(0, cache.calls.get());
    assertEquals(0, other.calls.get());
  }

  @Test
  @Timeout(60)
  void aNodeThatRunsShortCallsItsOwnShrinkers() {
    NodeAttributes reclaimed = NodeAttributes.COHERENT_DEVICE.withReclaim(true);
    for (boolean onDevice : new boolean[] {true, false}) {
      try (NodeAllocator open =
          builder().deviceArena(ARENA, 0, ARENA_BYTES).attributes(ARENA, reclaimed).open()) {
        Cache ofDevice = new Cache(open);
        Cache ofNode = new Cache(open);
        // "It may be registered before the node is online"
        open.device(ARENA).named("cache").shrinker(ofDevice);
        open.shrinker(0, ofNode);
        open.device(ARENA).online();
        if (onDevice) {
          assertReclaimed(open, ARENA, ofDevice, ofNode);
        } else {
          assertReclaimed(open, 0, ofNode, ofDevice);
        }
      }
    }
  }

  @Test
  void aDeviceKeepsItsCachesUnlessItIsToldOtherwise() {
    AtomicLong calls = new AtomicLong();
    Registration registration = device().shrinker(bytes -> calls.incrementAndGet());
    device().allocate(ARENA_BYTES);
    assertEquals(0, device().tryAllocate(1));
    assertEquals(0, calls.get());
    registration.close();
  }

  @Test
  void whoMayNotUseANodeRegistersNothingThere() {
    Shrinker shrinker = bytes -> 0;
    assertThrows(NodeAccessException.class, () -> memory.shrinker(ARENA, shrinker));
    assertThrows(IllegalArgumentException.class, () -> memory.shrinker(NO_SUCH_NODE, shrinker));
    DeviceNode holder = device().named("x");
    holder.shrinker(shrinker);
    holder.revoke();
    assertThrows(NodeAccessException.class, () -> holder.shrinker(shrinker));
    memory.close();
    assertThrows(IllegalStateException.class, () -> memory.shrinker(0, shrinker));
    assertThrows(IllegalStateException.class, () -> memory.device(ARENA).shrinker(shrinker));
  }
}
