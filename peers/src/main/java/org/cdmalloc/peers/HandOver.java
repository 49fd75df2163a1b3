/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.peers;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;

/**
 * A ring through which one thread hands blocks to another one that frees them.
 *
 * <p>For maintainers: {@code words} holds two indices that only grow, each with what its writer
 * last saw of the other, far enough apart for two cache lines. A slot belongs to the producer while
 * {@code produced - consumed < COUNT} and to the consumer while {@code consumed < produced}; the
 * release of an index hands the slots over that it leaves behind, the acquire takes them.
 */
final class HandOver {
  /** How many blocks lie in the ring at most; a power of two. */
  static final int COUNT = 1024;

  private static final VarHandle WORDS = MethodHandles.arrayElementVarHandle(long[].class);
  private static final int PRODUCED = 16;
  private static final int SEEN_CONSUMED = 17;
  private static final int CONSUMED = 48;
  private static final int SEEN_PRODUCED = 49;
  private static final int LENGTH = 64;

  private final Slots slots;
  private final long[] words = new long[LENGTH];

  HandOver(Peer peer) {
    slots = peer.slots(COUNT);
  }

  /**
   * Allocates a block, if there is room for it in the ring. For one thread at a time.
   *
   * @param bytes its size
   * @return whether it did
   */
  boolean allocate(int bytes) {
    long produced = words[PRODUCED];
    if (produced - words[SEEN_CONSUMED] == COUNT) {
      words[SEEN_CONSUMED] = (long) WORDS.getAcquire(words, CONSUMED);
      if (produced - words[SEEN_CONSUMED] == COUNT) {
        return false;
      }
    }
    slots.allocate((int) produced & (COUNT - 1), bytes);
    WORDS.setRelease(words, PRODUCED, produced + 1);
    return true;
  }

  /**
   * Frees the oldest block in the ring, if there is one. For one thread at a time.
   *
   * @return whether it did
   */
  boolean free() {
    long consumed = words[CONSUMED];
    if (consumed == words[SEEN_PRODUCED]) {
      words[SEEN_PRODUCED] = (long) WORDS.getAcquire(words, PRODUCED);
      if (consumed == words[SEEN_PRODUCED]) {
        return false;
      }
    }
    slots.free((int) consumed & (COUNT - 1));
    WORDS.setRelease(words, CONSUMED, consumed + 1);
    return true;
  }

  /** Frees what is left. For when both threads are done. */
  void drain() {
    while (free()) {}
  }
}
