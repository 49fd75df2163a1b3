/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.nio.ByteBuffer;
import org.cdmalloc.NodeMemoryExhaustedException;
import org.cdmalloc.Placement;

/**
 * Requests at one placement: what every object that allocates has in common. In a scope, blocks are
 * the scope's. Safe for use by any number of threads.
 */
public interface Requests {
  /**
   * Returns the same requests in a scope.
   *
   * @param owner whose the blocks shall be
   * @return new requests
   */
  Requests in(Scope owner);

  /**
   * Allocates a block if there is room.
   *
   * @param bytes its size, 0 or more; 0 counts as 1
   * @param alignment of its address, a power of two up to 2 MiB
   * @return its address, or 0
   */
  long tryAllocate(long bytes, long alignment);

  /**
   * Allocates a block.
   *
   * @param bytes its size, 0 or more; 0 counts as 1
   * @param alignment of its address, a power of two up to 2 MiB
   * @return its address
   * @throws NodeMemoryExhaustedException if there is no room
   */
  long allocate(long bytes, long alignment);

  /**
   * Allocates a buffer if there is room.
   *
   * @param bytes its capacity, 0 or more
   * @param zeroed whether it shall hold zeros
   * @return a direct, big-endian buffer of that capacity, or null
   */
  ByteBuffer tryAllocateBuffer(int bytes, boolean zeroed);

  /**
   * Allocates a buffer.
   *
   * @param bytes its capacity, 0 or more
   * @param zeroed whether it shall hold zeros
   * @return a direct, big-endian buffer of that capacity
   * @throws NodeMemoryExhaustedException if there is no room
   */
  ByteBuffer allocateBuffer(int bytes, boolean zeroed);

  /**
   * Returns where blocks are moved in the right of these requests.
   *
   * @return a node, and who pays
   * @throws IllegalArgumentException if the placement is not on one node, or is a preference only
   */
  Destination destination();

  /**
   * Returns where these requests are placed.
   *
   * @return the placement
   */
  Placement placement();
}
