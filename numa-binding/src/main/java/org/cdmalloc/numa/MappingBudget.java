/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntSupplier;

/**
 * How many memory mappings the regions of this process may take. The kernel gives a process {@code
 * vm.max_map_count} of them (65530 by default); a JVM that finds none left dies. Every change of
 * policy in the middle of a mapping splits it, so changes that can wait are left out beyond the
 * budget.
 *
 * <p>There are two bounds. Regions take at most a quarter of the kernel's limit. And they take
 * nothing more once the process as a whole, other libraries included, is within a sixteenth of it:
 * that rest is for the JVM's threads, heap and code. What the process has is counted in {@code
 * /proc/self/maps}, which costs 0.3 microseconds a mapping; so it is counted at each reservation
 * and again after ten times as long as the count took: who takes mappings spends a tenth of its
 * time on it at most. Where others fill the table in between, the kernel says ENOMEM, which {@link
 * CommitProtocol} makes a value too.
 *
 * <p>State: one counter, which a compare-and-set loop never raises past the limit, and the last
 * count, which any thread may replace. What one region holds is changed by one thread at a time.
 */
final class MappingBudget {
  private static final Path MAX_MAP_COUNT = Path.of("/proc/sys/vm/max_map_count");
  private static final Path MAPS = Path.of("/proc/self/maps");
  private static final int DEFAULT_MAX_MAP_COUNT = 65530;

  /** The share of the kernel's limit: a quarter. The JVM and other libraries need the rest. */
  private static final int SHARE = 4;

  /** The share of the kernel's limit that is never taken: a sixteenth, 4095 by default. */
  private static final int REST_SHARE = 16;

  /** What a mapping that is cut in three takes. */
  private static final int CUT = 2;

  /** A count serves so many times as long as it took. */
  private static final int SERVES = 10;

  /** The one of this process: mappings are counted per process, not per source. */
  static final MappingBudget PROCESS = ofProcess();

  /** What the process had at a moment, and what of it the regions had. */
  private record Count(long nanos, long tookNanos, int mappings, int used) {}

  private final int limit;
  private final int maxMapCount;
  private final IntSupplier processMappings;
  private final AtomicInteger used = new AtomicInteger();
  private volatile Count count;

  /** A budget that knows no other users. */
  MappingBudget(int limit) {
    this(limit, Integer.MAX_VALUE, () -> 0);
  }

  /**
   * Makes a budget.
   *
   * @param limit what the regions may take
   * @param maxMapCount what the kernel gives the process
   * @param processMappings counts what the process has
   */
  MappingBudget(int limit, int maxMapCount, IntSupplier processMappings) {
    this.limit = limit;
    this.maxMapCount = maxMapCount;
    this.processMappings = processMappings;
  }

  /** A budget of the kernel's limit and of what this process has. */
  static MappingBudget ofProcess() {
    int maxMapCount = maxMapCount();
    return new MappingBudget(maxMapCount / SHARE, maxMapCount, MappingBudget::countMappings);
  }

  /**
   * Changes what a region holds to a new number, if the budget has it; less is always possible.
   *
   * @param held what the region holds, changed by this call
   * @param mappings what it wants to hold
   * @return false if nothing was changed because a bound would be passed
   */
  boolean change(AtomicInteger held, int mappings) {
    int more = mappings - held.get();
    if (more > 0 && !(leavesRest(more) && take(more))) {
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

  /** Tells whether the process keeps the rest that it needs if so many more are taken. */
  private boolean leavesRest(int mappings) {
    long now = System.nanoTime();
    Count last = count;
    if (last == null || now - last.nanos > SERVES * last.tookNanos) {
      last = count(now);
    }
    int taken = used.get() + mappings - last.used;
    return last.mappings + taken <= maxMapCount - maxMapCount / REST_SHARE;
  }

  private Count count(long now) {
    int found = processMappings.getAsInt();
    Count fresh = new Count(now, System.nanoTime() - now, found, used.get());
    count = fresh;
    return fresh;
  }

  /** Lets the next change count what the process has, however recent the last count is. */
  void recount() {
    count = null;
  }

  /** Counts anew and tells whether the kernel has no mappings left to cut one in three. */
  boolean isFull() {
    return count(System.nanoTime()).mappings > maxMapCount - CUT;
  }

  int used() {
    return used.get();
  }

  int limit() {
    return limit;
  }

  /** Prints the figures that decide, and what changes them. */
  @Override
  public String toString() {
    Count last = count;
    int now = used.get();
    return "mappings="
        + now
        + ", mapping_budget="
        + limit
        + ", process_mappings="
        + (last == null ? now : last.mappings + now - last.used)
        + ", vm.max_map_count="
        + maxMapCount
        + " (raise vm.max_map_count, or close allocators)";
  }

  /** Counts the lines without making objects of them: a full table has 6 MB of text. */
  static int countMappings() {
    try (InputStream in = Files.newInputStream(MAPS)) {
      byte[] bytes = new byte[64 << 10];
      int lines = 0;
      for (int length = in.read(bytes); length > 0; length = in.read(bytes)) {
        for (int i = 0; i < length; i++) {
          lines += bytes[i] == '\n' ? 1 : 0;
        }
      }
      return lines;
    } catch (IOException e) {
      return 0;
    }
  }

  private static int maxMapCount() {
    long count = KeyedText.of(MAX_MAP_COUNT).single();
    return count > 0 ? (int) Math.min(count, Integer.MAX_VALUE) : DEFAULT_MAX_MAP_COUNT;
  }
}
