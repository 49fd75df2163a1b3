/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.util.Objects;

/**
 * The account of one holder of a device's capability at one moment. What a holder uses, all above
 * it use too. Immutable.
 *
 * @param node the device
 * @param holder the names of the capabilities from the root's on, as {@code device2/cache}
 * @param quotaBytes the most that the holder may use, or {@link #UNLIMITED}; those above it may set
 *     less
 * @param usedBytes the usable bytes of all blocks that are charged to the holder or to one below,
 *     and of requests in work
 * @param spillBudgetBytes the narrowest of the bounds within which the holder may spill, its
 *     budgets and the device's {@link NodeAttributes#spillCeilingBytes()}; 0 if it is strict
 * @param spilledBytes how much of what is used the budgets of the holder, and of those below it,
 *     pay for: what was spilled into system memory, and not moved to the device since
 * @param idleNanos the time since something was last asked for or freed in the right of the holder
 *     or of one below, or since it was made; to use a block is nothing that can be seen
 * @param revoked whether nothing is served any more in this right
 */
public record HolderReport(
    int node,
    String holder,
    long quotaBytes,
    long usedBytes,
    long spillBudgetBytes,
    long spilledBytes,
    long idleNanos,
    boolean revoked) {
  /** Stands for a quota that was not set. */
  public static final long UNLIMITED = Long.MAX_VALUE;

  /**
   * Makes a report.
   *
   * @param node as {@link #node()}
   * @param holder as {@link #holder()}
   * @param quotaBytes as {@link #quotaBytes()}
   * @param usedBytes as {@link #usedBytes()}
   * @param spillBudgetBytes as {@link #spillBudgetBytes()}
   * @param spilledBytes as {@link #spilledBytes()}
   * @param idleNanos as {@link #idleNanos()}
   * @param revoked as {@link #revoked()}
   * @throws NullPointerException if {@code holder} is null
   */
  public HolderReport {
    Objects.requireNonNull(holder, "holder");
  }
}
