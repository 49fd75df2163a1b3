/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.nio.ByteBuffer;
import java.util.Objects;
import org.cdmalloc.internal.allocation.AllocationPath;
import org.cdmalloc.internal.allocation.DeviceZone;

/**
 * The right to use a device node: the node's one root capability, from {@link
 * NodeAllocator#device(int)}. A request through it is served by that node or not at all; it never
 * falls back to system memory or to another device (J. Hubbard, linux-mm, 8 March 2017: "no
 * automatic use in either direction").
 *
 * <p>The right is this object and nothing else: no thread, no policy and no inheritance gives it.
 * It stops accidents and confused deputies, not hostile code in the same JVM.
 *
 * <p>Safe for use by any number of threads.
 */
public final class DeviceNode {
  private final DeviceZone zone;
  private final AllocationPath allocation;
  private final Placement placement;

  DeviceNode(DeviceZone zone, AllocationPath allocation) {
    this.zone = zone;
    this.allocation = allocation;
    this.placement = Placement.onDevice(zone.node(), zone);
  }

  /**
   * Returns the node's number.
   *
   * @return as in {@link NodeAllocator#machine()}
   */
  public int node() {
    return zone.node();
  }

  /**
   * Brings the node into use: reserves address space for its capacity. Before, nothing of it is
   * reserved or listed. Does nothing if the node is online.
   *
   * @throws NodeAccessException if the kernel refuses to bind memory, so that nobody could say
   *     where it lies
   * @throws NativeCallException if the address space cannot be reserved
   * @throws IllegalStateException if the allocator is closed
   */
  public void online() {
    zone.online();
  }

  /**
   * Returns the placement on this node, which carries the right to it: whoever is handed the
   * placement may allocate here.
   *
   * @return the same object each time
   */
  public Placement placement() {
    return placement;
  }

  /**
   * Allocates a block on this node. Its content is not defined.
   *
   * @param bytes its size, 0 or more; 0 counts as 1; rounded up to whole pages of 4 KiB
   * @return its address, a multiple of 4096
   * @throws NodeMemoryExhaustedException if the node has no room
   * @throws IllegalArgumentException if {@code bytes} is negative
   * @throws IllegalStateException if the node is not online or the allocator is closed
   */
  public long allocate(long bytes) {
    return allocation.allocate(zone.path(), bytes, placement);
  }

  /**
   * Allocates a block on this node if it has room.
   *
   * @param bytes as for {@link #allocate(long)}
   * @return its address, or 0 if the node has no room
   * @throws IllegalArgumentException if {@code bytes} is negative
   * @throws IllegalStateException if the node is not online or the allocator is closed
   */
  public long tryAllocate(long bytes) {
    return allocation.tryAllocate(zone.path(), bytes);
  }

  /**
   * Allocates a zeroed buffer on this node.
   *
   * @param bytes its capacity, 0 or more
   * @return a direct, big-endian buffer of exactly that capacity
   * @throws NodeMemoryExhaustedException if the node has no room
   * @throws IllegalArgumentException if {@code bytes} is negative
   * @throws IllegalStateException if the node is not online or the allocator is closed
   */
  public ByteBuffer allocateBuffer(int bytes) {
    return allocation.allocateBuffer(zone.path(), bytes, placement);
  }

  /**
   * Allocates a zeroed buffer on this node if it has room.
   *
   * @param bytes its capacity, 0 or more
   * @return a direct, big-endian buffer of exactly that capacity, or null if the node has no room
   * @throws IllegalArgumentException if {@code bytes} is negative
   * @throws IllegalStateException if the node is not online or the allocator is closed
   */
  public ByteBuffer tryAllocateBuffer(int bytes) {
    return allocation.tryAllocateBuffer(zone.path(), bytes);
  }

  /**
   * Frees a block, as {@link NodeAllocator#free(long)} does.
   *
   * @param address the block's first byte
   * @throws IllegalArgumentException if no block of the allocator begins there
   * @throws MemoryCorruptionError if the block that began there was freed before
   * @throws IllegalStateException if the allocator is closed
   */
  public void free(long address) {
    allocation.free(address);
  }

  /**
   * Frees a block, as {@link NodeAllocator#free(ByteBuffer)} does.
   *
   * @param buffer a buffer whose index 0 is the block's first byte
   * @throws IllegalArgumentException if no block of the allocator begins there
   * @throws MemoryCorruptionError if the block that began there was freed before
   * @throws IllegalStateException if the allocator is closed
   */
  public void free(ByteBuffer buffer) {
    allocation.free(Objects.requireNonNull(buffer, "buffer"));
  }

  /** Prints {@code DeviceNode[node=2, online=true]}. */
  @Override
  public String toString() {
    return "DeviceNode[node=" + zone.node() + ", online=" + zone.isOnline() + "]";
  }
}
