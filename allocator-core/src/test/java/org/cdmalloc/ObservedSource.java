/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.nio.ByteBuffer;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.BooleanSupplier;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.Diagnosis;
import org.cdmalloc.spi.Explanation;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.MoveResult;
import org.cdmalloc.spi.Region;
import org.cdmalloc.spi.Residency;
import org.cdmalloc.spi.Stripe;
import org.cdmalloc.topology.Machine;

/**
 * One allocator's way to a source that it shares with others: keeps the books of what that
 * allocator asked for, and fails a commit or a purge now and then. Safe for use by any number of
 * threads.
 */
final class ObservedSource implements MemorySource {
  private static final int EAGAIN = 11;

  private final MemorySource source;
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
    this.source = source;
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
    Region region = source.reserve(stripe, bytes);
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
    CommitResult result = source.commit(region, offset, bytes);
    if (result.isCommitted()) {
      byRegion.get(region).committed(offset, bytes);
    }
    return result;
  }

  @Override
  public MoveResult move(Region region, long offset, long bytes, int node) {
    return source.move(region, offset, bytes, node);
  }

  @Override
  public long purge(Region region, long offset, long bytes) {
    boolean works = !fails.getAsBoolean();
    // The platform may fail before or after its work.
    boolean takes = works || fails.getAsBoolean();
    byRegion.get(region).purged(offset, bytes, takes);
    long taken = takes ? source.purge(region, offset, bytes) : 0;
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

  @Override
  public void release(Region region) {
    source.release(region);
  }

  @Override
  public String name() {
    return source.name();
  }

  @Override
  public boolean isReal() {
    return source.isReal();
  }

  @Override
  public Machine machine() {
    return source.machine();
  }

  @Override
  public int osPageBytes() {
    return source.osPageBytes();
  }

  @Override
  public long limitBytes() {
    return source.limitBytes();
  }

  @Override
  public int currentNode() {
    return source.currentNode();
  }

  @Override
  public long freeBytes(int node) {
    return source.freeBytes(node);
  }

  @Override
  public CommitResult room(int node, long bytes) {
    return source.room(node, bytes);
  }

  @Override
  public ByteBuffer view(Region region, long offset, int bytes) {
    return source.view(region, offset, bytes);
  }

  @Override
  public long addressOf(ByteBuffer buffer) {
    return source.addressOf(buffer);
  }

  @Override
  public Residency residency(Region region, long offset, long bytes) {
    return source.residency(region, offset, bytes);
  }

  @Override
  public Explanation explain(int home, int found) {
    return source.explain(home, found);
  }

  @Override
  public Diagnosis diagnosis() {
    return source.diagnosis();
  }
}
