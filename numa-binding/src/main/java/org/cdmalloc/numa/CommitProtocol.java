/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import com.sun.jna.Pointer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.cdmalloc.numa.RangeSet.Range;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.CommitResult.Outcome;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.NodeMask;

/**
 * How memory is asked of the kernel and given back. One caller per node at a time: the lock is
 * {@link LinuxSource}'s.
 */
final class CommitProtocol {
  /** What is asked of the kernel at a time: one huge page. */
  static final long CHUNK_BYTES = 2L << 20;

  /** How much a region is opened at a time where the kernel will not promise all of it. */
  static final long WINDOW_BYTES = MemorySource.ROOT_BYTES;

  /** Stands for an error: unbound pages lie where none may that did not ask for it. */
  private static final int ON_DEVICE = -1;

  private static final Path MEMINFO = Path.of("/proc/meminfo");

  /*
   * Algorithmic notes.
   *
   * Why the policy is set as it is. Touching a page of a node that is bound and full is not an error
   * but a kill, so no page is touched under BIND. A region has the policy PREFERRED from its
   * reservation on, set once over the whole of it. A chunk is populated under PREFERRED, which places
   * what does not fit elsewhere, and only then bound with MPOL_MF_STRICT, which says EIO if a page lies
   * elsewhere. The same call with MPOL_MF_MOVE then moves such pages, once: migration reclaims page
   * cache on the node and gives up with EIO instead of killing; the chunk is then given back. It is not
   * tried again, because with swap a second try drives out what was committed before. Where cache must
   * be dropped, the chunk is populated under BIND to its node and all system nodes, which has to be
   * full of what cannot be reclaimed before anything is killed. STATIC_NODES
   * keeps the kernel from remapping the policy to another node when one goes offline. Where binding is
   * refused, pages fall where the kernel's default policy puts them; what fell on a device node is given
   * back, if anything tells where it fell.
   *
   * Why mappings stay few. A policy set on a part that was never touched, at a hole, gives that part an
   * anon_vma of its own at its first fault, and mappings with different ones never merge. So policy is
   * changed only on parts that were populated; commits in address order then move one boundary along.
   *
   * State per region: what is committed, and what has BIND by this account.
   *
   * Invariants: (I1) where regions are bound, what is committed has BIND; (I2) everything else has
   * PREFERRED, or is counted as BIND because changing it back was beyond the mapping budget or the
   * kernel's own limit; (I3) the kernel has at most as many mappings of a region as are counted, but
   * for two more while a chunk that stayed BIND is committed again; (I4) what is not committed is not
   * resident, but for what a stray access touched, and for what the kernel failed to take back: that is
   * stale, and is offered again before it is populated. A failure at any step ends in giveBack, which
   * restores all four.
   */

  private final Kernel kernel;
  private final Headroom headroom;
  private final Capability capability;
  private final MappingBudget budget;
  private final ResidencyQuery residency;

  /** The nodes of ordinary memory, where pages may lie until they are moved. */
  private final NodeMask system;

  /** The nodes on which nothing may lie that did not ask for them. */
  private final NodeMask devices;

  private final int pageBytes;

  CommitProtocol(
      Kernel kernel,
      Headroom headroom,
      Capability capability,
      MappingBudget budget,
      Machine machine) {
    this.kernel = kernel;
    this.headroom = headroom;
    this.capability = capability;
    this.budget = budget;
    this.residency = new ResidencyQuery(kernel, capability.residency());
    this.devices = machine.memoryOnly();
    this.system = machine.withMemory().without(devices);
    this.pageBytes = kernel.pageBytes();
  }

  /** Commits what is not committed of a range, all of it or nothing. */
  CommitResult commit(LinuxRegion region, long start, long end) {
    List<Range> gaps = region.committed().gaps(start, end);
    long wanted = gaps.stream().mapToLong(Range::bytes).sum();
    if (wanted > CHUNK_BYTES) {
      // What cannot fit as a whole is refused before the node is filled with a part of it.
      CommitResult room = headroom.check(region.node(), wanted);
      if (!room.isCommitted()) {
        return room;
      }
    }
    List<Range> fresh = new ArrayList<>();
    CommitResult result;
    try {
      result = commitChunks(region, gaps, fresh);
    } catch (RuntimeException | Error e) {
      giveBackAll(region, fresh).forEach(e::addSuppressed);
      throw e;
    }
    if (!result.isCommitted()) {
      List<RuntimeException> failures = giveBackAll(region, fresh);
      if (!failures.isEmpty()) {
        RuntimeException first = failures.remove(0);
        failures.forEach(first::addSuppressed);
        throw first;
      }
    }
    return result;
  }

