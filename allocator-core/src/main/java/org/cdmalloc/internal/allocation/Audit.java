/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import static org.cdmalloc.spi.Residency.NOT_PRESENT;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.cdmalloc.Displacement;
import org.cdmalloc.PlacementAudit;
import org.cdmalloc.internal.allocation.Look.Move;
import org.cdmalloc.internal.observe.DisplacementNotices;
import org.cdmalloc.internal.zone.Zone;
import org.cdmalloc.spi.DisplacementCause;
import org.cdmalloc.spi.Explanation;
import org.cdmalloc.spi.MemorySource;

/**
 * Asks the source where the memory of an allocator lies, window by window, and why some of it lies
 * elsewhere. Safe for use by any number of threads.
 */
final class Audit {
  private final MemorySource source;
  private final AllocationPath allocation;
  private final Findings findings = new Findings();
  private final DisplacementNotices notices = new DisplacementNotices();

  Audit(MemorySource source, AllocationPath allocation) {
    this.source = source;
    this.allocation = allocation;
  }

  /**
   * Looks at all committed memory.
   *
   * @return what was found
   * @throws IllegalStateException if the allocator is closed
   * @throws RuntimeException what the source throws; all other windows were looked at
   */
  PlacementAudit all() {
    allocation.requireOpen();
    Map<Move, Explanation> explained = new HashMap<>();
    List<Displacement> displaced = new ArrayList<>();
    long askedBytes = 0;
    long unknownBytes = 0;
    long returnedBytes = 0;
    RuntimeException failure = null;
    for (BackedZone zone : allocation.zones()) {
      for (int window = next(zone, 0); window >= 0; window = next(zone, window + 1)) {
        try {
          Look look = zone.look(window);
          displaced.addAll(enter(zone, window, look, explained));
          askedBytes += look.askedBytes();
          unknownBytes += look.unknownBytes();
          returnedBytes += look.returnedBytes();
        } catch (RuntimeException e) {
          failure = Failures.joined(failure, e);
        }
      }
    }
    if (failure != null) {
      throw failure;
    }
    return new PlacementAudit(askedBytes, unknownBytes, returnedBytes, Findings.sum(displaced));
  }

  /** Looks at one window, as {@link #all} does. */
  void look(BackedZone zone, int window) {
    enter(zone, window, zone.look(window), new HashMap<>());
  }

  private List<Displacement> enter(
      BackedZone zone, int window, Look look, Map<Move, Explanation> explained) {
    for (Map.Entry<Move, Long> moved : look.displaced().entrySet()) {
      Move move = moved.getKey();
      // What is explained already is not asked for again and again.
      if (!findings.isExplained(zone, window, move, moved.getValue())) {
        Explanation explanation =
            explained.computeIfAbsent(move, way -> source.explain(way.home(), way.found()));
        // A kernel says the same of a page that it is just moving: where it is, nobody can tell.
        if (move.found() == NOT_PRESENT && explanation.cause() == DisplacementCause.UNKNOWN) {
          look.countUnknown(move);
        }
      }
    }
    Findings.News news = findings.enter(zone, window, look, explained);
    news.fresh().forEach(notices::found);
    return news.all();
  }

  /**
   * Returns the first window from a given one on of which there is something to ask or to forget.
   *
   * @return its number, or a negative number
   */
  int next(BackedZone zone, int window) {
    int unit = zone.zone().nextCommittedUnit(window * Backing.WINDOW_UNITS);
    int known = findings.next(zone, window);
    if (unit == Zone.NONE) {
      return known;
    }
    int committed = unit / Backing.WINDOW_UNITS;
    return known == Zone.NONE ? committed : Math.min(committed, known);
  }

  /** Returns what was found, and is forgotten when the memory goes back. */
  Findings findings() {
    return findings;
  }
}
