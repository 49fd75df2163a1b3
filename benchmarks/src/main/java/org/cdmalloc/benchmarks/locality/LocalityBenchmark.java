/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.numa.CpuAffinity;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.topology.CpuMask;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * What {@code cdmalloc.jar locality} measures of a pair of nodes, under JMH's rules: nanoseconds
 * for a load in random order, and for a line that is read, written, copied, or computed in a triad.
 * The thread is pinned to a CPU of its node before it touches anything, and the kernel is asked
 * where the pages are, before and after each trial; one of which pages are elsewhere fails.
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(3)
@Warmup(iterations = 3, time = 300, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 10, time = 100, timeUnit = TimeUnit.MILLISECONDS)
public class LocalityBenchmark {
  private static final int LOADS = 10_000;
  private static final int LINES = StreamLoop.PIECE_BYTES / Kernels.LINE_BYTES;

  /** A thread on a node's CPU, and memory of a node. */
  @State(Scope.Thread)
  public abstract static class Pair {
    /** The node whose last CPU measures. */
    @Param("0")
    public int cpuNode;

    /** The node whose memory is measured. */
    @Param("0")
    public int memoryNode;

    /** How much of it, in mebibytes: more than four last caches, to leave these out. */
    @Param("256")
    public int mebibytes;

    /** Which pages: {@code SMALL} or {@code HUGE}. */
    @Param({"SMALL", "HUGE"})
    public String pages;

    private MeasuredMemory memory;
    private MeasuredMemory.Block block;

    /**
     * Pins the thread and takes memory.
     *
     * @throws Exception if the thread cannot be pinned, or the pages are elsewhere
     */
    @Setup(Level.Trial)
    public void open() throws Exception {
      MemorySource source;
      try (NodeAllocator allocator = NodeAllocator.open()) {
        source = allocator.source();
      }
      CpuMask allowed = CpuAffinity.get();
      int cpu =
          source.machine().node(cpuNode).cpus().stream()
              .filter(allowed::contains)
              .max()
              .orElseThrow(() -> new IllegalStateException("no CPU to run on: cpuNode=" + cpuNode));
      CpuAffinity.set(CpuMask.parse(Integer.toString(cpu)));
      long bytes = (long) mebibytes << 20;
      if (bytes <= 0 || bytes % MeasuredMemory.UNIT_BYTES != 0) {
        throw new IllegalArgumentException("not a multiple of two: mebibytes=" + mebibytes);
      }
      memory = MeasuredMemory.open(source, Map.of(memoryNode, Plan.roundedUp(bytes)));
      block = memory.take(memoryNode, bytes, PageKind.valueOf(pages));
      fill(block.address(), bytes);
    }

    abstract void fill(long address, long bytes);

    /**
     * Asks where the pages are now, and gives them back.
     *
     * @throws Exception if they are elsewhere
     */
    @TearDown(Level.Trial)
    public void close() throws Exception {
      try {
        block.verify();
      } finally {
        // The block with it.
        memory.close();
      }
    }
  }

  /** Lines that lead to each other. */
  @State(Scope.Thread)
  public static class Ring extends Pair {
    private static final long SEED = 1995;

    private ChaseLoop chase;

    @Override
    void fill(long address, long bytes) {
      Kernels.link(address, bytes, new SplittableRandom(SEED), new Stop());
      chase = new ChaseLoop(address);
    }
  }

  /** Numbers, one after the other. */
  @State(Scope.Thread)
  public static class Range extends Pair {
    private StreamLoop read;
    private StreamLoop write;
    private StreamLoop copy;
    private StreamLoop triad;

    @Override
    void fill(long address, long bytes) {
      read = new StreamLoop(Measure.READ, address, bytes).prepared();
      write = new StreamLoop(Measure.WRITE, address, bytes);
      copy = new StreamLoop(Measure.COPY, address, bytes);
      triad = new StreamLoop(Measure.TRIAD, address, bytes);
    }
  }

  /**
   * Loads lines, each by what the one before it held.
   *
   * @param ring of a pair of nodes
   */
  @Benchmark
  @OperationsPerInvocation(LOADS)
  public void latency(Ring ring) {
    ring.chase.run(LOADS);
  }

  /**
   * Reads lines.
   *
   * @param range of a pair of nodes
   * @return what was computed, so that nothing is left out
   */
  @Benchmark
  @OperationsPerInvocation(LINES)
  public double read(Range range) {
    range.read.run(1);
    return range.read.sink();
  }

  /**
   * Writes lines.
   *
   * @param range of a pair of nodes
   * @return what was computed, so that nothing is left out
   */
  @Benchmark
  @OperationsPerInvocation(LINES)
  public double write(Range range) {
    range.write.run(1);
    return range.write.sink();
  }

  /**
   * Copies lines: half of them are read, half written.
   *
   * @param range of a pair of nodes
   * @return what was computed, so that nothing is left out
   */
  @Benchmark
  @OperationsPerInvocation(LINES)
  public double copy(Range range) {
    range.copy.run(1);
    return range.copy.sink();
  }

  /**
   * Computes a triad: of three lines two are read, one is written.
   *
   * @param range of a pair of nodes
   * @return what was computed, so that nothing is left out
   */
  @Benchmark
  @OperationsPerInvocation(LINES)
  public double triad(Range range) {
    range.triad.run(1);
    return range.triad.sink();
  }
}
