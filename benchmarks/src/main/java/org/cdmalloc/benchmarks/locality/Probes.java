/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.SystemMemory;
import org.cdmalloc.benchmarks.locality.MeasuredMemory.Block;

/**
 * Measures one batch of a cell, on threads that are pinned to its CPUs, with memory that is taken
 * for it. What a batch throws says why there is no figure.
 */
final class Probes {
  private static final int CHUNKS_PER_PASS = 10;
  private static final int PAIR_BYTES = 4096;

  private final MeasuredMemory memory;
  private final Effort effort;
  private final Stop stop;

  Probes(MeasuredMemory memory, Effort effort, Stop stop) {
    this.memory = memory;
    this.effort = effort;
    this.stop = stop;
  }

  /**
   * Measures one batch.
   *
   * @param cell what
   * @param seed of what is random
   */
  Batch batch(Cell cell, long seed) throws Exception {
    return switch (cell.measure()) {
      case LATENCY -> latency(cell, seed);
      case LOADED_LATENCY -> loadedLatency(cell, seed);
      case PING_PONG -> pingPong(cell);
      case ALLOCATION -> allocation(cell);
      default -> cell.cpus().size() == 1 ? bandwidth(cell) : teamBandwidth(cell);
    };
  }

  /** Memory is touched first by the thread that measures, on its CPU. */
  private Batch latency(Cell cell, long seed) throws Exception {
    return PinnedThread.run(
        cell.cpus().get(0),
        () -> {
          try (Block block = take(cell)) {
            ChaseLoop loop = ring(block, cell.bytes(), seed);
            Chunks.Batch chunks = Chunks.measure(loop, effort.chunks(), stop);
            return verified(block, chunks, chunks.nanosPerTurn(), 0);
          }
        });
  }

  private Block take(Cell cell) throws MeasuredMemory.MisplacedException {
    long units = Math.max(1, (cell.bytes() - 1) / MeasuredMemory.UNIT_BYTES + 1);
    return memory.take(cell.memoryNode(), units * MeasuredMemory.UNIT_BYTES, cell.pages());
  }

  private ChaseLoop ring(Block block, long bytes, long seed) {
    Kernels.link(block.address(), bytes, new SplittableRandom(seed), stop);
    return new ChaseLoop(block.address());
  }

  private static Batch verified(Block block, Chunks.Batch chunks, double[] values, double traffic)
      throws MeasuredMemory.MisplacedException {
    block.verify();
    return new Batch(Distribution.of(values), chunks.cpuOverWall(), block.hugeBytes(), traffic);
  }

  private Batch bandwidth(Cell cell) throws Exception {
    return PinnedThread.run(
        cell.cpus().get(0),
        () -> {
          try (Block block = take(cell)) {
            StreamLoop loop =
                new StreamLoop(cell.measure(), block.address(), cell.bytes()).prepared();
            Chunks.Batch chunks = Chunks.measure(loop, effort.chunks(), stop);
            double counted = StreamLoop.countedBytes(cell.measure());
            double[] values =
                Arrays.stream(chunks.nanosPerTurn()).map(nanos -> counted / nanos).toArray();
            return verified(block, chunks, values, 0);
          }
        });
  }

  /**
   * Each thread has its part of the memory, and touched it; a pass is over when all are through.
   */
  private Batch teamBandwidth(Cell cell) throws Exception {
    int threads = cell.cpus().size();
    long part = cell.bytes() / threads / StreamLoop.PIECE_BYTES * StreamLoop.PIECE_BYTES;
    try (Block block = take(cell)) {
      Team team = new Team(threads, effort.chunks() / CHUNKS_PER_PASS, stop);
      List<PinnedThread<Void>> members = new ArrayList<>();
      boolean isComplete = false;
      try {
        for (int i = 0; i < threads; i++) {
          int member = i;
          StreamLoop loop = new StreamLoop(cell.measure(), block.address() + i * part, part);
          members.add(
              PinnedThread.start(
                  cell.cpus().get(i),
                  () -> {
                    team.run(member, loop.prepared(), (int) (part / StreamLoop.PIECE_BYTES));
                    return null;
                  },
                  team::fail));
        }
        isComplete = true;
      } finally {
        if (!isComplete) {
          team.fail();
        }
        // Before the block is free: what is written there then is somebody else's.
        PinnedThread.joinAll(members);
      }
      block.verify();
      double counted = (double) StreamLoop.countedBytes(cell.measure());
      return new Batch(
          Distribution.of(team.turnsPerNano(counted)), team.leastCpu(), block.hugeBytes(), 0);
    }
  }

