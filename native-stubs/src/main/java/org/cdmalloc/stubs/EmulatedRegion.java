/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.IntFunction;
import java.util.function.Supplier;
import org.cdmalloc.NativeCallException;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.LockResult;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.MoveResult;
import org.cdmalloc.spi.Region;
import org.cdmalloc.spi.Residency;
import org.cdmalloc.spi.Stripe;
import org.cdmalloc.topology.NodeMask;

/**
 * A region: a mapping of the emulated kernel, whose page k stands for page k of the region's
 * memory. What is committed is what the kernel says is there. The lock is held while the kernel is
 * asked, never while memory is zeroed. Ranges are in pages from the region's start, and valid: the
 * source checks. What is not committed prefers the first of the region's nodes.
 *
 * <p>A page that is not committed holds zeros: the file had them, and whoever takes a page back
 * leaves them. Hence a commit writes nothing.
 */
final class EmulatedRegion extends Region {
  private static final int MASK_WORDS = NodeMask.MAX_NODES / Long.SIZE;

  /** Pages per call, so that the arguments of a query stay small. */
  private static final int CALL_PAGES = 1 << 14;

  /** Pages that are not there, from the first to the one behind the last. */
  private record Run(int from, int to) {}

  private final EmulatedSource source;
  private final EmulatedKernel kernel;
  private final IntFunction<ReentrantLock> committers;
  private final BackingFiles files;
  private final int osPageBytes;
  private final ByteBuffer zeros;
  private final NodeMask nodes;
  private final long address;

  // Guarded by this.
  private boolean released;

  /**
   * Reserves a region.
   *
   * @param source whose region it is
   * @param kernel maps it
   * @param committers the lock of each node's committer, taken by ascending number and before this
   *     region's
   * @param files hold its content
   * @param stripe its nodes
   * @param bytes its length
   */
  EmulatedRegion(
      EmulatedSource source,
      EmulatedKernel kernel,
      IntFunction<ReentrantLock> committers,
      BackingFiles files,
      Stripe stripe,
      long bytes) {
    super(stripe, bytes, true, 0, files.map(bytes));
    this.source = source;
    this.kernel = kernel;
    this.committers = committers;
    this.files = files;
    this.osPageBytes = source.osPageBytes();
    this.zeros = ByteBuffer.allocate(osPageBytes).asReadOnlyBuffer();
    this.nodes = stripe.nodes();
    this.address = kernel.map(bytes);
    prefer(node(), 0, Math.toIntExact(bytes / osPageBytes));
  }

  boolean isOf(EmulatedSource other) {
    return source == other;
  }

  CommitResult commit(int fromPage, int toPage) {
    return locked(nodes, () -> commitAlone(fromPage, toPage));
  }

  synchronized LockResult lock(int fromPage, int toPage) {
    requireLive();
    requireCommitted(fromPage, toPage);
    long bytes = address(toPage) - address(fromPage);
    int errno = kernel.lock(address(fromPage), bytes);
    if (errno == -Uapi.ENOMEM || errno == -Uapi.EPERM) {
      return LockResult.refused(
          "memlock_limit_bytes="
              + kernel.lockLimitBytes()
              + ", locked_bytes="
              + kernel.lockedBytes()
              + ", wanted_bytes="
              + (bytes - kernel.lockedBytes(address(fromPage), bytes))
              + "; call EmulatedSource.limitLocks");
    }
    requireDone("mlock", errno, fromPage, toPage);
    return LockResult.LOCKED;
  }

  synchronized void unlock(int fromPage, int toPage) {
    requireLive();
    int errno = kernel.unlock(address(fromPage), address(toPage) - address(fromPage));
    requireDone("munlock", errno, fromPage, toPage);
  }

  private void requireCommitted(int fromPage, int toPage) {
    if (present(fromPage, toPage).cardinality() < toPage - fromPage) {
      throw new IllegalArgumentException(
          "range is not committed: fromPage=" + fromPage + ", toPage=" + toPage);
    }
  }

