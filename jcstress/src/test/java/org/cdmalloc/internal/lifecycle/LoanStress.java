/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.lifecycle;

import static org.openjdk.jcstress.annotations.Expect.ACCEPTABLE;
import static org.openjdk.jcstress.annotations.Expect.FORBIDDEN;

import java.util.concurrent.atomic.AtomicInteger;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Arbiter;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.II_Result;
import org.openjdk.jcstress.infra.results.ZZI_Result;

/** A block goes to the device and comes back. A plain field stands for the block's memory. */
public final class LoanStress {
  private LoanStress() {}

  /** On the way out, though the loan itself is handed over by a race. */
  @JCStressTest
  @Outcome(id = "-1, -1", expect = ACCEPTABLE, desc = "the device side has no loan yet")
  @Outcome(id = "1, 7", expect = ACCEPTABLE, desc = "it has, and sees the block")
  @Outcome(id = "0, .*", expect = ACCEPTABLE, desc = "it has an object that is not lent yet for it")
  @Outcome(expect = FORBIDDEN, desc = "the block is the device's, and not what was written to it")
  @State
  public static class WayOut {
    private int payload;
    private Ownership loan;

    /** The CPU. */
    @Actor
    public void cpu() {
      payload = 7;
      loan = new Ownership(() -> {});
    }

    /** The device side. */
    @Actor
    public void device(II_Result r) {
      Ownership seen = loan;
      r.r1 = seen == null ? -1 : seen.isLent() ? 1 : 0;
      r.r2 = seen == null ? -1 : payload;
    }
  }

  /** On the way back, for a thread that looks. */
  @JCStressTest
  @Outcome(id = "0, .*", expect = ACCEPTABLE, desc = "not back yet")
  @Outcome(id = "1, 7", expect = ACCEPTABLE, desc = "back, with what the device wrote")
  @Outcome(expect = FORBIDDEN, desc = "back without it")
  @State
  public static class WayBack {
    private final Ownership loan = new Ownership(() -> {});
    private int payload;

    /** The device side. */
    @Actor
    public void device() {
      payload = 7;
      loan.complete();
    }

    /** The CPU. */
    @Actor
    public void cpu(II_Result r) {
      r.r1 = loan.isReturned() ? 1 : 0;
      r.r2 = payload;
    }
  }

  /** On the way back, for a thread that waits, and what the way back itself wrote. */
  @JCStressTest
  @Outcome(id = "7, 8", expect = ACCEPTABLE, desc = "back, with all that was written")
  @Outcome(expect = FORBIDDEN, desc = "back without it")
  @State
  public static class Wait {
    private int payload;
    private int copied;
    private final Ownership loan = new Ownership(() -> copied = payload + 1);

    /** The device side. */
    @Actor
    public void device() {
      payload = 7;
      loan.complete();
    }

    /** The CPU. */
    @Actor
    public void cpu(II_Result r) {
      try {
        if (loan.await(Long.MAX_VALUE)) {
          r.r1 = payload;
          r.r2 = copied;
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /** A loan whose ends are counted. */
  private abstract static class Race {
    private final AtomicInteger waysBack = new AtomicInteger();
    final Ownership loan = new Ownership(waysBack::incrementAndGet);

    int waysBack() {
      return loan.isReturned() ? waysBack.get() : -1;
    }
  }

  /** The device completes while the CPU gives up. */
  @JCStressTest
  @Outcome(
      id = {"true, false, 1", "false, true, 1"},
      expect = ACCEPTABLE,
      desc = "one of them ended the loan")
  @Outcome(expect = FORBIDDEN, desc = "both or none did, or the block came back twice or never")
  @State
  public static class CompleteAgainstRecall extends Race {
    /** The device side. */
    @Actor
    public void device(ZZI_Result r) {
      r.r1 = loan.complete();
    }

    /** The CPU. */
    @Actor
    public void cpu(ZZI_Result r) {
      r.r2 = loan.recall();
    }

    /** Counts. */
    @Arbiter
    public void after(ZZI_Result r) {
      r.r3 = waysBack();
    }
  }

  /** Two device sides complete. */
  @JCStressTest
  @Outcome(
      id = {"true, false, 1", "false, true, 1"},
      expect = ACCEPTABLE,
      desc = "one of them ended the loan")
  @Outcome(expect = FORBIDDEN, desc = "both or none did, or the block came back twice or never")
  @State
  public static class CompleteAgainstComplete extends Race {
    /** The device side. */
    @Actor
    public void device(ZZI_Result r) {
      r.r1 = loan.complete();
    }

    /** Another one. */
    @Actor
    public void other(ZZI_Result r) {
      r.r2 = loan.complete();
    }

    /** Counts. */
    @Arbiter
    public void after(ZZI_Result r) {
      r.r3 = waysBack();
    }
  }

  /** The device completes while its node fails. */
  @JCStressTest
  @Outcome(
      id = {"true, false, 1", "false, true, 1"},
      expect = ACCEPTABLE,
      desc = "one of them ended the loan")
  @Outcome(expect = FORBIDDEN, desc = "both or none did, or the block came back twice or never")
  @State
  public static class CompleteAgainstFailure extends Race {
    /** The device side. */
    @Actor
    public void device(ZZI_Result r) {
      r.r1 = loan.complete();
    }

    /** Whoever saw the node fail. */
    @Actor
    public void node(ZZI_Result r) {
      r.r2 = loan.fail();
    }

    /** Counts. */
    @Arbiter
    public void after(ZZI_Result r) {
      r.r3 = waysBack();
    }
  }
}
