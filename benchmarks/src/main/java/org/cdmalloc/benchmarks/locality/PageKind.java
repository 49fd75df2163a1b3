/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

/** The pages that a measurement asks for. */
enum PageKind {
  SMALL("4 KiB"),
  HUGE("2 MiB");

  /** How the report calls them, on a host whose small pages have 4 KiB. */
  final String title;

  PageKind(String title) {
    this.title = title;
  }
}
