/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.nio.ByteBuffer;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.cdmalloc.spi.Region;

/**
 * A mapping, what of it is committed, and how its policy cuts it into mappings. All but the fields
 * of {@link Region} is guarded by the node's lock in {@link LinuxSource}.
 */
final class LinuxRegion extends Region {
  private final RangeSet committed = new RangeSet();

  /** What has the policy BIND; holds what is committed, and what was purged beyond the budget. */
  private final RangeSet policyBind = new RangeSet();

  /** How far the region is readable and writable: all of it, or whole windows from its start. */
  private long openedBytes;

  /** What the region holds of the mapping budget; outlives the region until it is unmapped. */
  private final AtomicInteger heldMappings = new AtomicInteger();

  /** Written under the node's lock; views read it without. */
  private volatile boolean released;

  LinuxRegion(
      int node, long bytes, boolean bound, long address, List<ByteBuffer> roots, long openedBytes) {
    super(node, bytes, bound, address, roots);
    this.openedBytes = openedBytes;
  }

  RangeSet committed() {
    return committed;
  }

  RangeSet policyBind() {
    return policyBind;
  }

  long openedBytes() {
    return openedBytes;
  }

  void openedBytes(long bytes) {
    openedBytes = bytes;
  }

  /** Returns into how many mappings policy cuts the region. */
  int mappings() {
    return policyBind.pieces(bytes());
  }

  AtomicInteger heldMappings() {
    return heldMappings;
  }

  boolean isReleased() {
    return released;
  }

  void release() {
    released = true;
    committed.clear();
    policyBind.clear();
  }
}