  /** Gives ranges back; one that fails keeps none of the others. Returns what failed. */
  private List<RuntimeException> giveBackAll(LinuxRegion region, List<Range> ranges) {
    List<RuntimeException> failures = new ArrayList<>();
    for (Range range : ranges) {
      try {
        giveBack(region, range.start(), range.end());
      } catch (RuntimeException e) {
        failures.add(e);
      }
    }
    return failures;
  }

  private CommitResult commitChunks(LinuxRegion region, List<Range> gaps, List<Range> fresh) {
    for (Range gap : gaps) {
      for (long at = gap.start(); at < gap.end(); ) {
        long next = Math.min(gap.end(), (at / CHUNK_BYTES + 1) * CHUNK_BYTES);
        CommitResult result = commitChunk(region, at, next);
        if (!result.isCommitted()) {
          return result;
        }
        fresh.add(new Range(at, next));
        at = next;
      }
    }
    return CommitResult.COMMITTED;
  }

  /** Commits a range of which nothing is committed. */
  private CommitResult commitChunk(LinuxRegion region, long start, long end) {
    CommitResult room = headroom.check(region.node(), end - start);
    if (!room.isCommitted()) {
      return room;
    }
    CommitResult open = openWindows(region, start, end);
    if (!open.isCommitted()) {
      return open;
    }
    if (region.stale().coveredBytes(start, end) > 0) {
      // Populating keeps what is there.
      drop(region, start, end);
    }
    if (region.isBound() && !prepareBind(region, start, end)) {
      // What is counted as BIND may have lost it.
      bindCounted(region, start, end);
      return noMapping();
    }
    boolean done = false;
    try {
      CommitResult result = populateAndBind(region, start, end);
      if (result.isCommitted()) {
        region.committed().add(start, end);
        done = true;
      }
      return result;
    } finally {
      if (!done) {
        giveBack(region, start, end);
      }
    }
  }

  private CommitResult populateAndBind(LinuxRegion region, long start, long end) {
    long address = region.address() + start;
    long bytes = end - start;
    if (region.isBound()
        && headroom.isThroughCache(region.node())
        && !confine(region, address, bytes)) {
      return noMapping();
    }
    int errno = region.isBound() ? populate(address, bytes) : populateUnbound(region, start, end);
    region.touch();
    if (errno == ON_DEVICE) {
      return new CommitResult(
          Outcome.LOST_RACE,
          "unbound memory fell on a device node: devices=" + devices + ", wanted_bytes=" + bytes);
    }
    if (errno == Errno.ENOMEM) {
      return new CommitResult(
          Outcome.NODE_FULL, "node=" + region.node() + ", populate=ENOMEM, wanted_bytes=" + bytes);
    }
    if (errno != 0) {
      throw Errno.failed("madvise(MADV_POPULATE_WRITE)", errno, Kernel.range(address, bytes));
    }
    errno = region.isBound() ? bindWherePopulated(region.node(), address, bytes) : 0;
    if (errno == Errno.EIO) {
      return new CommitResult(
          Outcome.LOST_RACE, "node=" + region.node() + ", mbind_strict=EIO, wanted_bytes=" + bytes);
    }
    if (errno == Errno.ENOMEM) {
      return noMapping();
    }
    if (errno != 0) {
      throw Errno.failed(
          "mbind", errno, Kernel.range(address, bytes) + ", mode=BIND, node=" + region.node());
    }
    return CommitResult.COMMITTED;
  }

  /**
   * Keeps what is populated next off all device nodes but its own. Under PREFERRED it would
   * overflow before the kernel drops any cache, perhaps to a device; bound to its node and all
   * system nodes it makes the kernel reclaim instead, and is moved to its node afterwards. Returns
   * false if there is no mapping left for it.
   */
  private boolean confine(LinuxRegion region, long address, long bytes) {
    if (!region.isTouched()) {
      // The region's one anon_vma must be there before policy cuts it, or its parts never merge.
      populate(address, pageBytes);
    }
    NodeMask nodes = system.or(NodeMask.of(region.node()));
    int errno = kernel.confine(address, bytes, nodes, region.node());
    if (errno != 0 && errno != Errno.ENOMEM) {
      throw Errno.failed(
          "mbind", errno, Kernel.range(address, bytes) + ", mode=BIND, nodes=" + nodes);
    }
    return errno == 0;
  }

