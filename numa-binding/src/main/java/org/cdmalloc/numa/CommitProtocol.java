/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.cdmalloc.numa.RangeSet.Range;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.CommitResult.Outcome;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Stripe;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.NodeMask;

/**
 * How memory is asked of the kernel and given back. One caller per node at a time, of a striped
 * region on all of its nodes: the locks are {@link LinuxSource}'s.
 */
final class CommitProtocol {
  /** What is asked of the kernel at a time: one huge page. */
  static final long CHUNK_BYTES = 2L << 20;

  /** How much a region is opened at a time where the kernel will not promise all of it. */
  static final long WINDOW_BYTES = MemorySource.ROOT_BYTES;

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
   * A chunk of a striped region is populated node by node, each time under PREFERRED to that node or
   * confined as above, and bound to all of them at the end. That binding is content with any of them, so
   * each page is asked for its node before, and those on a wrong one are moved, once.
   *
   * Why mappings stay few. A policy set on a part that was never touched, at a hole, gives that part an
   * anon_vma of its own at its first fault, and mappings with different ones never merge. So policy is
   * changed only on parts that were populated; commits in address order then move one boundary along.
   * Stripes, and chunks through cache, need another policy before they are populated; so one page of the
   * region is touched before its first cut, and all parts inherit the anon_vma which that makes.
   *
   * State per region: what is committed, what has BIND by this account, and what is locked.
   *
   * Invariants: (I1) where regions are bound, what is committed has BIND; (I2) everything else has
   * PREFERRED, for a stripe to its first node, or is counted as BIND because changing it back was beyond
   * the mapping budget or the kernel's own limit; (I3) the kernel has at most as many mappings of a region
   * as are counted, but for two more while a chunk that stayed BIND is committed again, or one is
   * populated under a policy of its own; (I4) what is not committed is not resident, but for what a stray
   * access touched, and for what the kernel failed to take back: that is stale, and is offered again
   * before it is populated. A failure at any step ends in giveBack, which restores all four.
   */

  private final Kernel kernel;
  private final Headroom headroom;
  private final MappingBudget budget;
  private final ResidencyQuery residency;
  private final Population population;
  private final PageLocks pageLocks;

  private final int pageBytes;

  CommitProtocol(
      Kernel kernel,
      Headroom headroom,
      Capability capability,
      MappingBudget budget,
      Machine machine) {
    this.kernel = kernel;
    this.headroom = headroom;
    this.budget = budget;
    this.residency = new ResidencyQuery(kernel, capability.residency());
    this.pageLocks = new PageLocks(kernel, headroom, residency, budget);
    this.population = new Population(kernel, headroom, capability, budget, residency, machine);
    this.pageBytes = kernel.pageBytes();
  }

