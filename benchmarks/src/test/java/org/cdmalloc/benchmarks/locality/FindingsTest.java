/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** What a report says in words. */
final class FindingsTest {
  private static final long BYTES = 1 << 30;

  private static Figure latency(int memoryNode, PageKind pages, double nanos) {
    return Reports.figure(Measure.LATENCY, 0, memoryNode, pages, BYTES, nanos);
  }

  @Test
  void nodesPagesAndFirmwareAreCompared() {
    assertEquals(
        List.of(
            "From node 0 the nearest memory is node 0's, 100 ns a load; node 2's takes 400 ns, 4.00"
                + " times as long.",
            "Huge pages take 50 % off a load from node 0 to node 1: 100 ns instead of 200; off"
                + " those of 2 other pairs 20 to 25 %.",
            "Firmware says 300 ns for a read of node 2 from near; measured: 320 ns."),
        Findings.of(
            Reports.of(
                List.of(
                    latency(0, PageKind.SMALL, 100),
                    latency(0, PageKind.HUGE, 75),
                    latency(1, PageKind.SMALL, 200),
                    latency(1, PageKind.HUGE, 100),
                    latency(2, PageKind.SMALL, 400),
                    latency(2, PageKind.HUGE, 320)))));
  }

  @Test
  void whatWasDisturbedIsCountedAndNotUsed() {
    assertEquals(
        List.of(
            "Disturbed: 1 of 2 figures. Something else ran, or they spread by over 15 %; they are"
                + " marked with * and not used above."),
        Findings.of(
            Reports.of(
                List.of(
                    Reports.marked(latency(0, PageKind.SMALL, 200), Mark.DISTURBED),
                    latency(0, PageKind.HUGE, 100)))));
  }

  @Test
  void whatChangesLittleIsNotSaid() {
    assertEquals(
        List.of("A load by node 0's CPUs from node 0's memory takes 100 ns."),
        Findings.of(
            Reports.of(List.of(latency(0, PageKind.SMALL, 100), latency(0, PageKind.HUGE, 95)))));
  }

  @Test
  void twoGainsAreNoRange() {
    String said =
        Findings.of(
                Reports.of(
                    List.of(
                        latency(0, PageKind.SMALL, 100),
                        latency(0, PageKind.HUGE, 75),
                        latency(1, PageKind.SMALL, 200),
                        latency(1, PageKind.HUGE, 100))))
            .get(1);
    assertTrue(said.endsWith("instead of 200; off that of one other pair 25 %."), said);
  }

  @Test
  void whatCpusReadTogetherIsSaidOfTheFastestMemoryOnly() {
    Figure slow = Reports.figure(Measure.READ, 0, 1, PageKind.HUGE, BYTES, 10);
    Figure fast = Reports.figure(Measure.READ, 0, 0, PageKind.HUGE, BYTES, 20);
    assertEquals(
        List.of("One CPU of node 0 reads 20.0 GB/s of node 0, 4 together 60.0."),
        Findings.of(Reports.of(List.of(slow, fast, together(slow, 40), together(fast, 60)))));
  }

  private static Figure together(Figure one, double median) {
    return new Figure(
        one.measure(),
        one.cpuNode(),
        "3,2,1,0",
        one.memoryNode(),
        4,
        one.pages(),
        one.hugeBytes(),
        one.bytes(),
        median,
        median,
        median,
        List.of(median),
        30,
        1,
        0,
        0,
        Set.of());
  }
}
