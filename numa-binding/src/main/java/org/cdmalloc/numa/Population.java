/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.util.stream.IntStream;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.CommitResult.Outcome;
import org.cdmalloc.spi.Stripe;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.NodeMask;

/**
 * How pages are brought in before they are bound. The pages of one node are populated under one
 * policy and may fall elsewhere, which the binding then sees. The pages of a stripe are populated
 * node by node, and looked at one by one: the binding, to all of its nodes, would not see a page on
 * the wrong one of them. The caller holds the locks of the region's nodes, and gives the range back
 * whenever this does not end well.
 */
final class Population {
  /** Stands for an error: unbound pages lie where none may that did not ask for it. */
  private static final int ON_DEVICE = -1;

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

  Population(
      Kernel kernel,
      Headroom headroom,
      Capability capability,
      MappingBudget budget,
      ResidencyQuery residency,
      Machine machine) {
    this.kernel = kernel;
    this.headroom = headroom;
    this.capability = capability;
    this.budget = budget;
    this.residency = residency;
    this.devices = machine.memoryOnly();
    this.system = machine.withMemory().without(devices);
    this.pageBytes = kernel.pageBytes();
  }

  /**
   * Brings in a range of which nothing is there and for which headroom was found. Of a bound region
   * it has the policy that was set when the region was reserved, and is counted as cut.
   */
  CommitResult populate(LinuxRegion region, long start, long end) {
    if (!region.isBound()) {
      return populateAnywhere(region, start, end);
    }
    return region.stripe().isSingle()
        ? populateNode(region, start, end)
        : populateStripe(region, start, end);
  }

  private CommitResult populateAnywhere(LinuxRegion region, long start, long end) {
    int errno = populateUnbound(region, start, end);
    region.touch(start);
    return errno == ON_DEVICE
        ? new CommitResult(
            Outcome.LOST_RACE,
            "unbound memory fell on a device node: devices="
                + devices
                + ", wanted_bytes="
                + (end - start))
        : populated(errno, region.node(), region.address() + start, end - start);
  }

  private CommitResult populateNode(LinuxRegion region, long start, long end) {
    long address = region.address() + start;
    long bytes = end - start;
    if (headroom.overflows(region.node())) {
      if (!region.isTouched(start)) {
        // The region's one anon_vma must be there before policy cuts it, or its parts never merge.
        populate(address, pageBytes);
      }
      if (!confine(address, bytes, region.node())) {
        return noMapping();
      }
    }
    int errno = populate(address, bytes);
    region.touch(start);
    return populated(errno, region.node(), address, bytes);
  }

  private CommitResult populateStripe(LinuxRegion region, long start, long end) {
    CommitResult touched = touchFirst(region, start);
    if (!touched.isCommitted()) {
      return touched;
    }
    for (int node : region.nodeNumbers()) {
      CommitResult result = populateShare(region, node, start, end);
      if (!result.isCommitted()) {
        return result;
      }
    }
    // Where only counts of mappings are told, the binding is all that looks.
    return residency.tellsPages() ? place(region, start, end) : CommitResult.COMMITTED;
  }

  /**
   * Touches a region before policy cuts it for the first time, as for a chunk through cache. The
   * page comes from the first node, whose it may not be, and goes back; the anon_vma stays.
   */
  private CommitResult touchFirst(LinuxRegion region, long start) {
    if (region.isTouched(start)) {
      return CommitResult.COMMITTED;
    }
    long address = region.address() + start;
    int errno = populate(address, pageBytes);
    if (errno == 0) {
      drop(region, start, start + pageBytes);
      region.touch(start);
    }
    return populated(errno, region.node(), address, pageBytes);
  }

  /** Brings in the pages of one node of a stripe, under a policy for that node. */
  private CommitResult populateShare(LinuxRegion region, int node, long start, long end) {
    Stripe stripe = region.stripe();
    long first = start / pageBytes;
    long last = end / pageBytes;
    if (stripe.pages(node, first, last) == 0) {
      return CommitResult.COMMITTED;
    }
    long address = region.address() + start;
    if (!target(region, node, address, end - start)) {
      return noMapping();
    }
    for (long page = first; page < last; ) {
      long next = Math.min(last, stripe.runEnd(page));
      if (stripe.node(page) == node) {
        long run = address + (page - first) * pageBytes;
        long runBytes = (next - page) * pageBytes;
        CommitResult result = populated(populate(run, runBytes), node, run, runBytes);
        if (!result.isCommitted()) {
          return result;
        }
      }
      page = next;
    }
    return CommitResult.COMMITTED;
  }

  /** Lets what is populated next come from a node; false if there is no mapping left for it. */
  private boolean target(LinuxRegion region, int node, long address, long bytes) {
    if (headroom.overflows(node)) {
      return confine(address, bytes, node);
    }
    if (node == region.node()) {
      // The first: a region prefers it from its reservation on.
      return true;
    }
    int errno = kernel.prefer(address, bytes, node);
    if (errno != 0 && errno != Errno.ENOMEM) {
      throw Errno.failed(
          "mbind", errno, Kernel.range(address, bytes) + ", mode=PREFERRED, node=" + node);
    }
    return errno == 0;
  }

