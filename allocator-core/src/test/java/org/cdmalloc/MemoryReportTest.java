/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.cdmalloc.MemoryReport.Totals;
import org.cdmalloc.internal.zone.Zone;
import org.cdmalloc.topology.Zonelist.Kind;
import org.junit.jupiter.api.Test;

class MemoryReportTest {
  private static final long MEBIBYTE = 1 << 20;

  private static MemoryReport of(NodeReport... nodes) {
    return new MemoryReport(List.of(nodes), List.of(), List.of(), List.of());
  }

  private static MemoryReport counting(NumaCounters... counters) {
    List<NodeReport> nodes = new ArrayList<>();
    for (NumaCounters each : counters) {
      nodes.add(ReportFixture.system(nodes.size(), 0, 0, each));
    }
    return new MemoryReport(nodes, List.of(), List.of(), List.of());
  }

  @Test
  void freeIsWhatNeitherBlocksNorStripesHave() {
    NodeReport node = ReportFixture.small().node(0);
    assertEquals(64 * MEBIBYTE - 5 * Zone.PAGE_BYTES - 3 * MEBIBYTE, node.freeBytes());
    assertEquals(
        32 * MEBIBYTE,
        NodeReport.offline(9, 0, NodeState.POSSIBLE, 32 * MEBIBYTE).freeBytes(),
        "all of it is free");
    // Read one after another: blocks first, then the capacity that stripes took meanwhile.
    NodeReport torn =
        new NodeReport(
            0,
            Kind.SYSTEM,
            0,
            NodeState.ONLINE,
            10,
            10,
            0,
            6,
            5,
            0,
            0,
            0,
            0,
            0,
            1,
            Marks.NONE,
            List.of(),
            NumaCounters.ZERO,
            MagazineReport.NONE);
    assertEquals(0, torn.freeBytes());
  }

  @Test
  void cachedIsWhatTheKernelGaveAndNoBlockHas() {
    assertEquals(3 * MEBIBYTE, ReportFixture.small().node(2).cachedBytes());
    assertEquals(MEBIBYTE, ReportFixture.small().stripes().get(0).cachedBytes());
    // A block is counted before the memory behind it.
    assertEquals(0, ReportFixture.system(0, 0, MEBIBYTE, NumaCounters.ZERO).cachedBytes());
  }

  @Test
  void anOfflineDeviceHasACapacityAndNothingElse() {
    NodeReport offline = NodeReport.offline(9, 1, NodeState.POSSIBLE, MEBIBYTE);
    assertEquals(
        new NodeReport(
            9,
            Kind.DEVICE,
            1,
            NodeState.POSSIBLE,
            MEBIBYTE,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            new Marks(0, 0, 0),
            List.of(),
            new NumaCounters(0, 0, 0, 0, 0, 0),
            MagazineReport.NONE),
        offline);
  }

  @Test
  void nodesAreAscendingAndFoundByNumber() {
    MemoryReport report = ReportFixture.small();
    assertEquals(List.of(0, 1, 2, 9), report.nodes().stream().map(NodeReport::node).toList());
    assertEquals(9, report.node(9).node());
    IllegalArgumentException absent =
        assertThrows(IllegalArgumentException.class, () -> report.node(3));
    assertEquals("node has no capacity here: node=3, nodes=[0, 1, 2, 9]", absent.getMessage());
    assertThrows(IllegalArgumentException.class, () -> report.numastat(-1));
    NodeReport twice = report.node(1);
    assertThrows(IllegalArgumentException.class, () -> of(twice, twice));
  }

  @Test
  void reportsKeepTheirOwnCopies() {
    List<NodeReport> nodes = new ArrayList<>(ReportFixture.small().nodes());
    List<StripeReport> stripes = new ArrayList<>(ReportFixture.small().stripes());
    List<Displacement> displacements = new ArrayList<>(ReportFixture.small().displacements());
    List<HolderReport> holders = new ArrayList<>(ReportFixture.small().holders());
    MemoryReport report = new MemoryReport(nodes, stripes, displacements, holders);
    nodes.clear();
    stripes.clear();
    displacements.clear();
    holders.clear();
    assertEquals(ReportFixture.small(), report);
    assertThrows(UnsupportedOperationException.class, () -> report.nodes().clear());
  }

