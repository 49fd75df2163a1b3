/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.ServiceLoader;
import java.util.SplittableRandom;
import org.cdmalloc.benchmarks.locality.MeasuredMemory.Block;
import org.cdmalloc.numa.CpuAffinity;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.MemorySourceProvider;

/**
 * Measures the loops of {@link Kernels} and those of C in turn, chunk by chunk on the same memory,
 * so that whatever else goes on meets both.
 */
final class AgainstC {
  private static final int CHUNKS = 400;
  private static final long CHUNK_NANOS = 100_000;

  /** As long as a compiler on a busy machine may take for a loop of Java, and then some. */
  private static final long WARM_UP_NANOS = 300_000_000;

  /**
   * What came of it.
   *
   * @param what which loop on how much memory
   * @param java the median chunk's time for a turn
   * @param c likewise
   * @param ratio of the two
   * @param spread by how much C's own first half of chunks differs from its second one
   */
  record Ratio(String what, double java, double c, double ratio, double spread) {
    @Override
    public String toString() {
      return String.format(
          Locale.ROOT, "%-28s %10.3f %10.3f %7.3f %7.3f", what, java, c, ratio, spread);
    }
  }

  /** Keeps what was computed, so that nothing is left out. */
  private static final long[] SINK = new long[1];

  private AgainstC() {}

  /** Returns a table. */
  static String table(List<Ratio> ratios) {
    StringBuilder table =
        new StringBuilder(
            String.format(
                Locale.ROOT,
                "%-28s %10s %10s %7s %7s%n",
                "ns a turn",
                "Java",
                "C",
                "ratio",
                "spread"));
    ratios.forEach(ratio -> table.append(ratio).append(System.lineSeparator()));
    return table.toString();
  }

  /** Measures latency from the second cache to memory, and bandwidth of memory. */
  static List<Ratio> all(long most) throws Exception {
    int cpu = CpuAffinity.get().stream().max().orElseThrow();
    MemorySource source =
        ServiceLoader.load(MemorySourceProvider.class).stream()
            .map(ServiceLoader.Provider::get)
            .filter(provider -> provider.name().equals("linux"))
            .findFirst()
            .orElseThrow()
            .open(Optional.empty());
    int node = source.machine().nodeOfCpu(cpu);
    try (MeasuredMemory memory = MeasuredMemory.open(source, Map.of(node, most))) {
      return PinnedThread.run(
          cpu,
          () -> {
            List<Ratio> ratios = new ArrayList<>();
            for (PageKind pages : PageKind.values()) {
              try (Block block = memory.take(node, most, pages)) {
                for (long bytes = 256 << 10; bytes <= most; bytes *= 4) {
                  ratios.add(latency(block.address(), bytes, pages));
                }
                if (pages == PageKind.HUGE) {
                  for (Measure measure :
                      List.of(Measure.READ, Measure.WRITE, Measure.COPY, Measure.TRIAD)) {
                    ratios.add(bandwidth(measure, block.address(), most));
                  }
                }
              }
            }
            return ratios;
          });
    }
  }

  private static Ratio latency(long address, long bytes, PageKind pages) {
    Kernels.link(address, bytes, new SplittableRandom(bytes), new Stop());
    // Half a ring apart: who follows close behind finds what the other one loaded.
    int half = (int) (bytes / Kernels.LINE_BYTES / 2);
    long[] at = {address, Kernels.chase(address, half)};
    return inTurn(
        "latency " + Quantities.binary(bytes) + ", " + pages.title,
        turns -> {
          at[0] = Kernels.chase(at[0], turns);
          return at[0];
        },
        turns -> {
          at[1] = CKernels.chase(at[1], turns);
          return at[1];
        });
  }

  /** Both go through all memory piece by piece, half of it apart. */
  private static Ratio bandwidth(Measure measure, long address, long bytes) {
    StreamLoop java = new StreamLoop(measure, address, bytes).prepared();
    long pieces = bytes / StreamLoop.PIECE_BYTES;
    long[] piece = {pieces / 2};
    return inTurn(
        measure.title + " " + Quantities.binary(bytes),
        turns -> {
          java.run(turns);
          return (long) java.sink();
        },
        turns -> {
          long sum = 0;
          for (int i = 0; i < turns; i++) {
            long from = address + piece[0] * StreamLoop.PIECE_BYTES;
            sum += inC(measure, from);
            piece[0] = (piece[0] + 1) % pieces;
          }
          return sum;
        });
  }

  private static long inC(Measure measure, long from) {
    return switch (measure) {
      case READ -> CKernels.read_lines(from, StreamLoop.PIECE_BYTES);
      case WRITE -> CKernels.write_words(from, StreamLoop.PIECE_BYTES);
      case COPY -> CKernels.copy_half(from, StreamLoop.PIECE_BYTES);
      default -> (long) CKernels.triad(from, StreamLoop.PIECE_BYTES);
    };
  }

  private interface Turns {
    long run(int turns);
  }

  private static Ratio inTurn(String what, Turns java, Turns c) {
    int turns = 1;
    long begin = System.nanoTime();
    while (System.nanoTime() - begin < WARM_UP_NANOS) {
      long nanos = nanos(java, turns);
      nanos(c, turns);
      turns = nanos < CHUNK_NANOS && turns < 1 << 24 ? turns * 2 : turns;
    }
    double[] inJava = new double[CHUNKS];
    double[] inC = new double[CHUNKS];
    for (int i = 0; i < CHUNKS; i++) {
      inJava[i] = (double) nanos(java, turns) / turns;
      inC[i] = (double) nanos(c, turns) / turns;
    }
    double c1 = Distribution.of(Arrays.copyOf(inC, CHUNKS / 2)).median();
    double c2 = Distribution.of(Arrays.copyOfRange(inC, CHUNKS / 2, CHUNKS)).median();
    double javaMedian = Distribution.of(inJava).median();
    double cMedian = Distribution.of(inC).median();
    return new Ratio(what, javaMedian, cMedian, javaMedian / cMedian, Math.abs(c1 / c2 - 1));
  }

  private static long nanos(Turns work, int turns) {
    long before = System.nanoTime();
    SINK[0] += work.run(turns);
    return System.nanoTime() - before;
  }
}
