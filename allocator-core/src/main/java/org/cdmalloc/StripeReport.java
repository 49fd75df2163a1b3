/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.util.List;
import java.util.Objects;
import org.cdmalloc.spi.Stripe;

/**
 * The account of one striped zone, which deals the pages of each of its blocks out to several
 * nodes, at one moment. The figures are read one after another while others allocate and free; at
 * rest they agree. Immutable.
 *
 * <p>What is committed here is part of the capacity of the stripe's nodes, and stands there as
 * {@link NodeReport#stripedBytes()}: the two are not to be added up.
 *
 * @param stripe which nodes the pages come from
 * @param capacityBytes the most that may be used: what the capacities of the nodes allow together,
 *     if nothing else uses them
 * @param reservedBytes the address space, which costs no memory
 * @param committedBytes what the kernel gave and did not get back, of all nodes together
 * @param usedBytes what live blocks hold
 * @param displacedBytes what the last looks found elsewhere than on the node whose turn it was, as
 *     {@link NodeReport#displacedBytes()}
 * @param liveBlocks how many there are
 * @param freeBlocksPerOrder free blocks of 4 KiB · 2<sup>i</sup>, committed or not
 */
public record StripeReport(
    Stripe stripe,
    long capacityBytes,
    long reservedBytes,
    long committedBytes,
    long usedBytes,
    long displacedBytes,
    long liveBlocks,
    List<Integer> freeBlocksPerOrder) {
  /**
   * Makes a report; the list is copied.
   *
   * @param stripe as {@link #stripe()}
   * @param capacityBytes as {@link #capacityBytes()}
   * @param reservedBytes as {@link #reservedBytes()}
   * @param committedBytes as {@link #committedBytes()}
   * @param usedBytes as {@link #usedBytes()}
   * @param displacedBytes as {@link #displacedBytes()}
   * @param liveBlocks as {@link #liveBlocks()}
   * @param freeBlocksPerOrder as {@link #freeBlocksPerOrder()}
   * @throws NullPointerException if an argument or an element is null
   */
  public StripeReport {
    Objects.requireNonNull(stripe, "stripe");
    freeBlocksPerOrder = List.copyOf(freeBlocksPerOrder);
  }

  /**
   * Returns what the zone holds of the kernel in no live block: the most that a trim can give back.
   *
   * @return bytes, not negative
   */
  public long cachedBytes() {
    // A block is counted before the memory behind it.
    return Math.max(0, committedBytes - usedBytes);
  }
}
