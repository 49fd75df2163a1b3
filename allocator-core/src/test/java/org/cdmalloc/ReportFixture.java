/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.cdmalloc.spi.DisplacementCause;
import org.cdmalloc.spi.Stripe;
import org.cdmalloc.topology.NodeMask;
import org.cdmalloc.topology.Zonelist.Kind;

/** Reports for tests. */
final class ReportFixture {
  private static final int PAGE = 4096;
  private static final long MEBIBYTE = 1 << 20;

  private ReportFixture() {}

  /** Returns two system nodes with a stripe over both, a device in use, and one that is not. */
  static MemoryReport small() {
    return new MemoryReport(
        List.of(
            NodeReport.offline(9, 0, NodeState.POSSIBLE, 32 * MEBIBYTE),
            new NodeReport(
                2,
                Kind.DEVICE,
                2,
                NodeState.ONLINE,
                8 * MEBIBYTE,
                8 * MEBIBYTE,
                4 * MEBIBYTE,
                MEBIBYTE,
                0,
                2 * PAGE,
                0,
                0,
                0,
                0,
                1,
                new Marks(8 * PAGE, 10 * PAGE, 12 * PAGE),
                List.of(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1),
                new NumaCounters(7, 0, 0, 0, 3, 4),
                MagazineReport.NONE),
            new NodeReport(
                0,
                Kind.SYSTEM,
                0,
                NodeState.ONLINE,
                64 * MEBIBYTE,
                64 * MEBIBYTE,
                6 * MEBIBYTE,
                5 * PAGE,
                3 * MEBIBYTE,
                0,
                0,
                0,
                0,
                0,
                2,
                new Marks(64 * PAGE, 80 * PAGE, 96 * PAGE),
                List.of(1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1),
                new NumaCounters(1234567, 10, 20, 400, 1234500, 77),
                MagazineReport.NONE),
            new NodeReport(
                1,
                Kind.SYSTEM,
                1,
                NodeState.ONLINE,
                2 * MEBIBYTE,
                4 * MEBIBYTE,
                0,
                0,
                MEBIBYTE,
                0,
                0,
                0,
                0,
                0,
                0,
                Marks.NONE,
                List.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 1),
                new NumaCounters(0, 20, 10, 0, 20, 0),
                MagazineReport.NONE)),
        List.of(
            new StripeReport(
                Stripe.even(NodeMask.of(0, 1)),
                4 * MEBIBYTE,
                8 * MEBIBYTE,
                4 * MEBIBYTE,
                3 * MEBIBYTE,
                PAGE,
                1,
                List.of(0, 0, 0, 0, 0, 0, 0, 0, 1))),
        List.of(new Displacement(2, 0, 2 * PAGE, DisplacementCause.LONG_TERM_PIN, "VmPin=8kB")),
        List.of(
            new HolderReport(
                2, "device2", HolderReport.UNLIMITED, MEBIBYTE, 0, 0, 1_000_000_000, false)));
  }

  /** Returns the report of one system node that has no figure but some. */
  static NodeReport system(int node, long committedBytes, long usedBytes, NumaCounters counters) {
    return new NodeReport(
        node,
        Kind.SYSTEM,
        node,
        NodeState.ONLINE,
        MEBIBYTE,
        MEBIBYTE,
        committedBytes,
        usedBytes,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        Marks.NONE,
        List.of(),
        counters,
        MagazineReport.NONE);
  }

  /** Returns up to 64 nodes of any figures in whole pages. */
  static MemoryReport random(SplittableRandom random) {
    List<NodeReport> nodes = new ArrayList<>();
    for (int node = random.nextInt(3); nodes.size() < 64; node += 1 + random.nextInt(9)) {
      if (random.nextInt(20) == 0) {
        break;
      }
      nodes.add(random.nextInt(4) == 0 ? offline(random, node) : online(random, node));
    }
    return new MemoryReport(nodes, List.of(), List.of(), List.of());
  }

  private static NodeReport offline(SplittableRandom random, int node) {
    return NodeReport.offline(node, node, NodeState.POSSIBLE, pages(random));
  }

  private static NodeReport online(SplittableRandom random, int node) {
    long min = pages(random);
    long low = min + pages(random);
    List<Integer> free = new ArrayList<>();
    for (int order = random.nextInt(32); order > 0; order--) {
      free.add(random.nextInt() >>> (1 + random.nextInt(31)));
    }
    return new NodeReport(
        node,
        random.nextBoolean() ? Kind.SYSTEM : Kind.DEVICE,
        node,
        NodeState.ONLINE,
        pages(random),
        pages(random),
        pages(random),
        pages(random),
        pages(random),
        0,
        pages(random),
        pages(random),
        pages(random),
        pages(random),
        count(random),
        new Marks(min, low, low + pages(random)),
        free,
        new NumaCounters(
            count(random),
            count(random),
            count(random),
            count(random),
            count(random),
            count(random)),
        MagazineReport.NONE);
  }

  /** Returns 0 to 8 TiB in whole pages: small numbers as often as large ones. */
  private static long pages(SplittableRandom random) {
    return (random.nextInt() >>> (1 + random.nextInt(31))) * (long) PAGE;
  }

  private static long count(SplittableRandom random) {
    return random.nextLong() >>> (1 + random.nextInt(63));
  }
}
