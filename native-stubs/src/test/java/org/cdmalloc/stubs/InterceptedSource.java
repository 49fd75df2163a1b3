/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import java.nio.ByteBuffer;
import java.util.List;
import java.util.Objects;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.CommitResult.Outcome;
import org.cdmalloc.spi.Diagnosis;
import org.cdmalloc.spi.Explanation;
import org.cdmalloc.spi.LockResult;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.MoveResult;
import org.cdmalloc.spi.Region;
import org.cdmalloc.spi.Residency;
import org.cdmalloc.spi.Stripe;
import org.cdmalloc.topology.Machine;

/** A source that hands every call to another one, by way of one method. */
abstract class InterceptedSource implements MemorySource {
  private final MemorySource source;

  InterceptedSource(MemorySource source) {
    this.source = Objects.requireNonNull(source, "source");
  }

  /** What a call does. */
  interface Effect<T> {
    T happen();
  }

  /**
   * One call of the port.
   *
   * @param call which
   * @param region its first argument, or null
   * @param arguments the others, as {@code name=value} pairs
   * @param effect does what was called
   * @param vain does what was called and gives back what that took, as the port demands of a method
   *     that fails late
   * @param refusal answers that there is no room; null where the port has no such answer
   * @param part does half of what was called, and answers so; null where the port has no such
   *     answer
   */
  record Invocation<T>(
      SourceCall call,
      Region region,
      String arguments,
      Effect<T> effect,
      Runnable vain,
      Effect<T> refusal,
      Effect<T> part) {
    Invocation(SourceCall call, Region region, String arguments, Effect<T> effect, Runnable vain) {
      this(call, region, arguments, effect, vain, null, null);
    }

    Invocation<T> or(Effect<T> refused) {
      return new Invocation<>(call, region, arguments, effect, vain, refused, part);
    }

    Invocation<T> orPart(Effect<T> done) {
      return new Invocation<>(call, region, arguments, effect, vain, refusal, done);
    }
  }

  private static final String INJECTED = "injected=true";

  /** Decides what comes of a call. */
  abstract <T> T intercept(Invocation<T> invocation);

  final MemorySource source() {
    return source;
  }

  private <T> T query(SourceCall call, Effect<T> effect) {
    return query(call, "", effect);
  }

  private <T> T query(SourceCall call, String arguments, Effect<T> effect) {
    return intercept(new Invocation<>(call, null, arguments, effect, effect::happen));
  }

  private <T> T ofRange(
      SourceCall call, Region region, long offset, long bytes, Effect<T> effect, Runnable vain) {
    return intercept(new Invocation<>(call, region, range(offset, bytes), effect, vain));
  }

  private static String range(long offset, long bytes) {
    return "offset=" + offset + ", bytes=" + bytes;
  }

  @Override
  public final String name() {
    return query(SourceCall.NAME, source::name);
  }

  @Override
  public final boolean isReal() {
    return query(SourceCall.IS_REAL, source::isReal);
  }

  @Override
  public final Machine machine() {
    return query(SourceCall.MACHINE, source::machine);
  }

  @Override
  public final int osPageBytes() {
    return query(SourceCall.OS_PAGE_BYTES, source::osPageBytes);
  }

  @Override
  public final long limitBytes() {
    return query(SourceCall.LIMIT_BYTES, source::limitBytes);
  }

  @Override
  public final int currentNode() {
    return query(SourceCall.CURRENT_NODE, source::currentNode);
  }

  @Override
  public final long freeBytes(int node) {
    return query(SourceCall.FREE_BYTES, "node=" + node, () -> source.freeBytes(node));
  }

  @Override
  public final long presentBytes(int node) {
    return query(SourceCall.PRESENT_BYTES, "node=" + node, () -> source.presentBytes(node));
  }

  @Override
  public final CommitResult room(int node, long bytes) {
    String arguments = "node=" + node + ", bytes=" + bytes;
    Effect<CommitResult> effect = () -> source.room(node, bytes);
    return intercept(
        new Invocation<>(SourceCall.ROOM, null, arguments, effect, effect::happen)
            .or(() -> new CommitResult(Outcome.NODE_FULL, INJECTED)));
  }

  @Override
  public final Region reserve(Stripe stripe, long bytes) {
    return intercept(
        new Invocation<>(
            SourceCall.RESERVE,
            null,
            "stripe=" + stripe + ", bytes=" + bytes,
            () -> source.reserve(stripe, bytes),
            () -> source.release(source.reserve(stripe, bytes))));
  }

