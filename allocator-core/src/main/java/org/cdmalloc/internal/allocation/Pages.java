/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import org.cdmalloc.internal.zone.Zone;

/** Pages of a zone, in bytes. */
final class Pages {
  /** What of an offset lies within a page. */
  static final long MASK = Zone.PAGE_BYTES - 1;

  private Pages() {}

  /** Returns where a page begins; or how long so many pages are. */
  static long offset(int page) {
    return (long) page * Zone.PAGE_BYTES;
  }

  /** Returns the page in which an offset lies. */
  static int page(long offset) {
    return (int) (offset / Zone.PAGE_BYTES);
  }
}
