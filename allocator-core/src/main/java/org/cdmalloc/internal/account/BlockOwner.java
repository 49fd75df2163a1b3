/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.account;

/**
 * In whose name alone a block can be freed, and who pays for it until then: what its run's owner is
 * in the zone, one for each block. A block without an owner belongs to account 0, the system's,
 * which costs nothing.
 */
public interface BlockOwner {
  /** Takes note that the block's user has it. */
  void handOver();

  /**
   * Tells whether the block's user has it.
   *
   * @return false before it was handed over, and after somebody took it back
   */
  boolean isLive();

  /**
   * Gives the block up.
   *
   * @return true for the one caller who frees it, false for all others, and while it is not live
   */
  boolean leave();

  /**
   * Tells whether a block that was left is freed later, by somebody else.
   *
   * @return true if there is nothing to do for whoever left it
   */
  default boolean defersFree() {
    return false;
  }

  /** Takes {@link #leave} back: the block could not be freed. */
  void stay();

  /**
   * Takes note that the block was freed, once.
   *
   * @param bytes the block's usable bytes
   */
  void freed(long bytes);

  /**
   * Returns who pays for the block.
   *
   * @return the account, or null for the system's
   */
  Account account();

  /**
   * Returns how much of the block the account's budgets pay for.
   *
   * @return bytes, 0 for a block that was not spilled
   */
  long spilledBytes();

  /**
   * Takes note of how much of the block lies on the account's device.
   *
   * @param bytes the block's usable bytes
   * @param there how many of them the device pays for now
   */
  void arrived(long bytes, long there);

  /** Takes note that the block is used now. */
  void used();

  /**
   * Returns when the block was used last, as far as that was told: allocated, moved, or held.
   *
   * @return the time of the account's clock; 0 for a block for which nobody pays
   */
  long usedNanos();

  /** Gives back what the budgets pay for: nobody will free the block. */
  void cancelSpill();
}
