/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Arrays;
import org.cdmalloc.NativeCallException;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.Placement;
import org.cdmalloc.SystemMemory;
import org.cdmalloc.WatchedSource;
import org.cdmalloc.Zeroing;
import org.cdmalloc.internal.address.BufferAddress;
import org.cdmalloc.spi.CommitResult.Outcome;
import org.cdmalloc.stubs.FaultInjectingSource.Errno;
import org.junit.jupiter.api.Test;

/** What is zeroed, and what is not, when the platform fails to give memory or to take it back. */
final class ZeroingFailureTest {
  private static final int PAGE = 4096;
  private static final int UNIT = 2 << 20;
  private static final byte DIRT = 0x77;

  private final FaultInjectingSource source =
      new FaultInjectingSource(EmulatedSource.of(Machines.oneNode()));
  private final WatchedSource watched = new WatchedSource(source);

  private NodeAllocator open(Zeroing zeroing) {
    return NodeAllocator.builder()
        .source(watched.source())
        .capacity(0, 16L << 20)
        .zeroing(zeroing)
        .purgeDelay(Duration.ZERO)
        .open();
  }

  private static void fill(ByteBuffer buffer) {
    byte[] bytes = new byte[buffer.capacity()];
    Arrays.fill(bytes, DIRT);
    buffer.put(0, bytes);
  }

  private static void assertAll(int value, ByteBuffer buffer) {
    byte[] bytes = new byte[buffer.capacity()];
    Arrays.fill(bytes, (byte) value);
    assertEquals(-1, buffer.mismatch(ByteBuffer.wrap(bytes)), "first byte that is not " + value);
  }

  @Test
  void pagesThatCouldNotBePurgedAreNotTakenForFresh() {
    for (Zeroing zeroing : new Zeroing[] {Zeroing.ON_ALLOCATE, Zeroing.ON_FREE}) {
      for (boolean done : new boolean[] {false, true}) {
        try (NodeAllocator memory = open(zeroing)) {
          SystemMemory node = memory.at(Placement.onNode(0));
          ByteBuffer used = node.allocateBuffer(UNIT);
          fill(used);
          node.free(used);
          FaultInjectingSource.Rule rule = source.at(SourceCall.PURGE, 1);
          (done ? rule.afterEffect() : rule).errno(Errno.EFAULT);
          assertThrows(NativeCallException.class, memory::trim);
          assertEquals(0, memory.report().node(0).committedBytes());
          ByteBuffer again = node.allocateBuffer(UNIT);
          assertEquals(BufferAddress.of(used), BufferAddress.of(again));
          assertAll(0, again);
          // Now that they were in a block, they are zeroed as ever.
          fill(again);
          node.free(again);
          assertAll(0, node.allocateBuffer(UNIT));
        }
      }
    }
  }

  @Test
  void pagesAreFreshAgainAfterTheNextPurgeThatWorks() {
    try (NodeAllocator memory = open(Zeroing.ON_ALLOCATE)) {
      SystemMemory node = memory.at(Placement.onNode(0));
      ByteBuffer used = node.allocateBuffer(UNIT);
      fill(used);
      node.free(used);
      source.at(SourceCall.PURGE, 1).errno(Errno.EFAULT);
      assertThrows(NativeCallException.class, memory::trim);
      // The unit counts as given back; it is offered again once it was in use.
      node.free(node.allocate(PAGE));
      assertEquals(UNIT, memory.trim());
      long first = node.allocate(PAGE);
      ByteBuffer rest = watched.look(first + PAGE, UNIT - PAGE);
      assertAll(0, rest);
      fill(rest);
      assertAll(DIRT, node.allocateBuffer(4 * PAGE));
    }
  }

  @Test
  void pagesWhoseMemoryNeverCameAreFreshWhenItDoes() {
    for (boolean thrown : new boolean[] {false, true}) {
      try (NodeAllocator memory = open(Zeroing.ON_ALLOCATE)) {
        SystemMemory node = memory.at(Placement.onNode(0));
        if (thrown) {
          source.at(SourceCall.COMMIT, 1).errno(Errno.ENOMEM);
          assertThrows(NativeCallException.class, () -> node.allocateBuffer(UNIT));
        } else {
          source.from(SourceCall.COMMIT, 1).result(Outcome.LIMIT_REACHED);
          assertEquals(0, node.tryAllocate(UNIT));
        }
        source.clear();
        assertFreshBehind(node.allocate(PAGE), node);
      }
    }
  }

  @Test
  void pagesOfABufferThatCouldNotBeShownAreStillFresh() {
    try (NodeAllocator memory = open(Zeroing.ON_ALLOCATE)) {
      SystemMemory node = memory.at(Placement.onNode(0));
      source.at(SourceCall.VIEW, 1).errno(Errno.ENOMEM);
      assertThrows(NativeCallException.class, () -> node.allocateBuffer(UNIT));
      assertFreshBehind(node.allocate(PAGE), node);
    }
  }

  /** Asserts that the next buffer is not zeroed: nobody can have written to its pages. */
  private void assertFreshBehind(long block, SystemMemory node) {
    ByteBuffer next = watched.look(block + PAGE, 4 * PAGE);
    assertAll(0, next);
    fill(next);
    ByteBuffer buffer = node.allocateBuffer(PAGE);
    assertEquals(block + PAGE, BufferAddress.of(buffer));
    assertAll(DIRT, buffer);
  }
}
