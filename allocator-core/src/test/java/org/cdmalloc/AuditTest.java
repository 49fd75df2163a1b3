/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.cdmalloc.spi.DisplacementCause.DEMOTION;
import static org.cdmalloc.spi.DisplacementCause.LONG_TERM_PIN;
import static org.cdmalloc.spi.DisplacementCause.SWAPPED_OUT;
import static org.cdmalloc.spi.DisplacementCause.UNKNOWN;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.cdmalloc.spi.AddressOnlySource;
import org.cdmalloc.spi.Explanation;
import org.cdmalloc.spi.Residency;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.Test;

/** What an audit finds, what it gives back, and what is told of it. */
final class AuditTest {
  private static final int PAGE = 4096;
  private static final long MEBIBYTE = 1 << 20;
  private static final long UNIT = 2 * MEBIBYTE;
  private static final long WINDOW = 64 * MEBIBYTE;
  private static final int DEVICE = 2;
  private static final int ARENA = 9;
  private static final Placement NODE_0 = Placement.onNode(0);
  private static final Explanation PIN = new Explanation(LONG_TERM_PIN, "VmPin=8kB");

  static Machine machine() {
    return Machine.builder()
        .node(Node.of(0, "0", 512 * MEBIBYTE))
        .node(Node.of(1, "1", 512 * MEBIBYTE))
        .node(Node.memoryOnly(DEVICE, 64 * MEBIBYTE))
        .build();
  }

  private final MovedPages pages = new MovedPages(AddressOnlySource.of(machine()));

  private static NodeAllocator open(MovedPages pages) {
    return NodeAllocator.builder()
        .source(pages.source())
        .capacity(0, 256 * MEBIBYTE)
        .capacity(1, 256 * MEBIBYTE)
        .deviceArena(ARENA, 0, 16 * MEBIBYTE)
        .purgeDelay(Duration.ZERO)
        .open();
  }

  private static Displacement unknown(int node, int foundOn, long bytes) {
    return new Displacement(node, foundOn, bytes, UNKNOWN, "");
  }

  @Test
  void whatIsInPlaceIsNotDisplaced() {
    try (NodeAllocator memory = open(pages)) {
      assertEquals(new PlacementAudit(0, 0, 0, List.of()), memory.audit());
      memory.allocate(100 * MEBIBYTE, NODE_0);
      memory.free(memory.allocate(3 * MEBIBYTE, Placement.onNode(1)));
      memory.allocate(PAGE, Placement.interleave(NodeMask.of(0, 1)));
      // "all memory that was committed, in blocks or not"
      assertEquals(
          new PlacementAudit(100 * MEBIBYTE + 4 * MEBIBYTE + UNIT, 0, 0, List.of()),
          memory.audit());
      assertEquals(List.of(), memory.report().displacements());
    }
  }

  @Test
  void pagesThatMovedAreFoundWithTheirCause() {
    pages.explain(DEVICE, 0, PIN);
    try (NodeAllocator memory = open(pages)) {
      memory.device(DEVICE).online();
      long block = memory.device(DEVICE).allocate(4 * MEBIBYTE);
      long other = memory.allocate(UNIT, NODE_0);
      pages.move(block, PAGE, 0);
      pages.move(block + 3 * MEBIBYTE, 2 * PAGE, 1);
      pages.move(other, UNIT, DEVICE);
      List<Displacement> expected =
          List.of(
              unknown(0, DEVICE, UNIT),
              new Displacement(DEVICE, 0, PAGE, LONG_TERM_PIN, "VmPin=8kB"),
              unknown(DEVICE, 1, 2 * PAGE));
      assertEquals(new PlacementAudit(3 * UNIT, 0, 0, expected), memory.audit());
      assertEquals(UNIT + 3 * PAGE, memory.audit().displacedBytes());
      MemoryReport report = memory.report();
      assertEquals(expected, report.displacements());
      assertEquals(UNIT, report.node(0).displacedBytes());
      assertEquals(0, report.node(1).displacedBytes());
      assertEquals(3 * PAGE, report.node(DEVICE).displacedBytes());
    }
  }

  @Test
  void aFindingStaysUntilItsWindowIsLookedAtAgain() {
    try (NodeAllocator memory = open(pages)) {
      long low = memory.allocate(WINDOW, NODE_0);
      long high = memory.allocate(WINDOW, NODE_0);
      pages.move(low, PAGE, 1);
      pages.move(high, 2 * PAGE, 1);
      assertEquals(List.of(unknown(0, 1, 3 * PAGE)), memory.audit().displacements());
      pages.moveBack(low, PAGE);
      pages.move(high, PAGE, 1);
      assertEquals(3 * PAGE, memory.report().node(0).displacedBytes());
      assertEquals(List.of(unknown(0, 1, 2 * PAGE)), memory.audit().displacements());
      assertEquals(2 * PAGE, memory.report().node(0).displacedBytes());
      // A window of which nothing is committed any more is looked at to forget it.
      memory.free(high);
      memory.trim();
      assertEquals(List.of(), memory.audit().displacements());
      assertEquals(0, memory.report().node(0).displacedBytes());
    }
  }

