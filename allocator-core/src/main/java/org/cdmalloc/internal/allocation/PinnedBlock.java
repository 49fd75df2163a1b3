/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicBoolean;
import org.cdmalloc.Displacement;
import org.cdmalloc.Placement;
import org.cdmalloc.spi.Explanation;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Residency;

/** One pin of a block on a device node. Safe for use by any number of threads. */
public final class PinnedBlock {
  private final HeldBlock block;
  private final AllocationPath allocation;
  private final Pinning pinning;
  private final int node;
  private final int backingNode;
  private final AtomicBoolean closed = new AtomicBoolean();

  /** Whether the block was allocated for the pin, and is freed with it. */
  private final boolean owned;

  private PinnedBlock(
      HeldBlock block,
      AllocationPath allocation,
      Pinning pinning,
      BackedZone target,
      boolean owned) {
    this.block = block;
    this.allocation = allocation;
    this.pinning = pinning;
    this.node = target.node();
    this.backingNode = target.backingNode();
    this.owned = owned;
  }

  /** Pins a block. */
  static PinnedBlock of(
      AllocationPath allocation,
      long address,
      Destination target,
      Placement placement,
      boolean owned) {
    HeldBlock block = new Holds(allocation).hold(address, HeldBlock.Use.PIN);
    boolean pinned = false;
    try {
      Pinning pinning = new Pinning(allocation, block, allocation.require(address).zone());
      pinning.pin(target, placement);
      pinned = true;
      return new PinnedBlock(block, allocation, pinning, target.zone(), owned);
    } finally {
      if (!pinned) {
        block.end(HeldBlock.Use.PIN);
      }
    }
  }

  /**
   * Ends the pin. Does nothing the second time, unless the platform failed the first time: then it
   * is asked again.
   */
  public void close() {
    if (!closed.compareAndSet(false, true)) {
      return;
    }
    boolean done = false;
    try {
      if (owned) {
        new Holds(allocation).leave(block);
      }
      pinning.unpin();
      done = true;
    } finally {
      closed.set(done);
    }
    block.end(HeldBlock.Use.PIN);
  }

  /**
   * Returns the node.
   *
   * @return the node that the block is kept on
   */
  public int node() {
    return node;
  }

  /**
   * Tells whether all pages lie on the node now.
   *
   * @return true if so
   */
  public boolean isInPlace() {
    return residency().isAllOn(backingNode);
  }

  /**
   * Returns the block.
   *
   * @return its first byte
   */
  public long address() {
    return block.address();
  }

  /**
   * Returns how long the block is.
   *
   * @return its usable bytes
   */
  public long bytes() {
    return block.bytes();
  }

  /**
   * Returns a buffer over the block.
   *
   * @param bytes its length, at most the block's
   * @return a buffer
   */
  public ByteBuffer buffer(int bytes) {
    return allocation.buffer(block.address(), bytes);
  }

  /**
   * Asks where the block lies.
   *
   * @return one entry per OS page
   */
  public Residency residency() {
    return pinning.residency();
  }

  /**
   * Asks what of the block lies elsewhere, and why.
   *
   * @return an entry for each node where pages were found; none if all are in place
   */
  public List<Displacement> displaced() {
    Residency residency = residency();
    Map<Integer, Long> bytes = new TreeMap<>();
    for (int page = 0; page < residency.pages(); page++) {
      int node = residency.node(page);
      if (node != backingNode && (node >= 0 || node == Residency.NOT_PRESENT)) {
        bytes.merge(node, (long) residency.osPageBytes(), Long::sum);
      }
    }
    MemorySource source = allocation.source();
    List<Displacement> displaced = new ArrayList<>();
    bytes.forEach(
        (node, there) -> {
          Explanation why = source.explain(backingNode, node);
          displaced.add(new Displacement(node, node, there, why.cause(), why.evidence()));
        });
    return displaced;
  }

  /**
   * Returns what may move the block though it is pinned.
   *
   * @return a sentence each
   */
  public List<String> hazards() {
    return allocation.source().lockHazards(backingNode);
  }

  /**
   * Tells whether the pin was closed.
   *
   * @return true if so
   */
  public boolean isClosed() {
    return closed.get();
  }
}