  MoveResult move(int fromPage, int toPage, int node) {
    return locked(nodes.or(NodeMask.of(node)), () -> moveAlone(fromPage, toPage, node));
  }

  /** Does something as the only committer of some nodes, which everybody takes in this order. */
  private <T> T locked(NodeMask mask, Supplier<T> action) {
    List<ReentrantLock> locks = mask.stream().mapToObj(committers).toList();
    int held = 0;
    try {
      for (ReentrantLock lock : locks) {
        lock.lock();
        held++;
      }
      return action.get();
    } finally {
      while (held > 0) {
        locks.get(--held).unlock();
      }
    }
  }

  private synchronized MoveResult moveAlone(int fromPage, int toPage, int node) {
    requireLive();
    requireCommitted(fromPage, toPage);
    int[] before = nodes(fromPage, toPage);
    long wantedBytes = Arrays.stream(before).filter(found -> found != node).count() * osPageBytes;
    long freeBytes = kernel.freeBytes(node);
    if (freeBytes < wantedBytes) {
      return MoveResult.refused(
          nodeFull(node, freeBytes, wantedBytes).detail(), residency(before), node);
    }
    NodeMask target = NodeMask.of(node);
    bind(nodes.or(target), fromPage, toPage);
    int errno = movePages(fromPage, toPage, node);
    int[] after = nodes(fromPage, toPage);
    NodeMask found = NodeMask.of(Arrays.stream(after).distinct().toArray());
    bind(nodes.containsAll(found) ? nodes : found, fromPage, toPage);
    return MoveResult.of(residency(after), node, page -> "move_pages=errno " + -errno);
  }

  private Residency residency(int[] found) {
    return new Residency(osPageBytes, found, EmulatedSource.NAME);
  }

  /** Moves what can be moved; returns 0, or −errno of the first call that did not. */
  private int movePages(int fromPage, int toPage, int node) {
    for (int page = fromPage; page < toPage; ) {
      int end = Math.min(toPage, page + CALL_PAGES);
      long[] addresses = new long[end - page];
      int first = page;
      Arrays.setAll(addresses, i -> address(first + i));
      int[] targets = new int[addresses.length];
      Arrays.fill(targets, node);
      int errno = kernel.movePages(addresses, targets, new int[end - page], Uapi.MPOL_MF_MOVE);
      if (errno != 0) {
        return errno;
      }
      page = end;
    }
    return 0;
  }

  private void bind(NodeMask mask, int fromPage, int toPage) {
    int errno = mbind(mask, fromPage, toPage, MemoryPolicy.Mode.BIND, 0);
    requireDone("mbind", errno, fromPage, toPage);
  }

  private synchronized CommitResult commitAlone(int fromPage, int toPage) {
    requireLive();
    BitSet absent = present(fromPage, toPage);
    absent.flip(0, toPage - fromPage);
    long wantedBytes = (long) absent.cardinality() * osPageBytes;
    if (wantedBytes == 0) {
      return CommitResult.COMMITTED;
    }
    List<Run> missing = runs(absent, fromPage);
    for (int node : nodes.stream().toArray()) {
      long shareBytes = pages(node, missing) * osPageBytes;
      long freeBytes = kernel.freeBytes(node);
      if (freeBytes < shareBytes) {
        return nodeFull(node, freeBytes, shareBytes);
      }
    }
    CommitResult room = room(files, wantedBytes);
    if (!room.isCommitted()) {
      return room;
    }
    boolean done = false;
    try {
      CommitResult result = populateAndBind(missing, wantedBytes);
      done = result.isCommitted();
      return result;
    } finally {
      if (!done) {
        missing.forEach(this::giveBack);
      }
    }
  }