  @Test
  void whatNobodyTellsAboutIsUnknownAndNotDisplaced() {
    try (NodeAllocator memory = open(pages)) {
      long block = memory.allocate(UNIT, NODE_0);
      pages.move(block, 3 * PAGE, Residency.UNKNOWN);
      pages.move(block + 5 * PAGE, PAGE, 1);
      assertEquals(
          new PlacementAudit(UNIT, 3 * PAGE, 0, List.of(unknown(0, 1, PAGE))), memory.audit());
    }
  }

  @Test
  void pagesThatAreOnNoNodeForNoReasonAreUnknown() {
    try (NodeAllocator memory = open(pages)) {
      long block = memory.allocate(UNIT, NODE_0);
      pages.move(block, 3 * PAGE, Residency.NOT_PRESENT);
      pages.move(block + 5 * PAGE, PAGE, 1);
      assertEquals(
          new PlacementAudit(UNIT, 3 * PAGE, 0, List.of(unknown(0, 1, PAGE))), memory.audit());
      assertEquals(PAGE, memory.report().node(0).displacedBytes());
    }
  }

  @Test
  void pagesInSwapAreNowhere() {
    pages.explain(0, Residency.NOT_PRESENT, new Explanation(SWAPPED_OUT, "VmSwap=4kB"));
    try (NodeAllocator memory = open(pages)) {
      pages.move(memory.allocate(UNIT, NODE_0), PAGE, Residency.NOT_PRESENT);
      assertEquals(
          List.of(new Displacement(0, Displacement.NOWHERE, PAGE, SWAPPED_OUT, "VmSwap=4kB")),
          memory.audit().displacements());
    }
  }

  @Test
  void unitsInNoBlockAreGivenBackAndComeAgainInPlace() {
    try (NodeAllocator memory = open(pages)) {
      long held = memory.allocate(PAGE, NODE_0);
      long freed = memory.allocate(4 * MEBIBYTE, NODE_0);
      assertEquals(UNIT * 2, freed - held);
      pages.move(held, 2 * PAGE, 1);
      pages.move(freed, PAGE, 1);
      memory.free(freed);
      long committed = memory.report().node(0).committedBytes();
      // The unit of the block stays, and so does the second one of what was freed: it is in place.
      assertEquals(
          new PlacementAudit(committed, 0, PAGE, List.of(unknown(0, 1, 3 * PAGE))), memory.audit());
      assertEquals(committed - UNIT, memory.report().node(0).committedBytes());
      assertEquals(List.of(unknown(0, 1, 2 * PAGE)), memory.report().displacements());
      assertEquals(freed, memory.allocate(4 * MEBIBYTE, NODE_0));
      assertEquals(
          new PlacementAudit(committed, 0, 0, List.of(unknown(0, 1, 2 * PAGE))), memory.audit());
    }
  }

  @Test
  void eachPageOfAStripeHasANodeOfItsOwn() {
    for (int osPage : new int[] {4 << 10, 64 << 10}) {
      MovedPages striped = new MovedPages(AddressOnlySource.of(machine(), osPage, () -> 0));
      try (NodeAllocator memory = open(striped)) {
        // Two pages of node 0, then one of node 1.
        Placement placement = Placement.weightedInterleave(Map.of(0, 2, 1, 1));
        long block = memory.allocate(UNIT, placement);
        assertEquals(List.of(), memory.audit().displacements());
        // Two rounds to node 1, and the next page of node 1 to the device.
        Residency right = memory.residency(block);
        int next = 6;
        while (right.node(next) != 1) {
          next++;
        }
        striped.move(block, 6L * osPage, 1);
        striped.move(block + (long) next * osPage, osPage, DEVICE);
        assertEquals(
            List.of(unknown(0, 1, 4L * osPage), unknown(1, DEVICE, osPage)),
            memory.audit().displacements());
        MemoryReport report = memory.report();
        assertEquals(5L * osPage, report.stripes().get(0).displacedBytes());
        // "The node's own zone": what is displaced of stripes is theirs.
        assertEquals(0, report.node(0).displacedBytes());
      }
    }
  }

