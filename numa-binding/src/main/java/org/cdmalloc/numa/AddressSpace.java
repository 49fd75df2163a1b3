/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import com.sun.jna.Pointer;
import java.lang.ref.Cleaner;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.cdmalloc.spi.MemorySource;

/**
 * Where regions come from and go to: ranges of addresses, aligned to a huge page, which are
 * unmapped when no buffer that views them can be reached.
 */
final class AddressSpace {
  private static final Cleaner CLEANER = Cleaner.create();
  private static final Path SELF = Path.of("/proc/self");

  private final Kernel kernel;
  private final MappingBudget budget;
  private final boolean binds;
  private final boolean opensWhole;

  /**
   * Prepares reservations.
   *
   * @param kernel asked for them
   * @param budget pays for their mappings
   * @param binds whether regions are bound to their nodes
   * @param opensWhole false where the kernel counts what is writable, not what is used
   *     (vm.overcommit_memory=2), so that a region is opened as it is needed
   */
  AddressSpace(Kernel kernel, MappingBudget budget, boolean binds, boolean opensWhole) {
    this.kernel = kernel;
    this.budget = budget;
    this.binds = binds;
    this.opensWhole = opensWhole;
  }

  /** Tells whether a region was reserved here. */
  boolean owns(LinuxRegion region) {
    return region.space() == this;
  }

  /** Reserves a region; no memory is used yet. */
  LinuxRegion reserve(int node, long bytes) {
    long address = mapAligned(bytes);
    boolean reserved = false;
    try {
      kernel.adviseOrThrow(address, bytes, Kernel.MADV_DONTFORK);
      if (binds) {
        kernel.preferOrThrow(address, bytes, node);
      }
      LinuxRegion region =
          new LinuxRegion(this, node, bytes, binds, address, roots(address, bytes), opensWhole);
      budget.recount();
      if (!budget.change(region.heldMappings(), region.mappings())) {
        throw Errno.failed("mmap", Errno.ENOMEM, "bytes=" + bytes + ", " + budget);
      }
      Runnable unmap = new Unmap(kernel, region, budget);
      region.roots().forEach(root -> CLEANER.register(root, unmap));
      reserved = true;
      return region;
    } finally {
      if (!reserved) {
        kernel.unmap(address, bytes);
      }
    }
  }

  private long mapAligned(long bytes) {
    long slack = CommitProtocol.CHUNK_BYTES;
    AddressSpaceLimit limit = AddressSpaceLimit.read(SELF);
    if (limit.spareBytes() < bytes + slack) {
      throw Errno.failed("mmap", Errno.ENOMEM, "bytes=" + bytes + ", " + limit);
    }
    long mapped = kernel.map(bytes + slack, opensWhole ? Kernel.PROT_READ_WRITE : Kernel.PROT_NONE);
    if (mapped < 0) {
      throw Errno.failed("mmap", (int) -mapped, "bytes=" + bytes + ", " + limit + ", " + budget);
    }
    long address = (mapped + slack - 1) & -slack;
    long before = address - mapped;
    boolean trimmed = false;
    try {
      if (before > 0) {
        kernel.unmap(mapped, before);
      }
      kernel.unmap(address + bytes, slack - before);
      trimmed = true;
      return address;
    } finally {
      if (!trimmed) {
        kernel.unmap(mapped, bytes + slack);
      }
    }
  }

  /**
   * Makes the root buffers: one per GiB, each as long as a buffer can be, so that a block of up to
   * 2 GiB − 1 is a slice of one of them. JNA cuts longer lengths silently on JDK 17.
   */
  private static List<ByteBuffer> roots(long address, long bytes) {
    List<ByteBuffer> roots = new ArrayList<>();
    for (long offset = 0; offset < bytes; offset += MemorySource.ROOT_BYTES) {
      long length = Math.min(bytes - offset, Integer.MAX_VALUE);
      roots.add(new Pointer(address + offset).getByteBuffer(0, length).order(ByteOrder.BIG_ENDIAN));
    }
    return roots;
  }

  /** Unmaps a region once all its roots are unreachable. Holds none of them. */
  private static final class Unmap implements Runnable {
    private final Kernel kernel;
    private final long address;
    private final long bytes;
    private final AtomicInteger reachableRoots;
    private final MappingBudget budget;
    private final AtomicInteger heldMappings;

    Unmap(Kernel kernel, LinuxRegion region, MappingBudget budget) {
      this.kernel = kernel;
      this.address = region.address();
      this.bytes = region.bytes();
      this.reachableRoots = new AtomicInteger(region.roots().size());
      this.budget = budget;
      this.heldMappings = region.heldMappings();
    }

    @Override
    public void run() {
      if (reachableRoots.decrementAndGet() == 0) {
        kernel.unmap(address, bytes);
        budget.change(heldMappings, 0);
      }
    }
  }
}
