/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.account;

import static org.openjdk.jcstress.annotations.Expect.ACCEPTABLE;
import static org.openjdk.jcstress.annotations.Expect.FORBIDDEN;

import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Arbiter;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.ZZJ_Result;
import org.openjdk.jcstress.infra.results.ZZ_Result;

/** Who frees a block, and who gets the last bytes of an allowance. */
public final class AccountStress {
  private AccountStress() {}

  /** Two threads free a block. */
  @JCStressTest
  @Outcome(
      id = {"true, false", "false, true"},
      expect = ACCEPTABLE,
      desc = "one of them frees it")
  @Outcome(expect = FORBIDDEN, desc = "both or none do")
  @State
  public static class LeaveAgainstLeave {
    private static final Account ACCOUNT = Account.root(1, () -> 0);

    private final PaidBlock block = new PaidBlock(ACCOUNT);

    /** Hands the block over. */
    public LeaveAgainstLeave() {
      block.handOver();
    }

    /** One thread. */
    @Actor
    public void one(ZZ_Result r) {
      r.r1 = block.leave();
    }

    /** Another one. */
    @Actor
    public void other(ZZ_Result r) {
      r.r2 = block.leave();
    }
  }

  /** Two requests, and room for one of them. */
  @JCStressTest
  @Outcome(
      id = {"true, false, 6", "false, true, 6"},
      expect = ACCEPTABLE,
      desc = "one of them gets it")
  @Outcome(expect = FORBIDDEN, desc = "both or none do, or the figure is wrong")
  @State
  public static class AddAgainstAdd {
    private final Allowance allowance = new Allowance(10);

    /** One request. */
    @Actor
    public void one(ZZJ_Result r) {
      r.r1 = allowance.tryAdd(6);
    }

    /** Another one. */
    @Actor
    public void other(ZZJ_Result r) {
      r.r2 = allowance.tryAdd(6);
    }

    /** What is used. */
    @Arbiter
    public void after(ZZJ_Result r) {
      r.r3 = allowance.usedBytes();
    }
  }

  /** A request of what can never be served beside one that fits. */
  @JCStressTest
  @Outcome(id = "false, true, 10", expect = ACCEPTABLE, desc = "what fits is served")
  @Outcome(expect = FORBIDDEN, desc = "it was turned away for what does not fit")
  @State
  public static class TooMuchAgainstAdd {
    private final Allowance allowance = new Allowance(10);

    /** Too much. */
    @Actor
    public void tooMuch(ZZJ_Result r) {
      r.r1 = allowance.tryAdd(11);
    }

    /** All there is. */
    @Actor
    public void all(ZZJ_Result r) {
      r.r2 = allowance.tryAdd(10);
    }

    /** What is used. */
    @Arbiter
    public void after(ZZJ_Result r) {
      r.r3 = allowance.usedBytes();
    }
  }

  /** A request while the allowance ends. */
  @JCStressTest
  @Outcome(id = "true, true, 6", expect = ACCEPTABLE, desc = "the request came before")
  @Outcome(id = "false, true, 0", expect = ACCEPTABLE, desc = "the request came after")
  @Outcome(expect = FORBIDDEN, desc = "the end was lost, or the figure is wrong")
  @State
  public static class AddAgainstEnd {
    private final Allowance allowance = new Allowance(10);

    /** A request. */
    @Actor
    public void request(ZZJ_Result r) {
      r.r1 = allowance.tryAdd(6);
    }

    /** The end. */
    @Actor
    public void end(ZZJ_Result r) {
      allowance.end();
      r.r2 = allowance.isEnded();
    }

    /** What is used. */
    @Arbiter
    public void after(ZZJ_Result r) {
      r.r2 &= allowance.isEnded();
      r.r3 = allowance.usedBytes();
    }
  }
}
