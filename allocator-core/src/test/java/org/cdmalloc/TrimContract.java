/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.cdmalloc.spi.MemorySource;
import org.junit.jupiter.api.Test;

/** What {@link NodeAllocator#trim} promises, and what it leaves alone. */
abstract class TrimContract extends ArenaContract {
  /** All that is committed, of nodes and of striped zones. */
  private static long committedBytes(NodeAllocator memory) {
    MemoryReport report = memory.report();
    return report.nodes().stream().mapToLong(NodeReport::committedBytes).sum()
        + report.stripes().stream().mapToLong(StripeReport::committedBytes).sum();
  }

  /** An allocator whose memory goes back only when a test says so. */
  private NodeAllocator openQuiet(MemorySource source) {
    return builder(source).deviceArena(ARENA, 0, ARENA_BYTES).purgeDelay(Duration.ZERO).open();
  }

  private static void assertTrims(long bytes, NodeAllocator memory) {
    long before = committedBytes(memory);
    // "the bytes that are committed no longer"
    assertEquals(bytes, memory.trim());
    // "committed bytes of report() fall by as much"
    assertEquals(before - bytes, committedBytes(memory));
    assertEquals(0, memory.trim());
  }

  @Test
  void aTrimGivesBackWhatIsInNoBlock() {
    MemorySource source = source();
    try (NodeAllocator quiet = openQuiet(source)) {
      quiet.device(ARENA).online();
      long free = source.freeBytes(0);
      assertTrims(0, quiet);
      for (Placement placement : List.of(NODE_0, quiet.device(ARENA).placement())) {
        for (int round = 0; round < 3; round++) {
          List<Long> blocks = new ArrayList<>();
          for (int i = 0; i < 4; i++) {
            blocks.add(quiet.allocate(1025 << 10, placement));
          }
          long committed = committedBytes(quiet);
          assertTrue(committed > 4 * MEBIBYTE && committed <= 4 * UNIT, "bytes=" + committed);
          blocks.forEach(quiet::free);
          assertTrims(committed, quiet);
          if (!source.isReal()) {
            assertEquals(free, source.freeBytes(0));
          }
        }
      }
      assertEquals(0, committedBytes(quiet));
    }
  }

  @Test
  void aUnitThatIsPartlyUsedStays() {
    try (NodeAllocator quiet = openQuiet(source())) {
      // Units 0 and half of 1, then a page in the other half.
      long large = quiet.allocate(3 * MEBIBYTE, NODE_0);
      long page = quiet.allocate(PAGE, NODE_0);
      assertEquals(large + 3 * MEBIBYTE, page);
      assertTrims(0, quiet);
      quiet.free(large);
      // "that is in no block, as far as it fills whole commit units of 2 MiB"
      assertTrims(UNIT, quiet);
      assertEquals(PAGE, quiet.usableBytes(page));
      assertTrue(quiet.residency(page).isAllOn(0));
      quiet.free(page);
      assertTrims(UNIT, quiet);
    }
  }

  @Test
  void everyOtherUnitCanBeGivenBackAndComesAgain() {
    try (NodeAllocator quiet = openQuiet(source())) {
      List<Long> kept = new ArrayList<>();
      List<Long> freed = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        freed.add(quiet.allocate(UNIT, NODE_0));
        kept.add(quiet.allocate(UNIT, NODE_0));
      }
      for (int round = 0; round < 3; round++) {
        freed.forEach(quiet::free);
        assertTrims(4 * UNIT, quiet);
        kept.forEach(block -> assertTrue(quiet.residency(block).isAllOn(0)));
        freed.replaceAll(block -> quiet.allocate(UNIT, NODE_0));
        freed.forEach(block -> assertTrue(quiet.residency(block).isAllOn(0)));
      }
      kept.forEach(quiet::free);
      freed.forEach(quiet::free);
      assertTrims(8 * UNIT, quiet);
    }
  }

  @Test
  void theLastUnitOfANodeMayBeShort() {
    long capacity = 2 * UNIT + MEBIBYTE;
    try (NodeAllocator quiet = builder().capacity(0, capacity).purgeDelay(Duration.ZERO).open()) {
      long large = quiet.allocate(2 * UNIT, NODE_0);
      long small = quiet.allocate(MEBIBYTE, NODE_0);
      assertEquals(capacity, committedBytes(quiet));
      quiet.free(small);
      assertTrims(MEBIBYTE, quiet);
      quiet.free(large);
      assertTrims(2 * UNIT, quiet);
      quiet.free(quiet.allocate(MEBIBYTE, NODE_0));
    }
  }

  @Test
  void whatIsInterleavedGoesBackToo() {
    MemorySource source = source();
    try (NodeAllocator quiet = openQuiet(source)) {
      Placement all = Placement.interleave(source.machine().withMemory());
      long[] blocks = {quiet.allocate(3 * MEBIBYTE, all), quiet.allocate(PAGE - 1, all)};
      long committed = committedBytes(quiet);
      for (long block : blocks) {
        quiet.free(block);
      }
      assertTrims(committed, quiet);
      assertEquals(0, quiet.report().system().stripedBytes());
      assertEquals(0, committedBytes(quiet));
    }
  }

  @Test
  void requestsThatNeedTheMemoryElsewhereDoNotWaitForATrim() {
    try (NodeAllocator quiet = openQuiet(source())) {
      // Idle units all over the node, then a block of all of it.
      List<Long> blocks = new ArrayList<>();
      for (long at = 0; at < CAPACITY; at += UNIT) {
        blocks.add(quiet.at(NODE_0).allocate(PAGE, UNIT));
      }
      blocks.forEach(quiet::free);
      quiet.free(quiet.allocate(CAPACITY, NODE_0));
      assertTrims(CAPACITY, quiet);
    }
  }
}
