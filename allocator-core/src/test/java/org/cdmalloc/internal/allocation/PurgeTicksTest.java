/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.cdmalloc.Checks;
import org.cdmalloc.Placement;
import org.cdmalloc.Zeroing;
import org.cdmalloc.spi.AddressOnlySource;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/**
 * What the decay thread does at each look, look by look, without the thread and without a clock.
 */
final class PurgeTicksTest {
  private static final long MEBIBYTE = 1 << 20;
  private static final long PAGE = 4096;
  private static final long UNIT = Backing.COMMIT_BYTES;

  private final AddressOnlySource source =
      AddressOnlySource.of(
          Machine.builder()
              .node(Node.of(0, "0", 64 * MEBIBYTE))
              .node(Node.of(1, "1", 256 * MEBIBYTE))
              .node(Node.memoryOnly(2, 64 * MEBIBYTE))
              .build());
  private final Assembly parts =
      Assembly.of(
          source,
          NodeMask.of(2),
          List.of(),
          new Assembly.Settings(
              Map.of(0, 64 * MEBIBYTE, 1, 256 * MEBIBYTE),
              Map.of(),
              Map.of(),
              Zeroing.ON_ALLOCATE,
              Checks.STANDARD,
              Duration.ZERO,
              Duration.ZERO,
              0));
  private final AllocationPath allocation = parts.allocation();
  private final Requests node = requests(Placement.onNode(0));

  @AfterEach
  void close() {
    parts.close();
  }

  private Requests requests(Placement placement) {
    return new SystemRequests(allocation, placement, parts.system().of(placement));
  }

  private long look() {
    return allocation.trim(true);
  }

  private List<Long> units(int count) {
    List<Long> blocks = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      blocks.add(node.allocate(UNIT, 1));
    }
    return blocks;
  }

  @Test
  void memoryThatNobodyUsesGoesAtTheSecondLook() {
    List<Long> blocks = units(3);
    assertEquals(0, look());
    assertEquals(0, look());
    blocks.forEach(allocation::free);
    assertEquals(0, look());
    assertEquals(3 * UNIT, look());
    assertEquals(0, look());
    assertEquals(64 * MEBIBYTE, source.freeBytes(0));
  }

  @Test
  void aLookBeforeTheFreeDoesNotCount() {
    List<Long> blocks = units(1);
    assertEquals(0, look());
    assertEquals(0, look());
    allocation.free(blocks.get(0));
    assertEquals(0, look());
    assertEquals(UNIT, look());
  }

  @Test
  void whoeverTakesAPageMeanwhileKeepsItsUnitForTwoLooksMore() {
    units(2).forEach(allocation::free);
    assertEquals(0, look());
    // In use between two looks, and free at both: the lowest unit only.
    allocation.free(node.allocate(PAGE, 1));
    assertEquals(UNIT, look());
    assertEquals(UNIT, look());
  }

  @Test
  void aUnitIsSparedAsLongAsAPageOfItIsInUse() {
    long page = node.allocate(PAGE, 1);
    long rest = node.allocate(3 * UNIT, 1);
    allocation.free(rest);
    assertEquals(0, look());
    assertEquals(3 * UNIT, look());
    for (int i = 0; i < 5; i++) {
      assertEquals(0, look());
    }
    allocation.free(page);
    assertEquals(0, look());
    assertEquals(UNIT, look());
  }

  @Test
  void aBusyUnitIsNeverGivenBackHoweverShortEachUseIs() {
    units(1).forEach(allocation::free);
    for (int i = 0; i < 100; i++) {
      assertEquals(0, look());
      allocation.free(node.allocate(PAGE, 1));
    }
    assertEquals(0, look());
    assertEquals(UNIT, look());
  }

  @Test
  void unitsAreIdleEachForItself() {
    List<Long> blocks = units(4);
    allocation.free(blocks.get(0));
    allocation.free(blocks.get(2));
    assertEquals(0, look());
    allocation.free(blocks.get(3));
    assertEquals(2 * UNIT, look());
    assertEquals(UNIT, look());
    allocation.free(blocks.get(1));
    assertEquals(0, look());
    assertEquals(UNIT, look());
  }

  @Test
  void memoryThatWasGivenBackIsNotIdleWhenItComesAgain() {
    units(1).forEach(allocation::free);
    assertEquals(0, look());
    assertEquals(UNIT, look());
    units(1).forEach(allocation::free);
    assertEquals(0, look());
    assertEquals(UNIT, look());
  }

  @Test
  void aTrimWaitsForNoLookAndLeavesNoneBehind() {
    List<Long> blocks = units(2);
    blocks.forEach(allocation::free);
    assertEquals(2 * UNIT, allocation.trim(false));
    assertEquals(0, look());
    assertEquals(0, look());
    // What was looked at once is trimmed like the rest.
    units(2).forEach(allocation::free);
    assertEquals(0, look());
    assertEquals(2 * UNIT, allocation.trim(false));
  }

  @Test
  void aTrimThatSparesAUnitForgetsThatItWasIdle() {
    List<Long> blocks = units(1);
    allocation.free(blocks.get(0));
    assertEquals(0, look());
    long page = node.allocate(PAGE, 1);
    assertEquals(0, allocation.trim(false));
    allocation.free(page);
    assertEquals(0, look());
    assertEquals(UNIT, look());
  }

  @Test
  void everyZoneIsLookedAt() {
    parts.devices().get(2).online();
    Requests device = new SystemRequests(allocation, Placement.onNode(2), parts.devices().get(2));
    Requests striped = requests(Placement.interleave(NodeMask.of(0, 1)));
    allocation.free(device.allocate(PAGE, 1));
    allocation.free(striped.allocate(2 * UNIT, 1));
    allocation.free(node.allocate(PAGE, 1));
    assertEquals(3 * UNIT, parts.report().system().stripedBytes() + UNIT);
    assertEquals(0, look());
    assertEquals(4 * UNIT, look());
    // What nodes lent is theirs again.
    assertEquals(0, parts.report().system().stripedBytes());
    source.machine().nodes().forEach(n -> assertEquals(n.bytes(), source.freeBytes(n.id())));
  }

  @Test
  void manyUnitsAreLookedAtAWindowAtATime() {
    // Four windows of 32 units.
    List<Long> blocks = new ArrayList<>();
    Requests large = requests(Placement.onNode(1));
    for (long at = 0; at < 256 * MEBIBYTE; at += UNIT) {
      blocks.add(large.allocate(UNIT, 1));
    }
    blocks.forEach(allocation::free);
    assertEquals(0, look());
    assertEquals(256 * MEBIBYTE, look());
  }

  @Test
  void aClosedAllocatorIsLookedAtWithoutHarm() {
    units(1).forEach(allocation::free);
    assertEquals(0, look());
    parts.close();
    assertEquals(0, look());
    assertEquals(0, allocation.trim(false));
  }
}
