/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.nio.ByteBuffer;

/**
 * Off-heap memory for whoever needs some: blocks by address or as buffers, at a default placement
 * or at one that the request names. What is handed this interface can neither reach a device node
 * that it was not given a {@link Placement} of, nor close the allocator.
 *
 * <p><b>Blocks.</b> A block takes whole pages of 4 KiB. Its address is a multiple of 4096. Where
 * threads keep blocks ready, most of up to 16 KiB are cut from slabs instead, several from each:
 * they may share pages, and size and address are multiples of 16. {@link
 * NodeAllocator.Builder#magazineBytes} says which are. The block is live until it is freed, by any
 * thread and through any object of the same allocator, or until the allocator is closed.
 *
 * <p><b>Buffers</b> are direct, big-endian and exact in capacity. Whether they hold zeros says
 * {@link Zeroing}; by default they do. A buffer must not be used after its block was freed.
 *
 * <p><b>Sizes</b> are in bytes, 0 or more; 0 counts as 1. They are rounded up: {@link #usableBytes}
 * says to what. A negative size is an {@link IllegalArgumentException}. A size beyond all
 * capacities is exhaustion: the block may fit elsewhere.
 *
 * <p><b>Exhaustion</b> is a {@link NodeMemoryExhaustedException} from {@code allocate…}, and 0 or
 * null from {@code tryAllocate…}. Nothing is taken then. Where nodes have shrinkers ({@link
 * Shrinker}), a request that finds nothing waits for them first, at most 50 ms in all; one made by
 * a shrinker does not, nor does an interrupted thread.
 *
 * <p><b>Placements.</b> A request that names one can fail with {@link NodeAccessException}, if it
 * names a device node without its capability, or insists on nodes that the kernel refuses to bind
 * to; with {@link IllegalArgumentException}, if the machine has none of the nodes, or the placement
 * is of another allocator's device; and with {@link IllegalStateException}, if the device node is
 * not online.
 *
 * <p>After the allocator was closed every method throws {@link IllegalStateException}. Safe for use
 * by any number of threads. Allocating and freeing by address makes no garbage on the Java heap
 * once warm; a buffer is one object.
 */
public interface SystemMemory {
  /**
   * Allocates a block. Its content is not defined.
   *
   * @param bytes its size
   * @return its address
   * @throws NodeMemoryExhaustedException if there is no room
   * @throws IllegalArgumentException if {@code bytes} is negative
   * @throws IllegalStateException if the allocator is closed
   */
  long allocate(long bytes);

  /**
   * Allocates a block at a multiple of an alignment. Its content is not defined.
   *
   * @param bytes its size
   * @param alignment a power of two, 1 … 2 MiB, the size of a huge page; up to 4096 every block has
   *     it that takes whole pages
   * @return its address, a multiple of both 4096 and the alignment; of a block of a slab, of 16 and
   *     the alignment
   * @throws NodeMemoryExhaustedException if there is no room
   * @throws IllegalArgumentException if {@code bytes} is negative, or the alignment not as said
   * @throws IllegalStateException if the allocator is closed
   */
  long allocate(long bytes, long alignment);

  /**
   * Allocates a block where a placement says. Its content is not defined.
   *
   * @param bytes its size
   * @param placement where
   * @return its address
   * @throws NodeMemoryExhaustedException if there is no room
   * @throws NodeAccessException if the placement may not be used, or not be kept here
   * @throws IllegalArgumentException if {@code bytes} is negative, or the placement cannot be here
   * @throws IllegalStateException if the allocator is closed, or the placement's device not online
   */
  long allocate(long bytes, Placement placement);

  /**
   * Allocates a block if there is room. Its content is not defined.
   *
   * @param bytes its size
   * @return its address, or 0
   * @throws IllegalArgumentException if {@code bytes} is negative
   * @throws IllegalStateException if the allocator is closed
   */
  long tryAllocate(long bytes);

  /**
   * Allocates a block where a placement says, if there is room. Its content is not defined.
   *
   * @param bytes its size
   * @param placement where
   * @return its address, or 0
   * @throws NodeAccessException if the placement may not be used, or not be kept here
   * @throws IllegalArgumentException if {@code bytes} is negative, or the placement cannot be here
   * @throws IllegalStateException if the allocator is closed, or the placement's device not online
   */
  long tryAllocate(long bytes, Placement placement);

  /**
   * Allocates a buffer.
   *
   * @param bytes its capacity
   * @return a direct, big-endian buffer of exactly that capacity, zeroed by default
   * @throws NodeMemoryExhaustedException if there is no room
   * @throws IllegalArgumentException if {@code bytes} is negative
   * @throws IllegalStateException if the allocator is closed
   */
  ByteBuffer allocateBuffer(int bytes);

