/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.nio.ByteBuffer;
import java.util.Objects;
import org.cdmalloc.internal.allocation.AllocationPath;
import org.cdmalloc.internal.allocation.Requests;
import org.cdmalloc.internal.allocation.Scope;

/**
 * A scope that frees what was allocated in it: {@link #close} frees all of its blocks at once. An
 * arena is a scope as {@code java.lang.foreign.Arena} is, not a part of memory.
 *
 * <p><b>Freeing by hand.</b> A block of the arena may be freed before, through the arena, the
 * allocator or any view of it; it then is the arena's no more.
 *
 * <p><b>Threads.</b> Any number of threads may allocate in an arena, free its blocks, and close it.
 * A request that meets {@code close} either returns a block before, which {@code close} frees, or
 * throws {@link IllegalStateException} and leaves nothing behind. Whoever closes an arena has to
 * know that nobody uses its blocks any more.
 *
 * <p><b>Not closed.</b> An arena that is forgotten keeps its blocks until the allocator is closed.
 * Each block of an arena costs some hundred bytes of the Java heap while it is live.
 *
 * <p>Sizes, alignments, contents and exceptions are those of {@link SystemMemory}.
 */
public final class NodeArena implements AutoCloseable {
  private static final long ANY = 1;

  private final AllocationPath allocation;
  private final Requests requests;
  private final Scope scope;

  NodeArena(AllocationPath allocation, Requests requests) {
    this.allocation = allocation;
    this.scope = new Scope(allocation);
    this.requests = requests.in(scope);
  }

  /**
   * Returns where the arena's blocks lie.
   *
   * @return the placement that it was opened with
   */
  public Placement placement() {
    return requests.placement();
  }

  /**
   * Allocates a block. Its content is not defined.
   *
   * @param bytes its size, 0 or more
   * @return its address
   * @throws NodeMemoryExhaustedException if there is no room
   * @throws IllegalArgumentException if {@code bytes} is negative
   * @throws IllegalStateException if the arena or the allocator is closed, or the device not online
   */
  public long allocate(long bytes) {
    return requests.allocate(bytes, ANY);
  }

  /**
   * Allocates a block at a multiple of an alignment. Its content is not defined.
   *
   * @param bytes its size, 0 or more
   * @param alignment a power of two, 1 … 2 MiB
   * @return its address
   * @throws NodeMemoryExhaustedException if there is no room
   * @throws IllegalArgumentException if {@code bytes} is negative, or the alignment not as said
   * @throws IllegalStateException if the arena or the allocator is closed, or the device not online
   */
  public long allocate(long bytes, long alignment) {
    return requests.allocate(bytes, alignment);
  }

  /**
   * Allocates a block if there is room. Its content is not defined.
   *
   * @param bytes its size, 0 or more
   * @return its address, or 0
   * @throws IllegalArgumentException if {@code bytes} is negative
   * @throws IllegalStateException if the arena or the allocator is closed, or the device not online
   */
  public long tryAllocate(long bytes) {
    return requests.tryAllocate(bytes, ANY);
  }

  /**
   * Allocates a buffer.
   *
   * @param bytes its capacity, 0 or more
   * @return a direct, big-endian buffer of exactly that capacity, zeroed by default
   * @throws NodeMemoryExhaustedException if there is no room
   * @throws IllegalArgumentException if {@code bytes} is negative
   * @throws IllegalStateException if the arena or the allocator is closed, or the device not online
   */
  public ByteBuffer allocateBuffer(int bytes) {
    return requests.allocateBuffer(bytes, true);
  }

  /**
   * Allocates a buffer that may show what a block held before.
   *
   * @param bytes its capacity, 0 or more
   * @return a direct, big-endian buffer of exactly that capacity
   * @throws NodeMemoryExhaustedException if there is no room
   * @throws IllegalArgumentException if {@code bytes} is negative
   * @throws IllegalStateException if the arena or the allocator is closed, or the device not online
   */
  public ByteBuffer allocateBufferUninitialized(int bytes) {
    return requests.allocateBuffer(bytes, false);
  }

  /**
   * Allocates a buffer if there is room.
   *
   * @param bytes its capacity, 0 or more
   * @return a direct, big-endian buffer of exactly that capacity, zeroed by default; or null
   * @throws IllegalArgumentException if {@code bytes} is negative
   * @throws IllegalStateException if the arena or the allocator is closed, or the device not online
   */
  public ByteBuffer tryAllocateBuffer(int bytes) {
    return requests.tryAllocateBuffer(bytes, true);
  }

  /**
   * Returns a buffer over part of a live block, as {@link SystemMemory#buffer} does.
   *
   * @param address the part's first byte, anywhere in the block
   * @param bytes its length, 0 … to the end of the block's {@link #usableBytes}
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
   * Frees a block before the arena is closed, as {@link SystemMemory#free(long)} does.
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
   * Frees a block before the arena is closed, as {@link SystemMemory#free(ByteBuffer)} does.
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
   * Returns how many blocks {@link #close} would free.
   *
   * @return 0 or more
   */
  public long liveBlocks() {
    return scope.liveBlocks();
  }

  /** Returns whose blocks are freed together, for their allocator. */
  Scope scope() {
    return scope;
  }

  /** Tells whether the blocks are an allocator's. */
  boolean isOf(AllocationPath other) {
    return allocation == other;
  }

  /**
   * Frees all blocks and refuses all further requests. Does nothing the second time, except that
   * blocks which could not be freed are tried again, and nothing after the allocator was closed.
   */
  @Override
  public void close() {
    scope.close();
  }

  /** Prints {@code NodeArena[bind 0-1, liveBlocks=3]}. */
  @Override
  public String toString() {
    return "NodeArena[" + placement() + ", liveBlocks=" + liveBlocks() + "]";
  }
}