  /** Populates first and binds then: a touch under BIND is a kill where the node is full. */
  private CommitResult populateAndBind(List<Run> missing, long wantedBytes) {
    if (stripe().isSingle()) {
      missing.forEach(run -> advise(run.from, run.to, Uapi.MADV_POPULATE_WRITE));
    } else {
      missing.forEach(this::populateByNode);
      // Bound to all nodes together, a page on the wrong one of them would not be noticed.
      for (Run run : missing) {
        CommitResult placed = requirePlaced(run, wantedBytes);
        if (!placed.isCommitted()) {
          return placed;
        }
      }
    }
    for (Run run : missing) {
      int errno = mbind(nodes, run.from, run.to, MemoryPolicy.Mode.BIND, Uapi.MPOL_MF_STRICT);
      if (errno == -Uapi.EIO) {
        return new CommitResult(
            CommitResult.Outcome.LOST_RACE,
            "node=" + node() + ", mbind_strict=EIO, wanted_bytes=" + wantedBytes);
      }
      requireDone("mbind", errno, run.from, run.to);
    }
    return CommitResult.COMMITTED;
  }

  /** Lets the range prefer one node after the other, and populates only that node's pages. */
  private void populateByNode(Run run) {
    nodes.stream()
        .filter(node -> stripe().pages(node, run.from, run.to) > 0)
        .forEach(
            node -> {
              prefer(node, run.from, run.to);
              for (int page = run.from; page < run.to; ) {
                int end = (int) Math.min(run.to, stripe().runEnd(page));
                if (stripe().node(page) == node) {
                  advise(page, end, Uapi.MADV_POPULATE_WRITE);
                }
                page = end;
              }
            });
  }

  /** Asks where pages lie, and names the first that is not on its own node. */
  private CommitResult requirePlaced(Run run, long wantedBytes) {
    int[] found = nodes(run.from, run.to);
    for (int i = 0; i < found.length; i++) {
      int node = stripe().node(run.from + (long) i);
      if (found[i] != node) {
        return new CommitResult(
            CommitResult.Outcome.LOST_RACE,
            "node=" + node + ", found_on_node=" + found[i] + ", wanted_bytes=" + wantedBytes);
      }
    }
    return CommitResult.COMMITTED;
  }

  void purge(int fromPage, int toPage) {
    BitSet dirty;
    synchronized (this) {
      requireLive();
      dirty = present(fromPage, toPage);
    }
    zero(dirty, fromPage);
    synchronized (this) {
      // A release may have come between; it has given all back then.
      if (!released) {
        // What is locked cannot be given back.
        unlock(fromPage, toPage);
        // In this order no page is absent under BIND, where a stray touch would be a kill.
        prefer(node(), fromPage, toPage);
        advise(fromPage, toPage, Uapi.MADV_DONTNEED);
      }
    }
  }

  void release() {
    BitSet dirty;
    synchronized (this) {
      requireLive();
      released = true;
      dirty = present(0, pages());
      requireDone("munmap", kernel.unmap(address, bytes()), 0, pages());
    }
    zero(dirty, 0);
  }

  synchronized int[] nodes(int fromPage, int toPage) {
    requireLive();
    int[] nodes = new int[toPage - fromPage];
    for (int at = 0; at < nodes.length; at += CALL_PAGES) {
      int[] status = new int[Math.min(CALL_PAGES, nodes.length - at)];
      long[] addresses = new long[status.length];
      int first = fromPage + at;
      Arrays.setAll(addresses, page -> address(first + page));
      int errno = kernel.movePages(addresses, null, status, 0);
      requireDone("move_pages", errno, first, first + status.length);
      System.arraycopy(status, 0, nodes, at, status.length);
    }
    // Nothing reads these pages through the kernel, so a page is on a node or not there.
    Arrays.setAll(nodes, page -> nodes[page] >= 0 ? nodes[page] : Residency.NOT_PRESENT);
    return nodes;
  }

  synchronized void requireLive() {
    if (released) {
      throw new IllegalStateException(
          "region was released: node=" + node() + ", bytes=" + bytes() + "; reserve another");
    }
  }

  /** Takes pages back that a commit that failed brought in, with the policy that it left. */
  private void giveBack(Run run) {
    prefer(node(), run.from, run.to);
    advise(run.from, run.to, Uapi.MADV_DONTNEED);
  }

