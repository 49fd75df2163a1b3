/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.spi;

import java.nio.ByteBuffer;
import java.util.List;
import java.util.Objects;

/**
 * A contiguous range of offsets whose memory comes from one node, or page by page from the nodes of
 * a {@link Stripe}: what a {@link MemorySource} reserves.
 *
 * <p>Addresses may have gaps at multiples of {@link MemorySource#ROOT_BYTES}: a source that maps a
 * region in several pieces cannot choose where they lie. Each piece has a root buffer from which
 * views are sliced, by the source or without asking it by the allocator; a slice keeps its root
 * reachable, and with it the mapping. A source may keep state of its own in a subclass. The fields
 * are immutable; whether the region was released is the source's business.
 */
public class Region {
  private static final int ROOT_SHIFT = Long.numberOfTrailingZeros(MemorySource.ROOT_BYTES);

  private final Stripe stripe;
  private final long bytes;
  private final boolean bound;
  private final long address;
  private final List<ByteBuffer> roots;

  /** The same, so that a view needs no call of a list's. */
  private final ByteBuffer[] views;

  /**
   * Makes a region of one node.
   *
   * @param node whose memory it holds
   * @param bytes as of a region of several nodes
   * @param bound as of a region of several nodes
   * @param address as of a region of several nodes
   * @param roots as of a region of several nodes
   */
  public Region(int node, long bytes, boolean bound, long address, List<ByteBuffer> roots) {
    this(Stripe.of(node), bytes, bound, address, roots);
  }

  /**
   * Makes a region.
   *
   * @param stripe which nodes its OS pages come from
   * @param bytes its length, in bytes
   * @param bound true if the platform took the binding to the nodes
   * @param address of the first byte where the whole region is contiguous, or 0 where only the
   *     roots know
   * @param roots the i-th views the bytes from offset {@code i * MemorySource.ROOT_BYTES}, at least
   *     that many or to the end; empty for a region that cannot be viewed, which must then have an
   *     address
   */
  public Region(Stripe stripe, long bytes, boolean bound, long address, List<ByteBuffer> roots) {
    if (bytes <= 0 || (address == 0 && roots.isEmpty())) {
      throw new IllegalArgumentException(
          "a region needs bytes, and an address or roots: bytes="
              + bytes
              + ", address="
              + address
              + ", roots="
              + roots.size());
    }
    this.stripe = Objects.requireNonNull(stripe, "stripe");
    this.bytes = bytes;
    this.bound = bound;
    this.address = address;
    this.roots = List.copyOf(roots);
    this.views = this.roots.toArray(ByteBuffer[]::new);
  }

  /**
   * Returns the node whose memory this is; of a striped region the first.
   *
   * @return its number
   */
  public final int node() {
    return stripe.first();
  }

  /**
   * Returns how the region's OS pages are dealt out to nodes.
   *
   * @return one node, or several in turn
   */
  public final Stripe stripe() {
    return stripe;
  }

  /**
   * Returns the region's length.
   *
   * @return bytes, positive
   */
  public final long bytes() {
    return bytes;
  }

  /**
   * Tells whether the platform took the binding to the node.
   *
   * @return false where binding is refused and nobody can say where pages will lie
   */
  public final boolean isBound() {
    return bound;
  }

  /**
   * Returns the address of the first byte of a contiguous region.
   *
   * @return the address, or 0 where only the roots know theirs
   */
  public final long address() {
    return address;
  }

  /**
   * Returns the root buffers.
   *
   * @return the i-th begins at offset {@code i * MemorySource.ROOT_BYTES}
   */
  public final List<ByteBuffer> roots() {
    return roots;
  }

  /**
   * Returns a buffer over a range of one root buffer. Does not look whether the region was
   * released: that is its source's business, as {@link MemorySource#view} is, or the caller's who
   * knows.
   *
   * @param offset of the range's first byte in the region, in bytes; any
   * @param count the range's length in bytes, 0 … 2<sup>31</sup> − 1; any
   * @return a direct, big-endian buffer of exactly that capacity, which keeps the root reachable
   * @throws IllegalArgumentException if the range is not in the region, or not in one root buffer
   * @throws UnsupportedOperationException if the region has no root buffers
   */
  public final ByteBuffer slice(long offset, int count) {
    if (offset < 0 || count < 0 || offset > bytes - count) {
      throw outside(offset, count);
    }
    if (views.length == 0) {
      throw unseen(offset, count);
    }
    // An empty view at the end of the last root belongs to that root.
    int index = (int) Math.min(offset >>> ROOT_SHIFT, views.length - 1L);
    long within = offset - ((long) index << ROOT_SHIFT);
    ByteBuffer root = views[index];
    if (count > root.capacity() - within) {
      throw crossing(offset, count);
    }
    return root.slice((int) within, count);
  }

  private IllegalArgumentException outside(long offset, int count) {
    return new IllegalArgumentException(
        "range is not in the region: "
            + range(offset, count)
            + "; ask for one that begins and ends in it");
  }

  private UnsupportedOperationException unseen(long offset, int count) {
    return new UnsupportedOperationException(
        "a region of addresses alone cannot be viewed: "
            + range(offset, count)
            + "; use its address");
  }

  private IllegalArgumentException crossing(long offset, int count) {
    return new IllegalArgumentException(
        "range is longer than one buffer can show here: "
            + range(offset, count)
            + "; the largest block that can be viewed has "
            + views[0].capacity()
            + " bytes and begins at a multiple of "
            + MemorySource.ROOT_BYTES);
  }

  private String range(long offset, int count) {
    return "offset=" + offset + ", bytes=" + count + ", region_bytes=" + bytes;
  }
}
