/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks;

import java.nio.ByteBuffer;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.cdmalloc.NodeAllocator;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
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
 * What does it cost to allocate a block and free it at once, in a zone where 64 other blocks live,
 * by address and as a zeroed buffer? {@link #allocateDirect} is the JDK's way, which zeroes too and
 * leaves freeing to the garbage collector; {@link #zeroOnly} is the part of a buffer pair that any
 * allocator pays which hands out zeroed memory.
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@State(Scope.Benchmark)
@Fork(3)
@Warmup(iterations = 3, time = 500, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 5, time = 500, timeUnit = TimeUnit.MILLISECONDS)
public class PairBenchmark {
  private static final int LIVE_BLOCKS = 64;
  private static final int BATCH = 256;
  private static final ByteBuffer ZEROS = ByteBuffer.allocateDirect(16 << 10);

  /** The size of a block, in bytes. */
  @Param({"4096", "1048576"})
  public int bytes;

  /** What a thread keeps ready: nothing, and the default. */
  @Param({"0", "4194304"})
  public long magazineBytes;

  private final long[] addresses = new long[BATCH];
  private final int[] order = new int[BATCH];
  private NodeAllocator memory;
  private ByteBuffer zeroed;

  /** Opens the allocator and fills a little of it. */
  @Setup
  public void open() {
    memory = NodeAllocator.builder().magazineBytes(magazineBytes).open();
    for (int i = 0; i < LIVE_BLOCKS; i++) {
      memory.allocate(bytes);
    }
    zeroed = memory.allocateBuffer(bytes);
    Random random = new Random(BATCH);
    for (int i = 0; i < BATCH; i++) {
      int at = random.nextInt(i + 1);
      order[i] = order[at];
      order[at] = i;
    }
  }

  /** Closes the allocator. */
  @TearDown
  public void close() {
    memory.close();
  }

  /**
   * Allocates and frees by address.
   *
   * @return the address, so that the pair is not optimised away
   */
  @Benchmark
  public long address() {
    long address = memory.allocate(bytes);
    memory.free(address);
    return address;
  }

  /**
   * Allocates by address, and then frees in another order.
   *
   * @return the addresses, so that nothing is optimised away
   */
  @Benchmark
  @OperationsPerInvocation(BATCH)
  public long[] batch() {
    for (int i = 0; i < BATCH; i++) {
      addresses[i] = memory.allocate(bytes);
    }
    for (int i : order) {
      memory.free(addresses[i]);
    }
    return addresses;
  }

  /**
   * Allocates a buffer with any content and frees it.
   *
   * @return its capacity, so that the pair is not optimised away
   */
  @Benchmark
  public int uninitialized() {
    ByteBuffer buffer = memory.allocateBufferUninitialized(bytes);
    int capacity = buffer.capacity();
    memory.free(buffer);
    return capacity;
  }

  /**
   * Allocates a zeroed buffer and frees it.
   *
   * @return its capacity, so that the pair is not optimised away
   */
  @Benchmark
  public int buffer() {
    ByteBuffer buffer = memory.allocateBuffer(bytes);
    int capacity = buffer.capacity();
    memory.free(buffer);
    return capacity;
  }

  /**
   * Zeroes a buffer of the same size.
   *
   * @return the buffer
   */
  @Benchmark
  public ByteBuffer zeroOnly() {
    for (int at = 0; at < bytes; at += ZEROS.capacity()) {
      zeroed.put(at, ZEROS, 0, Math.min(ZEROS.capacity(), bytes - at));
    }
    return zeroed;
  }

  /**
   * Allocates the JDK's direct buffer and leaves it to the garbage collector.
   *
   * @return the buffer
   */
  @Benchmark
  public ByteBuffer allocateDirect() {
    return ByteBuffer.allocateDirect(bytes);
  }
}
