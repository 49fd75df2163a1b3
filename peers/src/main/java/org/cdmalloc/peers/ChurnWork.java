/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.peers;

import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;

/** Blocks are replaced at random, and single steps are timed. */
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class ChurnWork {
  /** A thread that does it. */
  @State(Scope.Thread)
  public static class Caller {
    private static final long SEED = 1024;

    private Churn churn;

    /**
     * Makes the thread known to the peer, and allocates what lives.
     *
     * @param subject what is measured
     */
    @Setup
    public void enter(Subject subject) {
      subject.memory().enterThread();
      churn = new Churn(subject.memory(), subject.sizes(), SEED);
    }
  }

  /**
   * Replaces a block.
   *
   * @param caller the thread
   */
  @Benchmark
  public void step(Caller caller) {
    caller.churn.step();
  }
}
