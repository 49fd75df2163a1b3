/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.peers;

import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;

/** Blocks are allocated, and when all are there, freed in some order. */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class BatchWork {
  /** A thread that does it. */
  @State(Scope.Thread)
  public static class Caller {
    /** The order of frees. */
    @Param public FreeOrder order;

    private Batch batch;

    /**
     * Makes the thread known to the peer.
     *
     * @param subject what is measured
     */
    @Setup
    public void enter(Subject subject) {
      subject.memory().enterThread();
      batch = new Batch(subject.memory(), subject.sizes(), order);
    }
  }

  /**
   * Allocates and frees all blocks once.
   *
   * @param caller the thread
   */
  @Benchmark
  @OperationsPerInvocation(Batch.COUNT)
  public void batch(Caller caller) {
    caller.batch.run();
  }
}
