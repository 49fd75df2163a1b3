/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Region;
import org.cdmalloc.spi.Residency;

/**
 * A region and which of its OS pages are committed. The lock is held while pages are counted, never
 * while memory is zeroed. Ranges are in pages from the region's start, and valid: the source
 * checks.
 *
 * <p>A page that is not committed holds zeros: the file had them, and whoever takes a page back
 * leaves them. Hence a commit writes nothing.
 */
final class EmulatedRegion extends Region {
  private final EmulatedSource source;
  private final NodeAccount account;
  private final BackingFiles files;
  private final int osPageBytes;
  private final ByteBuffer zeros;

  // Guarded by this.
  private BitSet committed = new BitSet();
  private boolean released;

  EmulatedRegion(
      EmulatedSource source,
      NodeAccount account,
      BackingFiles files,
      long bytes,
      List<ByteBuffer> roots) {
    super(account.node().id(), bytes, true, 0, roots);
    this.source = source;
    this.account = account;
    this.files = files;
    this.osPageBytes = source.osPageBytes();
    this.zeros = ByteBuffer.allocate(osPageBytes).asReadOnlyBuffer();
  }

  boolean isOf(EmulatedSource other) {
    return source == other;
  }

  synchronized CommitResult commit(int fromPage, int toPage) {
    requireLive();
    long wantedBytes = (long) (toPage - fromPage - committedPages(fromPage, toPage)) * osPageBytes;
    if (wantedBytes == 0) {
      return CommitResult.COMMITTED;
    }
    if (!account.tryTake(wantedBytes)) {
      return nodeFull(wantedBytes);
    }
    // Beyond the file system's last free block a write to the mapping is a fault, not an error.
    long usableBytes = files.usableBytes();
    if (usableBytes - BackingFiles.MARGIN_BYTES < wantedBytes) {
      account.give(wantedBytes);
      return directoryFull(usableBytes, wantedBytes);
    }
    committed.set(fromPage, toPage);
    return CommitResult.COMMITTED;
  }

  void purge(int fromPage, int toPage) {
    BitSet dirty;
    synchronized (this) {
      requireLive();
      dirty = committed.get(fromPage, toPage);
    }
    zero(dirty, fromPage);
    synchronized (this) {
      // A release may have come between; it has emptied the set and the account then.
      account.give((long) committedPages(fromPage, toPage) * osPageBytes);
      committed.clear(fromPage, toPage);
    }
  }

  void release() {
    BitSet dirty;
    synchronized (this) {
      requireLive();
      released = true;
      dirty = committed;
      committed = new BitSet();
      account.give((long) dirty.cardinality() * osPageBytes);
    }
    zero(dirty, 0);
  }

  synchronized int[] nodes(int fromPage, int toPage) {
    requireLive();
    int[] nodes = new int[toPage - fromPage];
    Arrays.fill(nodes, Residency.NOT_PRESENT);
    committed.get(fromPage, toPage).stream().forEach(page -> nodes[page] = node());
    return nodes;
  }

  synchronized void requireLive() {
    if (released) {
      throw new IllegalStateException(
          "region was released: node=" + node() + ", bytes=" + bytes() + "; reserve another");
    }
  }

  private int committedPages(int fromPage, int toPage) {
    return committed.get(fromPage, toPage).cardinality();
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

  private CommitResult nodeFull(long wantedBytes) {
    return new CommitResult(
        CommitResult.Outcome.NODE_FULL,
        "node=" + node() + ", free_bytes=" + account.freeBytes() + ", wanted_bytes=" + wantedBytes);
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
