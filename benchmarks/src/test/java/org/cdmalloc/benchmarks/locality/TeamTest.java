/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import org.cdmalloc.NativeCallException;
import org.cdmalloc.numa.CpuAffinity;
import org.cdmalloc.topology.CpuMask;
import org.junit.jupiter.api.Test;

/** Several threads that measure together. */
final class TeamTest {
  private static final int MEMBERS = 3;
  private static final int PASSES = 4;

  /** Busy, so that a turn takes time on any host. */
  private static void busy(long nanos) {
    long until = System.nanoTime() + nanos;
    while (System.nanoTime() - until < 0) {
      Thread.onSpinWait();
    }
  }

  private static List<CompletableFuture<Void>> start(Team team, List<Chunks.Loop> loops) {
    List<CompletableFuture<Void>> members = new ArrayList<>();
    for (int i = 0; i < loops.size(); i++) {
      int member = i;
      members.add(
          CompletableFuture.runAsync(
              () -> team.run(member, loops.get(member), 10), task -> new Thread(task).start()));
    }
    return members;
  }

  @Test
  void aPassIsLongEnoughAndCountsWhatAllDid() {
    AtomicLong turnsDone = new AtomicLong();
    Team team = new Team(MEMBERS, PASSES, new Stop());
    Chunks.Loop loop =
        turns -> {
          turnsDone.addAndGet(turns);
          busy(turns * 100_000L);
        };
    start(team, IntStream.range(0, MEMBERS).mapToObj(i -> loop).toList())
        .forEach(CompletableFuture::join);
    double[] values = team.turnsPerNano(1);
    assertEquals(PASSES, values.length);
    // 20 ms are 20 times the 10 turns of 100 µs, or fewer times where these take longer here.
    long inPasses = turnsDone.get() - 4L * 10 * MEMBERS;
    assertEquals(0, inPasses % (PASSES * MEMBERS * 10));
    double turnsOfAPass = (double) inPasses / PASSES;
    for (double value : values) {
      double passNanos = turnsOfAPass / value;
      assertTrue(passNanos >= 10e6, "nanos=" + passNanos);
    }
    assertTrue(team.leastCpu() > 0 && team.leastCpu() <= 1, "cpu=" + team.leastCpu());
  }

  @Test
  void whoFailsEndsTheOthers() {
    Team team = new Team(2, PASSES, new Stop());
    AtomicInteger calls = new AtomicInteger();
    List<CompletableFuture<Void>> members =
        start(
            team,
            List.of(
                turns -> busy(1000),
                turns -> {
                  if (calls.incrementAndGet() == 3) {
                    throw new IllegalArgumentException("enough");
                  }
                }));
    CompletionException first = assertThrows(CompletionException.class, members.get(0)::join);
    assertTrue(first.getCause().getMessage().contains("members=2"), first.getCause() + "");
    CompletionException second = assertThrows(CompletionException.class, members.get(1)::join);
    assertEquals("enough", second.getCause().getMessage());
    assertEquals(3, calls.get());
  }

  @Test
  void whoCannotBePinnedEndsTheOthersAndIsNamed() {
    Team team = new Team(2, PASSES, new Stop());
    int cpu = CpuAffinity.get().stream().findFirst().orElseThrow();
    List<PinnedThread<Void>> members =
        List.of(
            PinnedThread.start(cpu, () -> pass(team), team::fail),
            PinnedThread.start(CpuMask.MAX_CPUS - 1, () -> pass(team), team::fail));
    long before = System.nanoTime();
    NativeCallException refused =
        assertThrows(NativeCallException.class, () -> PinnedThread.joinAll(members));
    assertTrue(refused.getMessage().contains("sched_setaffinity"), refused.getMessage());
    assertTrue(System.nanoTime() - before < 30e9, "it waited for who never came");
  }

  private static Void pass(Team team) {
    team.run(0, turns -> busy(1000), 1);
    return null;
  }

  @Test
  void whoAsksToStopEndsAll() {
    Stop stop = new Stop();
    Team team = new Team(2, PASSES, stop);
    List<CompletableFuture<Void>> members =
        start(team, List.of(turns -> busy(1000), turns -> stop.ask()));
    for (CompletableFuture<Void> member : members) {
      CompletionException ended = assertThrows(CompletionException.class, member::join);
      assertEquals(Team.BrokenException.class, ended.getCause().getClass());
    }
  }
}
