/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.peers;

/** Many blocks, and then none: what a request of a server, or a batch of rows, does. */
final class Batch {
  /** How many blocks live at once. */
  static final int COUNT = 256;

  private final Slots slots;
  private final Sizes sizes;
  private final int[] order;

  Batch(Peer peer, Sizes sizes, FreeOrder order) {
    this.slots = peer.slots(COUNT);
    this.sizes = sizes;
    this.order = order.of(COUNT);
  }

  /** Allocates all and frees all. */
  void run() {
    for (int i = 0; i < COUNT; i++) {
      slots.allocate(i, sizes.next());
    }
    for (int slot : order) {
      slots.free(slot);
    }
  }
}
