/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.Placement;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Region;
import org.junit.jupiter.api.Test;

/** A region's address space stays as long as a view of it can be reached, and no longer. */
final class ReleasedRegionTest {
  private static final int NODE = ThisHost.NODE;
  private static final int ROUNDS = 200;

  private record Stale(long address, ByteBuffer view) {}

  private static Stale release(MemorySource source) {
    Region region = source.reserve(NODE, 4 << 20);
    source.commit(region, 0, 4 << 20);
    ByteBuffer view = source.view(region, 1 << 20, 4096).slice(8, 8);
    view.putLong(0, 42);
    source.release(region);
    return new Stale(region.address(), view);
  }

  @Test
  void aStaleViewReadsZerosUntilItIsUnreachable() throws IOException {
    MemorySource source = ThisHost.source();
    Stale stale = release(source);
    long address = stale.address();
    System.gc();
    assertTrue(isMapped(address));
    assertEquals(0, stale.view().getLong(0));
    stale.view().putLong(0, 7);
    stale = null;
    boolean mapped = true;
    for (int round = 0; mapped && round < ROUNDS; round++) {
      System.gc();
      mapped = isMapped(address);
    }
    assertTrue(!mapped, "the region is still mapped");
  }

  private static boolean isMapped(long address) throws IOException {
    String start = Long.toHexString(address) + "-";
    return Files.readString(Path.of("/proc/self/maps"), StandardCharsets.ISO_8859_1)
        .contains(start);
  }

  /** Returns an address whose allocator nobody can reach. */
  private static long allocateAndForget(MemorySource source) {
    NodeAllocator memory = NodeAllocator.builder().source(source).capacity(NODE, 4 << 20).open();
    return memory.allocate(2 << 20, Placement.onNode(NODE));
  }

  @Test
  void anAllocatorThatNobodyClosedKeepsItsMemoryMapped() throws IOException {
    long address = allocateAndForget(ThisHost.source());
    for (int round = 0; round < 20; round++) {
      System.gc();
    }
    assertTrue(isMapped(address));
  }
}