  /** The first CPU chases, the others copy on the same node, each in a part of another block. */
  private Batch loadedLatency(Cell cell, long seed) throws Exception {
    int most = (int) Math.min(cell.cpus().size() - 1, cell.bytes() / StreamLoop.PIECE_BYTES);
    List<Integer> others = cell.cpus().subList(1, 1 + most);
    long part = cell.bytes() / most / StreamLoop.PIECE_BYTES * StreamLoop.PIECE_BYTES;
    AtomicBoolean done = new AtomicBoolean();
    AtomicLong moved = new AtomicLong();
    List<PinnedThread<Void>> traffic = new ArrayList<>();
    try (Block block = take(cell);
        Block copied = take(cell)) {
      try {
        for (int i = 0; i < others.size(); i++) {
          StreamLoop loop = new StreamLoop(Measure.COPY, copied.address() + i * part, part);
          traffic.add(
              PinnedThread.start(
                  others.get(i), () -> makeTraffic(loop, cell.restNanos(), done, moved)));
        }
        Batch batch =
            PinnedThread.run(
                cell.cpus().get(0), () -> chaseBeside(block, cell.bytes(), seed, moved));
        copied.verify();
        return batch;
      } finally {
        // Before the blocks are free: what is copied there then is somebody else's.
        done.set(true);
        PinnedThread.joinAll(traffic);
      }
    }
  }

  private Batch chaseBeside(Block block, long bytes, long seed, AtomicLong moved)
      throws MeasuredMemory.MisplacedException {
    ChaseLoop loop = ring(block, bytes, seed);
    long bytesBefore = moved.get();
    long before = System.nanoTime();
    Chunks.Batch chunks = Chunks.measure(loop, effort.chunks(), stop);
    double nanos = System.nanoTime() - before;
    return verified(block, chunks, chunks.nanosPerTurn(), (moved.get() - bytesBefore) / nanos);
  }

  private static Void makeTraffic(
      StreamLoop loop, int restNanos, AtomicBoolean done, AtomicLong moved) {
    long counted = StreamLoop.countedBytes(Measure.COPY);
    while (!done.get()) {
      loop.run(1);
      moved.addAndGet(counted);
      long until = System.nanoTime() + restNanos;
      while (restNanos > 0 && System.nanoTime() - until < 0) {
        Thread.onSpinWait();
      }
    }
    return null;
  }

  /** One line goes to and fro: an odd number goes, the next even one comes back. */
  private Batch pingPong(Cell cell) throws Exception {
    try (Block block = memory.take(cell.cpuNode(), MeasuredMemory.UNIT_BYTES, cell.pages())) {
      long line = block.address();
      RawMemory.putVolatile(line, 0);
      AtomicBoolean done = new AtomicBoolean();
      CountDownLatch ready = new CountDownLatch(1);
      PinnedThread<Void> other =
          PinnedThread.start(
              cell.cpus().get(1),
              () -> {
                ready.countDown();
                return answer(line, done);
              });
      try {
        while (!ready.await(1, TimeUnit.MILLISECONDS)) {
          if (other.isDone()) {
            other.join();
          }
        }
        return PinnedThread.run(
            cell.cpus().get(0),
            () -> {
              Chunks.Batch chunks =
                  Chunks.measure(turns -> roundTrips(line, turns), effort.chunks(), stop);
              double[] oneWay =
                  Arrays.stream(chunks.nanosPerTurn()).map(nanos -> nanos / 2).toArray();
              return verified(block, chunks, oneWay, 0);
            });
      } finally {
        done.set(true);
        other.join();
      }
    }
  }

  /** To every odd number the next even one. */
  private static Void answer(long line, AtomicBoolean done) {
    while (!done.get()) {
      long now = RawMemory.getVolatile(line);
      if ((now & 1) != 0) {
        RawMemory.putVolatile(line, now + 1);
      } else {
        Thread.onSpinWait();
      }
    }
    return null;
  }

  private static void roundTrips(long line, int turns) {
    long at = RawMemory.getVolatile(line);
    for (int i = 0; i < turns; i++) {
      RawMemory.putVolatile(line, at + 1);
      at += 2;
      while (RawMemory.getVolatile(line) != at) {
        Thread.onSpinWait();
      }
    }
  }

  /** The allocator as anybody opens it, with the capability where the node is a device. */
  private Batch allocation(Cell cell) throws Exception {
    try (NodeAllocator allocator = NodeAllocator.open()) {
      SystemMemory there = allocator.at(MeasuredMemory.on(allocator, cell.memoryNode()));
      return PinnedThread.run(
          cell.cpus().get(0),
          () -> {
            verifyPair(allocator, there, cell.memoryNode());
            Chunks.Batch chunks =
                Chunks.measure(turns -> pairs(there, turns), effort.chunks(), stop);
            verifyPair(allocator, there, cell.memoryNode());
            return new Batch(Distribution.of(chunks.nanosPerTurn()), chunks.cpuOverWall(), 0, 0);
          });
    }
  }

  /** Asks where the block is that is handed out next. */
  private static void verifyPair(NodeAllocator allocator, SystemMemory there, int node)
      throws MeasuredMemory.MisplacedException {
    long address = there.allocate(PAIR_BYTES);
    try {
      MeasuredMemory.verify(allocator.residency(address), node);
    } finally {
      there.free(address);
    }
  }

  private static void pairs(SystemMemory there, int turns) {
    for (int i = 0; i < turns; i++) {
      there.free(there.allocate(PAIR_BYTES));
    }
  }
}
