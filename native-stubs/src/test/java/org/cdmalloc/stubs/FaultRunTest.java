/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.EnumMap;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.cdmalloc.NativeCallException;
import org.cdmalloc.spi.AddressOnlySource;
import org.cdmalloc.spi.CommitResult.Outcome;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Region;
import org.cdmalloc.stubs.FaultInjectingSource.Errno;
import org.cdmalloc.stubs.FaultInjectingSource.Rule;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestReporter;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.Timeout.ThreadMode;

/**
 * Every call that an allocator makes fails once, in every way, before and after it took effect: the
 * exception is that failure and surfaces once, what was asked for again is served, and at the end
 * nothing is lost. Every error meets every call over addresses, where a run takes no time; over the
 * emulated machine, where there are buffers too, every call fails with one of them.
 */
@Timeout(value = 300, threadMode = ThreadMode.SEPARATE_THREAD)
final class FaultRunTest {
  /** The calls that an allocator makes in any life; the others tell people something. */
  private static final Set<SourceCall> OF_AN_ALLOCATOR =
      EnumSet.of(
          SourceCall.MACHINE,
          SourceCall.OS_PAGE_BYTES,
          SourceCall.LIMIT_BYTES,
          SourceCall.CURRENT_NODE,
          SourceCall.RESERVE,
          SourceCall.COMMIT,
          SourceCall.MOVE,
          SourceCall.PURGE,
          SourceCall.RELEASE,
          SourceCall.RESIDENCY,
          SourceCall.DIAGNOSIS);

  private static final List<Errno> ERRORS = List.of(Errno.values());

  private static final Set<Outcome> REFUSALS = EnumSet.complementOf(EnumSet.of(Outcome.COMMITTED));

  /** A source, used by others too, and how often an allocator's life makes each call. */
  private static final class Stage {
    private final MemorySource source;
    private final boolean seesMemory;
    private final Map<SourceCall, Integer> calls = new EnumMap<>(SourceCall.class);

    Stage(MemorySource source, boolean seesMemory) {
      this.source = source;
      this.seesMemory = seesMemory;
      Region region = source.reserve(0, FaultWorkload.OTHERS_BYTES);
      assertTrue(source.commit(region, 0, FaultWorkload.OTHERS_BYTES).isCommitted());
      RecordingSource record = new RecordingSource(source);
      FaultWorkload workload = new FaultWorkload(record, seesMemory, () -> 0);
      workload.run();
      assertEquals(List.of(), workload.surfaced());
      assertEquals(0, workload.refusals());
      for (SourceCall call : SourceCall.values()) {
        if (record.count(call) > 0) {
          calls.put(call, record.count(call));
        }
      }
      assertTrue(calls.keySet().containsAll(OF_AN_ALLOCATOR), calls::toString);
      assertEquals(seesMemory, calls.containsKey(SourceCall.VIEW));
    }

    static Stage ofAddresses() {
      return new Stage(AddressOnlySource.of(FaultWorkload.machine(), 4 << 10, () -> 0), false);
    }

    static Stage emulated() {
      return new Stage(EmulatedSource.of(FaultWorkload.machine(), 4 << 10, () -> 0), true);
    }

    private String freeBytes() {
      StringBuilder text = new StringBuilder();
      source.machine().withMemory().stream()
          .forEach(node -> text.append(node).append('=').append(source.freeBytes(node)));
      return text.toString();
    }

    /** Runs the workload with one fault and checks what does not depend on which fault it is. */
    FaultWorkload run(SourceCall call, int nth, boolean after, Errno errno, Outcome outcome) {
      String free = freeBytes();
      RecordingSource inside = new RecordingSource(source);
      FaultInjectingSource faults = new FaultInjectingSource(inside);
      Rule rule = after ? faults.at(call, nth).afterEffect() : faults.at(call, nth);
      if (errno != null) {
        rule.errno(errno);
      } else {
        rule.result(outcome);
      }
      FaultWorkload workload = new FaultWorkload(faults, seesMemory, faults::injected);
      try {
        workload.run();
        assertEquals(1, faults.injected(), "faults");
        assertEquals(free, freeBytes());
        assertEquals(
            inside.count(SourceCall.RESERVE),
            inside.lines(EnumSet.of(SourceCall.RELEASE)).stream()
                .filter(line -> line.endsWith("= void"))
                .count(),
            "regions reserved and released");
        return workload;
      } catch (RuntimeException | AssertionError e) {
        String name = call + " " + nth + " after=" + after + " " + errno + " " + outcome;
        throw new AssertionError(name + "\n" + String.join("\n", inside.lines()), e);
      }
    }

    /** Lets a call fail, before and after its effect; returns the number of runs. */
    int fail(SourceCall call, int nth, Errno errno) {
      for (boolean after : new boolean[] {false, true}) {
        FaultWorkload workload = run(call, nth, after, errno, null);
        String name = call + " " + nth + " after=" + after + " " + errno;
        assertEquals(1, workload.surfaced().size() + workload.putOff(), name);
        if (workload.surfaced().isEmpty()) {
          assertTrue(call == SourceCall.COMMIT || call == SourceCall.PURGE, name);
          continue;
        }
        NativeCallException failure = workload.surfaced().get(0);
        assertEquals(errno.number(), failure.errno(), name);
        assertEquals(call.method(), failure.function(), name);
        assertEquals(0, workload.refusals(), name);
      }
      return 2;
    }

    /** Lets every commit find everything full; returns the number of runs. */
    int refuse() {
      int runs = 0;
      for (int nth = 1; nth <= calls.get(SourceCall.COMMIT); nth++) {
        for (Outcome full : REFUSALS) {
          for (boolean after : new boolean[] {false, true}) {
            FaultWorkload workload = run(SourceCall.COMMIT, nth, after, null, full);
            assertEquals(List.of(), workload.surfaced());
            assertTrue(workload.refusals() <= 1);
            runs++;
          }
        }
      }
      return runs;
    }
  }

  private static void report(TestReporter reporter, Stage stage, int runs, int refusals) {
    int positions = stage.calls.values().stream().mapToInt(Integer::intValue).sum();
    reporter.publishEntry(
        stage.source.name(),
        "positions="
            + positions
            + " "
            + stage.calls
            + ", errors="
            + ERRORS.size()
            + ", runs="
            + runs
            + ", runs_with_refusals="
            + refusals);
  }

  @Test
  void anyCallMayFailWithAnyErrorAtAnyTime(TestReporter reporter) {
    Stage stage = Stage.ofAddresses();
    int runs = 0;
    for (SourceCall call : stage.calls.keySet()) {
      for (int nth = 1; nth <= stage.calls.get(call); nth++) {
        for (Errno errno : ERRORS) {
          runs += stage.fail(call, nth, errno);
        }
      }
    }
    int refusals = stage.refuse();
    report(reporter, stage, runs, refusals);
    assertTrue(runs >= 2500 && refusals >= 40, "runs=" + runs + ", refusals=" + refusals);
  }

  /** Each call fails with one error, each with the next of the list. */
  @Test
  void anyCallMayFailWhereThereAreBuffers(TestReporter reporter) {
    Stage stage = Stage.emulated();
    int runs = 0;
    int next = 0;
    for (SourceCall call : stage.calls.keySet()) {
      for (int nth = 1; nth <= stage.calls.get(call); nth++) {
        runs += stage.fail(call, nth, ERRORS.get(next++ % ERRORS.size()));
      }
    }
    int refusals = stage.refuse();
    report(reporter, stage, runs, refusals);
    assertTrue(runs >= 100 && refusals >= 20, "runs=" + runs + ", refusals=" + refusals);
  }
}
