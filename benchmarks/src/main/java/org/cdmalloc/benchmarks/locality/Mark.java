/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

/** What a reader must know of a figure before he uses it. */
enum Mark {
  DISTURBED(
      "*",
      "disturbed",
      "disturbed: something else ran on the CPU, or the figures spread by over 15 %"),
  MAY_HIT_CACHE(
      "c",
      "may include cache hits",
      "may include cache hits: the memory is less than four last-level caches"),
  FEWER_HUGE_PAGES(
      "h",
      "fewer huge pages",
      "fewer huge pages than asked for: less than nine tenths of the memory");

  /** Stands behind the figure. */
  final String sign;

  /** What the sign means, in a word or two. */
  final String title;

  /** What the sign means. */
  final String meaning;

  Mark(String sign, String title, String meaning) {
    this.sign = sign;
    this.title = title;
    this.meaning = meaning;
  }
}
