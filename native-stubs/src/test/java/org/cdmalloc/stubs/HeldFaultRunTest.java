/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.LongConsumer;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.cdmalloc.Checks;
import org.cdmalloc.spi.AddressOnlySource;
import org.cdmalloc.spi.CommitResult.Outcome;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.stubs.FaultInjectingSource.Errno;
import org.cdmalloc.stubs.FaultInjectingSource.Rule;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestReporter;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.Timeout.ThreadMode;

/**
 * Every call that pins, loans and drains make fails once, in every way: by an error of the
 * platform, before and after it took effect, by a refusal, by half of it, and because the Java heap
 * is full. Over addresses every way meets every call that takes or gives something; over the
 * emulated machine, where blocks have contents, some calls meet the next of the ways.
 */
@Timeout(value = 120, threadMode = ThreadMode.SEPARATE_THREAD)
final class HeldFaultRunTest {
  /** What pins, loans and drains cannot do without. */
  private static final Set<SourceCall> OF_HELD_BLOCKS =
      EnumSet.of(
          SourceCall.RESERVE,
          SourceCall.RELEASE,
          SourceCall.COMMIT,
          SourceCall.PURGE,
          SourceCall.MOVE,
          SourceCall.LOCK,
          SourceCall.UNLOCK,
          SourceCall.RESIDENCY,
          SourceCall.ROOM,
          SourceCall.OS_PAGE_BYTES,
          SourceCall.DIAGNOSIS);

  private static final Set<SourceCall> REFUSABLE =
      EnumSet.of(SourceCall.COMMIT, SourceCall.LOCK, SourceCall.MOVE, SourceCall.ROOM);

  /** Calls that are made often, and take nothing. */
  private static final Set<SourceCall> QUERIES =
      EnumSet.of(SourceCall.MACHINE, SourceCall.OS_PAGE_BYTES, SourceCall.CURRENT_NODE);

  private enum Way {
    ERROR,
    ERROR_AFTER_EFFECT,
    OUT_OF_MEMORY,
    REFUSAL,
    PART;

    private boolean suits(SourceCall call) {
      return switch (this) {
        case ERROR, ERROR_AFTER_EFFECT, OUT_OF_MEMORY -> true;
        case REFUSAL -> REFUSABLE.contains(call);
        case PART -> call == SourceCall.MOVE;
      };
    }

    static List<Way> of(SourceCall call) {
      return Stream.of(values()).filter(way -> way.suits(call)).toList();
    }

    void complete(Rule rule, SourceCall call) {
      switch (this) {
        case ERROR -> rule.errno(Errno.ENOMEM);
        case ERROR_AFTER_EFFECT -> rule.afterEffect().errno(Errno.EIO);
        case OUT_OF_MEMORY -> rule.outOfMemory();
        case REFUSAL -> {
          if (call == SourceCall.COMMIT) {
            rule.result(Outcome.NODE_FULL);
          } else {
            rule.refusal();
          }
        }
        case PART -> rule.part();
      }
    }
  }

  /** A source of one life, and what is locked of it. */
  private record Lower(
      MemorySource source, LongConsumer limitLocks, LongSupplier lockedBytes, boolean seesMemory)
      implements HeldWorkload.Books {

    static Lower ofAddresses() {
      AddressOnlySource source = AddressOnlySource.of(HeldWorkload.machine(), 4 << 10, () -> 0);
      return new Lower(source, source::limitLocks, source::lockedBytes, false);
    }

    static Lower emulated() {
      EmulatedSource source = EmulatedSource.of(HeldWorkload.machine(), 4 << 10, () -> 0);
      return new Lower(source, source::limitLocks, source::lockedBytes, true);
    }

    List<Long> freeBytes() {
      return source.machine().withMemory().stream().mapToObj(source::freeBytes).toList();
    }
  }

  /** Runs over one kind of source, and how often the workload makes each call. */
  private static final class Stage {
    private final Supplier<Lower> sources;
    private final Checks checks;
    private final Map<SourceCall, Integer> calls = new EnumMap<>(SourceCall.class);
    private final List<Throwable> wrong = new ArrayList<>();
    private int runs;

    Stage(Supplier<Lower> sources, Checks checks) {
      this.sources = sources;
      this.checks = checks;
      Lower lower = sources.get();
      RecordingSource record = new RecordingSource(lower.source());
      new HeldWorkload(record, lower, lower.seesMemory(), checks, () -> 0).run();
      for (SourceCall call : SourceCall.values()) {
        if (record.count(call) > 0) {
          calls.put(call, record.count(call));
        }
      }
      assertTrue(calls.keySet().containsAll(OF_HELD_BLOCKS), calls::toString);
    }

    /** Runs the workload with one fault. */
    void run(SourceCall call, int nth, Way way) {
      Lower lower = sources.get();
      List<Long> free = lower.freeBytes();
      RecordingSource inside = new RecordingSource(lower.source());
      FaultInjectingSource faults = new FaultInjectingSource(inside);
      way.complete(faults.at(call, nth), call);
      try {
        new HeldWorkload(faults, lower, lower.seesMemory(), checks, faults::injected).run();
        assertEquals(1, faults.injected(), "faults");
        assertEquals(free, lower.freeBytes());
        assertEquals(
            inside.count(SourceCall.RESERVE),
            inside.lines(EnumSet.of(SourceCall.RELEASE)).stream()
                .filter(line -> line.endsWith("= void"))
                .count(),
            "regions reserved and released");
      } catch (RuntimeException | AssertionError | OutOfMemoryError e) {
        String name = lower.source().name() + " " + checks + ": " + way + " of " + call + " " + nth;
        wrong.add(new AssertionError(name + "\n" + String.join("\n", inside.lines()), e));
      }
      runs++;
    }
  }

  private static void assertNone(TestReporter reporter, Stage stage) {
    reporter.publishEntry("held", "runs=" + stage.runs + " " + stage.calls);
    assertTrue(stage.runs >= 50, "runs=" + stage.runs);
    if (!stage.wrong.isEmpty()) {
      throw new AssertionError(
          stage.wrong.size() + " of " + stage.runs + " runs failed, the first is the cause",
          stage.wrong.get(0));
    }
  }

  @Test
  void anyCallMayFailInAnyWay(TestReporter reporter) {
    Stage stage = new Stage(Lower::ofAddresses, Checks.STANDARD);
    for (SourceCall call : stage.calls.keySet()) {
      List<Way> ways = Way.of(call);
      for (int nth = 1; nth <= stage.calls.get(call); nth++) {
        if (QUERIES.contains(call)) {
          stage.run(call, nth, ways.get(nth % ways.size()));
        } else {
          for (Way way : ways) {
            stage.run(call, nth, way);
          }
        }
      }
    }
    assertNone(reporter, stage);
  }

  /** Loans have a second block here. Of calls that show no contents some fail. */
  @Test
  void anyCallMayFailWhereThereAreContents(TestReporter reporter) {
    Stage stage = new Stage(Lower::emulated, Checks.PARANOID);
    for (SourceCall call : stage.calls.keySet()) {
      List<Way> ways = Way.of(call);
      int step = call == SourceCall.VIEW ? 2 : 7;
      for (int nth = 1; nth <= stage.calls.get(call); nth += step) {
        stage.run(call, nth, ways.get(nth / step % ways.size()));
      }
    }
    assertNone(reporter, stage);
  }
}
