/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import java.util.BitSet;
import java.util.Map;
import java.util.TreeMap;

/**
 * Where the pages of one reservation lie: a bit a page and node in use, which grow as pages come
 * in. For one thread at a time: the lock is {@link EmulatedKernel}'s.
 */
final class Frames {
  /** The page is not there. */
  static final int ABSENT = -1;

  /** The page was only read so far: it is the one page of zeros that all share, on no account. */
  static final int ZEROS = -2;

  private final long firstPage;
  private final Map<Integer, BitSet> byNode = new TreeMap<>();
  private final BitSet present = new BitSet();

  Frames(long firstPage) {
    this.firstPage = firstPage;
  }

  /** Returns the node of a page, {@link #ABSENT} or {@link #ZEROS}. */
  int node(long page) {
    int bit = bit(page);
    if (!present.get(bit)) {
      return ABSENT;
    }
    for (Map.Entry<Integer, BitSet> node : byNode.entrySet()) {
      if (node.getValue().get(bit)) {
        return node.getKey();
      }
    }
    throw new AssertionError("present, but nowhere: page=" + page);
  }

  /** Puts a page that is not there on a node, or makes it {@link #ZEROS}. */
  void put(long page, int node) {
    present.set(bit(page));
    byNode.computeIfAbsent(node, unused -> new BitSet()).set(bit(page));
  }

  /** Takes a page that is there away, and returns where it was. */
  int remove(long page) {
    int node = node(page);
    present.clear(bit(page));
    byNode.get(node).clear(bit(page));
    return node;
  }

  /** Returns the first page from a given one on that is there, or {@code end}. */
  long nextPresent(long from, long end) {
    int next = present.nextSetBit(bit(from));
    return next < 0 ? end : Math.min(end, firstPage + next);
  }

  /** Returns the first page from a given one on that is not there, or {@code end}. */
  long nextAbsent(long from, long end) {
    return Math.min(end, firstPage + present.nextClearBit(bit(from)));
  }

  private int bit(long page) {
    return Math.toIntExact(page - firstPage);
  }
}
