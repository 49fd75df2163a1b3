/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.nio.ByteBuffer;
import org.cdmalloc.NodeMemoryExhaustedException;
import org.cdmalloc.Placement;

/**
 * Requests at one placement: what every object that allocates has in common. In a scope, blocks are
 * the scope's. Safe for use by any number of threads.
 */
public final class Requests {
  private final AllocationPath allocation;
  private final Placement placement;
  private final Paths paths;

  /** Null where blocks belong to nobody. */
  private final Scope scope;

  /**
   * Makes requests whose blocks belong to nobody.
   *
   * @param allocation serves them
   * @param placement where, for messages
   * @param paths what the placement was resolved to
   */
  public Requests(AllocationPath allocation, Placement placement, Paths paths) {
    this(allocation, placement, paths, null);
  }

  private Requests(AllocationPath allocation, Placement placement, Paths paths, Scope scope) {
    this.allocation = allocation;
    this.placement = placement;
    this.paths = paths;
    this.scope = scope;
  }

  /**
   * Returns the same requests in a scope.
   *
   * @param owner whose the blocks shall be
   * @return new requests
   */
  public Requests in(Scope owner) {
    return new Requests(allocation, placement, paths, owner);
  }

  /**
   * Allocates a block if there is room.
   *
   * @param bytes its size, 0 or more; 0 counts as 1
   * @param alignment of its address, a power of two up to 2 MiB
   * @return its address, or 0
   */
  public long tryAllocate(long bytes, long alignment) {
    return tryAllocate(newBlock(), paths.choose(bytes), bytes, alignment);
  }

  private long tryAllocate(Scope.Block block, ZonePath path, long bytes, long alignment) {
    long address = allocation.tryAllocate(path, bytes, alignment, block);
    if (block != null && address != 0) {
      scope.enter(block, address);
    }
    return address;
  }

  /** Returns an owner for a block of the scope, or null where blocks belong to nobody. */
  private Scope.Block newBlock() {
    return scope == null ? null : scope.newBlock();
  }

  /**
   * Allocates a block.
   *
   * @param bytes its size, 0 or more; 0 counts as 1
   * @param alignment of its address, a power of two up to 2 MiB
   * @return its address
   * @throws NodeMemoryExhaustedException if no zone has room
   */
  public long allocate(long bytes, long alignment) {
    Scope.Block block = newBlock();
    // Chosen once: choosing again would take another turn of an interleaving, or follow the thread
    // to another node, and the exception would tell of zones that were not tried.
    ZonePath path = paths.choose(bytes);
    long address = tryAllocate(block, path, bytes, alignment);
    if (address == 0) {
      throw allocation.exhausted(path, bytes, alignment, placement);
    }
    return address;
  }

  /**
   * Allocates a buffer if there is room.
   *
   * @param bytes its capacity, 0 or more
   * @param zeroed whether it shall hold zeros
   * @return a direct, big-endian buffer of that capacity, or null
   */
  public ByteBuffer tryAllocateBuffer(int bytes, boolean zeroed) {
    return tryAllocateBuffer(newBlock(), paths.choose(bytes), bytes, zeroed);
  }

  private ByteBuffer tryAllocateBuffer(
      Scope.Block block, ZonePath path, int bytes, boolean zeroed) {
    ByteBuffer buffer = allocation.tryAllocateBuffer(path, bytes, zeroed, block);
    if (block != null && buffer != null) {
      scope.enter(block, allocation.address(buffer));
    }
    return buffer;
  }

  /**
   * Allocates a buffer.
   *
   * @param bytes its capacity, 0 or more
   * @param zeroed whether it shall hold zeros
   * @return a direct, big-endian buffer of that capacity
   * @throws NodeMemoryExhaustedException if no zone has room
   */
  public ByteBuffer allocateBuffer(int bytes, boolean zeroed) {
    Scope.Block block = newBlock();
    ZonePath path = paths.choose(bytes);
    ByteBuffer buffer = tryAllocateBuffer(block, path, bytes, zeroed);
    if (buffer == null) {
      throw allocation.exhausted(path, bytes, 1, placement);
    }
    return buffer;
  }

  /**
   * Returns the zone that serves these requests, where it is one and the same for all of them.
   *
   * @return the zone of a node
   * @throws IllegalArgumentException if the placement is not on one node, or is a preference only
   */
  public BackedZone target() {
    if (placement.mode() != Placement.Mode.ON_NODE && placement.mode() != Placement.Mode.DEVICE) {
      throw new IllegalArgumentException(
          "a block is moved to one node: placement="
              + placement
              + "; give Placement.onNode(node) or DeviceNode.placement()");
    }
    return paths.choose(1).zone(0);
  }

  /**
   * Returns where these requests are placed.
   *
   * @return the placement
   */
  public Placement placement() {
    return placement;
  }
}
