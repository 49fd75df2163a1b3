/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import static org.cdmalloc.spi.DisplacementCause.UNKNOWN;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.LongStream;
import org.cdmalloc.Displacement;
import org.cdmalloc.NativeCallException;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.Placement;
import org.cdmalloc.PlacementAudit;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.stubs.FaultInjectingSource.Errno;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.Test;

/** Pages of an emulated machine that its kernel moved, as an audit finds them. */
final class DisplacedPagesTest {
  private static final int MEBIBYTE = 1 << 20;
  private static final int UNIT = 2 * MEBIBYTE;
  private static final int DEVICE = 4;
  private static final int ARENA = 9;

  /** A kernel that moves pages of its mappings, by their order and not by their addresses. */
  private static final class Moving extends EmulatedKernel {
    private final List<Long> mappings = new ArrayList<>();
    private final int pageBytes;

    Moving(int pageBytes) {
      super(Machines.twoSocketsAndADevice(), pageBytes, () -> 0);
      this.pageBytes = pageBytes;
    }

    @Override
    synchronized long map(long bytes) {
      long address = super.map(bytes);
      mappings.add(address);
      return address;
    }

    /** Moves the first pages of the newest region. */
    void moveOfNewest(int pages, int node) {
      long begin = mappings.get(mappings.size() - 1);
      long[] addresses = LongStream.range(0, pages).map(page -> begin + page * pageBytes).toArray();
      int[] nodes = new int[pages];
      Arrays.fill(nodes, node);
      assertEquals(0, movePages(addresses, nodes, new int[pages], Uapi.MPOL_MF_MOVE));
    }
  }

  private final Moving kernel = new Moving(4096);
  private final FaultInjectingSource faults = new FaultInjectingSource(source(kernel));

  private static MemorySource source(Moving kernel) {
    return new EmulatedSource(
        Machines.twoSocketsAndADevice(),
        kernel.pageBytes,
        () -> 0,
        BackingFiles.inTemporaryDirectory(),
        kernel);
  }

  private static NodeAllocator open(MemorySource source) {
    return NodeAllocator.builder()
        .source(source)
        .capacity(0, 16 * MEBIBYTE)
        .capacity(1, 16 * MEBIBYTE)
        .deviceArena(ARENA, 1, 4 * MEBIBYTE)
        .purgeDelay(Duration.ZERO)
        .open();
  }

  private static List<Displacement> displaced(int node, int foundOn, long bytes) {
    return List.of(new Displacement(node, foundOn, bytes, UNKNOWN, ""));
  }

  @Test
  void pagesOfADeviceThatMovedAreFoundAndKeepTheirContent() {
    try (NodeAllocator memory = open(faults)) {
      memory.device(DEVICE).online();
      ByteBuffer block = memory.device(DEVICE).allocateBuffer(MEBIBYTE);
      block.putLong(0, 42);
      kernel.moveOfNewest(3, 0);
      assertEquals(new PlacementAudit(UNIT, 0, 0, displaced(DEVICE, 0, 3 * 4096)), memory.audit());
      assertEquals(42, block.getLong(0));
      // In no block, it is given back, and comes again where it belongs.
      memory.free(block);
      assertEquals(
          new PlacementAudit(UNIT, 0, 3 * 4096, displaced(DEVICE, 0, 3 * 4096)), memory.audit());
      assertEquals(0, memory.report().node(DEVICE).committedBytes());
      assertTrue(memory.residency(memory.device(DEVICE).allocate(UNIT)).isAllOn(DEVICE));
      assertEquals(new PlacementAudit(UNIT, 0, 0, List.of()), memory.audit());
    }
  }

  @Test
  void arenasAndStripesOfAnyPageSizeAreFoundPageByPage() {
    for (int pageBytes : new int[] {4 << 10, 64 << 10}) {
      Moving moving = new Moving(pageBytes);
      try (NodeAllocator memory = open(source(moving))) {
        memory.device(ARENA).online();
        memory.device(ARENA).allocate(UNIT);
        moving.moveOfNewest(2, 0);
        assertEquals(displaced(ARENA, 0, 2L * pageBytes), memory.audit().displacements());
        moving.moveOfNewest(2, 1);
        assertEquals(List.of(), memory.audit().displacements());
        // So large that it begins with the zone: page 0 is node 0's, page 1 node 1's.
        Placement interleaved = Placement.interleave(NodeMask.of(0, 1));
        long first = memory.allocate(16 * MEBIBYTE, interleaved);
        assertEquals(List.of(), memory.audit().displacements());
        moving.moveOfNewest(5, DEVICE);
        assertEquals(DEVICE, memory.residency(first).node(0));
        assertEquals(
            List.of(
                new Displacement(0, DEVICE, 3L * pageBytes, UNKNOWN, ""),
                new Displacement(1, DEVICE, 2L * pageBytes, UNKNOWN, "")),
            memory.audit().displacements());
      }
    }
  }

  @Test
  void anAuditThatFailsBreaksNothing() {
    try (NodeAllocator memory = open(faults)) {
      long block = memory.allocate(UNIT, Placement.onNode(0));
      for (SourceCall call : new SourceCall[] {SourceCall.RESIDENCY, SourceCall.EXPLAIN}) {
        memory.device(DEVICE).online();
        long moved = memory.device(DEVICE).allocate(UNIT);
        kernel.moveOfNewest(1, 0);
        faults.at(call, 1).errno(Errno.EIO);
        NativeCallException failure = assertThrows(NativeCallException.class, memory::audit);
        assertEquals(call.method(), failure.function());
        assertEquals(displaced(DEVICE, 0, 4096), memory.audit().displacements());
        // What cannot be given back is committed no longer, and offered again after its next use.
        memory.device(DEVICE).free(moved);
        faults.at(SourceCall.PURGE, 1).errno(Errno.EAGAIN);
        assertThrows(NativeCallException.class, memory::audit);
        assertEquals(List.of(), memory.audit().displacements());
        assertEquals(0, memory.report().node(DEVICE).committedBytes());
      }
      assertTrue(memory.residency(block).isAllOn(0));
      memory.free(block);
      assertEquals(UNIT, memory.trim());
    }
  }
}
