/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.cdmalloc.MemoryCorruptionError;
import org.cdmalloc.NodeMemoryExhaustedException;
import org.cdmalloc.NodeMemoryExhaustedException.Attempt;
import org.cdmalloc.Placement;
import org.cdmalloc.internal.address.RegionAddresses;
import org.cdmalloc.internal.zone.Zone;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Residency;

/**
 * Blocks: a path of zones and a size to an address or a buffer, and an address back to its zone.
 * Safe for use by any number of threads; the account is the zones', under their locks.
 */
public final class AllocationPath {
  private static final long PAGE_MASK = Zone.PAGE_BYTES - 1;

  /** Zeros to copy from: as long as a first-level cache likes it. */
  private static final ByteBuffer ZEROS = ByteBuffer.allocateDirect(16 << 10).asReadOnlyBuffer();

  private final MemorySource source;
  private final List<BackedZone> zones = new ArrayList<>();
  private volatile AddressMap addresses = AddressMap.EMPTY;
  private boolean closed;

  /**
   * Makes a path without zones.
   *
   * @param source where the zones' regions come from
   */
  public AllocationPath(MemorySource source) {
    this.source = source;
  }

  /**
   * Reserves a node's region and takes its zone in, so that its addresses are known.
   *
   * @param node the node that the zone stands for
   * @param backingNode the node whose memory backs it
   * @param bytes the capacity
   * @return the zone
   * @throws IllegalStateException if this path is closed
   */
  public synchronized BackedZone add(int node, int backingNode, long bytes) {
    if (closed) {
      throw new IllegalStateException("allocator is closed: node=" + node + "; open another one");
    }
    BackedZone zone = BackedZone.reserve(node, backingNode, bytes, source);
    boolean known = false;
    try {
      AddressMap extended = addresses.with(zone);
      zones.add(zone);
      addresses = extended;
      known = true;
      return zone;
    } finally {
      if (!known) {
        zone.close();
      }
    }
  }

  /**
   * Allocates a block.
   *
   * @param path the zones to try
   * @param bytes its size, 0 or more; 0 counts as 1
   * @return its address, or 0 if no zone has room
   * @throws IllegalArgumentException if {@code bytes} is negative
   * @throws IllegalStateException if closed
   */
  public long tryAllocate(ZonePath path, long bytes) {
    int pages = pages(bytes);
    for (int i = 0; i < path.length(); i++) {
      long address = path.zone(i).take(pages, path.floorPages(i));
      if (address != 0) {
        return address;
      }
    }
    return 0;
  }

  /**
   * Allocates a block or throws.
   *
   * @param path the zones to try
   * @param bytes its size
   * @param placement what was asked for, for the message
   * @return its address
   * @throws NodeMemoryExhaustedException if no zone has room
   */
  public long allocate(ZonePath path, long bytes, Placement placement) {
    long address = tryAllocate(path, bytes);
    if (address == 0) {
      throw exhausted(path, bytes, placement);
    }
    return address;
  }

  /**
   * Allocates a zeroed buffer.
   *
   * @param path the zones to try
   * @param bytes its capacity, 0 or more
   * @return a direct, big-endian buffer of that capacity, or null if no zone has room
   */
  public ByteBuffer tryAllocateBuffer(ZonePath path, int bytes) {
    long address = tryAllocate(path, bytes);
    return address == 0 ? null : zeroed(address, bytes);
  }

  /**
   * Allocates a zeroed buffer or throws.
   *
   * @param path the zones to try
   * @param bytes its capacity, 0 or more
   * @param placement what was asked for, for the message
   * @return a direct, big-endian buffer of that capacity
   * @throws NodeMemoryExhaustedException if no zone has room
   */
  public ByteBuffer allocateBuffer(ZonePath path, int bytes, Placement placement) {
    return zeroed(allocate(path, bytes, placement), bytes);
  }

  private ByteBuffer zeroed(long address, int bytes) {
    boolean done = false;
    try {
      AddressMap.Extent extent = addresses.find(address);
      ByteBuffer buffer = extent.zone().view(extent.offsetOf(address), bytes);
      for (int at = 0; at < bytes; ) {
        int part = Math.min(ZEROS.capacity(), bytes - at);
        buffer.put(at, ZEROS, 0, part);
        at += part;
      }
      done = true;
      return buffer;
    } finally {
      if (!done) {
        free(address);
      }
    }
  }

