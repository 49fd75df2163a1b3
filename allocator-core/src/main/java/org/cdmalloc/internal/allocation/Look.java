/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import static org.cdmalloc.spi.Residency.NOT_PRESENT;

import java.util.BitSet;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.LongToIntFunction;
import java.util.stream.IntStream;
import org.cdmalloc.spi.Residency;

/**
 * What one look at committed units found: how much was asked about, and which pages do not lie
 * where they belong. Costs Java heap for what is displaced only. Not safe for use by several
 * threads.
 */
final class Look {
  /**
   * Where pages belong and where they are, both nodes of the source.
   *
   * @param home where they belong
   * @param found where they are, or {@link Residency#NOT_PRESENT}
   */
  record Move(int home, int found) {}

  /** By unit. */
  private final Map<Integer, Map<Move, Long>> displacedBytes = new TreeMap<>();

  private BitSet returned = new BitSet();
  private long askedBytes;
  private long unknownBytes;

  /**
   * Compares where pages lie with where they belong.
   *
   * @param unit the unit in which the first page lies, as its first
   * @param where the answer about whole units; the last may be cut short
   * @param firstOsPage the number of the first page in its region
   * @param wanted tells the node on which a page of the region belongs
   */
  void compare(int unit, Residency where, long firstOsPage, LongToIntFunction wanted) {
    int pageBytes = where.osPageBytes();
    int unitPages = (int) (Backing.COMMIT_BYTES / pageBytes);
    for (int page = 0; page < where.pages(); page++) {
      int home = wanted.applyAsInt(firstOsPage + page);
      int found = where.node(page);
      if (found >= 0 || found == NOT_PRESENT) {
        if (found != home) {
          displacedBytes
              .computeIfAbsent(unit + page / unitPages, unused -> new HashMap<>())
              .merge(new Move(home, found), (long) pageBytes, Long::sum);
        }
      } else {
        unknownBytes += pageBytes;
      }
    }
    askedBytes += (long) where.pages() * pageBytes;
  }

  /** Returns the units of which some page is displaced. */
  IntStream displacedUnits() {
    return displacedBytes.keySet().stream().mapToInt(Integer::intValue);
  }

  /** Takes down which of the displaced units were given back. */
  void returned(BitSet units) {
    returned = units;
  }

  /** Counts what moved one way as unknown. */
  void countUnknown(Move move) {
    displacedBytes
        .values()
        .forEach(
            moves -> {
              Long bytes = moves.remove(move);
              unknownBytes += bytes == null ? 0 : bytes;
            });
  }

  /** Returns how much was asked about, in bytes. */
  long askedBytes() {
    return askedBytes;
  }

  /** Returns how much of it nobody could tell about, in bytes. */
  long unknownBytes() {
    return unknownBytes;
  }

  /** Returns the bytes that were found displaced, by the way they moved. */
  Map<Move, Long> displaced() {
    return sum(false);
  }

  /** Returns the bytes that were found displaced and were not given back. */
  Map<Move, Long> staying() {
    return sum(true);
  }

  /** Returns how much of what was found displaced was given back, in bytes. */
  long returnedBytes() {
    return bytes(displaced()) - bytes(staying());
  }

  private static long bytes(Map<Move, Long> moved) {
    return moved.values().stream().mapToLong(Long::longValue).sum();
  }

  private Map<Move, Long> sum(boolean onlyStaying) {
    Map<Move, Long> sum = new HashMap<>();
    displacedBytes.forEach(
        (unit, moves) -> {
          if (!onlyStaying || !returned.get(unit)) {
            moves.forEach((move, bytes) -> sum.merge(move, bytes, Long::sum));
          }
        });
    return sum;
  }
}
