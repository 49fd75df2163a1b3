/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.util.List;
import java.util.function.LongSupplier;

/**
 * An audit that never ends: one window a step, in turn through all zones, and so long a rest after
 * each step that all steps together take at most a hundredth of the time. Used by one thread.
 */
final class Sampler {
  private static final Logger LOGGER = System.getLogger("org.cdmalloc");

  /** How many times as long as a step the rest after it is, at least: 1 in 100 is work. */
  private static final long REST_FACTOR = 99;

  private final Audit audit;
  private final AllocationPath allocation;
  private final long periodNanos;
  private final LongSupplier nanoTime;
  private int place;
  private int nextWindow;
  private boolean hasFailed;

  /**
   * Makes a sampler that begins with the first window of the first zone.
   *
   * @param audit what looks
   * @param allocation whose zones
   * @param periodNanos the shortest rest between two steps
   * @param nanoTime the clock
   */
  Sampler(Audit audit, AllocationPath allocation, long periodNanos, LongSupplier nanoTime) {
    this.audit = audit;
    this.allocation = allocation;
    this.periodNanos = periodNanos;
    this.nanoTime = nanoTime;
  }

  /**
   * Looks at the next window that has committed memory. A failure of the source is logged the first
   * time.
   *
   * @return how long to rest until the next step, in nanoseconds
   */
  long step() {
    long began = nanoTime.getAsLong();
    try {
      lookAtNext(allocation.zones());
    } catch (RuntimeException e) {
      if (!hasFailed) {
        hasFailed = true;
        LOGGER.log(
            Level.WARNING,
            "the kernel does not tell where memory lies; said once, sampling goes on",
            e);
      }
    }
    return restNanos(nanoTime.getAsLong() - began, periodNanos);
  }

  private void lookAtNext(List<BackedZone> zones) {
    // One more than there are: the zone whose turn it is may have been looked at from its middle.
    for (int tries = 0; tries <= zones.size(); tries++) {
      if (place < zones.size()) {
        BackedZone zone = zones.get(place);
        int window = audit.next(zone, nextWindow);
        if (window >= 0) {
          nextWindow = window + 1;
          audit.look(zone, window);
          return;
        }
      }
      place = place + 1 < zones.size() ? place + 1 : 0;
      nextWindow = 0;
    }
  }

  /** Returns how long to rest after a step. */
  static long restNanos(long stepNanos, long periodNanos) {
    long bounded = Math.min(Math.max(0, stepNanos), Long.MAX_VALUE / REST_FACTOR);
    return Math.max(periodNanos, bounded * REST_FACTOR);
  }
}
