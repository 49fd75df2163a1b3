/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** What counts as a change between two reports. */
final class ComparisonTest {
  private static final long BYTES = 1 << 30;

  private static Figure latency(double nanos) {
    return Reports.figure(Measure.LATENCY, 0, 0, PageKind.SMALL, BYTES, nanos);
  }

  private static Comparison compare(Figure before, Figure after) {
    return Comparison.of(Reports.of(List.of(before)), Reports.of(List.of(after)));
  }

  @Test
  void noiseIsNoChange() {
    Comparison comparison = compare(latency(100), latency(104));
    assertFalse(comparison.hasChanges());
    assertTrue(comparison.toString().contains("1 the same within noise"), comparison.toString());
  }

  @Test
  void moreThanNoiseIsAChangeForTheWorseOrTheBetter() {
    Comparison comparison = compare(latency(100), latency(110));
    assertTrue(comparison.hasChanges());
    String text = comparison.toString();
    assertTrue(
        text.startsWith(
            "worse: idle latency, CPUs of node 0, memory of node 0, 1 GiB, 1 thread, 4 KiB pages: "
                + "100 -> 110 ns (+10 %)"),
        text);
    assertTrue(compare(latency(110), latency(100)).toString().startsWith("better"));
    Figure slow = Reports.figure(Measure.READ, 0, 0, PageKind.HUGE, BYTES, 10);
    Figure fast = Reports.figure(Measure.READ, 0, 0, PageKind.HUGE, BYTES, 12);
    assertTrue(compare(slow, fast).toString().startsWith("better"));
    assertTrue(compare(fast, slow).toString().startsWith("worse"));
  }

  @Test
  void otherHostsJdksAndEffortsAreNamed() {
    Report before = Reports.of(List.of(latency(100)));
    assertTrue(Comparison.of(before, before).toString().startsWith("0 changed"));
    Host host = before.host();
    Host other =
        new Host(
            host.processor(),
            host.kernel(),
            host.isVirtual(),
            "25.0.3",
            host.form(),
            host.hugePages(),
            host.balancing(),
            host.caches(),
            host.nodes().subList(0, 1),
            host.distances());
    Report after =
        new Report(
            Report.SCHEMA,
            before.version(),
            before.taken(),
            "quick",
            false,
            other,
            before.figures(),
            before.refused(),
            before.notes());
    assertEquals(
        """
        different JDK: 17.0.15 -> 25.0.3
        different nodes: [0: CPUs 0-3, 64 GiB, 1: CPUs 4-7, 64 GiB, 2: CPUs , 16 GiB] -> [0: CPUs 0-3, 64 GiB]
        different effort: normal -> quick
        0 changed, 1 the same within noise, 0 differ but were disturbed, 0 in one report only
        """,
        Comparison.of(before, after).toString());
  }

  @Test
  void otherMarksAreNamedBesideAChange() {
    Figure before = Reports.marked(latency(100), Mark.MAY_HIT_CACHE);
    String text = compare(before, latency(120)).toString();
    assertTrue(text.contains("4 KiB pages, marked 'c' -> '': 100 -> 120 ns"), text);
  }

  @Test
  void batchesThatOverlapAreNoChangeHoweverFarTheMedians() {
    Figure wide =
        new Figure(
            Measure.LATENCY,
            0,
            "3",
            0,
            1,
            PageKind.SMALL,
            0,
            BYTES,
            110,
            90,
            130,
            List.of(90.0, 110.0, 130.0),
            300,
            1,
            0,
            0,
            Set.of());
    assertFalse(compare(latency(100), wide).hasChanges());
  }

  @Test
  void whatWasDisturbedIsCountedAndNotCalledAChange() {
    Comparison comparison = compare(latency(100), Reports.marked(latency(200), Mark.DISTURBED));
    assertFalse(comparison.hasChanges());
    assertTrue(comparison.toString().contains("1 differ but were disturbed"));
  }

  @Test
  void whatOneReportLacksIsCounted() {
    Figure other = Reports.figure(Measure.LATENCY, 0, 1, PageKind.SMALL, BYTES, 100);
    assertEquals(
        "0 changed, 0 the same within noise, 0 differ but were disturbed, 2 in one report only\n",
        compare(latency(100), other).toString());
  }
}