  /**
   * Brings in the pages of a range that is not bound; returns 0, errno, or ON_DEVICE if some are
   * known to have fallen on a device node.
   */
  private int populateUnbound(LinuxRegion region, long start, long end) {
    long address = region.address() + start;
    long bytes = end - start;
    if (devices.isEmpty() || !residency.countsOnly()) {
      int errno = populate(address, bytes);
      return errno == 0 && !devices.isEmpty() && residency.isAnyOn(devices, address, bytes)
          ? ON_DEVICE
          : errno;
    }
    // What a stray access brought in may lie anywhere.
    drop(region, start, end);
    long placed = headroom.placedPages(devices);
    if (placed >= 0) {
      int errno = populate(address, bytes);
      if (errno != 0 || headroom.placedPages(devices) == placed) {
        return errno;
      }
      drop(region, start, end);
    }
    // Somebody got pages on a device. The region may have some for long: the kernel demotes and
    // balances. What counts is whether there are more of them with the range than without it.
    long without = residency.countOn(devices, address, bytes);
    int errno = populate(address, bytes);
    return errno == 0 && residency.countOn(devices, address, bytes) > without ? ON_DEVICE : errno;
  }

  /** Brings in the pages of a range of which none is there; returns 0 or errno. */
  private int populate(long address, long bytes) {
    if (capability.populates()) {
      return kernel.advise(address, bytes, Kernel.MADV_POPULATE_WRITE);
    }
    Pointer memory = new Pointer(address);
    for (long at = 0; at < bytes; at += pageBytes) {
      memory.setByte(at, (byte) 0);
    }
    return 0;
  }

  /**
   * Binds a populated range if all of it lies on its node; what fell elsewhere is moved there once,
   * which drops page cache for it and fails where a touch would kill. Returns 0 or errno.
   */
  private int bindWherePopulated(int node, long address, long bytes) {
    int errno = kernel.bind(address, bytes, node, Kernel.MPOL_MF_STRICT);
    return errno == Errno.EIO
        ? kernel.bind(address, bytes, node, Kernel.MPOL_MF_STRICT | Kernel.MPOL_MF_MOVE)
        : errno;
  }

  /** Opens the windows that a range lies in, for a region that is not open as a whole. */
  private CommitResult openWindows(LinuxRegion region, long start, long end) {
    long first = start / WINDOW_BYTES * WINDOW_BYTES;
    long last = Math.min(region.bytes(), ((end - 1) / WINDOW_BYTES + 1) * WINDOW_BYTES);
    for (Range closed : region.opened().gaps(first, last)) {
      long address = region.address() + closed.start();
      // What was locked since it was reserved would be brought in as a whole.
      int errno = kernel.unlock(address, closed.bytes());
      if (errno != 0) {
        throw Errno.failed("munlock", errno, Kernel.range(address, closed.bytes()));
      }
      errno = kernel.protect(address, closed.bytes(), Kernel.PROT_READ_WRITE);
      if (errno == Errno.ENOMEM) {
        return new CommitResult(Outcome.LIMIT_REACHED, notPromised(closed.bytes()));
      }
      if (errno != 0) {
        throw Errno.failed("mprotect", errno, Kernel.range(address, closed.bytes()));
      }
      region.opened().add(closed.start(), closed.end());
      region.countWindow();
      if (!budget.change(region.heldMappings(), region.mappings())) {
        return noMapping();
      }
    }
    return CommitResult.COMMITTED;
  }

  /** Gives the memory of a range back, whatever its policy is: also after a failed commit. */
  void giveBack(LinuxRegion region, long start, long end) {
    // Counted as gone first: what is counted as committed must never be absent.
    region.committed().remove(start, end);
    try {
      // In this order no part that is absent is bound, where a stray touch could kill.
      if (region.isBound()) {
        unbind(region, start, end);
      }
    } finally {
      drop(region, start, end);
    }
  }

