/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
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
            "Huge pages take 50 % off a load from node 0 to node 1: 100 ns instead of 200; of 2"
                + " other pairs of nodes they take 20 to 25 %.",
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
            "1 of 2 figures were disturbed: something else ran, or they spread by over 15 %. They"
                + " are marked with * and not used above."),
        Findings.of(
            Reports.of(
                List.of(
                    Reports.marked(latency(0, PageKind.SMALL, 200), Mark.DISTURBED),
                    latency(0, PageKind.HUGE, 100)))));
  }

  @Test
  void whatChangesLittleIsNotSaid() {
    assertEquals(
        List.of("A load from node 0's memory takes node 0 100 ns."),
        Findings.of(
            Reports.of(List.of(latency(0, PageKind.SMALL, 100), latency(0, PageKind.HUGE, 95)))));
  }
}
