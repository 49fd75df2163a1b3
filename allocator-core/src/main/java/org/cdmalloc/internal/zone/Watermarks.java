/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zone;

/**
 * Levels of free pages at which requests are turned away or reclaim starts, as in a zone of Linux
 * (mm/page_alloc.c, {@code __setup_per_zone_wmarks}). Which level holds for which request is its
 * caller's decision; {@link Zone#take} is given a number.
 *
 * @param minPages the lowest level, not negative
 * @param lowPages the level in the middle, at least {@code minPages}
 * @param highPages the highest level, at least {@code lowPages}
 */
public record Watermarks(int minPages, int lowPages, int highPages) {
  private static final int CAPACITY_PER_MIN = 256;

  /**
   * Makes a set of levels.
   *
   * @param minPages the lowest level
   * @param lowPages the level in the middle
   * @param highPages the highest level
   * @throws IllegalArgumentException unless 0 ≤ {@code minPages} ≤ {@code lowPages} ≤ {@code
   *     highPages}
   */
  public Watermarks {
    if (minPages < 0 || lowPages < minPages || highPages < lowPages) {
      throw new IllegalArgumentException(
          "watermarks out of order: minPages="
              + minPages
              + ", lowPages="
              + lowPages
              + ", highPages="
              + highPages
              + "; give 0 <= min <= low <= high");
    }
  }

  /**
   * Returns the default levels of a zone: min is 1/256 of it, low a quarter above min, high half
   * above min, each rounded down to whole pages.
   *
   * @param capacityPages the zone's size in pages, positive
   * @return the levels; all 0 for a zone of less than 256 pages
   * @throws IllegalArgumentException if the capacity is not positive
   */
  public static Watermarks of(int capacityPages) {
    if (capacityPages < 1) {
      throw new IllegalArgumentException(
          "zone without pages: capacityPages=" + capacityPages + "; give at least 1");
    }
    int min = capacityPages / CAPACITY_PER_MIN;
    return new Watermarks(min, min + min / 4, min + min / 2);
  }
}
