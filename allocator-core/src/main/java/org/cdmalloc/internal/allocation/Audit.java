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
import org.cdmalloc.PlacementAudit;
import org.cdmalloc.internal.allocation.Look.Move;
import org.cdmalloc.internal.observe.DisplacementNotices;
import org.cdmalloc.internal.zone.Zone;
import org.cdmalloc.spi.DisplacementCause;
import org.cdmalloc.spi.Explanation;
import org.cdmalloc.spi.MemorySource;

/**
 * Asks the source where the memory of an allocator lies, window by window, and remembers of each
 * window what was displaced when it was last looked at. Safe for use by any number of threads.
 */
final class Audit {
  /*
   * Algorithmic notes.
   *
   * State: by zone and window, what the last look found displaced and did not give back; a window
   * without an entry was clean or not looked at; and closed. Guarded by this, which is held for the bookkeeping
   * alone: never while a zone is looked at, the source is asked, or somebody is told.
   *
   * A look is true when it is made, under the zone's commitLock. Two looks at one window at the same
   * time may enter their findings in either order; the next look corrects the older one.
   *
   * A cause is asked for after the look, and may be gone by then. So a cause that was found stays
   * with its window as long as pages stay displaced the same way and nothing better is known: a pin
   * ends, and its pages stay where it moved them.
   */

  private static final Comparator<Displacement> ORDER =
      Comparator.comparingInt(Displacement::node)
          .thenComparingInt(Displacement::foundOn)
          .thenComparing(Displacement::cause);

  private final MemorySource source;
  private final AllocationPath allocation;
  private final DisplacementNotices notices = new DisplacementNotices();
  private final Map<BackedZone, NavigableMap<Integer, List<Displacement>>> known = new HashMap<>();
  private boolean closed;

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
          List<Displacement> found = enter(zone, window, look, explained);
          displaced.addAll(found);
          askedBytes += look.askedBytes();
          unknownBytes += look.unknownBytes();
          returnedBytes += bytes(look.displaced()) - bytes(look.staying());
        } catch (RuntimeException e) {
          failure = BackedZone.joined(failure, e);
        }
      }
    }
    if (failure != null) {
      throw failure;
    }
    return new PlacementAudit(askedBytes, unknownBytes, returnedBytes, sum(displaced));
  }

  /** Looks at one window, as {@link #all} does. */
  void look(BackedZone zone, int window) {
    enter(zone, window, zone.look(window), new HashMap<>());
  }

  /**
   * Returns the first window from a given one on of which there is something to ask or to forget.
   *
   * @return its number, or a negative number
   */
  int next(BackedZone zone, int window) {
    int unit = zone.zone().nextCommittedUnit(window * BackedZone.WINDOW_UNITS);
    Integer remembered;
    synchronized (this) {
      NavigableMap<Integer, List<Displacement>> windows = known.get(zone);
      remembered = windows == null ? null : windows.ceilingKey(window);
    }
    if (unit == Zone.NONE) {
      return remembered == null ? Zone.NONE : remembered;
    }
    int committed = unit / BackedZone.WINDOW_UNITS;
    return remembered == null ? committed : Math.min(committed, remembered);
  }

  /** Remembers what a look found, tells of what is new, and returns all of it. */
  private List<Displacement> enter(
      BackedZone zone, int window, Look look, Map<Move, Explanation> explained) {
    Map<Move, Long> moved = look.displaced();
    for (Move move : moved.keySet()) {
      explained.computeIfAbsent(move, key -> source.explain(key.home(), key.found()));
    }
    List<Displacement> found;
    List<Displacement> fresh = new ArrayList<>();
    synchronized (this) {
      NavigableMap<Integer, List<Displacement>> windows =
          known.computeIfAbsent(zone, unused -> new TreeMap<>());
      List<Displacement> before = Objects.requireNonNullElse(windows.remove(window), List.of());
      found = displacements(zone, moved, explained, before);
      List<Displacement> staying = displacements(zone, look.staying(), explained, before);
      if (!staying.isEmpty() && !closed) {
        windows.put(window, staying);
      }
      for (Displacement each : found) {
        long newBytes = each.bytes() - bytesOf(sameWay(before, each.node(), each.foundOn()));
        if (newBytes > 0) {
          fresh.add(withBytes(each, newBytes));
        }
      }
    }
    fresh.forEach(notices::found);
    return found;
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
          Explanation now = explained.get(move);
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

  private static long bytesOf(Displacement displacement) {
    return displacement == null ? 0 : displacement.bytes();
  }

  private static Displacement withBytes(Displacement displacement, long bytes) {
    return new Displacement(
        displacement.node(),
        displacement.foundOn(),
        bytes,
        displacement.cause(),
        displacement.evidence());
  }

  /** Returns what the last looks found, of all windows. */
  synchronized List<Displacement> displacements() {
    List<Displacement> all = new ArrayList<>();
    known.values().forEach(windows -> windows.values().forEach(all::addAll));
    return sum(all);
  }

  /** Returns how much the last looks found displaced of a zone, in bytes. */
  synchronized long displacedBytes(BackedZone zone) {
    NavigableMap<Integer, List<Displacement>> windows = known.get(zone);
    return windows == null
        ? 0
        : windows.values().stream().flatMap(List::stream).mapToLong(Displacement::bytes).sum();
  }

  /** Forgets what was found, and remembers nothing any more: the memory goes back. */
  synchronized void close() {
    closed = true;
    known.clear();
  }

  /** Adds up what moved the same way for the same cause; the first evidence stands for all. */
  private static List<Displacement> sum(Collection<Displacement> displacements) {
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

  private static long bytes(Map<Move, Long> moved) {
    return moved.values().stream().mapToLong(Long::longValue).sum();
  }
}
