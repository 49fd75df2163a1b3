/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.BitSet;
import org.cdmalloc.NativeCallException;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Region;
import org.cdmalloc.spi.Residency;
import org.cdmalloc.topology.NodeMask;

/**
 * A region: a mapping of the emulated kernel, whose page k stands for page k of the region's
 * memory. What is committed is what the kernel says is there. The lock is held while the kernel is
 * asked, never while memory is zeroed. Ranges are in pages from the region's start, and valid: the
 * source checks.
 *
 * <p>A page that is not committed holds zeros: the file had them, and whoever takes a page back
 * leaves them. Hence a commit writes nothing.
 */
final class EmulatedRegion extends Region {
  private static final int MASK_WORDS = NodeMask.MAX_NODES / Long.SIZE;

  /** Pages per call, so that the arguments of a query stay small. */
  private static final int CALL_PAGES = 1 << 14;

  private final EmulatedSource source;
  private final EmulatedKernel kernel;
  private final Object committer;
  private final BackingFiles files;
  private final int osPageBytes;
  private final ByteBuffer zeros;
  private final long address;

  // Guarded by this.
  private boolean released;

  /**
   * Reserves a region.
   *
   * @param source whose region it is
   * @param kernel maps it
   * @param committer the lock of the node's committers; taken before this region's
   * @param files hold its content
   * @param node its node
   * @param bytes its length
   */
  EmulatedRegion(
      EmulatedSource source,
      EmulatedKernel kernel,
      Object committer,
      BackingFiles files,
      int node,
      long bytes) {
    super(node, bytes, true, 0, files.map(bytes));
    this.source = source;
    this.kernel = kernel;
    this.committer = committer;
    this.files = files;
    this.osPageBytes = source.osPageBytes();
    this.zeros = ByteBuffer.allocate(osPageBytes).asReadOnlyBuffer();
    this.address = kernel.map(bytes);
    prefer(0, Math.toIntExact(bytes / osPageBytes));
  }

  boolean isOf(EmulatedSource other) {
    return source == other;
  }

  CommitResult commit(int fromPage, int toPage) {
    synchronized (committer) {
      return commitAlone(fromPage, toPage);
    }
  }

  private synchronized CommitResult commitAlone(int fromPage, int toPage) {
    requireLive();
    BitSet absent = present(fromPage, toPage);
    absent.flip(0, toPage - fromPage);
    long wantedBytes = (long) absent.cardinality() * osPageBytes;
    if (wantedBytes == 0) {
      return CommitResult.COMMITTED;
    }
    long freeBytes = kernel.freeBytes(node());
    if (freeBytes < wantedBytes) {
      return nodeFull(freeBytes, wantedBytes);
    }
    // Beyond the file system's last free block a write to the mapping is a fault, not an error.
    long usableBytes = files.usableBytes();
    if (usableBytes - BackingFiles.MARGIN_BYTES < wantedBytes) {
      return directoryFull(usableBytes, wantedBytes);
    }
    // Populated first, bound then: a touch under BIND is a kill where the node is full.
    advise(fromPage, toPage, Uapi.MADV_POPULATE_WRITE);
    int errno = mbind(fromPage, toPage, MemoryPolicy.Mode.BIND, Uapi.MPOL_MF_STRICT);
    if (errno == -Uapi.EIO) {
      giveBack(absent, fromPage);
      return new CommitResult(
          CommitResult.Outcome.LOST_RACE,
          "node=" + node() + ", mbind_strict=EIO, wanted_bytes=" + wantedBytes);
    }
    requireDone("mbind", errno, fromPage, toPage);
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
        // In this order no page is absent under BIND, where a stray touch would be a kill.
        prefer(fromPage, toPage);
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

  private void giveBack(BitSet pages, int firstPage) {
    for (int from = pages.nextSetBit(0); from >= 0; ) {
      int to = pages.nextClearBit(from);
      advise(firstPage + from, firstPage + to, Uapi.MADV_DONTNEED);
      from = pages.nextSetBit(to);
    }
  }

  private BitSet present(int fromPage, int toPage) {
    return kernel.present(address(fromPage), address(toPage) - address(fromPage));
  }

  private void prefer(int fromPage, int toPage) {
    int errno = mbind(fromPage, toPage, MemoryPolicy.Mode.PREFERRED, 0);
    requireDone("mbind", errno, fromPage, toPage);
  }

  private int mbind(int fromPage, int toPage, MemoryPolicy.Mode mode, int flags) {
    return kernel.mbind(
        address(fromPage),
        address(toPage) - address(fromPage),
        mode.number() | Uapi.MPOL_F_STATIC_NODES,
        NodeMask.of(node()).toWords(MASK_WORDS),
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
          "node=" + node() + ", fromPage=" + fromPage + ", toPage=" + toPage);
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

  private CommitResult nodeFull(long freeBytes, long wantedBytes) {
    return new CommitResult(
        CommitResult.Outcome.NODE_FULL,
        "node=" + node() + ", free_bytes=" + freeBytes + ", wanted_bytes=" + wantedBytes);
  }

  private CommitResult directoryFull(long usableBytes, long wantedBytes) {
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
