/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import java.util.Arrays;
import java.util.BitSet;
import java.util.Map;
import java.util.WeakHashMap;
import java.util.function.IntSupplier;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.NodeMask;

/**
 * The memory policy calls of Linux 6.18, and those that lock memory, over a machine that need not
 * exist, for one process that runs as root: which arguments are refused with which error, and on
 * which node each page lands. Addresses are numbers; nothing is behind them. {@code
 * docs/kernel-truth.md} says what was measured on real kernels, and the same tables hold this class
 * and the host's kernel.
 *
 * <p>Arguments are those of the system calls, section 2 of the manual. A mask is words of 64 bits
 * with {@code maxnode}, <em>of which the kernel drops the last bit</em>: {@code maxnode - 1} bits
 * count. Results are 0 or −errno. Page numbers are addresses divided by the size of a page.
 *
 * <p>Not emulated: swap, reclaim, huge pages, control groups, shared memory, other processes, and
 * that a mapping which got its policy before its first touch does not merge any more.
 *
 * <p>Safe for use by any number of threads. One lock, as mmap_lock, is held through each call. A
 * thread has the policy that it set itself; unlike a kernel's, threads that it starts do not
 * inherit it.
 */
class EmulatedKernel {
  /** The numbers that nodes can have: MAX_NUMNODES of a kernel built with NODES_SHIFT=10. */
  private static final int MAX_NUMNODES = NodeMask.MAX_NODES;

  /** Reservations begin at multiples of a huge page from here on, never where one was before. */
  private static final long FIRST_ADDRESS = 1L << 40;

  /** A system call that ends well or with an error number. */
  private interface Call {
    int run() throws ErrnoException;
  }

  private final int pageBytes;
  private final Machine machine;
  private final PagePlacement placement;

  // Guarded by this.
  private final Mappings mappings = new Mappings();
  private final Map<Thread, MemoryPolicy> threadPolicies = new WeakHashMap<>();
  private long nextAddress = FIRST_ADDRESS;
  private long lockLimitBytes = Long.MAX_VALUE;

  /**
   * Boots a machine all of whose memory is free.
   *
   * @param machine its nodes
   * @param pageBytes the size of a page
   * @param currentNode asked for the node whose CPU runs the calling thread; an online node
   */
  EmulatedKernel(Machine machine, int pageBytes, IntSupplier currentNode) {
    this.machine = machine;
    this.pageBytes = pageBytes;
    this.placement = new PagePlacement(machine, pageBytes, currentNode);
  }

  /** Returns the memory of an online node that no page uses, in bytes: MemFree. */
  long freeBytes(int node) {
    return placement.account(node).freeBytes();
  }

  /** Sets a weight: /sys/kernel/mm/mempolicy/weighted_interleave/nodeN. All are 1 at first. */
  synchronized void setWeight(int node, int weight) {
    placement.setWeight(node, weight);
  }

  /** Returns the number of mappings: the lines of /proc/self/maps. */
  synchronized int mappings() {
    return mappings.size();
  }

  /**
   * Maps fresh private memory: mmap(2) without an address. No page is there yet.
   *
   * @param bytes its length, positive
   * @return its address, a multiple of 2 MiB
   */
  synchronized long map(long bytes) {
    long address = nextAddress;
    long pages = (bytes + pageBytes - 1) / pageBytes;
    nextAddress +=
        (pages * pageBytes / MemorySource.ALIGNMENT_BYTES + 2) * MemorySource.ALIGNMENT_BYTES;
    long first = address / pageBytes;
    mappings.add(new Mapping(first, first + pages, MemoryPolicy.DEFAULT, false, new Frames(first)));
    return address;
  }

  /** Unmaps a range, whether or not all of it is mapped: munmap(2). */
  int unmap(long address, long bytes) {
    return call(
        () -> {
          long from = firstPage(address);
          long to = endPage(address, bytes);
          require(to > from, Uapi.EINVAL);
          for (Mapping part : mappings.remove(from, to)) {
            discard(part);
          }
          return 0;
        });
  }

