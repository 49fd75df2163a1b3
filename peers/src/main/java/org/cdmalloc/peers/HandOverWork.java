/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.peers;

import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Group;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.infra.Control;

/** One thread allocates, another one frees. */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class HandOverWork {
  /** How often to look before the processor is offered to others. */
  private static final int SPINS = 256;

  /** What lies between the two. */
  @State(Scope.Group)
  public static class Between {
    private HandOver ring;

    /**
     * Makes the ring.
     *
     * @param subject what is measured
     */
    @Setup
    public void open(Subject subject) {
      ring = new HandOver(subject.memory());
    }

    /** Frees what is left in the ring. */
    @TearDown
    public void drain() {
      ring.drain();
    }
  }

  /** One of the two threads. */
  @State(Scope.Thread)
  public static class Caller {
    private Sizes sizes;

    /**
     * Makes the thread known to the peer.
     *
     * @param subject what is measured
     */
    @Setup
    public void enter(Subject subject) {
      subject.memory().enterThread();
      sizes = subject.sizes();
    }
  }

  /**
   * Allocates a block, once there is room in the ring or time is over.
   *
   * @param between the ring
   * @param caller the thread
   * @param control tells when time is over
   */
  @Benchmark
  @Group("handOver")
  public void allocate(Between between, Caller caller, Control control) {
    int bytes = caller.sizes.next();
    for (int tries = 1; !between.ring.allocate(bytes) && !control.stopMeasurement; tries++) {
      pause(tries);
    }
  }

  /**
   * Frees a block, once there is one in the ring or time is over.
   *
   * @param between the ring
   * @param caller the thread
   * @param control tells when time is over
   */
  @Benchmark
  @Group("handOver")
  public void free(Between between, Caller caller, Control control) {
    for (int tries = 1; !between.ring.free() && !control.stopMeasurement; tries++) {
      pause(tries);
    }
  }

  /**
   * Waits a moment. Where other processes want the processors too, the other thread may be off its
   * own for milliseconds, in which a thread that spun would only keep it from another one.
   */
  @SuppressWarnings("ThreadPriorityCheck") // the result does not depend on it, only the time
  private static void pause(int tries) {
    if (tries % SPINS == 0) {
      Thread.yield();
    } else {
      Thread.onSpinWait();
    }
  }
}
