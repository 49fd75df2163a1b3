/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.peers;

import java.nio.ByteBuffer;
import org.cdmalloc.Checks;
import org.cdmalloc.NodeAllocator;

/** cdmalloc, on whatever this host offers, with nothing set that its users need not set. */
final class Cdmalloc {
  private Cdmalloc() {}

  /** The one place that says how the allocator is set up. */
  private static NodeAllocator open(Checks checks) {
    return NodeAllocator.builder().checks(checks).open();
  }

  /** Blocks by address. */
  static final class Addresses extends AddressPeer {
    private final NodeAllocator memory;

    Addresses(Checks checks) {
      memory = open(checks);
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

  /** Buffers with whatever was in the memory before. */
  static final class Uninitialized extends HandlePeer<ByteBuffer> {
    private final NodeAllocator memory = open(Checks.STANDARD);

    @Override
    ByteBuffer allocate(int bytes) {
      return memory.allocateBufferUninitialized(bytes);
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

  /** Buffers of zeros. */
  static final class Zeroed extends HandlePeer<ByteBuffer> {
    private final NodeAllocator memory = open(Checks.STANDARD);

    @Override
    ByteBuffer allocate(int bytes) {
      return memory.allocateBuffer(bytes);
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
