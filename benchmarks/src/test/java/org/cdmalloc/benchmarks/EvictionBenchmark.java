/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.TimeUnit;
import org.cdmalloc.DeviceNode;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.NodeAttributes;
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
 * What does it cost to find the blocks that give way, and to account for them? A pair allocates a
 * block on a device and frees the oldest one. Over addresses without memory, so that nothing is
 * copied: that is the kernel's work, and the same as in a move by hand. {@code
 * docs/measurements.md} tells how to run it.
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 3, time = 1)
public class EvictionBenchmark {
  private static final long BLOCK_BYTES = 64 << 10;

  /** A device that serves half of what it has, or half as much again as it has. */
  @State(Scope.Benchmark)
  public static class Device {
    /** How many blocks the device has room for. */
    @Param({"1024", "131072"})
    public int room;

    /** How many blocks live, in percent of those. */
    @Param({"50", "150"})
    public int percent;

    private final Deque<Long> live = new ArrayDeque<>();
    private NodeAllocator memory;
    private DeviceNode device;

    /** Opens the allocator and allocates the blocks. */
    @Setup
    public void open() {
      long bytes = room * BLOCK_BYTES;
      Machine machine =
          Machine.builder()
              .node(Node.of(0, "0", 2 * bytes))
              .node(Node.memoryOnly(1, bytes))
              .build();
      NodeAttributes evicting =
          NodeAttributes.COHERENT_DEVICE.withReclaim(true).withDemotionTarget(0).withEvict(true);
      memory =
          NodeAllocator.builder()
              .source(AddressOnlySource.of(machine))
              .capacity(0, 2 * bytes)
              .attributes(1, evicting)
              .open();
      device = memory.device(1);
      device.online();
      for (int i = 0; i < (long) room * percent / 100; i++) {
        live.add(device.allocate(BLOCK_BYTES));
      }
    }

    /** Closes the allocator. */
    @TearDown
    public void close() {
      memory.close();
    }
  }

  /**
   * Allocates a block and frees the oldest one.
   *
   * @param device the device
   * @return the address, so that the pair is not optimised away
   */
  @Benchmark
  public long pair(Device device) {
    long address = device.device.allocate(BLOCK_BYTES);
    device.live.add(address);
    device.memory.free(device.live.remove());
    return address;
  }
}
