/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import org.cdmalloc.NodeAllocatorContract;
import org.cdmalloc.spi.MemorySource;

/** The allocator on this host's kernel, where threads keep blocks ready. */
final class LinuxMagazinesTest extends NodeAllocatorContract {
  @Override
  protected MemorySource source() {
    return ThisHost.source();
  }

  @Override
  protected long magazineBytes() {
    return 4 << 20;
  }
}