  private static List<Run> runs(BitSet pages, int firstPage) {
    List<Run> runs = new ArrayList<>();
    for (int from = pages.nextSetBit(0); from >= 0; ) {
      int to = pages.nextClearBit(from);
      runs.add(new Run(firstPage + from, firstPage + to));
      from = pages.nextSetBit(to);
    }
    return runs;
  }

  private long pages(int node, List<Run> runs) {
    return runs.stream().mapToLong(run -> stripe().pages(node, run.from, run.to)).sum();
  }

  private BitSet present(int fromPage, int toPage) {
    return kernel.present(address(fromPage), address(toPage) - address(fromPage));
  }

  private void prefer(int node, int fromPage, int toPage) {
    int errno = mbind(NodeMask.of(node), fromPage, toPage, MemoryPolicy.Mode.PREFERRED, 0);
    requireDone("mbind", errno, fromPage, toPage);
  }

  private int mbind(NodeMask mask, int fromPage, int toPage, MemoryPolicy.Mode mode, int flags) {
    return kernel.mbind(
        address(fromPage),
        address(toPage) - address(fromPage),
        mode.number() | Uapi.MPOL_F_STATIC_NODES,
        mask.toWords(MASK_WORDS),
        // The kernel drops the last bit that it is told of.
        NodeMask.MAX_NODES + 1L,
        flags);
  }

  private void advise(int fromPage, int toPage, int advice) {
    int errno = kernel.advise(address(fromPage), address(toPage) - address(fromPage), advice);
    requireDone("madvise", errno, fromPage, toPage);
  }

  private void requireDone(String function, int errno, int fromPage, int toPage) {
    if (errno != 0) {
      throw new NativeCallException(
          function,
          -errno,
          "errno " + -errno,
          "stripe=" + stripe() + ", fromPage=" + fromPage + ", toPage=" + toPage);
    }
  }

  private long address(int page) {
    return address + (long) page * osPageBytes;
  }

  private int pages() {
    return (int) (bytes() / osPageBytes);
  }

  /**
   * Zeroes pages, given from {@code fromPage}; one that holds zeros is not written: a hole stays.
   */
  private void zero(BitSet pages, int fromPage) {
    pages.stream()
        .forEach(
            page -> {
              ByteBuffer memory = page(fromPage + page);
              if (memory.mismatch(zeros) >= 0) {
                memory.put(0, zeros, 0, osPageBytes);
              }
            });
  }

  private ByteBuffer page(int page) {
    long offset = (long) page * osPageBytes;
    return roots()
        .get((int) (offset / MemorySource.ROOT_BYTES))
        .slice((int) (offset % MemorySource.ROOT_BYTES), osPageBytes);
  }

  /** Tells whether a node and the directory have room, by what a commit asks first. */
  static CommitResult room(EmulatedKernel kernel, int node, BackingFiles files, long wantedBytes) {
    long freeBytes = kernel.freeBytes(node);
    return freeBytes < wantedBytes
        ? nodeFull(node, freeBytes, wantedBytes)
        : room(files, wantedBytes);
  }

  // Beyond the file system's last free block a write to the mapping is a fault, not an error.
  private static CommitResult room(BackingFiles files, long wantedBytes) {
    long usableBytes = files.usableBytes();
    return usableBytes - BackingFiles.MARGIN_BYTES < wantedBytes
        ? directoryFull(files, usableBytes, wantedBytes)
        : CommitResult.COMMITTED;
  }

  private static CommitResult nodeFull(int node, long freeBytes, long wantedBytes) {
    return new CommitResult(
        CommitResult.Outcome.NODE_FULL,
        "node=" + node + ", free_bytes=" + freeBytes + ", wanted_bytes=" + wantedBytes);
  }

  private static CommitResult directoryFull(
      BackingFiles files, long usableBytes, long wantedBytes) {
    return new CommitResult(
        CommitResult.Outcome.LIMIT_REACHED,
        "java.io.tmpdir="
            + files.directory()
            + ", usable_bytes="
            + usableBytes
            + ", margin_bytes="
            + BackingFiles.MARGIN_BYTES
            + ", wanted_bytes="
            + wantedBytes);
  }
}