  @Test
  void totalsAddUpTheNodesOfOneKind() {
    MemoryReport report = ReportFixture.small();
    assertEquals(
        new Totals(
            66 * MEBIBYTE,
            68 * MEBIBYTE,
            6 * MEBIBYTE,
            5 * Zone.PAGE_BYTES,
            4 * MEBIBYTE,
            6 * MEBIBYTE - 5 * Zone.PAGE_BYTES,
            2),
        report.system());
    assertEquals(
        new Totals(40 * MEBIBYTE, 8 * MEBIBYTE, 4 * MEBIBYTE, MEBIBYTE, 0, 3 * MEBIBYTE, 1),
        report.device());
    assertEquals(new Totals(0, 0, 0, 0, 0, 0, 0), of(report.node(0)).device());
  }

  @Test
  void aDeviceNeverShowsInTheTotalsOfSystemMemory() {
    MemoryReport report = ReportFixture.small();
    Totals alone = of(report.node(0), report.node(1)).system();
    assertEquals(alone, report.system());
    assertEquals(of(report.node(2), report.node(9)).device(), report.device());
    // A device arena lies on an ordinary node, and is a device all the same.
    assertEquals(alone, of(report.node(0), report.node(1), report.node(9)).system());
  }

  /** There is no sum of both kinds, and nothing to make one with. */
  @Test
  void nothingAddsTheTwoTotalsUp() {
    Set<String> figures =
        Stream.of(MemoryReport.class.getDeclaredMethods())
            .filter(method -> Modifier.isPublic(method.getModifiers()))
            .filter(MemoryReportTest::isFigure)
            .map(Method::getName)
            .collect(Collectors.toSet());
    assertEquals(Set.of("system", "device"), figures);
    assertFalse(
        Arrays.stream(Totals.class.getDeclaredMethods())
            .anyMatch(method -> Arrays.asList(method.getParameterTypes()).contains(Totals.class)),
        "totals can be added up");
  }

  private static boolean isFigure(Method method) {
    Class<?> type = method.getReturnType();
    return type == Totals.class
        || (type.isPrimitive() && type != boolean.class && !method.getName().equals("hashCode"));
  }

  @Test
  void marksOutOfOrderAreRefused() {
    assertThrows(IllegalArgumentException.class, () -> new Marks(-1, 0, 0));
    assertThrows(IllegalArgumentException.class, () -> new Marks(2, 1, 2));
    IllegalArgumentException refused =
        assertThrows(IllegalArgumentException.class, () -> new Marks(1, 3, 2));
    assertEquals(
        "marks out of order: minBytes=1, lowBytes=3, highBytes=2; give 0 <= min <= low <= high",
        refused.getMessage());
  }

  @Test
  void countersOfAllocatorsAtRestAgree() {
    CounterInvariants.assertHold(ReportFixture.small());
    CounterInvariants.assertHold(counting());
  }

  @Test
  void countersThatDoNotAgreeAreNamed() {
    assertBroken(
        "hit + miss = local + other: node=1",
        counting(NumaCounters.ZERO, new NumaCounters(3, 0, 0, 0, 1, 1)));
    assertBroken("interleave_hit <= hit: node=0", counting(new NumaCounters(3, 0, 0, 4, 3, 0)));
    assertBroken(
        "all misses = all foreign: miss=1, foreign=2",
        counting(new NumaCounters(0, 0, 2, 0, 0, 0), new NumaCounters(0, 1, 0, 0, 1, 0)));
  }

  private static void assertBroken(String rule, MemoryReport report) {
    AssertionError broken =
        assertThrows(AssertionError.class, () -> CounterInvariants.assertHold(report));
    assertEquals(rule, broken.getMessage().substring(0, rule.length()));
  }
}
