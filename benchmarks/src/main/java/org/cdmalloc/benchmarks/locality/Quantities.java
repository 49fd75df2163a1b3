/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import java.util.Locale;

/** How the report prints numbers: with three digits, as far as they mean something. */
final class Quantities {
  private static final String[] UNITS = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  private static final double HUNDRED = 100;
  private static final double TEN = 10;

  private Quantities() {}

  /** Prints bytes in the largest binary unit of which there is one at least. */
  static String binary(long bytes) {
    int unit = Math.max(0, (63 - Long.numberOfLeadingZeros(Math.max(1, bytes))) / 10);
    double value = bytes / (double) (1L << (10 * unit));
    boolean isWhole = value == Math.rint(value);
    return String.format(Locale.ROOT, isWhole ? "%.0f %s" : "%.1f %s", value, UNITS[unit]);
  }

  /** Prints a figure with three digits, without an exponent. */
  static String three(double value) {
    if (value >= HUNDRED) {
      return String.format(Locale.ROOT, "%.0f", value);
    }
    return String.format(Locale.ROOT, value >= TEN ? "%.1f" : "%.2f", value);
  }
}