  @Override
  public final CommitResult commit(Region region, long offset, long bytes) {
    return ofRange(
        SourceCall.COMMIT,
        region,
        offset,
        bytes,
        () -> source.commit(region, offset, bytes),
        () -> commitInVain(region, offset, bytes));
  }

  /** Commits a range and purges what of it was not committed before. */
  private void commitInVain(Region region, long offset, long bytes) {
    Residency before = source.residency(region, offset, bytes);
    if (!source.commit(region, offset, bytes).isCommitted()) {
      return;
    }
    for (int page = 0; page < before.pages(); ) {
      int end = page;
      while (end < before.pages() && before.node(end) == Residency.NOT_PRESENT) {
        end++;
      }
      if (end > page) {
        long pageBytes = before.osPageBytes();
        source.purge(region, offset + page * pageBytes, (end - page) * pageBytes);
      }
      page = end + 1;
    }
  }

  @Override
  public final MoveResult move(Region region, long offset, long bytes, int node) {
    return intercept(
        new Invocation<>(
                SourceCall.MOVE,
                region,
                range(offset, bytes),
                () -> source.move(region, offset, bytes, node),
                () -> {})
            .or(() -> MoveResult.refused(INJECTED, source.residency(region, offset, bytes), node))
            .orPart(() -> moveHalf(region, offset, bytes, node)));
  }

  /** Moves what is at least half of a range, in whole pages, and leaves the rest where it is. */
  private MoveResult moveHalf(Region region, long offset, long bytes, int node) {
    int page = source.osPageBytes();
    source.move(region, offset, (bytes / page + 1) / 2 * page, node);
    return MoveResult.of(source.residency(region, offset, bytes), node, unmoved -> INJECTED);
  }

  /** One that fails late leaves what is locked as it is: what was before, nobody can be asked. */
  @Override
  public final LockResult lock(Region region, long offset, long bytes) {
    return intercept(
        new Invocation<>(
                SourceCall.LOCK,
                region,
                range(offset, bytes),
                () -> source.lock(region, offset, bytes),
                () -> {})
            .or(() -> LockResult.refused(INJECTED)));
  }

  @Override
  public final void unlock(Region region, long offset, long bytes) {
    ofRange(
        SourceCall.UNLOCK,
        region,
        offset,
        bytes,
        () -> {
          source.unlock(region, offset, bytes);
          return null;
        },
        () -> source.unlock(region, offset, bytes));
  }

  @Override
  public final List<String> lockHazards(int node) {
    return query(SourceCall.LOCK_HAZARDS, "node=" + node, () -> source.lockHazards(node));
  }

  @Override
  public final long purge(Region region, long offset, long bytes) {
    return ofRange(
        SourceCall.PURGE,
        region,
        offset,
        bytes,
        () -> source.purge(region, offset, bytes),
        () -> source.purge(region, offset, bytes));
  }

  @Override
  public final void release(Region region) {
    intercept(
        new Invocation<>(
            SourceCall.RELEASE,
            region,
            "",
            () -> {
              source.release(region);
              return null;
            },
            () -> source.release(region)));
  }

  @Override
  public final ByteBuffer view(Region region, long offset, int bytes) {
    return ofRange(
        SourceCall.VIEW,
        region,
        offset,
        bytes,
        () -> source.view(region, offset, bytes),
        () -> source.view(region, offset, bytes));
  }

  @Override
  public final long addressOf(ByteBuffer buffer) {
    return query(
        SourceCall.ADDRESS_OF, "capacity=" + buffer.capacity(), () -> source.addressOf(buffer));
  }

  @Override
  public final Residency residency(Region region, long offset, long bytes) {
    return ofRange(
        SourceCall.RESIDENCY,
        region,
        offset,
        bytes,
        () -> source.residency(region, offset, bytes),
        () -> source.residency(region, offset, bytes));
  }

  @Override
  public final Explanation explain(int home, int found) {
    return query(
        SourceCall.EXPLAIN, "home=" + home + ", found=" + found, () -> source.explain(home, found));
  }

  @Override
  public final Diagnosis diagnosis() {
    return query(SourceCall.DIAGNOSIS, source::diagnosis);
  }
}