  /**
   * Takes the pages of a range away. A process that locks all its memory (mlockall with
   * MCL_CURRENT) has locked the region too: its pages go by another advice, or before Linux 5.18
   * after unlocking all of it, because a part would be a mapping of its own.
   */
  private void drop(LinuxRegion region, long start, long end) {
    region.stale().add(start, end);
    long address = region.address() + start;
    int errno = kernel.advise(address, end - start, Kernel.MADV_DONTNEED);
    if (errno == Errno.EINVAL) {
      errno = kernel.advise(address, end - start, Kernel.MADV_DONTNEED_LOCKED);
      if (errno == Errno.EINVAL && kernel.unlock(region.address(), region.bytes()) == 0) {
        errno = kernel.advise(address, end - start, Kernel.MADV_DONTNEED);
      }
    }
    if (errno != 0) {
      throw Errno.failed(
          "madvise",
          errno,
          Kernel.range(address, end - start) + ", advice=" + Kernel.MADV_DONTNEED);
    }
    region.stale().remove(start, end);
  }

  /** Gives all memory of a region back, and its policy. */
  void release(LinuxRegion region) {
    try {
      if (region.isBound()) {
        prefer(region, 0, region.bytes());
      }
    } finally {
      drop(region, 0, region.bytes());
    }
    // Last, so that a release that failed can be made again.
    region.release();
    budget.change(region.heldMappings(), region.mappings());
  }

  /** Readies a range to be populated and bound; false if there is no mapping left for it. */
  private boolean prepareBind(LinuxRegion region, long start, long end) {
    boolean isBound = region.policyBind().coveredBytes(start, end) > 0;
    return (!isBound || prefer(region, start, end)) && extendBind(region, start, end);
  }

  /**
   * Takes the binding of a range away. Beyond the budget, or where the kernel has no mapping left,
   * it stays: PREFERRED would split what is one mapping.
   */
  private void unbind(LinuxRegion region, long start, long end) {
    if (region.policyBind().coveredBytes(start, end) == 0) {
      return;
    }
    List<Range> absent = region.policyBind().gaps(start, end);
    region.policyBind().remove(start, end);
    if (budget.change(region.heldMappings(), region.mappings()) && prefer(region, start, end)) {
      return;
    }
    region.policyBind().add(start, end);
    absent.forEach(gap -> region.policyBind().remove(gap.start(), gap.end()));
    budget.change(region.heldMappings(), region.mappings());
    bindCounted(region, start, end);
  }

  /** Lets a range prefer its node; false if the kernel has no mapping left for it. */
  private boolean prefer(LinuxRegion region, long start, long end) {
    long address = region.address() + start;
    int errno = kernel.prefer(address, end - start, region.node());
    if (errno != 0 && errno != Errno.ENOMEM) {
      kernel.unbind(address, end - start, region.node());
    }
    return errno != Errno.ENOMEM;
  }

  /**
   * Makes the kernel's policy what is counted, which costs no mapping: parts of a range that are
   * counted as BIND have it again. For parts that never lost it this is nothing to the kernel.
   */
  private void bindCounted(LinuxRegion region, long start, long end) {
    RangeSet absent = new RangeSet();
    region.policyBind().gaps(start, end).forEach(gap -> absent.add(gap.start(), gap.end()));
    for (Range range : absent.gaps(start, end)) {
      kernel.bind(region.address() + range.start(), range.bytes(), region.node(), 0);
    }
  }

  /** Counts a range as bound if the budget has the mappings for it. */
  private boolean extendBind(LinuxRegion region, long start, long end) {
    List<Range> added = region.policyBind().gaps(start, end);
    region.policyBind().add(start, end);
    if (budget.change(region.heldMappings(), region.mappings())) {
      return true;
    }
    added.forEach(range -> region.policyBind().remove(range.start(), range.end()));
    return false;
  }

  /** mprotect(2) has one number for what the kernel will not promise and for no mapping left. */
  private String notPromised(long bytes) {
    KeyedText host = KeyedText.of(MEMINFO);
    return "vm.overcommit_memory=2, mprotect=ENOMEM, window_bytes="
        + bytes
        + ", commit_limit_bytes="
        + host.bytes("CommitLimit:")
        + ", committed_bytes="
        + host.bytes("Committed_AS:")
        + " (raise vm.overcommit_ratio), "
        + budget;
  }

  private CommitResult noMapping() {
    return new CommitResult(Outcome.LIMIT_REACHED, budget.toString());
  }
}
