/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import com.sun.jna.Pointer;
import java.lang.ref.Cleaner;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import org.cdmalloc.NativeCallException;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Stripe;

/**
 * Where regions come from and go to: ranges of addresses, aligned to a huge page, which are
 * unmapped when no buffer that views them can be reached.
 */
final class AddressSpace {
  private static final Cleaner CLEANER = Cleaner.create();
  private static final Path SELF = Path.of("/proc/self");

  /** What could not be unmapped, to be tried again. */
  private static final Queue<Unmap> LEFTOVERS = new ConcurrentLinkedQueue<>();

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
  LinuxRegion reserve(Stripe stripe, long bytes) {
    unmapLeftovers();
    AddressSpaceLimit limit = AddressSpaceLimit.read(SELF);
    long address = mapAligned(bytes, limit);
    boolean reserved = false;
    try {
      open(address, bytes, limit);
      kernel.adviseOrThrow(address, bytes, Kernel.MADV_DONTFORK);
      if (binds) {
        if (!stripe.isSingle()) {
          withoutHugePages(address, bytes);
        }
        kernel.preferOrThrow(address, bytes, stripe.first());
      }
      LinuxRegion region =
          new LinuxRegion(this, stripe, bytes, binds, address, roots(address, bytes), opensWhole);
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

  /** A huge page would put as many pages of a stripe on one node as it has. */
  private void withoutHugePages(long address, long bytes) {
    int errno = kernel.advise(address, bytes, Kernel.MADV_NOHUGEPAGE);
    // A kernel that was built without huge pages does not know the advice.
    if (errno != 0 && errno != Errno.EINVAL) {
      throw Errno.failed("madvise(MADV_NOHUGEPAGE)", errno, Kernel.range(address, bytes));
    }
  }

  /**
   * Maps a closed range, so that a process which locks what it maps brings none of it in. At least
   * a page is trimmed on either side: regions that touched would merge into one mapping, whose
   * counts could not be told apart and whose parts could not be unmapped without a mapping more.
   */
  private long mapAligned(long bytes, AddressSpaceLimit limit) {
    long alignment = MemorySource.ALIGNMENT_BYTES;
    long slack = alignment + kernel.pageBytes();
    if (limit.spareBytes() < bytes + slack) {
      throw Errno.failed("mmap", Errno.ENOMEM, "bytes=" + bytes + ", " + limit);
    }
    long start = kernel.map(bytes + slack, Kernel.PROT_NONE);
    if (start < 0) {
      throw refused("mmap", (int) -start, bytes, limit);
    }
    long end = start + bytes + slack;
    long address = (start + slack - 1) & -alignment;
    boolean trimmed = false;
    try {
      kernel.unmap(start, address - start);
      // From here on this part may be somebody else's.
      start = address;
      kernel.unmap(address + bytes, end - address - bytes);
      trimmed = true;
      return address;
    } finally {
      if (!trimmed) {
        kernel.unmap(start, end - start);
      }
    }
  }

  /**
   * Makes a fresh range accessible as a whole where the kernel lets it. After mlockall(2) with
   * MCL_FUTURE it is locked, and opening a locked range brings all of it in.
   */
  private void open(long address, long bytes, AddressSpaceLimit limit) {
    int errno = kernel.unlock(address, bytes);
    if (errno != 0) {
      throw Errno.failed("munlock", errno, Kernel.range(address, bytes));
    }
    errno = opensWhole ? kernel.protect(address, bytes, Kernel.PROT_READ_WRITE) : 0;
    if (errno != 0) {
      throw refused("mprotect", errno, bytes, limit);
    }
  }

  private NativeCallException refused(
      String function, int errno, long bytes, AddressSpaceLimit limit) {
    if (errno != Errno.EAGAIN) {
      return Errno.failed(function, errno, "bytes=" + bytes + ", " + limit + ", " + budget);
    }
    return Errno.failed(
        function,
        errno,
        "bytes="
            + bytes
            + ", locked_bytes="
            + KeyedText.of(SELF.resolve("status")).bytes("VmLck:")
            + ", limit_bytes="
            + KeyedText.of(SELF.resolve("limits")).bytes("Max locked memory")
            + " (this process locks what it maps, mlockall(2): raise ulimit -l, or give it"
            + " CAP_IPC_LOCK)");
  }

  private static void unmapLeftovers() {
    for (int left = LEFTOVERS.size(); left > 0; left--) {
      Unmap unmap = LEFTOVERS.poll();
      if (unmap != null) {
        unmap.unmap();
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

  /**
   * Unmaps a region once all its roots are unreachable. Holds none of them. What fails is kept and
   * tried again at the next reservation: nobody hears an exception of a Cleaner.
   */
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
        unmap();
      }
    }

    void unmap() {
      try {
        kernel.unmap(address, bytes);
        budget.change(heldMappings, 0);
      } catch (NativeCallException e) {
        LEFTOVERS.add(this);
      }
    }
  }
}
