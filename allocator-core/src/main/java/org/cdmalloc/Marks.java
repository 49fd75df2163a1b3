/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

/**
 * The levels of free memory of a node at which requests are turned away or memory is given back:
 * the watermarks of a zone of Linux (mm/page_alloc.c, {@code __setup_per_zone_wmarks}), in bytes.
 *
 * @param minBytes the lowest level, not negative
 * @param lowBytes what requests that do not insist on the node leave free, at least {@code
 *     minBytes}
 * @param highBytes the highest level, at least {@code lowBytes}
 */
public record Marks(long minBytes, long lowBytes, long highBytes) {
  /** No levels: all of the node may be used. */
  public static final Marks NONE = new Marks(0, 0, 0);

  /**
   * Makes a set of levels.
   *
   * @param minBytes as {@link #minBytes()}
   * @param lowBytes as {@link #lowBytes()}
   * @param highBytes as {@link #highBytes()}
   * @throws IllegalArgumentException unless 0 ≤ {@code minBytes} ≤ {@code lowBytes} ≤ {@code
   *     highBytes}
   */
  public Marks {
    if (minBytes < 0 || lowBytes < minBytes || highBytes < lowBytes) {
      throw new IllegalArgumentException(
          "marks out of order: minBytes="
              + minBytes
              + ", lowBytes="
              + lowBytes
              + ", highBytes="
              + highBytes
              + "; give 0 <= min <= low <= high");
    }
  }
}
