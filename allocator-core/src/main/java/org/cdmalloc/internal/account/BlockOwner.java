/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.account;

/**
 * In whose name alone a block can be freed, and who pays for it until then: what its run's owner is
 * in the zone. A block without an owner belongs to account 0, the system's, which costs nothing.
 */
public interface BlockOwner {
  /**
   * Gives the block up.
   *
   * @return true for the one caller who frees it, false for all others
   */
  boolean leave();

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
   * Returns how much of the block is memory of the system that the account was lent.
   *
   * @return bytes, 0 for a block that was not spilled
   */
  default long spilledBytes() {
    return 0;
  }

  /**
   * Takes note of how much of the block lies on the device now, after a move there.
   *
   * @param bytes how much
   */
  default void arrived(long bytes) {}
}
