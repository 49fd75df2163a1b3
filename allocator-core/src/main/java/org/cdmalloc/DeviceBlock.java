/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.util.Objects;

/**
 * A block that a holder of a device's capability pays for. Immutable.
 *
 * @param holder as {@link HolderReport#holder()}
 * @param address the block's first byte
 * @param chargedBytes what is charged: the usable bytes of a block that was allocated in the right
 *     of the capability, wherever it lies; of another one that was moved to the device in its
 *     right, what lies there
 * @param spilledBytes how much of it is system memory that the holder's budgets pay for
 */
public record DeviceBlock(String holder, long address, long chargedBytes, long spilledBytes) {
  /**
   * Makes an entry.
   *
   * @param holder as {@link #holder()}
   * @param address as {@link #address()}
   * @param chargedBytes as {@link #chargedBytes()}
   * @param spilledBytes as {@link #spilledBytes()}
   * @throws NullPointerException if {@code holder} is null
   */
  public DeviceBlock {
    Objects.requireNonNull(holder, "holder");
  }

  /** Prints {@code DeviceBlock[holder=device2/cache, address=0x7f…, …]}, the address in hex. */
  @Override
  public String toString() {
    return "DeviceBlock[holder="
        + holder
        + ", address=0x"
        + Long.toHexString(address)
        + ", chargedBytes="
        + chargedBytes
        + ", spilledBytes="
        + spilledBytes
        + "]";
  }
}
