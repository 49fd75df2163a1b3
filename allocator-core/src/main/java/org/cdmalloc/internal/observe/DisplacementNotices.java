/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.observe;

import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.cdmalloc.Displacement;
import org.cdmalloc.spi.DisplacementCause;

/**
 * Tells of memory that was found displaced: an event {@code org.cdmalloc.PagesDisplaced} each time,
 * and a warning the first time that one allocator's memory moved that way. Safe for use by any
 * number of threads.
 */
public final class DisplacementNotices {
  private static final Logger LOGGER = System.getLogger("org.cdmalloc");

  /** A runtime image may lack the module; the event's class cannot be loaded there. */
  private static final boolean HAS_RECORDER = ModuleLayer.boot().findModule("jdk.jfr").isPresent();

  private record Way(int node, int foundOn, DisplacementCause cause) {}

  /** As many as pairs of nodes and causes at most. */
  private final Set<Way> warned = ConcurrentHashMap.newKeySet();

  /** Makes the notices of one allocator, which warned of nothing yet. */
  public DisplacementNotices() {}

  /**
   * Tells of a displacement.
   *
   * @param displacement what was found; its bytes were not known to be displaced before
   */
  public void found(Displacement displacement) {
    if (HAS_RECORDER) {
      PagesDisplacedEvent.emit(displacement);
    }
    Way way = new Way(displacement.node(), displacement.foundOn(), displacement.cause());
    if (warned.add(way)) {
      // As a parameter, so that braces in it are no placeholders.
      LOGGER.log(Level.WARNING, "{0}", text(displacement));
    }
  }

  private static String text(Displacement displacement) {
    boolean nowhere = displacement.foundOn() == Displacement.NOWHERE;
    return "memory does not lie where it was committed: node="
        + displacement.node()
        + ", "
        + (nowhere ? "found_on=none" : "found_on=" + displacement.foundOn())
        + ", bytes="
        + displacement.bytes()
        + ", likely_cause="
        + displacement.cause()
        + (displacement.evidence().isEmpty() ? "" : ", " + displacement.evidence())
        + "; said once, audit() and report() tell how much there is; memory that is freed comes again"
        + " on its node";
  }
}