  /** Commits what is not committed of a range, all of it or nothing. */
  CommitResult commit(LinuxRegion region, long start, long end) {
    List<Range> gaps = region.committed().gaps(start, end);
    long wanted = gaps.stream().mapToLong(Range::bytes).sum();
    if (wanted > CHUNK_BYTES) {
      // What cannot fit as a whole is refused before the node is filled with a part of it.
      CommitResult room = findRoom(region, gaps, wanted);
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
    CommitResult committed = CommitResult.COMMITTED;
    for (Range gap : gaps) {
      for (long at = gap.start(); at < gap.end(); ) {
        long next = Math.min(gap.end(), (at / CHUNK_BYTES + 1) * CHUNK_BYTES);
        CommitResult result = commitChunk(region, at, next);
        if (!result.isCommitted()) {
          return result;
        }
        fresh.add(new Range(at, next));
        committed = committed.detail().isEmpty() ? result : committed;
        at = next;
      }
    }
    return committed;
  }

  /** Commits a range of which nothing is committed. */
  private CommitResult commitChunk(LinuxRegion region, long start, long end) {
    CommitResult room = findRoom(region, List.of(new Range(start, end)), end - start);
    if (!room.isCommitted()) {
      return room;
    }
    CommitResult open = openWindows(region, start, end);
    if (!open.isCommitted()) {
      return open;
    }
    if (pageLocks.tryUnlock(region, start, end) != 0) {
      return noMapping();
    }
    if (region.stale().coveredBytes(start, end) > 0) {
      // Populating keeps what is there.
      population.drop(region, start, end);
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
    CommitResult populated = population.populate(region, start, end);
    if (!populated.isCommitted()) {
      return populated;
    }
    long address = region.address() + start;
    long bytes = end - start;
    if (!region.isBound()) {
      return populated;
    }
    NodeMask nodes = region.nodes();
    int errno = kernel.bind(address, bytes, nodes, Kernel.MPOL_MF_STRICT);
    String moved = populated.detail();
    if (errno == Errno.EIO && region.stripe().isSingle()) {
      moved = "node=" + region.node() + ", mbind_strict=EIO, moved_bytes=" + bytes;
      errno = move(region, start, end);
    }
    if (errno == Errno.EIO) {
      return new CommitResult(
          Outcome.LOST_RACE, "node=" + region.node() + ", mbind_strict=EIO, wanted_bytes=" + bytes);
    }
    if (errno == Errno.ENOMEM) {
      return noMapping();
    }
    if (errno == Errno.EINVAL) {
      // The kernel took this range and mask when they were reserved: all memory of the nodes went
      // offline since, or is just coming back.
      return new CommitResult(
          Outcome.NODE_FULL,
          "node="
              + region.node()
              + ", mbind=EINVAL, wanted_bytes="
              + bytes
              + headroom.ifAbsent(region.node()));
    }
    if (errno != 0) {
      throw Errno.failed(
          "mbind", errno, Kernel.range(address, bytes) + ", mode=BIND, nodes=" + nodes);
    }
    return moved.isEmpty() ? CommitResult.COMMITTED : new CommitResult(Outcome.COMMITTED, moved);
  }

  /**
   * Binds a range to its node and moves there what fell elsewhere, once: that drops page cache for
   * it and fails where a touch would kill. To several nodes this call would move pages anywhere
   * among them, so of a stripe it moves none. Returns 0 or errno.
   *
   * <p>A huge page for which the node has no block is split for that, and since Linux 6.12 parts of
   * it that hold zeros only, as all do here, are not moved but given up. A later touch would bring
   * them in under BIND, so they are populated again, as pages were before, and looked at once more.
   */
  private int move(LinuxRegion region, long start, long end) {
    long address = region.address() + start;
    long bytes = end - start;
    NodeMask nodes = region.nodes();
    int errno = kernel.bind(address, bytes, nodes, Kernel.MPOL_MF_STRICT | Kernel.MPOL_MF_MOVE);
    if (errno != 0) {
      return errno;
    }
    if (!prefer(region, start, end)) {
      return Errno.ENOMEM;
    }
    CommitResult populated = population.populate(region, start, end);
    return populated.isCommitted()
        ? kernel.bind(address, bytes, nodes, Kernel.MPOL_MF_STRICT)
        : Errno.EIO;
  }

  /** Checks that each node has room for its share of some ranges, and the host for all of them. */
  private CommitResult findRoom(LinuxRegion region, List<Range> ranges, long bytes) {
    Stripe stripe = region.stripe();
    if (stripe.isSingle()) {
      return headroom.check(region.node(), bytes);
    }
    for (int node : region.nodeNumbers()) {
      long pages = 0;
      for (Range range : ranges) {
        pages += stripe.pages(node, range.start() / pageBytes, range.end() / pageBytes);
      }
      if (pages > 0) {
        CommitResult room = headroom.check(node, pages * pageBytes, bytes);
        if (!room.isCommitted()) {
          return room;
        }
      }
    }
    return CommitResult.COMMITTED;
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
    // If that fails it is given back all the same.
    pageLocks.tryUnlock(region, start, end);
    try {
      // In this order no part that is absent is bound, where a stray touch could kill.
      if (region.isBound()) {
        unbind(region, start, end);
      }
    } finally {
      population.drop(region, start, end);
    }
  }

  /** Gives all memory of a region back, and its policy. */
  void release(LinuxRegion region) {
    try {
      pageLocks.unlock(region, 0, region.bytes());
      if (region.isBound()) {
        prefer(region, 0, region.bytes());
      }
    } finally {
      population.drop(region, 0, region.bytes());
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
    // Whatever comes of this, no part keeps the policy of a move.
    region.moved().remove(start, end);
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

  /**
   * Lets a range prefer its node, of a stripe the first; false if the kernel has no mapping left
   * for it.
   */
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
      kernel.bind(region.address() + range.start(), range.bytes(), region.nodes(), 0);
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
