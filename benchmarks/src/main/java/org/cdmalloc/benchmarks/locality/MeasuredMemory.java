/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import java.time.Duration;
import java.util.Map;
import org.cdmalloc.DeviceNode;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.NodeMemoryExhaustedException;
import org.cdmalloc.NodeState;
import org.cdmalloc.Placement;
import org.cdmalloc.numa.HugePages;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Residency;

/**
 * The memory that is measured: blocks of an allocator of its own, on a node each, with pages as
 * they are asked for, and placed as the kernel says. A device node is reached through its
 * capability, as anybody reaches it. Safe for use by any number of threads.
 */
final class MeasuredMemory implements AutoCloseable {
  /** Blocks are whole multiples, and begin at one. */
  static final long UNIT_BYTES = MemorySource.ALIGNMENT_BYTES;

  private final NodeAllocator allocator;

  private MeasuredMemory(NodeAllocator allocator) {
    this.allocator = allocator;
  }

  /**
   * Opens memory.
   *
   * @param source where it comes from
   * @param bytesByNode how much address space each node needs: of its largest block, if that is a
   *     power of two
   */
  static MeasuredMemory open(MemorySource source, Map<Integer, Long> bytesByNode) {
    NodeAllocator.Builder builder =
        NodeAllocator.builder()
            .source(source)
            .magazineBytes(0)
            .purgeDelay(Duration.ZERO)
            .auditPeriod(Duration.ZERO);
    // Watermarks keep part of a zone from those who name no node; a unit more for what is lost.
    bytesByNode.forEach((node, bytes) -> builder.capacity(node, bytes + bytes / 64 + UNIT_BYTES));
    return new MeasuredMemory(builder.open());
  }

  NodeAllocator allocator() {
    return allocator;
  }

  /** Returns the placement on a node of an allocator; a device node goes online with it. */
  static Placement on(NodeAllocator allocator, int node) {
    if (!allocator.machine().memoryOnly().contains(node)) {
      return Placement.onNode(node);
    }
    DeviceNode device = allocator.device(node);
    if (device.state() != NodeState.ONLINE) {
      device.online();
    }
    return device.placement();
  }

  /**
   * Takes a block, of which all pages lie on a node.
   *
   * @param node the node
   * @param bytes its size, a multiple of {@link #UNIT_BYTES}
   * @param pages which pages it shall have, as far as they are to be had
   * @throws NodeMemoryExhaustedException if the node has no room
   * @throws MisplacedException if the kernel says that pages lie elsewhere
   */
  Block take(int node, long bytes, PageKind pages) throws MisplacedException {
    Placement there = on(allocator, node);
    Block block = new Block(node, bytes, allocate(there, bytes));
    boolean done = false;
    try {
      if (pages == PageKind.HUGE) {
        HugePages.use(block.address, bytes);
        if (block.hugeBytes() < bytes) {
          block = again(block, there);
        }
      } else if (block.hugeBytes() > 0) {
        block = withoutHugePages(block, there);
      }
      block.verify();
      done = true;
      return block;
    } finally {
      if (!done) {
        block.close();
      }
    }
  }

  private long allocate(Placement there, long bytes) {
    return allocator.at(there).allocate(bytes, UNIT_BYTES);
  }

  /** A huge page stays one until it is given back; the next ones in its place are small. */
  private Block withoutHugePages(Block block, Placement there) {
    HugePages.avoid(block.address, block.bytes);
    return again(block, there);
  }

  /**
   * Pages that were given back come anew, of the kind that was asked for: also before Linux 6.1.
   */
  private Block again(Block block, Placement there) {
    block.close();
    return new Block(block.node, block.bytes, allocate(there, block.bytes));
  }

  /**
   * Looks whether all pages lie on a node.
   *
   * @throws MisplacedException if not, or if the kernel does not say so of all
   */
  static void verify(Residency residency, int node) throws MisplacedException {
    if (!residency.isAllOn(node)) {
      boolean isUntold = residency.pagesByNode().containsKey(Residency.UNKNOWN);
      throw new MisplacedException(
          (isUntold ? "the kernel does not say where pages are" : "pages are not on their node")
              + ": node="
              + node
              + ", residency="
              + residency);
    }
  }

  @Override
  public void close() {
    allocator.close();
  }

  /** A block that is measured; closed, it is free. */
  final class Block implements AutoCloseable {
    private final int node;
    private final long bytes;
    private final long address;
    private boolean closed;

    private Block(int node, long bytes, long address) {
      this.node = node;
      this.bytes = bytes;
      this.address = address;
    }

    long address() {
      return address;
    }

    long bytes() {
      return bytes;
    }

    /** Returns how much of it is huge pages now. */
    long hugeBytes() {
      return Math.min(bytes, HugePages.bytes(address, bytes));
    }

    /**
     * Asks the kernel where all pages lie.
     *
     * @throws MisplacedException if not on the node
     */
    void verify() throws MisplacedException {
      Residency residency = allocator.residency(address);
      MeasuredMemory.verify(residency, node);
    }

    @Override
    public void close() {
      if (!closed) {
        closed = true;
        allocator.free(address);
        // The next batch gets other pages, as far as the kernel has others.
        allocator.trim();
      }
    }
  }

  /** The kernel says that memory lies where it was not put: nothing is measured on it. */
  static final class MisplacedException extends Exception {
    private static final long serialVersionUID = 1L;

    MisplacedException(String message) {
      super(message);
    }
  }
}
