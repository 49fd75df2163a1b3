/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Objects;
import java.util.TreeMap;
import org.cdmalloc.Displacement;
import org.cdmalloc.internal.allocation.Look.Move;
import org.cdmalloc.internal.zone.Zone;
import org.cdmalloc.spi.DisplacementCause;
import org.cdmalloc.spi.Explanation;

/**
 * What the last looks at the windows of zones found displaced. Safe for use by any number of
 * threads.
 */
final class Findings {
  /*
   * Algorithmic notes.
   *
   * State: by zone and window, what the last look found displaced and did not give back; a window
   * without an entry was clean or not looked at; and closed. Guarded by this, which is held for the
   * bookkeeping alone: never while a zone is looked at, the source is asked, or somebody is told.
   *
   * A look is true when it is made, under the zone's commitLock. Two looks at one window at the same
   * time may enter their findings in either order; the next look corrects the older one.
   *
   * A cause is asked for after the look, and may be gone by then. So a cause that was found stays
   * with its window until more pages are displaced the same way and a cause is found for those: a pin
   * ends, and its pages stay where it moved them.
   */

  /**
   * What a look added to what was known.
   *
   * @param all that it found
   * @param fresh what of it was not known before
   */
  record News(List<Displacement> all, List<Displacement> fresh) {}

  private static final Comparator<Displacement> ORDER =
      Comparator.comparingInt(Displacement::node)
          .thenComparingInt(Displacement::foundOn)
          .thenComparing(Displacement::cause);

  private final Map<BackedZone, NavigableMap<Integer, List<Displacement>>> known = new HashMap<>();
  private boolean closed;

  /**
   * Enters what a look found.
   *
   * @param zone the zone
   * @param window which of its windows
   * @param look what was found there
   * @param explained why pages moved, for each way in which some did
   */
  synchronized News enter(
      BackedZone zone, int window, Look look, Map<Move, Explanation> explained) {
    NavigableMap<Integer, List<Displacement>> windows =
        known.computeIfAbsent(zone, unused -> new TreeMap<>());
    List<Displacement> before = Objects.requireNonNullElse(windows.remove(window), List.of());
    List<Displacement> staying = displacements(zone, look.staying(), explained, before);
    if (!staying.isEmpty() && !closed) {
      windows.put(window, staying);
    }
    List<Displacement> all = displacements(zone, look.displaced(), explained, before);
    List<Displacement> fresh = new ArrayList<>();
    for (Displacement each : all) {
      Displacement earlier = sameWay(before, each.node(), each.foundOn());
      long newBytes = each.bytes() - (earlier == null ? 0 : earlier.bytes());
      if (newBytes > 0) {
        fresh.add(withBytes(each, newBytes));
      }
    }
    return new News(all, fresh);
  }

  private static List<Displacement> displacements(
      BackedZone zone,
      Map<Move, Long> moved,
      Map<Move, Explanation> explained,
      List<Displacement> before) {
    List<Displacement> displacements = new ArrayList<>();
    moved.forEach(
        (move, bytes) -> {
          int node = zone.nameOf(move.home());
          Explanation now = explained.getOrDefault(move, Explanation.UNKNOWN);
          Displacement earlier = sameWay(before, node, move.found());
          boolean keeps = now.cause() == DisplacementCause.UNKNOWN && earlier != null;
          displacements.add(
              new Displacement(
                  node,
                  move.found(),
                  bytes,
                  keeps ? earlier.cause() : now.cause(),
                  keeps ? earlier.evidence() : now.evidence()));
        });
    return displacements;
  }

  private static Displacement sameWay(List<Displacement> among, int node, int foundOn) {
    for (Displacement each : among) {
      if (each.node() == node && each.foundOn() == foundOn) {
        return each;
      }
    }
    return null;
  }

  private static Displacement withBytes(Displacement displacement, long bytes) {
    return new Displacement(
        displacement.node(),
        displacement.foundOn(),
        bytes,
        displacement.cause(),
        displacement.evidence());
  }

  /** Tells whether the cause is known why at least so much of a window moved a way. */
  synchronized boolean isExplained(BackedZone zone, int window, Move move, long bytes) {
    NavigableMap<Integer, List<Displacement>> windows = known.get(zone);
    List<Displacement> found = windows == null ? null : windows.get(window);
    Displacement earlier =
        found == null ? null : sameWay(found, zone.nameOf(move.home()), move.found());
    return earlier != null
        && earlier.bytes() >= bytes
        && earlier.cause() != DisplacementCause.UNKNOWN;
  }

  /**
   * Returns the first window from a given one on of which something is known, or a negative number.
   */
  synchronized int next(BackedZone zone, int window) {
    NavigableMap<Integer, List<Displacement>> windows = known.get(zone);
    Integer next = windows == null ? null : windows.ceilingKey(window);
    return next == null ? Zone.NONE : next;
  }

  /** Returns what is known, of all windows. */
  synchronized List<Displacement> displacements() {
    // The zone of a node that went offline is gone with what was displaced in it.
    known.keySet().removeIf(zone -> !zone.isOpen());
    List<Displacement> all = new ArrayList<>();
    known.values().forEach(windows -> windows.values().forEach(all::addAll));
    return sum(all);
  }

  /** Returns how much of a zone is known to be displaced, in bytes. */
  synchronized long displacedBytes(BackedZone zone) {
    NavigableMap<Integer, List<Displacement>> windows = known.get(zone);
    return windows == null
        ? 0
        : windows.values().stream().flatMap(List::stream).mapToLong(Displacement::bytes).sum();
  }

  /** Forgets all, and remembers nothing any more: the memory goes back. */
  synchronized void close() {
    closed = true;
    known.clear();
  }

  /**
   * Adds up what moved the same way for the same cause; the first evidence stands for all. In the
   * order of reports.
   */
  static List<Displacement> sum(Collection<Displacement> displacements) {
    record Way(int node, int foundOn, DisplacementCause cause) {}
    Map<Way, Displacement> sums = new LinkedHashMap<>();
    for (Displacement each : displacements) {
      sums.merge(
          new Way(each.node(), each.foundOn(), each.cause()),
          each,
          (sum, next) -> withBytes(sum, sum.bytes() + next.bytes()));
    }
    return sums.values().stream().sorted(ORDER).toList();
  }
}
