/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.peers;

import java.util.SplittableRandom;

/** Blocks that live for a random time: each step frees one of them and allocates another one. */
final class Churn {
  /** How many blocks live. */
  static final int COUNT = 1024;

  /** How many steps before the choices repeat; a power of two. */
  private static final int STEPS = 8192;

  private final Slots slots;
  private final Sizes sizes;
  private final int[] choices = new int[STEPS];
  private int at;

  Churn(Peer peer, Sizes sizes, long seed) {
    this.slots = peer.slots(COUNT);
    this.sizes = sizes;
    SplittableRandom random = new SplittableRandom(seed);
    for (int i = 0; i < STEPS; i++) {
      choices[i] = random.nextInt(COUNT);
    }
    for (int i = 0; i < COUNT; i++) {
      slots.allocate(i, sizes.next());
    }
  }

  /** Replaces a block. */
  void step() {
    int slot = choices[at++ & (STEPS - 1)];
    slots.free(slot);
    slots.allocate(slot, sizes.next());
  }

  /** Frees all. */
  void drain() {
    for (int i = 0; i < COUNT; i++) {
      slots.free(i);
    }
  }
}
