/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.account;

import java.util.concurrent.atomic.AtomicLong;

/**
 * A block of a device's holder that lies in memory of the system, as long as that is so: what it
 * took of the holder's budgets. Safe for use by any number of threads.
 */
public final class SpilledBlock implements BlockOwner {
  /*
   * Algorithmic notes.
   *
   * State: the block's bytes that the budgets pay for. They only become fewer: when pages are moved
   * to the device, and all when the block is freed, or lands on the device after all. Whoever lowers
   * the number gives the difference back, so each byte goes back once.
   */

  private final Account account;
  private final long bytes;
  private final AtomicLong spilled;

  private SpilledBlock(Account account, long bytes) {
    this.account = account;
    this.bytes = bytes;
    this.spilled = new AtomicLong(bytes);
  }

  /**
   * Takes a block's bytes of everything that bounds what an account may spill, or of nothing.
   *
   * @param account who pays
   * @param bytes the block's usable bytes
   * @return what to give back, or null if the account is strict or has spilled all it may
   */
  public static SpilledBlock of(Account account, long bytes) {
    return account.spill(bytes) ? new SpilledBlock(account, bytes) : null;
  }

  /** Gives back what was taken of the budgets: there is no such block, or none that was spilled. */
  public void cancel() {
    lower(0);
  }

  private void lower(long to) {
    long before = spilled.getAndUpdate(now -> Math.min(now, to));
    if (before > to) {
      account.unspill(before - to);
    }
  }

  @Override
  public void arrived(long onDevice) {
    lower(Math.max(0, bytes - onDevice));
  }

  @Override
  public boolean leave() {
    return true;
  }

  @Override
  public void freed(long usable) {
    cancel();
    account.touch();
    account.credit(usable);
  }

  @Override
  public Account account() {
    return account;
  }

  @Override
  public long spilledBytes() {
    return spilled.get();
  }
}
