/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.nio.ByteBuffer;
import java.util.Objects;
import org.cdmalloc.internal.allocation.AllocationPath;
import org.cdmalloc.internal.allocation.DeviceZone;
import org.cdmalloc.internal.allocation.Requests;

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
  private static final long ANY = 1;

  private final DeviceZone zone;
  private final AllocationPath allocation;
  private final Placement placement;
  private final Requests requests;

  DeviceNode(DeviceZone zone, AllocationPath allocation) {
    this.zone = zone;
    this.allocation = allocation;
    this.placement = Placement.onDevice(zone.node(), zone);
    this.requests = new Requests(allocation, placement, zone);
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
    return requests.allocate(bytes, ANY);
  }

  /**
   * Allocates a block on this node at a multiple of an alignment. Its content is not defined.
   *
   * @param bytes as for {@link #allocate(long)}
   * @param alignment a power of two, 1 … 2 MiB
   * @return its address, a multiple of both 4096 and the alignment
   * @throws NodeMemoryExhaustedException if the node has no room
   * @throws IllegalArgumentException if {@code bytes} is negative, or the alignment not as said
   * @throws IllegalStateException if the node is not online or the allocator is closed
   */
  public long allocate(long bytes, long alignment) {
    return requests.allocate(bytes, alignment);
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
    return requests.tryAllocate(bytes, ANY);
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
    return requests.allocateBuffer(bytes, true);
  }

  /**
   * Allocates a buffer on this node that may show what a block held before.
   *
   * @param bytes its capacity, 0 or more
   * @return a direct, big-endian buffer of exactly that capacity
   * @throws NodeMemoryExhaustedException if the node has no room
   * @throws IllegalArgumentException if {@code bytes} is negative
   * @throws IllegalStateException if the node is not online or the allocator is closed
   */
  public ByteBuffer allocateBufferUninitialized(int bytes) {
    return requests.allocateBuffer(bytes, false);
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
    return requests.tryAllocateBuffer(bytes, true);
  }

  /**
   * Returns a buffer over part of a live block, as {@link SystemMemory#buffer} does.
   *
   * @param address the part's first byte, anywhere in the block
   * @param bytes its length, 0 … to the end of the block's last page
   * @return a direct, big-endian buffer of exactly that capacity
   * @throws IllegalArgumentException if {@code bytes} is negative, the address is foreign, or the
   *     part ends outside the block
   * @throws MemoryCorruptionError if the address lies in no live block
   * @throws IllegalStateException if the allocator is closed
   */
  public ByteBuffer buffer(long address, int bytes) {
    return allocation.buffer(address, bytes);
  }

  /**
   * Returns how many bytes of a block may be used, as {@link SystemMemory#usableBytes} does.
   *
   * @param address the block's first byte
   * @return bytes
   * @throws IllegalArgumentException if the address is foreign, misaligned, or inside a block
   * @throws MemoryCorruptionError if the block that began there was freed before
   * @throws IllegalStateException if the allocator is closed
   */
  public long usableBytes(long address) {
    return allocation.usableBytes(address);
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

  /**
   * Opens a scope on this node that frees what was allocated in it.
   *
   * @return a new arena without blocks; requests in it need the node online
   * @throws IllegalStateException if the allocator is closed
   */
  public NodeArena arena() {
    allocation.requireOpen();
    return new NodeArena(allocation, requests);
  }

  /** Prints {@code DeviceNode[node=2, online=true]}. */
  @Override
  public String toString() {
    return "DeviceNode[node=" + zone.node() + ", online=" + zone.isOnline() + "]";
  }
}
