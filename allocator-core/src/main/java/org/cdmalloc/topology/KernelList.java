/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.topology;

import java.util.BitSet;

/**
 * The kernel's list syntax for sets of small numbers, {@code 0-3,8}: decimal numbers and ascending
 * ranges between commas, as {@code bitmap_parselist} reads and {@code %*pbl} prints them
 * (lib/bitmap-str.c; cpuset(7), "List format"). The stride form {@code 0-31:2/4} never stands in
 * sysfs and is not read.
 */
final class KernelList {
  private KernelList() {}

  /**
   * Reads a list.
   *
   * @param text the list; blanks around it and around numbers are allowed; empty means no members
   * @param limit the first number that is too large
   * @param noun what is listed, for the message
   * @return the members
   * @throws IllegalArgumentException if the text is not such a list
   */
  static BitSet parse(String text, int limit, String noun) {
    BitSet members = new BitSet();
    String list = text.strip();
    if (list.isEmpty()) {
      return members;
    }
    int parts = 0;
    for (int start = 0; start <= list.length(); ) {
      // No list the kernel prints has as many: bounds the work on one that is all repetition.
      if (++parts > limit) {
        throw malformed(noun, text, "parts=" + parts + ", limit=" + limit);
      }
      int comma = list.indexOf(',', start);
      int end = comma < 0 ? list.length() : comma;
      String part = list.substring(start, end);
      int dash = part.indexOf('-', 1);
      int first = number(dash < 0 ? part : part.substring(0, dash), limit, noun, text);
      int last = dash < 0 ? first : number(part.substring(dash + 1), limit, noun, text);
      if (last < first) {
        throw malformed(noun, text, "range=" + quoted(part) + " runs backwards");
      }
      members.set(first, last + 1);
      start = end + 1;
    }
    return members;
  }

  /** Prints a set as the kernel does: ascending, runs of two and more as ranges. */
  static String format(BitSet members) {
    StringBuilder list = new StringBuilder();
    for (int first = members.nextSetBit(0); first >= 0; ) {
      int end = members.nextClearBit(first);
      list.append(list.length() == 0 ? "" : ",").append(first);
      if (end - first > 1) {
        list.append('-').append(end - 1);
      }
      first = members.nextSetBit(end);
    }
    return list.toString();
  }

  /**
   * Reads a decimal number.
   *
   * @param digits any text
   * @return its value, or −1 if it is not 1 to 18 ASCII digits
   */
  static long decimal(String digits) {
    if (digits.isEmpty() || digits.length() > 18) {
      return -1;
    }
    long value = 0;
    for (int i = 0; i < digits.length(); i++) {
      char c = digits.charAt(i);
      if (c < '0' || c > '9') {
        return -1;
      }
      value = value * 10 + (c - '0');
    }
    return value;
  }

  /** Prepares foreign text for a message: short, in quotes, without control characters. */
  static String quoted(String text) {
    String start = text.length() <= 40 ? text : text.substring(0, 40) + "…";
    return '"' + start.replaceAll("\\p{Cntrl}", "?") + '"';
  }

  private static int number(String digits, int limit, String noun, String text) {
    long value = decimal(digits.strip());
    if (value < 0) {
      throw malformed(noun, text, "part=" + quoted(digits) + " is not a number");
    }
    if (value >= limit) {
      throw malformed(noun, text, noun + "=" + value + ", limit=" + limit);
    }
    return (int) value;
  }

  private static IllegalArgumentException malformed(String noun, String text, String why) {
    return new IllegalArgumentException(
        "not a list of " + noun + "s like 0-3,8: list=" + quoted(text) + ", " + why);
  }
}
