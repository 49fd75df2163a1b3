/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.nio.ByteBuffer;
import java.util.Objects;
import java.util.function.Function;
import org.cdmalloc.internal.allocation.AllocationPath;
import org.cdmalloc.internal.allocation.Requests;

/**
 * Memory with a default placement. Its requests were resolved when it was made; only those that
 * name a placement of their own look one up.
 */
final class PlacedMemory implements SystemMemory {
  private static final long ANY = 1;

  private final AllocationPath allocation;
  private final Function<Placement, Requests> resolver;
  private final Requests requests;

  /**
   * Makes the memory.
   *
   * @param allocation takes blocks back
   * @param resolver turns a placement into requests at it, or throws as {@link SystemMemory} says
   * @param placement the default
   */
  PlacedMemory(
      AllocationPath allocation, Function<Placement, Requests> resolver, Placement placement) {
    this.allocation = allocation;
    this.resolver = resolver;
    this.requests = at(placement);
  }

  private Requests at(Placement placement) {
    return resolver.apply(Objects.requireNonNull(placement, "placement"));
  }

  @Override
  public long allocate(long bytes) {
    return requests.allocate(bytes, ANY);
  }

  @Override
  public long allocate(long bytes, long alignment) {
    return requests.allocate(bytes, alignment);
  }

  @Override
  public long allocate(long bytes, Placement placement) {
    return at(placement).allocate(bytes, ANY);
  }

  @Override
  public long tryAllocate(long bytes) {
    return requests.tryAllocate(bytes, ANY);
  }

  @Override
  public long tryAllocate(long bytes, Placement placement) {
    return at(placement).tryAllocate(bytes, ANY);
  }

  @Override
  public ByteBuffer allocateBuffer(int bytes) {
    return requests.allocateBuffer(bytes, true);
  }

  @Override
  public ByteBuffer allocateBuffer(int bytes, Placement placement) {
    return at(placement).allocateBuffer(bytes, true);
  }

  @Override
  public ByteBuffer allocateBufferUninitialized(int bytes) {
    return requests.allocateBuffer(bytes, false);
  }

  @Override
  public ByteBuffer allocateBufferUninitialized(int bytes, Placement placement) {
    return at(placement).allocateBuffer(bytes, false);
  }

  @Override
  public ByteBuffer tryAllocateBuffer(int bytes) {
    return requests.tryAllocateBuffer(bytes, true);
  }

  @Override
  public ByteBuffer tryAllocateBuffer(int bytes, Placement placement) {
    return at(placement).tryAllocateBuffer(bytes, true);
  }

  @Override
  public ByteBuffer buffer(long address, int bytes) {
    return allocation.buffer(address, bytes);
  }

  @Override
  public long usableBytes(long address) {
    return allocation.usableBytes(address);
  }

  @Override
  public void free(long address) {
    allocation.free(address);
  }

  @Override
  public void free(ByteBuffer buffer) {
    allocation.free(Objects.requireNonNull(buffer, "buffer"));
  }

  @Override
  public NodeArena arena(Placement placement) {
    return new NodeArena(allocation, at(placement));
  }

  /** Prints {@code SystemMemory[bind 0-1]}. */
  @Override
  public String toString() {
    return "SystemMemory[" + requests.placement() + "]";
  }
}
