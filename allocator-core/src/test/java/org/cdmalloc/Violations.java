/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.util.Map;
import java.util.Queue;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.LongAdder;

/**
 * What an oracle saw that must not be: all are counted, the first of each kind are told. Safe for
 * use by any number of threads.
 */
final class Violations {
  private static final int TOLD_OF_A_KIND = 3;

  private final Map<String, LongAdder> counts = new ConcurrentHashMap<>();
  private final Queue<String> told = new ConcurrentLinkedQueue<>();

  void add(String kind, Object detail) {
    LongAdder count = counts.computeIfAbsent(kind, k -> new LongAdder());
    count.increment();
    if (count.sum() <= TOLD_OF_A_KIND) {
      told.add(kind + ": " + detail);
    }
  }

  long count(String kind) {
    LongAdder count = counts.get(kind);
    return count == null ? 0 : count.sum();
  }

  boolean isEmpty() {
    return counts.isEmpty();
  }

  @Override
  public String toString() {
    return new TreeMap<>(counts) + "\n" + String.join("\n", told);
  }
}
