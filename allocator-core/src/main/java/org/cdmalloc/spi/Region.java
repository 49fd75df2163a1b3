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
 * views are sliced; a slice keeps its root reachable, and with it the mapping. A source may keep
 * state of its own in a subclass. The fields are immutable; whether the region was released is the
 * source's business.
 */
public class Region {
  private final Stripe stripe;
  private final long bytes;
  private final boolean bound;
  private final long address;
  private final List<ByteBuffer> roots;

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
}
