/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

/** What a zone tells when it runs short of free pages. Safe for use by any number of threads. */
interface Pressure {
  /** Few pages are free; returns at once. */
  void wake();

  /**
   * A request found nothing, though the zone may have so many pages; returns at once.
   *
   * @param pages how many it was for, positive
   */
  void wakeFor(int pages);

  /** Tells whether memory may still come of what was told. */
  boolean isBusy();

  /** Returns how often memory came; never less than before. */
  long gains();
}
