/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * How many memory mappings the regions of this process may take. The kernel gives a process {@code
 * vm.max_map_count} of them (65530 by default); a JVM that finds none left dies. Every change of
 * policy in the middle of a mapping splits it, so changes that can wait are left out beyond the
 * budget.
 *
 * <p>State: one counter, which a compare-and-set loop never raises past the limit. What one region
 * holds is changed by one thread at a time.
 */
final class MappingBudget {
  private static final Path MAX_MAP_COUNT = Path.of("/proc/sys/vm/max_map_count");
  private static final int DEFAULT_MAX_MAP_COUNT = 65530;

  /** The share of the kernel's limit: a quarter. The JVM and other libraries need the rest. */
  private static final int SHARE = 4;

  /** The one of this process: mappings are counted per process, not per source. */
  static final MappingBudget PROCESS = new MappingBudget(maxMapCount() / SHARE);

  private final int limit;
  private final AtomicInteger used = new AtomicInteger();

  MappingBudget(int limit) {
    this.limit = limit;
  }

  /**
   * Changes what a region holds to a new number, if the budget has it; less is always possible.
   *
   * @param held what the region holds, changed by this call
   * @param mappings what it wants to hold
   * @return false if nothing was changed because the limit would be passed
   */
  boolean change(AtomicInteger held, int mappings) {
    int more = mappings - held.get();
    if (more > 0 && !take(more)) {
      return false;
    }
    if (more < 0) {
      used.addAndGet(more);
    }
    held.set(mappings);
    return true;
  }

  private boolean take(int mappings) {
    for (int now = used.get(); now + mappings <= limit; now = used.get()) {
      if (used.compareAndSet(now, now + mappings)) {
        return true;
      }
    }
    return false;
  }

  int used() {
    return used.get();
  }

  int limit() {
    return limit;
  }

  private static int maxMapCount() {
    long count = KeyedText.of(MAX_MAP_COUNT).single();
    return count > 0 ? (int) Math.min(count, Integer.MAX_VALUE) : DEFAULT_MAX_MAP_COUNT;
  }
}
