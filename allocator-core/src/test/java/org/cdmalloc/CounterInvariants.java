/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

/**
 * What the counters of a report must fulfil once nobody allocates any more, as on a kernel ({@code
 * zone_statistics} of mm/page_alloc.c).
 */
public final class CounterInvariants {
  private CounterInvariants() {}

  /**
   * Checks a report that was made at rest.
   *
   * @param report of all nodes of an allocator
   * @throws AssertionError naming what does not hold, and where
   */
  public static void assertHold(MemoryReport report) {
    long miss = 0;
    long foreign = 0;
    for (NodeReport node : report.nodes()) {
      NumaCounters counters = node.counters();
      require(
          counters.numaHit() + counters.numaMiss() == counters.localNode() + counters.otherNode(),
          "hit + miss = local + other",
          node);
      require(counters.interleaveHit() <= counters.numaHit(), "interleave_hit <= hit", node);
      miss += counters.numaMiss();
      foreign += counters.numaForeign();
    }
    if (miss != foreign) {
      throw new AssertionError("all misses = all foreign: miss=" + miss + ", foreign=" + foreign);
    }
  }

  private static void require(boolean holds, String rule, NodeReport node) {
    if (!holds) {
      throw new AssertionError(rule + ": node=" + node.node() + ", " + node.counters());
    }
  }
}
