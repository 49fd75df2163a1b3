/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.peers;

import java.nio.ByteBuffer;
import org.cdmalloc.Checks;
import org.cdmalloc.NodeAllocator;

/** cdmalloc, on whatever this host offers. */
final class Cdmalloc {
  private Cdmalloc() {}

  /** The one place that says how the allocator is set up. */
  private static NodeAllocator.Builder builder(Checks checks) {
    return NodeAllocator.builder().checks(checks);
  }

  /** Blocks by address. */
  static final class Addresses extends AddressPeer {
    private final NodeAllocator memory;

    private Addresses(NodeAllocator.Builder builder) {
      memory = builder.open();
    }

    /** As the allocator is by default, but for the checks. */
    static Addresses keptReady(Checks checks) {
      return new Addresses(builder(checks));
    }

    /** Every block is asked of its zone, and has whole pages. */
    static Addresses ofTheZone() {
      return new Addresses(builder(Checks.STANDARD).magazineBytes(0));
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
    private final NodeAllocator memory = builder(Checks.STANDARD).open();
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
