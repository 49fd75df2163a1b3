/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.peers;

/**
 * An allocator as its users write it at its best. A JVM that measures opens one peer only, so that
 * all calls of this interface are inlined. Nothing here makes garbage that the peer itself does not
 * make.
 */
public interface Peer extends AutoCloseable {
  /**
   * Allocates a block and frees it at once; whatever stands for the block never leaves this call.
   *
   * @param bytes the block's size
   * @return anything, for the caller to consume
   */
  long pair(int bytes);

  /**
   * Returns room for blocks that live longer.
   *
   * @param count how many at once
   * @return a new one, for one thread, or two that see to their order themselves
   */
  Slots slots(int count);

  /** Must be called by each thread before it uses the peer. */
  default void enterThread() {}

  /**
   * Tells whether a thread may free what another one allocated.
   *
   * @return {@code false} if the blocks belong to their thread
   */
  default boolean handsOver() {
    return true;
  }

  /** Gives everything back. All blocks must have been freed. */
  @Override
  default void close() {}
}
