/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.concurrent.FutureTask;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.numa.CpuAffinity;
import org.cdmalloc.topology.Node;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The JMH variants run on this host, on memory that is where it should be. */
final class LocalityBenchmarkTest {
  private static Node node;

  @BeforeAll
  static void findANode() {
    assumeTrue(CpuAffinity.whyNot().isEmpty(), "threads cannot be pinned here");
    try (NodeAllocator memory = NodeAllocator.open()) {
      assumeTrue(
          memory.source().isReal() && memory.source().diagnosis().binds(),
          "memory cannot be bound here");
      node = memory.source().machine().node(memory.source().currentNode());
    }
  }

  private static <T extends LocalityBenchmark.Pair> T chosen(T pair, PageKind pages) {
    pair.cpuNode = node.id();
    pair.memoryNode = node.id();
    pair.mebibytes = 4;
    pair.pages = pages.name();
    return pair;
  }

  @Test
  void eachOfThemRuns() throws Exception {
    LocalityBenchmark benchmark = new LocalityBenchmark();
    // On a thread of its own: it is pinned.
    FutureTask<Integer> task =
        new FutureTask<>(
            () -> {
              for (PageKind pages : PageKind.values()) {
                LocalityBenchmark.Ring ring = chosen(new LocalityBenchmark.Ring(), pages);
                ring.open();
                benchmark.latency(ring);
                ring.close();
                LocalityBenchmark.Range range = chosen(new LocalityBenchmark.Range(), pages);
                range.open();
                benchmark.read(range);
                benchmark.write(range);
                benchmark.copy(range);
                benchmark.triad(range);
                range.close();
              }
              return (int) CpuAffinity.get().stream().count();
            });
    new Thread(task).start();
    assertEquals(1, task.get());
  }
}
