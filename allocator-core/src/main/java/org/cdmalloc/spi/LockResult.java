/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.spi;

import java.util.Objects;

/**
 * What came of a {@link MemorySource#lock lock}.
 *
 * @param isLocked true if all of the range is locked
 * @param detail empty for what is locked; else the figures that decided, as {@code name=value}
 *     pairs, and what lifts the limit
 */
public record LockResult(boolean isLocked, String detail) {
  /** All of the range is locked. */
  public static final LockResult LOCKED = new LockResult(true, "");

  /**
   * Makes a result.
   *
   * @param isLocked as {@link #isLocked()}
   * @param detail as {@link #detail()}
   * @throws NullPointerException if the detail is null
   * @throws IllegalArgumentException if what is locked has a detail, or a refusal has none
   */
  public LockResult {
    Objects.requireNonNull(detail, "detail");
    if (isLocked != detail.isEmpty()) {
      throw new IllegalArgumentException(
          "a refusal has a detail, and nothing else: locked=" + isLocked + ", detail=" + detail);
    }
  }

  /**
   * Makes the result of a range that was refused.
   *
   * @param detail what decided, and what lifts it; not empty
   * @return a result that is not locked
   * @throws NullPointerException if the detail is null
   * @throws IllegalArgumentException if the detail is empty
   */
  public static LockResult refused(String detail) {
    return new LockResult(false, detail);
  }
}
