/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.nio.ByteBuffer;
import java.util.BitSet;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.cdmalloc.spi.Region;
import org.cdmalloc.spi.Stripe;
import org.cdmalloc.topology.NodeMask;

/**
 * A mapping, what of it is committed, and how its policy cuts it into mappings. All but the fields
 * of {@link Region} is guarded by its nodes' locks in {@link LinuxSource}.
 */
final class LinuxRegion extends Region {
  private final RangeSet committed = new RangeSet();

  /** What has the policy BIND; holds what is committed, and what was purged beyond the budget. */
  private final RangeSet policyBind = new RangeSet();

  /** The mappings that a moved range may add: itself, and what is behind it. */
  static final int MAPPINGS_PER_MOVE = 2;

  /** What was moved, each time apart, and so is bound to other nodes than the region's. */
  private final RangeSet moved = new RangeSet();

  /** The mappings that a locked range may add: itself, and what is behind it. */
  private static final int MAPPINGS_PER_LOCK = 2;

  /** What is locked in memory, each time apart: committed, but for what could not be unlocked. */
  private final RangeSet locked = new RangeSet();

  /** What may hold old content though it is not committed: giving it back failed. */
  private final RangeSet stale = new RangeSet();

  /** What is readable and writable: all, or some windows. */
  private final RangeSet opened = new RangeSet();

  private final AddressSpace space;
  private final NodeMask nodes;
  private final int[] nodeNumbers;
  private final boolean opensWhole;
  private int windows;

  /** The windows, or as number 0 the whole region, of which some page was ever brought in. */
  private final BitSet touched = new BitSet();

  /** What the region holds of the mapping budget; outlives the region until it is unmapped. */
  private final AtomicInteger heldMappings = new AtomicInteger();

  /** Written under the nodes' locks; views read it without. */
  private volatile boolean released;

  LinuxRegion(
      AddressSpace space,
      Stripe stripe,
      long bytes,
      boolean bound,
      long address,
      List<ByteBuffer> roots,
      boolean opensWhole) {
    super(stripe, bytes, bound, address, roots);
    this.space = space;
    this.nodes = stripe.nodes();
    this.nodeNumbers = nodes.stream().toArray();
    this.opensWhole = opensWhole;
    if (opensWhole) {
      opened.add(0, bytes);
    }
  }

  /** Returns where the region was reserved. */
  AddressSpace space() {
    return space;
  }

  /** Returns the nodes of the stripe. */
  NodeMask nodes() {
    return nodes;
  }

  /** Returns the nodes of the stripe, ascending; not to be changed. */
  int[] nodeNumbers() {
    return nodeNumbers;
  }

  RangeSet committed() {
    return committed;
  }

  RangeSet policyBind() {
    return policyBind;
  }

  RangeSet moved() {
    return moved;
  }

  RangeSet locked() {
    return locked;
  }

  RangeSet stale() {
    return stale;
  }

  RangeSet opened() {
    return opened;
  }

  /** Tells whether some page of what was opened together with an offset was ever brought in. */
  boolean isTouched(long offset) {
    return touched.get(window(offset));
  }

  void touch(long offset) {
    touched.set(window(offset));
  }

  private int window(long offset) {
    return opensWhole ? 0 : Math.toIntExact(offset / CommitProtocol.WINDOW_BYTES);
  }

  void countWindow() {
    windows++;
  }

  /**
   * Returns how many mappings the kernel needs for the region at most: policy and locks cut it, and
   * windows do, each of which has an anon_vma of its own.
   */
  int mappings() {
    int cut =
        policyBind.pieces(bytes())
            + MAPPINGS_PER_MOVE * moved.runs()
            + MAPPINGS_PER_LOCK * locked.runs();
    return opensWhole ? cut : cut + opened.pieces(bytes()) + windows;
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
    moved.clear();
    locked.clear();
    stale.clear();
  }
}
