/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.nio.ByteBuffer;
import java.util.List;
import org.cdmalloc.internal.allocation.PinnedBlock;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Residency;

/**
 * A block that stays on a device node: {@link DeviceNode#pin(long)} put it there, locked it in
 * memory (mlock(2)), and asked the kernel afterwards where it lies. Until the pin is closed the
 * block is not moved by this allocator, the node does not go offline, and a free of the block is
 * done with when the last pin is closed. Several pins of a block on one node are allowed.
 *
 * <p>Locked is not fixed: the kernel may still move such pages, for compaction, when memory goes
 * offline, and when I/O pins them for long in memory that has to stay removable (Linux:
 * ZONE_MOVABLE, as hot-added device memory often is). {@link #hazards()} says what of that may
 * happen here, {@link #displaced()} whether it did.
 *
 * <p>Safe for use by any number of threads. A pin that is never closed keeps its block for good.
 */
public final class DevicePin implements AutoCloseable {
  private final PinnedBlock block;

  DevicePin(PinnedBlock block) {
    this.block = block;
  }

  /**
   * Returns the node.
   *
   * @return the device node's number
   */
  public int node() {
    return block.node();
  }

  /**
   * Returns the block.
   *
   * @return the address of its first byte
   */
  public long address() {
    return block.address();
  }

  /**
   * Returns how much is pinned.
   *
   * @return the block's usable bytes, whole OS pages
   */
  public long bytes() {
    return block.bytes();
  }

  /**
   * Returns a buffer over the block's first bytes.
   *
   * @param bytes how many, 0 … {@link #bytes()}
   * @return a direct, big-endian buffer of exactly that capacity
   * @throws IllegalArgumentException if {@code bytes} is not as said
   * @throws IllegalStateException if the allocator is closed, or the node was lost ({@link
   *     NodeFailedException})
   */
  public ByteBuffer buffer(int bytes) {
    return block.buffer(bytes);
  }

  /**
   * Asks where the pages lie now.
   *
   * @return one entry per OS page, in the numbers of {@link NodeAllocator#source()}'s machine
   * @throws NativeCallException if the platform fails to tell
   * @throws IllegalStateException if the allocator is closed
   */
  public Residency residency() {
    return block.residency();
  }

  /**
   * Tells whether all pages lie on the node now.
   *
   * @return false if one lies elsewhere, or nobody can tell
   * @throws NativeCallException if the platform fails to tell
   * @throws IllegalStateException if the allocator is closed
   */
  public boolean isInPlace() {
    return block.isInPlace();
  }

  /**
   * Asks what of the block lies elsewhere now, and what probably moved it.
   *
   * @return an entry for each node on which pages were found; empty if all are in place
   * @throws NativeCallException if the platform fails to tell
   * @throws IllegalStateException if the allocator is closed
   */
  public List<Displacement> displaced() {
    return block.displaced();
  }

  /**
   * Says what may move the block though it is pinned, as {@link MemorySource#lockHazards} does.
   *
   * @return a sentence each, with figures; what other processes may do shows in none
   */
  public List<String> hazards() {
    return block.hazards();
  }

  /**
   * Ends the pin. With the last one the memory is unlocked, and a block that came here for it goes
   * home if its node has room, else it stays. Does nothing the second time.
   *
   * @throws NativeCallException if the platform fails to unlock the memory or to move it; the pin
   *     can be closed again
   */
  @Override
  public void close() {
    block.close();
  }

  /** Prints {@code DevicePin[node=2, address=0x7f…, bytes=4096, closed=false]}. */
  @Override
  public String toString() {
    return "DevicePin[node="
        + node()
        + ", address=0x"
        + Long.toHexString(address())
        + ", bytes="
        + bytes()
        + ", closed="
        + block.isClosed()
        + "]";
  }
}