  /**
   * Allocates a buffer where a placement says.
   *
   * @param bytes its capacity
   * @param placement where
   * @return a direct, big-endian buffer of exactly that capacity, zeroed by default
   * @throws NodeMemoryExhaustedException if there is no room
   * @throws NodeAccessException if the placement may not be used, or not be kept here
   * @throws IllegalArgumentException if {@code bytes} is negative, or the placement cannot be here
   * @throws IllegalStateException if the allocator is closed, or the placement's device not online
   */
  ByteBuffer allocateBuffer(int bytes, Placement placement);

  /**
   * Allocates a buffer that may show what a block held before. Use it where all of it will be
   * written first.
   *
   * @param bytes its capacity
   * @return a direct, big-endian buffer of exactly that capacity
   * @throws NodeMemoryExhaustedException if there is no room
   * @throws IllegalArgumentException if {@code bytes} is negative
   * @throws IllegalStateException if the allocator is closed
   */
  ByteBuffer allocateBufferUninitialized(int bytes);

  /**
   * Allocates a buffer where a placement says, that may show what a block held before.
   *
   * @param bytes its capacity
   * @param placement where
   * @return a direct, big-endian buffer of exactly that capacity
   * @throws NodeMemoryExhaustedException if there is no room
   * @throws NodeAccessException if the placement may not be used, or not be kept here
   * @throws IllegalArgumentException if {@code bytes} is negative, or the placement cannot be here
   * @throws IllegalStateException if the allocator is closed, or the placement's device not online
   */
  ByteBuffer allocateBufferUninitialized(int bytes, Placement placement);

  /**
   * Allocates a buffer if there is room.
   *
   * @param bytes its capacity
   * @return a direct, big-endian buffer of exactly that capacity, zeroed by default; or null
   * @throws IllegalArgumentException if {@code bytes} is negative
   * @throws IllegalStateException if the allocator is closed
   */
  ByteBuffer tryAllocateBuffer(int bytes);

  /**
   * Allocates a buffer where a placement says, if there is room.
   *
   * @param bytes its capacity
   * @param placement where
   * @return a direct, big-endian buffer of exactly that capacity, zeroed by default; or null
   * @throws NodeAccessException if the placement may not be used, or not be kept here
   * @throws IllegalArgumentException if {@code bytes} is negative, or the placement cannot be here
   * @throws IllegalStateException if the allocator is closed, or the placement's device not online
   */
  ByteBuffer tryAllocateBuffer(int bytes, Placement placement);

  /**
   * Returns a buffer over part of a live block, wherever it was allocated. Of a block that is
   * longer than any buffer, part after part can be seen. Its content is as it is.
   *
   * @param address the part's first byte, anywhere in the block
   * @param bytes its length, 0 … to the end of the block's {@link #usableBytes}
   * @return a direct, big-endian buffer of exactly that capacity
   * @throws IllegalArgumentException if {@code bytes} is negative, the address is foreign, or the
   *     part ends outside the block
   * @throws MemoryCorruptionError if the address lies in no live block
   * @throws IllegalStateException if the allocator is closed
   */
  ByteBuffer buffer(long address, int bytes);

  /**
   * Returns how many bytes of a block may be used: its size, rounded up to whole pages of 4 KiB;
   * where threads keep blocks ready ({@link NodeAllocator.Builder#magazineBytes}), to the next size
   * of those.
   *
   * @param address the block's first byte
   * @return bytes
   * @throws IllegalArgumentException if the address is foreign, misaligned, or inside a block
   * @throws MemoryCorruptionError if the block that began there was freed before
   * @throws IllegalStateException if the allocator is closed
   */
  long usableBytes(long address);

  /**
   * Frees a block of this allocator, wherever it lies and whoever allocated it.
   *
   * @param address the block's first byte
   * @throws IllegalArgumentException if no block of this allocator begins there: the address is
   *     foreign, misaligned, or inside a block
   * @throws MemoryCorruptionError if the block that began there was freed before
   * @throws IllegalStateException if the allocator is closed
   */
  void free(long address);

  /**
   * Frees the block whose first byte is a buffer's index 0. Position, limit, order, duplicates and
   * read-only views make no difference. The buffer must not be used afterwards.
   *
   * @param buffer the buffer
   * @throws IllegalArgumentException if it is on the Java heap, or no block of this allocator
   *     begins at its index 0
   * @throws MemoryCorruptionError if the block that began there was freed before
   * @throws IllegalStateException if the allocator is closed
   */
  void free(ByteBuffer buffer);

  /**
   * Opens a scope that frees what was allocated in it.
   *
   * @param placement where its blocks shall lie
   * @return a new arena without blocks
   * @throws NodeAccessException if the placement may not be used, or not be kept here
   * @throws IllegalArgumentException if the placement cannot be here
   * @throws IllegalStateException if the allocator is closed
   */
  NodeArena arena(Placement placement);
}
