/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.BooleanSupplier;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Region;
import org.cdmalloc.spi.Stripe;

/**
 * One allocator's way to a source that it shares with others: keeps the books of what that
 * allocator asked for, and fails a commit or a purge now and then. Safe for use by any number of
 * threads.
 */
final class ObservedSource extends ForwardingSource {
  private static final int EAGAIN = 11;

  private final BooleanSupplier fails;
  private final Map<Region, NaiveZone> byRegion = new ConcurrentHashMap<>();
  private final List<NaiveZone> zones = new CopyOnWriteArrayList<>();
  private volatile boolean failed;

  /**
   * Observes a source.
   *
   * @param source what answers
   * @param fails asked before each commit and purge; if true, that throws, and does nothing or all
   *     of its work
   */
  ObservedSource(MemorySource source, BooleanSupplier fails) {
    super(source);
    this.fails = fails;
  }

  /** Returns what was reserved, in that order. */
  List<NaiveZone> zones() {
    return zones;
  }

  /** Tells whether a call was made to fail since this was last asked. */
  boolean hasFailed() {
    boolean has = failed;
    failed = false;
    return has;
  }

  @Override
  public Region reserve(Stripe stripe, long bytes) {
    Region region = super.reserve(stripe, bytes);
    NaiveZone zone = new NaiveZone(region, osPageBytes());
    byRegion.put(region, zone);
    zones.add(zone);
    return region;
  }

  @Override
  public CommitResult commit(Region region, long offset, long bytes) {
    if (fails.getAsBoolean()) {
      throw failure("madvise", offset, bytes);
    }
    CommitResult result = super.commit(region, offset, bytes);
    if (result.isCommitted()) {
      byRegion.get(region).committed(offset, bytes);
    }
    return result;
  }

  @Override
  public long purge(Region region, long offset, long bytes) {
    boolean works = !fails.getAsBoolean();
    // The platform may fail before or after its work.
    boolean takes = works || fails.getAsBoolean();
    byRegion.get(region).purged(offset, bytes, takes);
    long taken = takes ? super.purge(region, offset, bytes) : 0;
    if (!works) {
      throw failure("madvise", offset, bytes);
    }
    return taken;
  }

  private NativeCallException failure(String function, long offset, long bytes) {
    failed = true;
    return new NativeCallException(
        function, EAGAIN, "EAGAIN", "offset=" + offset + ", bytes=" + bytes);
  }
}