  /** Sets the calling thread's policy: set_mempolicy(2). */
  int setMempolicy(int mode, long[] mask, long maxnode) {
    return call(
        () -> {
          MemoryPolicy.requireKnown(mode);
          NodeMask nodes = nodes(mask, maxnode);
          MemoryPolicy policy = MemoryPolicy.of(mode, nodes, placement.withMemory());
          threadPolicies.put(Thread.currentThread(), policy);
          return 0;
        });
  }

  /**
   * Sets the policy of a range: mbind(2). Pages that are there stay where they are, unless {@code
   * flags} says otherwise: with STRICT alone, one page on another node than those of the mask makes
   * the call fail and change nothing; with MOVE such pages are moved as far as there is room, and
   * with both, EIO says that some were not.
   */
  int mbind(long address, long bytes, int mode, long[] mask, long maxnode, int flags) {
    return call(
        () -> {
          MemoryPolicy.requireKnown(mode);
          NodeMask named = nodes(mask, maxnode);
          int known = Uapi.MPOL_MF_STRICT | Uapi.MPOL_MF_MOVE | Uapi.MPOL_MF_MOVE_ALL;
          require((flags & ~known) == 0, Uapi.EINVAL);
          long from = firstPage(address);
          long to = endPage(address, bytes);
          if (from == to) {
            // Before the mask is looked at: nothing to do is never wrong.
            return 0;
          }
          MemoryPolicy policy = MemoryPolicy.of(mode, named, placement.withMemory());
          requireMapped(from, to, policy);
          boolean strict = (flags & Uapi.MPOL_MF_STRICT) != 0 && !policy.isDefault();
          boolean moves = (flags & (Uapi.MPOL_MF_MOVE | Uapi.MPOL_MF_MOVE_ALL)) != 0;
          // Compared with the mask as it was named, not with the nodes that it comes to: with
          // relative nodes, or with no node for the local one, those differ.
          require(moves || !strict || allOn(named, from, to), Uapi.EIO);
          mappings.change(from, to, part -> part.with(policy));
          boolean allMoved = !moves || moveTo(policy, named, from, to);
          require(allMoved || !strict, Uapi.EIO);
          return 0;
        });
  }

  /** Sets where the search begins for BIND and PREFERRED_MANY: set_mempolicy_home_node(2). */
  int setMempolicyHomeNode(long address, long bytes, long node, long flags) {
    return call(
        () -> {
          long from = firstPage(address);
          require(flags == 0, Uapi.EINVAL);
          require(node >= 0 && node < MAX_NUMNODES, Uapi.EINVAL);
          require(machine.online().contains((int) node), Uapi.EINVAL);
          long to = endPage(address, bytes);
          if (from == to) {
            return 0;
          }
          boolean any = false;
          for (Mapping part : mappings.in(from, to)) {
            MemoryPolicy.Mode mode = part.policy().mode();
            if (mode == MemoryPolicy.Mode.BIND || mode == MemoryPolicy.Mode.PREFERRED_MANY) {
              mappings.change(
                  part.start(),
                  part.end(),
                  inside -> inside.with(inside.policy().withHome((int) node)));
              any = true;
            } else {
              // Parts that were changed before stay changed.
              require(part.policy().isDefault(), Uapi.EOPNOTSUPP);
            }
          }
          require(any, Uapi.ENOENT);
          return 0;
        });
  }

  /**
   * Tells a policy or a node: get_mempolicy(2).
   *
   * @param value receives the mode and its flags, or a node, in its element 0; null if not wanted
   * @param mask receives the nodes; null if not wanted
   */
  int getMempolicy(int[] value, long[] mask, long maxnode, long address, long flags) {
    return call(
        () -> {
          int possible = machine.possible().last() + 1;
          require(mask == null || Long.compareUnsigned(maxnode, possible) >= 0, Uapi.EINVAL);
          long known = Uapi.MPOL_F_NODE | Uapi.MPOL_F_ADDR | Uapi.MPOL_F_MEMS_ALLOWED;
          require((flags & ~known) == 0, Uapi.EINVAL);
          boolean ofNode = (flags & Uapi.MPOL_F_NODE) != 0;
          boolean ofAddress = (flags & Uapi.MPOL_F_ADDR) != 0;
          boolean ofAllowed = (flags & Uapi.MPOL_F_MEMS_ALLOWED) != 0;
          require(!ofAllowed || !(ofNode || ofAddress), Uapi.EINVAL);
          require(ofAllowed || ofAddress || address == 0, Uapi.EINVAL);
          MemoryPolicy policy = threadPolicy();
          if (ofAddress) {
            Mapping mapping = mappings.of(page(address));
            require(mapping != null, Uapi.EFAULT);
            // A range without a policy says DEFAULT, whatever the thread's policy is.
            policy = mapping.policy();
          }
          int told = ofAllowed ? 0 : policy.modeAndFlags();
          if (ofNode) {
            told = ofAddress ? nodeAfterRead(page(address)) : nextInterleaved(policy);
          }
          if (value != null) {
            value[0] = told;
          }
          if (mask != null) {
            store(mask, maxnode, ofAllowed ? placement.withMemory() : policy.toldNodes());
          }
          return 0;
        });
  }

