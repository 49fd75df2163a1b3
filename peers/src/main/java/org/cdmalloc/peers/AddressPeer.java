/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.peers;

/** A peer whose blocks are raw addresses. */
abstract class AddressPeer implements Peer {
  abstract long allocate(int bytes);

  abstract void free(long address);

  @Override
  public final long pair(int bytes) {
    long address = allocated(bytes);
    free(address);
    return address;
  }

  @Override
  public final Slots slots(int count) {
    return new AddressSlots(this, count);
  }

  /** C's allocators say so with a null pointer that there is no memory. */
  private long allocated(int bytes) {
    long address = allocate(bytes);
    if (address == 0) {
      throw new OutOfMemoryError("bytes=" + bytes);
    }
    return address;
  }

  private static final class AddressSlots implements Slots {
    private final AddressPeer peer;
    private final long[] addresses;

    AddressSlots(AddressPeer peer, int count) {
      this.peer = peer;
      addresses = new long[count];
    }

    @Override
    public void allocate(int slot, int bytes) {
      addresses[slot] = peer.allocated(bytes);
    }

    @Override
    public void free(int slot) {
      peer.free(addresses[slot]);
    }
  }
}
