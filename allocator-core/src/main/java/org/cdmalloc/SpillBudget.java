/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import org.cdmalloc.internal.account.Allowance;

/**
 * How much system memory blocks may take that their device had no room for. A budget may be given
 * to any number of capabilities, of several devices too; what they spill together stays within it.
 * By itself it gives no right to anything. What all holders of a device spill together may be
 * bounded too ({@link NodeAttributes#spillCeilingBytes()}).
 *
 * <p>Why there is one: a device with a hundred times the memory of the host that is off by one
 * percent would otherwise take all of it (D. Hansen, linux-mm, 30 January 2017, on the
 * coherent-device-memory patches).
 *
 * <p>Safe for use by any number of threads.
 */
public final class SpillBudget {
  private final Allowance allowance;

  private SpillBudget(long bytes) {
    this.allowance = new Allowance(bytes);
  }

  /**
   * Makes a budget of which nothing is used.
   *
   * @param bytes how much, in usable bytes of blocks; 0 for none, which is as strict as no budget
   * @return a new budget
   * @throws IllegalArgumentException if {@code bytes} is negative
   */
  public static SpillBudget ofBytes(long bytes) {
    if (bytes < 0) {
      throw new IllegalArgumentException(
          "spill budget is negative: bytes=" + bytes + "; give 0 or more");
    }
    return new SpillBudget(bytes);
  }

  /**
   * Returns how much may be spilled.
   *
   * @return bytes
   */
  public long limitBytes() {
    return allowance.limitBytes();
  }

  /**
   * Returns how much is spilled now, and by requests in work. A block counts until it is freed, or
   * was moved to its device.
   *
   * @return bytes, never more than {@link #limitBytes()}
   */
  public long spilledBytes() {
    return allowance.usedBytes();
  }

  /** Returns what requests take of. */
  Allowance allowance() {
    return allowance;
  }

  /** Prints {@code SpillBudget[spilledBytes=4096, limitBytes=1048576]}. */
  @Override
  public String toString() {
    return "SpillBudget[spilledBytes=" + spilledBytes() + ", limitBytes=" + limitBytes() + "]";
  }
}