  /**
   * Tells where pages lie, or moves them: move_pages(2) of the calling process.
   *
   * @param addresses one in each page
   * @param nodes where each shall go; null to ask only
   * @param status receives for each page its node, −ENOENT if it is not there, or −EFAULT if it is
   *     not mapped or was only read so far
   */
  int movePages(long[] addresses, int[] nodes, int[] status, int flags) {
    return call(
        () -> {
          int known = Uapi.MPOL_MF_MOVE | Uapi.MPOL_MF_MOVE_ALL;
          require((flags & ~known) == 0, Uapi.EINVAL);
          for (int i = 0; i < addresses.length; i++) {
            if (nodes != null) {
              require(placement.withMemory().contains(nodes[i]), Uapi.ENODEV);
              movePage(page(addresses[i]), nodes[i]);
            }
            status[i] = status(page(addresses[i]));
          }
          return 0;
        });
  }

  /**
   * Limits what can be locked: RLIMIT_MEMLOCK, as for a process without CAP_IPC_LOCK. Without a
   * limit at first.
   */
  synchronized void limitLocks(long bytes) {
    lockLimitBytes = bytes;
  }

  /** Returns what can be locked, in bytes. */
  synchronized long lockLimitBytes() {
    return lockLimitBytes;
  }

  /** Returns what is locked, in bytes: VmLck of /proc/self/status. */
  synchronized long lockedBytes() {
    return mappings.lockedPages(0, Long.MAX_VALUE) * pageBytes;
  }

  /** Returns what of a range is locked, in bytes. */
  synchronized long lockedBytes(long address, long bytes) {
    return mappings.lockedPages(page(address), page(address + bytes)) * pageBytes;
  }

  /**
   * Locks a range, whose pages are then brought in: mlock(2). What is locked already does not count
   * twice. At a hole it stops, and what is before it stays locked.
   *
   * @throws OomKillError if a page finds no room; the range is locked, and those before it are in
   */
  int lock(long address, long bytes) {
    return call(
        () -> {
          // What begins or ends inside a page is locked with all of it.
          long from = page(address);
          long to = endPage(from * pageBytes, bytes + address - from * pageBytes);
          long fresh = to - from - mappings.lockedPages(from, to);
          require(lockLimitBytes > 0, Uapi.EPERM);
          long locked = mappings.lockedPages(0, Long.MAX_VALUE);
          require(locked + fresh <= lockLimitBytes / pageBytes, Uapi.ENOMEM);
          setLocked(from, to, true);
          mappings.in(from, to).forEach(this::populate);
          return 0;
        });
  }

  /** Ends the locks of a range, of whatever is locked of it: munlock(2). */
  int unlock(long address, long bytes) {
    return call(
        () -> {
          long from = page(address);
          long to = endPage(from * pageBytes, bytes + address - from * pageBytes);
          setLocked(from, to, false);
          return 0;
        });
  }

  private void setLocked(long from, long to, boolean locked) throws ErrnoException {
    long reached = from;
    for (Mapping part : mappings.in(from, to)) {
      require(part.start() == reached, Uapi.ENOMEM);
      mappings.change(part.start(), part.end(), inside -> inside.with(locked));
      reached = part.end();
    }
    require(reached == to, Uapi.ENOMEM);
  }

