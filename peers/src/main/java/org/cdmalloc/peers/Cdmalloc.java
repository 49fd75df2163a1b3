/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.peers;

import java.nio.ByteBuffer;
import org.cdmalloc.Checks;
import org.cdmalloc.NodeAllocator;

/** cdmalloc, on whatever this host offers. */
final class Cdmalloc {
  /** What a thread keeps ready: more than the blocks that a benchmark has at a time. */
  private static final long MAGAZINE_BYTES = 8 << 20;

  private Cdmalloc() {}

  /** The one place that says how the allocator is set up. */
  private static NodeAllocator open(Checks checks, long magazineBytes) {
    return NodeAllocator.builder().checks(checks).magazineBytes(magazineBytes).open();
  }

  /** Blocks by address. */
  static final class Addresses extends AddressPeer {
    private final NodeAllocator memory;

    private Addresses(Checks checks, long magazineBytes) {
      memory = open(checks, magazineBytes);
    }

    static Addresses keptReady(Checks checks) {
      return new Addresses(checks, MAGAZINE_BYTES);
    }

    /** As the allocator is by default: every block is asked of its zone, and has whole pages. */
    static Addresses ofTheZone() {
      return new Addresses(Checks.STANDARD, 0);
    }

    @Override
    long allocate(int bytes) {
      return memory.allocate(bytes);
    }

    @Override
    void free(long address) {
      memory.free(address);
    }

    @Override
    public void close() {
      memory.close();
    }
  }

  /** Buffers: of zeros, or with whatever was in the memory before. */
  static final class Buffers extends HandlePeer<ByteBuffer> {
    private final NodeAllocator memory = open(Checks.STANDARD, MAGAZINE_BYTES);
    private final boolean zeroed;

    Buffers(boolean zeroed) {
      this.zeroed = zeroed;
    }

    @Override
    ByteBuffer allocate(int bytes) {
      return zeroed ? memory.allocateBuffer(bytes) : memory.allocateBufferUninitialized(bytes);
    }

    @Override
    void free(ByteBuffer buffer) {
      memory.free(buffer);
    }

    @Override
    public void close() {
      memory.close();
    }
  }
}
