/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.UnaryOperator;

/**
 * The mappings of an address space, by their first page. Equal neighbours are always one. For one
 * thread at a time: the lock is {@link EmulatedKernel}'s.
 */
final class Mappings {
  private final TreeMap<Long, Mapping> byStart = new TreeMap<>();

  void add(Mapping mapping) {
    byStart.put(mapping.start(), mapping);
  }

  int size() {
    return byStart.size();
  }

  /** Counts the pages of a range that are locked. */
  long lockedPages(long from, long to) {
    return in(from, to).stream()
        .filter(Mapping::locked)
        .mapToLong(part -> part.end() - part.start())
        .sum();
  }

  /** Returns the mapping of a page, or null if it has none. */
  Mapping of(long page) {
    Map.Entry<Long, Mapping> below = byStart.floorEntry(page);
    return below != null && page < below.getValue().end() ? below.getValue() : null;
  }

  /** Returns what is mapped of a range, cut to it, in order. */
  List<Mapping> in(long from, long to) {
    List<Mapping> found = new ArrayList<>();
    Long first = byStart.floorKey(from);
    for (Mapping mapping : byStart.subMap(first == null ? from : first, to).values()) {
      if (mapping.end() > from) {
        found.add(mapping.part(Math.max(mapping.start(), from), Math.min(mapping.end(), to)));
      }
    }
    return found;
  }

  /** Tells whether all of a range is mapped. */
  boolean cover(long from, long to) {
    return in(from, to).stream().mapToLong(part -> part.end() - part.start()).sum() == to - from;
  }

  /** Takes a range out of the address space, and returns what was mapped of it. */
  List<Mapping> remove(long from, long to) {
    List<Mapping> inside = in(from, to);
    cut(from);
    cut(to);
    inside.forEach(part -> byStart.remove(part.start()));
    return inside;
  }

  /** Changes all that is mapped of a range. */
  void change(long from, long to, UnaryOperator<Mapping> change) {
    for (Mapping part : remove(from, to)) {
      add(change.apply(part));
      joinAt(part.start());
    }
    joinAt(to);
  }

  /** Makes a page the first of its mapping. */
  private void cut(long page) {
    Mapping mapping = of(page);
    if (mapping != null && mapping.start() < page) {
      add(mapping.part(mapping.start(), page));
      add(mapping.part(page, mapping.end()));
    }
  }

  /** Joins the mappings on both sides of a page's start. */
  private void joinAt(long page) {
    Mapping after = byStart.get(page);
    Mapping before = of(page - 1);
    if (after != null && before != null && before.joins(after)) {
      byStart.remove(page);
      add(before.part(before.start(), after.end()));
    }
  }
}