  /**
   * Brings pages in or gives them back: madvise(2) with MADV_POPULATE_WRITE, MADV_DONTNEED, which
   * stops at a mapping that is locked, or MADV_DONTNEED_LOCKED.
   *
   * @throws OomKillError if a page finds no room; those before it are in
   */
  int advise(long address, long bytes, int advice) {
    return call(
        () -> {
          boolean populates = advice == Uapi.MADV_POPULATE_WRITE;
          boolean heedsLocks = advice == Uapi.MADV_DONTNEED;
          require(populates || heedsLocks || advice == Uapi.MADV_DONTNEED_LOCKED, Uapi.EINVAL);
          long from = firstPage(address);
          long to = endPage(address, bytes);
          long reached = from;
          boolean hole = false;
          for (Mapping part : mappings.in(from, to)) {
            hole |= part.start() > reached;
            // Populating stops at the first hole, giving back goes on behind it.
            if (populates && !hole) {
              populate(part);
            } else if (!populates) {
              require(!heedsLocks || !part.locked(), Uapi.EINVAL);
              discard(part);
            }
            reached = part.end();
          }
          require(!hole && reached == to, Uapi.ENOMEM);
          return 0;
        });
  }

  /**
   * Tells which pages of a range are there, as mincore(2) does.
   *
   * @return a bit per page, from 0
   */
  synchronized BitSet present(long address, long bytes) {
    BitSet present = new BitSet();
    long first = page(address);
    for (Mapping part : mappings.in(first, page(address + bytes))) {
      Frames frames = part.frames();
      for (long from = frames.nextPresent(part.start(), part.end()); from < part.end(); ) {
        long to = frames.nextAbsent(from, part.end());
        present.set((int) (from - first), (int) (to - first));
        from = frames.nextPresent(to, part.end());
      }
    }
    return present;
  }

  private synchronized int call(Call call) {
    try {
      return call.run();
    } catch (ErrnoException e) {
      return -e.errno();
    }
  }

  private static void require(boolean condition, int errno) throws ErrnoException {
    if (!condition) {
      throw new ErrnoException(errno);
    }
  }

  /** Reads a mask: {@code get_nodes} of mm/mempolicy.c. */
  private NodeMask nodes(long[] mask, long maxnode) throws ErrnoException {
    long bits = maxnode - 1;
    if (bits == 0 || mask == null) {
      return NodeMask.EMPTY;
    }
    // With maxnode 0, bits is the largest number there is.
    require(Long.compareUnsigned(bits, (long) pageBytes * Byte.SIZE) <= 0, Uapi.EINVAL);
    require(bits <= (long) mask.length * Long.SIZE, Uapi.EFAULT);
    BitSet named = BitSet.valueOf(mask).get(0, (int) bits);
    require(named.length() <= MAX_NUMNODES, Uapi.EINVAL);
    return NodeMask.of(named.stream().toArray());
  }

  /** Tells a mask: {@code copy_nodes_to_user} of mm/mempolicy.c. */
  private void store(long[] mask, long maxnode, NodeMask nodes) throws ErrnoException {
    long words = (maxnode - 1 + Long.SIZE - 1) / Long.SIZE;
    require(words <= pageBytes / Long.BYTES, Uapi.EINVAL);
    require(words <= mask.length, Uapi.EFAULT);
    // A policy may name nodes that cannot be; beyond the words of those that can, zeros are told.
    int toldWords = (int) Math.min(words, machine.possible().last() / Long.SIZE + 1L);
    Arrays.fill(mask, 0, (int) words, 0);
    System.arraycopy(nodes.toWords(MAX_NUMNODES / Long.SIZE), 0, mask, 0, toldWords);
  }

  private long page(long address) {
    return Long.divideUnsigned(address, pageBytes);
  }

  private long firstPage(long address) throws ErrnoException {
    require(Long.remainderUnsigned(address, pageBytes) == 0, Uapi.EINVAL);
    return page(address);
  }

  /**
   * Returns the page behind a range whose length is rounded up, as the kernel does: modulo 2^64.
   */
  private long endPage(long address, long bytes) throws ErrnoException {
    long end = address + ((bytes + pageBytes - 1) & -(long) pageBytes);
    require(Long.compareUnsigned(end, address) >= 0, Uapi.EINVAL);
    return page(end);
  }

