/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Predicate;
import org.cdmalloc.benchmarks.locality.AgainstC.Ratio;
import org.cdmalloc.numa.CpuAffinity;
import org.junit.jupiter.api.Test;

/**
 * What Java measures is what C measures, on the same memory in turn. A shared host may disturb a
 * run, so one of three is enough; a loop that lost its shape is wrong in all.
 */
final class AgainstCTest {
  private static final Path TABLE = Path.of("target", "against-c.txt");
  private static final long BYTES = Long.getLong("mebibytes", 256) << 20;
  private static final int TRIES = 3;
  private static final double LATENCY_APART = 0.05;

  /**
   * Within 10 % except the triad, whose single words cost a fifth more than C's vectors where
   * memory is fast; a loop that the compiler got wrong is as much off.
   */
  private static final double BANDWIDTH_APART = 0.5;

  @Test
  void latencyIsThatOfCWithin5PercentAndBandwidthOfItsKind() throws Exception {
    assumeTrue(CpuAffinity.whyNot().isEmpty(), "threads cannot be pinned here");
    assumeTrue(CProgram.isPossible(), "no C compiler");
    List<Ratio> ratios = List.of();
    boolean isWithin = false;
    for (int i = 0; i < TRIES && !isWithin; i++) {
      ratios = AgainstC.all(BYTES);
      isWithin =
          all(ratios, ratio -> isLatency(ratio) && isSteady(ratio), LATENCY_APART)
              && all(ratios, ratio -> !isLatency(ratio), BANDWIDTH_APART);
    }
    String table = AgainstC.table(ratios);
    Files.writeString(TABLE, table);
    assertTrue(isWithin, table);
  }

  private static boolean isLatency(Ratio ratio) {
    return ratio.what().startsWith("latency");
  }

  /** The last cache may be shared with other machines, and then changes under the loops. */
  private static boolean isSteady(Ratio ratio) {
    return ratio.spread() < LATENCY_APART;
  }

  private static boolean all(List<Ratio> ratios, Predicate<Ratio> which, double apart) {
    List<Ratio> chosen = ratios.stream().filter(which).toList();
    return !chosen.isEmpty()
        && chosen.stream().allMatch(ratio -> Math.abs(ratio.ratio() - 1) <= apart);
  }
}
