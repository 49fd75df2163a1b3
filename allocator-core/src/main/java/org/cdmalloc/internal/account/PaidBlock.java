/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.account;

import java.util.concurrent.atomic.AtomicIntegerFieldUpdater;
import java.util.concurrent.atomic.AtomicLongFieldUpdater;

/**
 * A block that an account pays for, and what of it the account's budgets pay for because it lies in
 * memory of the system. Safe for use by any number of threads.
 */
public final class PaidBlock implements BlockOwner {
  /*
   * Algorithmic notes.
   *
   * State: whether the block is in work, live, or left, in this order, but that a free which failed
   * makes a left block live again; the bytes that the budgets pay for.
   *
   * Invariants: a block is freed by the one thread that made it left, or by the request that it is in
   * work of: nobody can free what was not handed out yet, though its run is taken already. The time of
   * the last use is a plain figure. The
   * budgets' bytes only become fewer: when pages are moved to the device, and all when the block is
   * freed, or is not spilled after all. Whoever lowers the number gives the difference back, so each
   * byte goes back once.
   *
   * Linearisation points: the writes of handOver and stay, the compare-and-sets of leave and lower.
   */

  private static final int IN_WORK = 0;
  private static final int LIVE = 1;
  private static final int LEFT = 2;

  private static final AtomicIntegerFieldUpdater<PaidBlock> STATE =
      AtomicIntegerFieldUpdater.newUpdater(PaidBlock.class, "state");
  private static final AtomicLongFieldUpdater<PaidBlock> SPILLED =
      AtomicLongFieldUpdater.newUpdater(PaidBlock.class, "spilledBytes");

  private final Account account;
  private volatile int state = IN_WORK;
  private volatile long spilledBytes;
  private volatile long usedNanos;

  /**
   * Makes a block in work, for which the account was charged.
   *
   * @param account who pays
   */
  public PaidBlock(Account account) {
    this.account = account;
    this.usedNanos = account.lastUseNanos();
  }

  /**
   * Takes the block's bytes of everything that bounds what the account may spill, or of nothing.
   *
   * @param bytes the block's usable bytes
   * @return false if the account is strict or has spilled all it may
   */
  public boolean spill(long bytes) {
    boolean taken = account.spill(bytes);
    spilledBytes = taken ? bytes : 0;
    return taken;
  }

  /** Gives back what {@link #spill} took, as far as that was not done. */
  @Override
  public void cancelSpill() {
    lower(0);
  }

  private void lower(long to) {
    long now = spilledBytes;
    while (now > to && !SPILLED.compareAndSet(this, now, to)) {
      now = spilledBytes;
    }
    if (now > to) {
      account.unspill(now - to);
    }
  }

  @Override
  public void arrived(long bytes, long there) {
    lower(Math.max(0, bytes - there));
  }

  @Override
  public void handOver() {
    state = LIVE;
  }

  @Override
  public boolean isLive() {
    return state == LIVE;
  }

  @Override
  public boolean leave() {
    return STATE.compareAndSet(this, LIVE, LEFT);
  }

  @Override
  public void stay() {
    state = LIVE;
  }

  @Override
  public void freed(long bytes) {
    lower(0);
    account.credit(bytes);
  }

  @Override
  public Account account() {
    return account;
  }

  @Override
  public void used() {
    usedNanos = account.nowNanos();
  }

  @Override
  public long usedNanos() {
    return usedNanos;
  }

  @Override
  public long spilledBytes() {
    return spilledBytes;
  }
}
