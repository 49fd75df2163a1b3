/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks;

import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.Placement;
import org.cdmalloc.spi.AddressOnlySource;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Does a pair of allocate and free cost the same in 64 MiB and 64 GiB, with 1 and 64 nodes, with 0,
 * 1, 3 and 16 device nodes? Over addresses without memory, because no machine that runs this has as
 * much; so nothing here is a figure of a kernel. It stands among the tests for the sake of that
 * source. {@code docs/measurements.md} tells how to run it.
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Warmup(iterations = 2, time = 300, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 3, time = 300, timeUnit = TimeUnit.MILLISECONDS)
public class GrowthBenchmark {
  private static final int BLOCK_BYTES = 4096;

  /** An allocator over a machine of some size, of which little is used. */
  @State(Scope.Benchmark)
  public static class Grown {
    /** The memory of each node, in MiB. */
    @Param({"64", "65536"})
    public long mebibytes;

    /** How many system nodes there are. */
    @Param({"1", "64"})
    public int nodes;

    /** How many device nodes there are, all of them online. */
    @Param({"0", "1", "3", "16"})
    public int devices;

    /**
     * How many other blocks live. At a power of two every pair splits the largest block of the zone
     * and merges it again; elsewhere it is cut from a block of its own size.
     */
    @Param({"65"})
    public int live;

    /** What a thread keeps ready of each node; 0 for nothing. */
    @Param({"0"})
    public long magazineBytes;

    NodeAllocator memory;

    /** The placement on the last system node. */
    Placement last;

    /** Opens the allocator and fills a little of it. */
    @Setup
    public void open() {
      memory = GrowthBenchmark.open(mebibytes << 20, nodes, devices, magazineBytes);
      last = Placement.onNode(nodes - 1);
      for (int i = 0; i < live; i++) {
        memory.allocate(BLOCK_BYTES);
        memory.allocate(BLOCK_BYTES, last);
      }
    }

    /** Closes the allocator. */
    @TearDown
    public void close() {
      memory.close();
    }
  }

  /** An allocator of one node, of which a quarter is used and half is free in scattered pages. */
  @State(Scope.Benchmark)
  public static class Worn {
    /** The memory of the node, in MiB. */
    @Param({"64", "65536"})
    public long mebibytes;

    /** What a thread keeps ready of each node; 0 for nothing. */
    @Param({"0"})
    public long magazineBytes;

    NodeAllocator memory;

    /** Opens the allocator, takes three quarters of it and frees two of three blocks. */
    @Setup
    public void open() {
      memory = GrowthBenchmark.open(mebibytes << 20, 1, 0, magazineBytes);
      SplittableRandom random = new SplittableRandom(20170308L);
      int blocks = (int) ((mebibytes << 20) / BLOCK_BYTES / 4 * 3);
      long[] addresses = new long[blocks];
      for (int i = 0; i < blocks; i++) {
        addresses[i] = memory.allocate(BLOCK_BYTES);
      }
      for (long address : addresses) {
        if (random.nextInt(3) > 0) {
          memory.free(address);
        }
      }
    }

    /** Closes the allocator. */
    @TearDown
    public void close() {
      memory.close();
    }
  }

  private static NodeAllocator open(long nodeBytes, int nodes, int devices, long magazineBytes) {
    Machine.Builder machine = Machine.builder();
    for (int node = 0; node < nodes; node++) {
      machine.node(Node.of(node, Integer.toString(node), nodeBytes));
    }
    for (int node = nodes; node < nodes + devices; node++) {
      machine.node(Node.memoryOnly(node, nodeBytes));
    }
    AddressOnlySource source = AddressOnlySource.of(machine.build());
    NodeAllocator.Builder builder =
        NodeAllocator.builder().source(source).magazineBytes(magazineBytes);
    source.machine().withMemory().stream().forEach(node -> builder.capacity(node, nodeBytes));
    NodeAllocator memory = builder.open();
    for (int node = nodes; node < nodes + devices; node++) {
      memory.device(node).online();
      memory.device(node).allocate(BLOCK_BYTES);
    }
    return memory;
  }

  /**
   * Allocates near the caller and frees.
   *
   * @param grown the allocator
   * @return the address, so that the pair is not optimised away
   */
  @Benchmark
  public long local(Grown grown) {
    long address = grown.memory.allocate(BLOCK_BYTES);
    grown.memory.free(address);
    return address;
  }

  /**
   * Allocates on the last node, by its name, and frees.
   *
   * @param grown the allocator
   * @return the address, so that the pair is not optimised away
   */
  @Benchmark
  public long named(Grown grown) {
    long address = grown.memory.allocate(BLOCK_BYTES, grown.last);
    grown.memory.free(address);
    return address;
  }

  /**
   * Allocates and frees where free pages are scattered all over the node.
   *
   * @param worn the allocator
   * @return the address, so that the pair is not optimised away
   */
  @Benchmark
  public long worn(Worn worn) {
    long address = worn.memory.allocate(BLOCK_BYTES);
    worn.memory.free(address);
    return address;
  }
}
