/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import java.nio.ByteBuffer;
import org.cdmalloc.HansensMachineContract;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.topology.Machine;

/** D. Hansen's machine with 200 MiB of device memory, all of which is written to. */
final class EmulatedHansensMachineTest extends HansensMachineContract {
  @Override
  protected MemorySource source(Machine machine) {
    return EmulatedSource.of(machine);
  }

  @Override
  protected long ramNodeBytes() {
    return 1L << 20;
  }

  @Override
  protected void use(NodeAllocator memory, long address, long bytes) {
    ByteBuffer buffer = memory.buffer(address, (int) bytes);
    buffer.put(0, (byte) 1).put(buffer.limit() - 1, (byte) 1);
  }
}
