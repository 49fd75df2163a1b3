/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.peers;

/**
 * A peer whose blocks are objects.
 *
 * @param <T> of this class
 */
abstract class HandlePeer<T> implements Peer {
  abstract T allocate(int bytes);

  abstract void free(T handle);

  @Override
  public final long pair(int bytes) {
    free(allocate(bytes));
    return bytes;
  }

  @Override
  public final Slots slots(int count) {
    return new HandleSlots<>(this, count);
  }

  private static final class HandleSlots<T> implements Slots {
    private final HandlePeer<T> peer;
    private final Object[] handles;

    HandleSlots(HandlePeer<T> peer, int count) {
      this.peer = peer;
      handles = new Object[count];
    }

    @Override
    public void allocate(int slot, int bytes) {
      handles[slot] = peer.allocate(bytes);
    }

    @Override
    @SuppressWarnings("unchecked") // allocate() put it there
    public void free(int slot) {
      peer.free((T) handles[slot]);
    }
  }
}