  /**
   * Keeps what is populated next off all device nodes but its own. Under PREFERRED it would
   * overflow before the kernel drops any cache or takes small pages for a huge one, perhaps to a
   * device; bound to its node and all system nodes it makes the kernel reclaim instead, and is
   * moved to its node afterwards. Returns false if there is no mapping left for it.
   */
  private boolean confine(long address, long bytes, int node) {
    NodeMask nodes = system.or(NodeMask.of(node));
    int errno = kernel.confine(address, bytes, nodes, node);
    if (errno != 0 && errno != Errno.ENOMEM) {
      throw Errno.failed(
          "mbind", errno, Kernel.range(address, bytes) + ", mode=BIND, nodes=" + nodes);
    }
    return errno == 0;
  }

  /**
   * Looks where the pages of a stripe fell, and moves those that are not on their own node, once:
   * migration drops page cache on the node and gives up where a touch would kill.
   */
  private CommitResult place(LinuxRegion region, long start, long end) {
    long address = region.address() + start;
    int[] wanted = wanted(region.stripe(), start, end);
    int[] found = residency.populated(address, end - start);
    int[] elsewhere = elsewhere(wanted, found);
    String moved = "";
    if (elsewhere.length > 0 && residency.moves()) {
      int errno = move(address, elsewhere, wanted);
      moved = ", move_pages=" + (errno == 0 ? "0" : Errno.name(errno));
      found = residency.populated(address, end - start);
      elsewhere = elsewhere(wanted, found);
    }
    if (elsewhere.length == 0) {
      return moved.isEmpty()
          ? CommitResult.COMMITTED
          : new CommitResult(Outcome.COMMITTED, "stripe=" + region.stripe() + moved);
    }
    int page = elsewhere[0];
    return new CommitResult(
        Outcome.LOST_RACE,
        "node="
            + wanted[page]
            + ", found_on_node="
            + found[page]
            + ", pages_elsewhere="
            + elsewhere.length
            + moved
            + ", wanted_bytes="
            + (end - start));
  }

  /** Returns 0 or ENOMEM, which says that a node is full; what came of it is asked afterwards. */
  private int move(long address, int[] pages, int[] wanted) {
    long[] addresses = new long[pages.length];
    int[] targets = new int[pages.length];
    for (int i = 0; i < pages.length; i++) {
      addresses[i] = address + (long) pages[i] * pageBytes;
      targets[i] = wanted[pages[i]];
    }
    int errno = kernel.movePages(addresses, targets, new int[pages.length]);
    if (errno != 0 && errno != Errno.ENOMEM) {
      throw Errno.failed(
          "move_pages",
          errno,
          "address=0x"
              + Long.toHexString(addresses[0])
              + ", node="
              + targets[0]
              + ", pages="
              + pages.length);
    }
    return errno;
  }

  private int[] wanted(Stripe stripe, long start, long end) {
    int[] nodes = new int[Math.toIntExact((end - start) / pageBytes)];
    for (int page = 0; page < nodes.length; page++) {
      nodes[page] = stripe.node(start / pageBytes + page);
    }
    return nodes;
  }

  private static int[] elsewhere(int[] wanted, int[] found) {
    return IntStream.range(0, wanted.length).filter(page -> found[page] != wanted[page]).toArray();
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

  /**
   * Takes the pages of a range away. A process that locks all its memory (mlockall with
   * MCL_CURRENT) has locked the region too: its pages go by another advice, or before Linux 5.18
   * after unlocking all of it, because a part would be a mapping of its own; but only a part where
   * others are locked on purpose.
   */
  void drop(LinuxRegion region, long start, long end) {
    region.stale().add(start, end);
    long address = region.address() + start;
    int errno = kernel.advise(address, end - start, Kernel.MADV_DONTNEED);
    if (errno == Errno.EINVAL) {
      errno = kernel.advise(address, end - start, Kernel.MADV_DONTNEED_LOCKED);
      boolean unlocksAll = region.locked().runs() == 0;
      long from = unlocksAll ? region.address() : address;
      long unlockedBytes = unlocksAll ? region.bytes() : end - start;
      if (errno == Errno.EINVAL && kernel.unlock(from, unlockedBytes) == 0) {
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

  /** Brings in the pages of a range of which none is there; returns 0 or errno. */
  private int populate(long address, long bytes) {
    if (capability.populates()) {
      return kernel.advise(address, bytes, Kernel.MADV_POPULATE_WRITE);
    }
    kernel.touch(address, bytes, pageBytes);
    return 0;
  }

  private static CommitResult populated(int errno, int node, long address, long bytes) {
    if (errno == Errno.ENOMEM) {
      return new CommitResult(
          Outcome.NODE_FULL, "node=" + node + ", populate=ENOMEM, wanted_bytes=" + bytes);
    }
    if (errno != 0) {
      throw Errno.failed("madvise(MADV_POPULATE_WRITE)", errno, Kernel.range(address, bytes));
    }
    return CommitResult.COMMITTED;
  }

  private CommitResult noMapping() {
    return new CommitResult(Outcome.LIMIT_REACHED, budget.toString());
  }
}