  @Test
  void anArenaGoesByItsOwnNumberAndLiesOnItsHost() {
    pages.explain(0, 1, PIN);
    try (NodeAllocator memory = open(pages)) {
      memory.device(ARENA).online();
      long block = memory.device(ARENA).allocate(UNIT);
      assertEquals(List.of(), memory.audit().displacements());
      pages.move(block, PAGE, 1);
      assertEquals(
          List.of(new Displacement(ARENA, 1, PAGE, LONG_TERM_PIN, "VmPin=8kB")),
          memory.audit().displacements());
      assertEquals(PAGE, memory.report().node(ARENA).displacedBytes());
      assertEquals(0, memory.report().node(0).displacedBytes());
    }
  }

  @Test
  void aCauseThatPassedStaysWithWhatItMoved() {
    pages.explain(0, 1, PIN);
    try (NodeAllocator memory = open(pages)) {
      long block = memory.allocate(UNIT, NODE_0);
      pages.move(block, PAGE, 1);
      memory.audit();
      pages.explain(0, 1, Explanation.UNKNOWN);
      Displacement pinned = new Displacement(0, 1, PAGE, LONG_TERM_PIN, "VmPin=8kB");
      assertEquals(List.of(pinned), memory.audit().displacements());
      assertEquals(List.of(pinned), memory.report().displacements());
      // Nobody says why those moved that moved another way.
      pages.move(block, PAGE, DEVICE);
      assertEquals(List.of(unknown(0, DEVICE, PAGE)), memory.audit().displacements());
      // A better explanation counts.
      pages.explain(0, DEVICE, new Explanation(DEMOTION, "pgdemote=1"));
      assertEquals(
          List.of(new Displacement(0, DEVICE, PAGE, DEMOTION, "pgdemote=1")),
          memory.audit().displacements());
    }
  }

  @Test
  void aSourceThatDoesNotTellIsAnExceptionAndTheOtherWindowsAreLookedAt() {
    try (NodeAllocator memory = open(pages)) {
      long first = memory.allocate(WINDOW, NODE_0);
      long second = memory.allocate(WINDOW, NODE_0);
      pages.move(first, PAGE, 1);
      pages.move(second, PAGE, 1);
      pages.watch(
          (address, bytes) -> {
            if (address == first) {
              throw new NativeCallException("move_pages", 14, "EFAULT", "test=true");
            }
          });
      assertEquals(14, assertThrows(NativeCallException.class, memory::audit).errno());
      assertEquals(List.of(unknown(0, 1, PAGE)), memory.report().displacements());
      pages.watch((address, bytes) -> {});
      assertEquals(List.of(unknown(0, 1, 2 * PAGE)), memory.audit().displacements());
      memory.free(first);
      assertEquals(first, memory.allocate(WINDOW, NODE_0));
    }
  }

  @Test
  void aClosedAllocatorHasNothingDisplaced() {
    NodeAllocator memory = open(pages);
    pages.move(memory.allocate(UNIT, NODE_0), PAGE, 1);
    memory.audit();
    try (CapturedLog log = new CapturedLog()) {
      memory.close();
      assertEquals(1, log.lines("live blocks").size());
    }
    assertEquals(List.of(), memory.report().displacements());
    assertEquals(0, memory.report().node(0).displacedBytes());
    assertThrows(IllegalStateException.class, memory::audit);
  }

  @Test
  void eachWayIsWarnedOfOnce() {
    pages.explain(0, 1, new Explanation(LONG_TERM_PIN, "fds={io_uring}"));
    try (NodeAllocator memory = open(pages);
        CapturedLog log = new CapturedLog()) {
      long block = memory.allocate(2 * WINDOW, NODE_0);
      pages.move(block, PAGE, 1);
      memory.audit();
      String begin = "memory does not lie where it was committed: node=0, ";
      assertEquals(
          List.of(
              begin
                  + "found_on=1, bytes=4096, likely_cause=LONG_TERM_PIN, fds={io_uring}; said once,"
                  + " audit() and report() tell how much there is; memory that is freed comes again"
                  + " on its node"),
          log.lines(begin));
      pages.move(block, 9 * PAGE, 1);
      pages.move(block + WINDOW, PAGE, 1);
      memory.audit();
      assertEquals(1, log.lines(begin).size());
      pages.move(block, PAGE, Residency.NOT_PRESENT);
      pages.explain(0, Residency.NOT_PRESENT, new Explanation(SWAPPED_OUT, "VmSwap=4096"));
      memory.audit();
      pages.explain(0, 1, new Explanation(DEMOTION, ""));
      pages.move(block, 11 * PAGE, 1);
      memory.audit();
      List<String> lines = new ArrayList<>(log.lines(begin));
      assertEquals(3, lines.size(), lines::toString);
      assertTrue(lines.stream().anyMatch(line -> line.contains("found_on=none")));
      assertTrue(lines.stream().anyMatch(line -> line.contains("likely_cause=DEMOTION;")));
    }
  }
}
