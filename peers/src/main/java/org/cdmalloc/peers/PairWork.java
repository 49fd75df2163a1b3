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

/** A block is allocated and freed at once. */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class PairWork {
  /** A thread that does it. */
  @State(Scope.Thread)
  public static class Caller {
    private Peer peer;
    private Sizes sizes;

    /**
     * Makes the thread known to the peer.
     *
     * @param subject what is measured
     */
    @Setup
    public void enter(Subject subject) {
      peer = subject.memory();
      peer.enterThread();
      sizes = subject.sizes();
    }
  }

  /**
   * Allocates and frees.
   *
   * @param caller the thread
   * @return anything
   */
  @Benchmark
  public long pair(Caller caller) {
    return caller.peer.pair(caller.sizes.next());
  }
}