  /**
   * Frees a block.
   *
   * @param address its first byte
   * @throws IllegalArgumentException if no block begins there
   * @throws MemoryCorruptionError if the block that began there is free
   * @throws IllegalStateException if closed
   */
  public void free(long address) {
    AddressMap.Extent extent = require(address);
    extent.zone().requireOpen();
    long offset = extent.offsetOf(address);
    int freed =
        (offset & PAGE_MASK) != 0 ? extent.zone().pages(offset) : extent.zone().free(offset);
    if (freed <= 0 || (offset & PAGE_MASK) != 0) {
      throw wrong(address, offset, freed, extent.zone());
    }
  }

  /**
   * Frees the block whose first byte is a buffer's index 0.
   *
   * @param buffer the buffer that was allocated, or any view of it with the same index 0
   */
  public void free(ByteBuffer buffer) {
    free(RegionAddresses.address(buffer, source));
  }

  /**
   * Asks where the pages of a block lie.
   *
   * @param address its first byte
   * @return one entry per OS page that the block lies in
   */
  public Residency residency(long address) {
    AddressMap.Extent extent = require(address);
    long offset = extent.offsetOf(address);
    int pages = (offset & PAGE_MASK) != 0 ? Zone.INTERIOR : extent.zone().pages(offset);
    if (pages <= 0) {
      throw wrong(address, offset, pages, extent.zone());
    }
    long osMask = source.osPageBytes() - 1L;
    long end = (offset + (long) pages * Zone.PAGE_BYTES + osMask) & ~osMask;
    long start = offset & ~osMask;
    return extent.zone().residency(start, end - start);
  }

  /**
   * Asks where the pages of a buffer's block lie.
   *
   * @param buffer as for {@link #free(ByteBuffer)}
   * @return one entry per OS page that the block lies in
   */
  public Residency residency(ByteBuffer buffer) {
    return residency(RegionAddresses.address(buffer, source));
  }

  /**
   * Closes all zones. Does nothing the second time, except for the zones whose memory the source
   * failed to take: it is asked again.
   *
   * @return the blocks that were live when this path was closed; 0 the second time
   */
  public synchronized int close() {
    boolean again = closed;
    closed = true;
    int live = 0;
    RuntimeException failure = null;
    for (BackedZone zone : zones) {
      live += again ? 0 : zone.zone().liveRuns();
      try {
        zone.close();
      } catch (RuntimeException e) {
        // The other zones must be closed all the same.
        failure = BackedZone.joined(failure, e);
      }
    }
    if (failure != null) {
      throw failure;
    }
    return live;
  }

  /**
   * Returns the zones.
   *
   * @return in the order in which they were added
   */
  public synchronized List<BackedZone> zones() {
    return List.copyOf(zones);
  }

  private AddressMap.Extent require(long address) {
    AddressMap.Extent extent = addresses.find(address);
    if (extent == null) {
      throw new IllegalArgumentException(
          "address is not of this allocator: address="
              + hex(address)
              + "; free what was allocated here, once, by its first byte");
    }
    return extent;
  }

  private static RuntimeException wrong(long address, long offset, int answer, BackedZone zone) {
    if (answer == Zone.CLOSED) {
      return new IllegalStateException(
          "allocator is closed: address=" + hex(address) + ", node=" + zone.node());
    }
    if (answer == Zone.NOT_LIVE && (offset & PAGE_MASK) == 0) {
      throw new MemoryCorruptionError(
          "no live block begins here, it was freed before or never allocated: address="
              + hex(address)
              + ", node="
              + zone.node());
    }
    return new IllegalArgumentException(
        (answer == Zone.NOT_LIVE ? "address is misaligned" : "address is inside a block")
            + ": address="
            + hex(address)
            + ", node="
            + zone.node()
            + "; pass the block's first byte");
  }

  private static NodeMemoryExhaustedException exhausted(
      ZonePath path, long bytes, Placement placement) {
    int pages = pages(bytes);
    List<Attempt> attempts = new ArrayList<>(path.length());
    for (int i = 0; i < path.length(); i++) {
      BackedZone zone = path.zone(i);
      attempts.add(new Attempt(zone.node(), zone.whyNot(pages, path.floorPages(i))));
    }
    return new NodeMemoryExhaustedException(bytes, placement.toString(), attempts);
  }

  private static int pages(long bytes) {
    if (bytes < 0) {
      throw new IllegalArgumentException("size is negative: bytes=" + bytes);
    }
    long pages = bytes == 0 ? 1 : (bytes - 1) / Zone.PAGE_BYTES + 1;
    return (int) Math.min(pages, Integer.MAX_VALUE);
  }

  private static String hex(long address) {
    return "0x" + Long.toHexString(address);
  }
}
