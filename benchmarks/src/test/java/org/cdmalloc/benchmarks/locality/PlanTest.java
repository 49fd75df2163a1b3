/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Set;
import java.util.function.ToLongFunction;
import java.util.stream.Collectors;
import org.cdmalloc.topology.CpuMask;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.Test;

/** Which cells a request asks for. */
final class PlanTest {
  private static final long MEBIBYTE = 1 << 20;
  private static final long GIBIBYTE = 1L << 30;

  private static final Machine MACHINE =
      Machine.builder()
          .node(Node.of(0, "0-3", 64 * GIBIBYTE))
          .node(Node.of(1, "4-7", 64 * GIBIBYTE))
          .node(Node.memoryOnly(2, 64 * GIBIBYTE))
          .build();

  /** Four CPUs share a last cache. */
  private static long caches(List<Integer> cpus) {
    return 32 * MEBIBYTE * cpus.stream().map(cpu -> cpu / 4).distinct().count();
  }

  private static Request request(Effort effort, Long... workingSets) {
    return new Request(MACHINE.withCpus(), MACHINE.withMemory(), effort, List.of(workingSets), 0);
  }

  private static Plan plan(Request request, long freeBytes, String allowed) {
    return Plan.of(MACHINE, request, PlanTest::caches, node -> freeBytes, CpuMask.parse(allowed));
  }

  private static List<Cell> of(Plan plan, Measure measure) {
    return plan.cells().stream().filter(cell -> cell.measure() == measure).toList();
  }

  @Test
  void everyPairIsMeasuredBeyondTheCaches() {
    Plan plan = plan(request(Effort.NORMAL), 8 * GIBIBYTE, "0-7");
    Set<String> pairs =
        of(plan, Measure.LATENCY).stream()
            .filter(cell -> cell.pages() == PageKind.SMALL && cell.bytes() == 128 * MEBIBYTE)
            .map(cell -> cell.cpuNode() + ">" + cell.memoryNode())
            .collect(Collectors.toSet());
    assertEquals(Set.of("0>0", "0>1", "0>2", "1>0", "1>1", "1>2"), pairs);
    assertTrue(plan.refused().isEmpty(), plan.refused().toString());
    assertFalse(plan.mayHitCaches(of(plan, Measure.READ).get(0)));
  }

  @Test
  void whereLessMemoryIsFreeItMayBeInCaches() {
    Plan plan = plan(request(Effort.NORMAL), 512 * MEBIBYTE, "0-7");
    Cell cell = of(plan, Measure.READ).get(0);
    assertEquals(64 * MEBIBYTE, cell.bytes());
    assertTrue(plan.mayHitCaches(cell));
    assertEquals(128 * MEBIBYTE, plan.bytesByNode().get(0));
  }

  @Test
  void blocksThatAreNoPowersOfTwoHaveRoom() {
    Plan plan = plan(request(Effort.NORMAL), 240 * MEBIBYTE, "0-7");
    assertEquals(30 * MEBIBYTE, of(plan, Measure.READ).get(0).bytes());
    assertEquals(64 * MEBIBYTE, plan.bytesByNode().get(0));
    assertEquals(
        32 * MEBIBYTE, plan(request(Effort.QUICK), 240 * MEBIBYTE, "0").bytesByNode().get(0));
  }

  @Test
  void aNodeThatIsTooFullIsNamedAndTheRestMeasured() {
    Plan plan =
        Plan.of(
            MACHINE,
            request(Effort.QUICK),
            PlanTest::caches,
            node -> node == 2 ? 64 * MEBIBYTE : GIBIBYTE,
            CpuMask.parse("0-7"));
    assertEquals(2, plan.refused().size());
    assertTrue(
        plan.refused().get(0).why().contains("free_bytes=" + 64 * MEBIBYTE),
        plan.refused().toString());
    assertTrue(plan.cells().stream().noneMatch(cell -> cell.memoryNode() == 2));
    assertFalse(plan.cells().isEmpty());
  }

  @Test
  void cpusThatTheProcessMayNotUseAreNotUsed() {
    Plan plan = plan(request(Effort.NORMAL), 8 * GIBIBYTE, "1-2");
    assertTrue(plan.cells().stream().allMatch(cell -> Set.of(1, 2).containsAll(cell.cpus())));
    assertTrue(plan.cells().stream().allMatch(cell -> cell.cpuNode() == 0));
    assertEquals("CPUs of node 1", plan.refused().get(0).what());
    assertTrue(plan.refused().get(0).why().contains("cpus=4-7"), plan.refused().toString());
  }

