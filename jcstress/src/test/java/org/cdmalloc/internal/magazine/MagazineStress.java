/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.magazine;

import static org.openjdk.jcstress.annotations.Expect.ACCEPTABLE;
import static org.openjdk.jcstress.annotations.Expect.FORBIDDEN;

import java.nio.ByteBuffer;
import org.cdmalloc.internal.slab.ReadyBlock;
import org.cdmalloc.internal.slab.SizeClasses;
import org.cdmalloc.internal.slab.Slab;
import org.cdmalloc.internal.zone.NumaEvents;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Arbiter;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.II_Result;
import org.openjdk.jcstress.infra.results.ZZ_Result;

/** A block goes from one thread's magazines to another's. A plain field stands for its memory. */
public final class MagazineStress {
  private static final int CLASS = SizeClasses.of(SizeClasses.MAX_OBJECT_BYTES + 1L);
  private static final int REGION_PAGES = 64;

  private MagazineStress() {}

  /** Two threads' magazines, of which the first one's user has the only block of a zone. */
  private abstract static class TwoThreads {
    private boolean isTaken;

    private final Depot depot =
        new Depot(
            new Depot.Memory() {
              @Override
              public long take(int pages, int floorPages) {
                boolean none = isTaken;
                isTaken = true;
                return none ? -1 : 0;
              }

              @Override
              public void giveBack(int page) {
                throw new AssertionError("the depot has room for the block");
              }

              @Override
              public ByteBuffer view(long offset, int bytes) {
                throw new UnsupportedOperationException("no memory");
              }

              @Override
              public void zero(long offset, long bytes) {
                throw new UnsupportedOperationException("no memory");
              }
            },
            0,
            REGION_PAGES,
            1 << 20);

    final Magazines first = new Magazines(Thread.currentThread(), this, depot);
    final Magazines second = new Magazines(Thread.currentThread(), this, depot);
    final long block = take(first);
    final Slab slab = depot.index().at(block);
    int payload;

    /** Takes the block and makes it its user's; returns a negative number if it is not here. */
    final long take(Magazines thread) {
      long taken = thread.take(CLASS, NumaEvents.HIT, 0);
      return taken < 0 ? taken : taken & ~ReadyBlock.CLEAN;
    }
  }

  /** What was written before the free is seen after the next allocation, and the block is live. */
  @JCStressTest
  @Outcome(id = "-1, -1", expect = ACCEPTABLE, desc = "the block is not here yet")
  @Outcome(id = "7, 1", expect = ACCEPTABLE, desc = "it is, and all that happened before")
  @Outcome(expect = FORBIDDEN, desc = "the block without what happened before, or not live")
  @State
  public static class HandOver extends TwoThreads {
    /** Frees. */
    @Actor
    public void frees() {
      payload = 7;
      if (slab.take(0)) {
        first.put(CLASS, block);
      }
      first.bringAllBack();
    }

    /** Allocates. */
    @Actor
    public void allocates(II_Result r) {
      long taken = take(second);
      r.r1 = taken < 0 ? -1 : payload;
      r.r2 = taken < 0 ? -1 : slab.isLive(0) ? 1 : 0;
    }
  }

  /** A block that comes back once is given out once. */
  @JCStressTest
  @Outcome(id = "0, 1", expect = ACCEPTABLE, desc = "one had it")
  @Outcome(id = "1, 0", expect = ACCEPTABLE, desc = "the other had it")
  @Outcome(expect = FORBIDDEN, desc = "both had it, or nobody")
  @State
  public static class TakeAgainstTake extends TwoThreads {
    /** Brings the block to the depot. */
    public TakeAgainstTake() {
      slab.take(0);
      first.put(CLASS, block);
      first.bringAllBack();
    }

    /** One. */
    @Actor
    public void one(II_Result r) {
      r.r1 = take(first) < 0 ? 0 : 1;
    }

    /** The other. */
    @Actor
    public void other(II_Result r) {
      r.r2 = take(second) < 0 ? 0 : 1;
    }
  }

  /** Of two threads that free one block at once, with checks that exchange, one is told. */
  @JCStressTest
  @Outcome(id = "true, false", expect = ACCEPTABLE, desc = "the other is told")
  @Outcome(id = "false, true", expect = ACCEPTABLE, desc = "the one is told")
  @Outcome(expect = FORBIDDEN, desc = "the block is freed twice, or not at all")
  @State
  public static class FreeAgainstFree extends TwoThreads {
    /** One. */
    @Actor
    public void one(ZZ_Result r) {
      r.r1 = slab.takeAt(block, true) >= 0;
    }

    /** The other. */
    @Actor
    public void other(ZZ_Result r) {
      r.r2 = slab.takeAt(block, true) >= 0;
    }
  }

  /** A thread that is asked for its magazines brings them, and nothing is lost. */
  @JCStressTest
  @Outcome(id = "1, 0", expect = ACCEPTABLE, desc = "the block is with the other thread")
  @Outcome(id = "0, 1", expect = ACCEPTABLE, desc = "the block is with its thread, or the depot")
  @Outcome(expect = FORBIDDEN, desc = "the block is lost, or there twice")
  @State
  public static class FreeAgainstEpoch extends TwoThreads {
    private boolean isTakenBySecond;

    /** Frees, which looks at the epoch. */
    @Actor
    public void frees() {
      if (slab.take(0)) {
        first.put(CLASS, block);
      }
    }

    /** Asks, and takes what came. */
    @Actor
    public void asks() {
      first.depot().moveEpoch();
      isTakenBySecond = take(second) >= 0;
    }

    /** Looks where the block is. */
    @Arbiter
    public void where(II_Result r) {
      r.r1 = isTakenBySecond ? 1 : 0;
      r.r2 = take(first) >= 0 ? 1 : 0;
    }
  }
}