  /** DEFAULT is content with holes, as long as anything is mapped. */
  private void requireMapped(long from, long to, MemoryPolicy policy) throws ErrnoException {
    boolean mapped =
        policy.isDefault() ? !mappings.in(from, to).isEmpty() : mappings.cover(from, to);
    require(mapped, Uapi.EFAULT);
  }

  private MemoryPolicy threadPolicy() {
    return threadPolicies.getOrDefault(Thread.currentThread(), MemoryPolicy.DEFAULT);
  }

  /** The narrowest scope decides: the range, else the thread, else the system. */
  private MemoryPolicy inEffect(MemoryPolicy policy) {
    return policy.isDefault() ? threadPolicy() : policy;
  }

  private void populate(Mapping part) {
    MemoryPolicy policy = inEffect(part.policy());
    Frames frames = part.frames();
    for (long page = part.start(); page < part.end(); page++) {
      int node = frames.node(page);
      if (node == Frames.ZEROS) {
        frames.remove(page);
        node = Frames.ABSENT;
      }
      if (node == Frames.ABSENT) {
        int taken = placement.take(policy, page);
        if (taken == PagePlacement.NONE) {
          throw new OomKillError(policy, page);
        }
        frames.put(page, taken);
      }
    }
  }

  private void discard(Mapping part) {
    Frames frames = part.frames();
    for (long page = frames.nextPresent(part.start(), part.end());
        page < part.end();
        page = frames.nextPresent(page, part.end())) {
      int node = frames.remove(page);
      if (node != Frames.ZEROS) {
        placement.give(node);
      }
    }
  }

  /** Tells whether every page that is there lies on one of the nodes. */
  private boolean allOn(NodeMask nodes, long from, long to) {
    for (Mapping part : mappings.in(from, to)) {
      for (long page = part.start(); page < part.end(); page++) {
        if (isOff(nodes, part.frames().node(page))) {
          return false;
        }
      }
    }
    return true;
  }

  private static boolean isOff(NodeMask nodes, int node) {
    return node >= 0 && !nodes.contains(node);
  }

  /** Moves what lies off the nodes to where a policy wants it; false if not all found room. */
  private boolean moveTo(MemoryPolicy policy, NodeMask nodes, long from, long to) {
    boolean all = true;
    for (Mapping part : mappings.in(from, to)) {
      Frames frames = part.frames();
      for (long page = part.start(); page < part.end(); page++) {
        if (isOff(nodes, frames.node(page))) {
          int taken = placement.take(inEffect(policy), page);
          if (taken == PagePlacement.NONE) {
            all = false;
          } else {
            placement.give(frames.remove(page));
            frames.put(page, taken);
          }
        }
      }
    }
    return all;
  }

  /** Moves a page that is there; the others are left to their status. */
  private void movePage(long page, int target) throws ErrnoException {
    Mapping mapping = mappings.of(page);
    int node = mapping == null ? Frames.ABSENT : mapping.frames().node(page);
    if (node >= 0 && node != target) {
      require(placement.takeFrom(target), Uapi.ENOMEM);
      placement.give(mapping.frames().remove(page));
      mapping.frames().put(page, target);
    }
  }

  private int status(long page) {
    Mapping mapping = mappings.of(page);
    int node = mapping == null ? Frames.ZEROS : mapping.frames().node(page);
    return switch (node) {
      case Frames.ABSENT -> -Uapi.ENOENT;
      case Frames.ZEROS -> -Uapi.EFAULT;
      default -> node;
    };
  }

  /** Reads a page, which brings in the page of zeros, and tells where it is. */
  private int nodeAfterRead(long page) {
    Frames frames = mappings.of(page).frames();
    if (frames.node(page) == Frames.ABSENT) {
      frames.put(page, Frames.ZEROS);
    }
    int node = frames.node(page);
    // The page of zeros is part of the kernel's image, on the node that it booted from.
    return node == Frames.ZEROS ? placement.withMemory().first() : node;
  }

  /** Where the thread's next page of a file would go; its anonymous pages go by their number. */
  private static int nextInterleaved(MemoryPolicy policy) throws ErrnoException {
    boolean interleaves =
        policy.mode() == MemoryPolicy.Mode.INTERLEAVE
            || policy.mode() == MemoryPolicy.Mode.WEIGHTED_INTERLEAVE;
    require(interleaves, Uapi.EINVAL);
    return policy.nodes().first();
  }
}