  @Test
  void oneCpuMakesNoTeamAndNoPingPong() {
    Plan plan = plan(request(Effort.NORMAL), 8 * GIBIBYTE, "3");
    assertTrue(plan.cells().stream().allMatch(cell -> cell.cpus().equals(List.of(3))));
    assertTrue(of(plan, Measure.LOADED_LATENCY).isEmpty());
    assertTrue(of(plan, Measure.PING_PONG).isEmpty());
  }

  @Test
  void workingSetsThatAreNamedAreTheOnlyOnes() {
    Plan plan = plan(request(Effort.QUICK, 32L << 10, 4 * MEBIBYTE), 8 * GIBIBYTE, "0-7");
    Set<Long> sizes =
        of(plan, Measure.LATENCY).stream()
            .filter(cell -> cell.cpuNode() == 1 && cell.memoryNode() == 2)
            .map(Cell::bytes)
            .collect(Collectors.toSet());
    assertEquals(Set.of(32L << 10, 4 * MEBIBYTE, 128 * MEBIBYTE), sizes);
  }

  @Test
  void aNodeWithoutCpusMeasuresNothingAndSaysSo() {
    Request request = new Request(NodeMask.of(2), MACHINE.withMemory(), Effort.QUICK, List.of(), 0);
    Plan plan = plan(request, 8 * GIBIBYTE, "0-7");
    assertTrue(plan.cells().isEmpty());
    assertTrue(plan.refused().get(0).why().contains("has none"), plan.refused().toString());
  }

  @Test
  void theMatrixOfLatenciesComesFirstThenThatOfReads() {
    List<Cell> cells = plan(request(Effort.NORMAL), 8 * GIBIBYTE, "0-7").cells();
    assertTrue(
        cells.subList(0, 6).stream()
            .allMatch(cell -> cell.measure() == Measure.LATENCY && cell.pages() == PageKind.SMALL));
    assertTrue(cells.subList(6, 18).stream().allMatch(cell -> cell.measure() == Measure.READ));
    assertEquals(Measure.LOADED_LATENCY, cells.get(cells.size() - 1).measure());
  }

  @Test
  void aTeamWithSeveralLastCachesNeedsMoreMemoryThanOneCpu() {
    ToLongFunction<List<Integer>> caches =
        cpus -> 32 * MEBIBYTE * cpus.stream().map(cpu -> cpu / 2).distinct().count();
    Plan plan =
        Plan.of(
            MACHINE, request(Effort.NORMAL), caches, node -> 8 * GIBIBYTE, CpuMask.parse("0-7"));
    assertEquals(256 * MEBIBYTE, of(plan, Measure.READ).get(0).bytes());
    Plan less =
        Plan.of(MACHINE, request(Effort.NORMAL), caches, node -> GIBIBYTE, CpuMask.parse("0-7"));
    for (Cell cell : of(less, Measure.READ)) {
      assertEquals(128 * MEBIBYTE, cell.bytes());
      assertEquals(cell.cpus().size() > 1, less.mayHitCaches(cell), cell.words());
    }
  }

  @Test
  void cachesThatAreNoWholeNumberOfHugePagesAreExceededToo() {
    Plan plan =
        Plan.of(
            MACHINE,
            request(Effort.NORMAL),
            cpus -> 35 * MEBIBYTE + 768 * 1024,
            node -> 8 * GIBIBYTE,
            CpuMask.parse("0-7"));
    Cell cell = of(plan, Measure.READ).get(0);
    assertEquals(144 * MEBIBYTE, cell.bytes());
    assertFalse(plan.mayHitCaches(cell));
  }

  @Test
  void whatWasNamedAndIsNotMeasuredSoIsListed() {
    Request request =
        new Request(
            MACHINE.withCpus(),
            NodeMask.of(1),
            Effort.QUICK,
            List.of(MEBIBYTE, GIBIBYTE, 2 * GIBIBYTE),
            6);
    List<Refused> refused = plan(request, 8 * GIBIBYTE, "0-7").refused();
    assertEquals(
        List.of(
            "ping-pong of nodes 0 and 0",
            "ping-pong of nodes 0 and 1",
            "working sets of node 1: 1 GiB, 2 GiB",
            "6 threads of node 0",
            "6 threads of node 1"),
        refused.stream().map(Refused::what).toList());
    assertTrue(refused.get(2).why().contains("used_bytes=" + 128 * MEBIBYTE), refused + "");
    assertTrue(refused.get(3).why().startsWith("there are 4:"), refused + "");
  }
}
