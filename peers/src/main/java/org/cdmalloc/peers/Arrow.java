/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.peers;

import org.apache.arrow.memory.ArrowBuf;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.memory.RootAllocator;

/** Arrow's root allocator over {@code sun.misc.Unsafe}, its fastest source of memory. */
final class Arrow extends HandlePeer<ArrowBuf> {
  private final BufferAllocator memory = new RootAllocator(Long.MAX_VALUE);

  @Override
  ArrowBuf allocate(int bytes) {
    return memory.buffer(bytes);
  }

  @Override
  void free(ArrowBuf buffer) {
    buffer.close();
  }

  @Override
  public void close() {
    memory.close();
  }
}
