/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.LockResult;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Region;

/**
 * Any source, and a line for each call made to it, with arguments and outcome: {@code
 * commit(region=1, offset=0, bytes=4096) = COMMITTED}, {@code release(region=1) = void}, {@code
 * view(region=2, offset=1, bytes=-1) threw IllegalArgumentException: …}. Regions are numbered from
 * 1 in the order in which they were reserved.
 *
 * <p>Calls stand in the order in which they ended: that of the calls of one thread, some order of
 * those of several. The newest lines are kept, {@link #DEFAULT_LINES} unless told; {@link #count}
 * counts all. Keeps a reference to every region that was not released. Safe for use by any number
 * of threads.
 */
public final class RecordingSource extends InterceptedSource {
  /** How many lines are kept unless told. */
  public static final int DEFAULT_LINES = 100_000;

  private record Line(SourceCall call, String text) {}

  private final int mostLines;

  // Guarded by this.
  private final Deque<Line> lines = new ArrayDeque<>();
  private final Map<SourceCall, Integer> counts = new EnumMap<>(SourceCall.class);
  private final IdentityHashMap<Region, Integer> numbers = new IdentityHashMap<>();
  private int lastNumber;

  /**
   * Records the calls made to a source.
   *
   * @param source what they are handed to
   */
  public RecordingSource(MemorySource source) {
    this(source, DEFAULT_LINES);
  }

  /**
   * Records the calls made to a source.
   *
   * @param source what they are handed to
   * @param mostLines how many of the newest calls are kept, positive
   * @throws IllegalArgumentException if {@code mostLines} is not positive
   */
  public RecordingSource(MemorySource source, int mostLines) {
    super(source);
    if (mostLines <= 0) {
      throw new IllegalArgumentException("a record needs a line: mostLines=" + mostLines);
    }
    this.mostLines = mostLines;
  }

  @Override
  <T> T intercept(Invocation<T> invocation) {
    String outcome = "threw an error";
    T result = null;
    try {
      result = invocation.effect().happen();
      outcome = "= " + print(invocation.call(), result);
      return result;
    } catch (RuntimeException e) {
      outcome = "threw " + e.getClass().getSimpleName() + ": " + e.getMessage();
      throw e;
    } finally {
      record(invocation, result, outcome);
    }
  }

  private static String print(SourceCall call, Object result) {
    return switch (call) {
      case RESERVE -> "";
      case RELEASE, UNLOCK -> "void";
      case COMMIT ->
          result instanceof CommitResult commit && !commit.isCommitted()
              ? commit.outcome() + " " + commit.detail()
              : "COMMITTED";
      case LOCK ->
          result instanceof LockResult lock && !lock.isLocked()
              ? "refused " + lock.detail()
              : "LOCKED";
      default -> String.valueOf(result);
    };
  }

  private synchronized void record(Invocation<?> invocation, Object result, String outcome) {
    StringBuilder text = new StringBuilder(invocation.call().method()).append('(');
    Region region = invocation.region();
    if (region != null) {
      Integer number = numbers.get(region);
      text.append("region=").append(number == null ? "foreign" : number.toString());
    }
    if (!invocation.arguments().isEmpty()) {
      text.append(region == null ? "" : ", ").append(invocation.arguments());
    }
    text.append(") ").append(outcome);
    if (result instanceof Region reserved) {
      numbers.put(reserved, ++lastNumber);
      text.append("region=").append(lastNumber);
    }
    if (invocation.call() == SourceCall.RELEASE && outcome.startsWith("=")) {
      numbers.remove(region);
    }
    counts.merge(invocation.call(), 1, Integer::sum);
    if (lines.size() == mostLines) {
      lines.removeFirst();
    }
    lines.addLast(new Line(invocation.call(), text.toString()));
  }

  /**
   * Returns the record.
   *
   * @return a line per call, the oldest first
   */
  public List<String> lines() {
    return lines(EnumSet.allOf(SourceCall.class));
  }

  /**
   * Returns the record of some calls.
   *
   * @param calls which
   * @return a line per call, the oldest first
   */
  public synchronized List<String> lines(Set<SourceCall> calls) {
    List<String> texts = new ArrayList<>();
    for (Line line : lines) {
      if (calls.contains(line.call())) {
        texts.add(line.text());
      }
    }
    return texts;
  }

  /**
   * Counts the calls of a kind, those too whose lines are not kept any more.
   *
   * @param call which
   * @return how many ended since this was made or {@link #clear cleared}
   */
  public synchronized int count(SourceCall call) {
    return counts.getOrDefault(call, 0);
  }

  /** Forgets lines and counts; regions keep their numbers. */
  public synchronized void clear() {
    lines.clear();
    counts.clear();
  }
}
