/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

/** How long a chunk is, and how many there are. */
final class ChunksTest {
  private long turnNanos = 10_000;
  private int calls;
  private int turnsOfLast;

  private void busy(int turns) {
    calls++;
    turnsOfLast = turns;
    long until = System.nanoTime() + turns * turnNanos;
    while (System.nanoTime() - until < 0) {
      Thread.onSpinWait();
    }
  }

  @Test
  void aChunkTakesSome100MicrosecondsWhateverATurnTakes() {
    for (long nanos : new long[] {10_000, 200}) {
      turnNanos = nanos;
      Chunks.Batch batch = Chunks.measure(this::busy, 50, new Stop());
      assertEquals(50, batch.nanosPerTurn().length);
      long most = 100_000 / nanos;
      assertTrue(turnsOfLast >= most / 2 && turnsOfLast <= most, "turns=" + turnsOfLast);
      assertTrue(Distribution.of(batch.nanosPerTurn()).quantile(0) >= nanos);
      assertTrue(batch.cpuOverWall() > 0 && batch.cpuOverWall() <= 1);
    }
  }

  @Test
  void compilersHaveTime() {
    turnNanos = 200;
    Stop stop = new Stop();
    stop.ask();
    long before = System.nanoTime();
    Chunks.measure(this::busy, 1, stop);
    assertTrue(System.nanoTime() - before >= 20_000_000, "warmed up for less than 20 ms");
  }

  @Test
  void whoAsksToStopGetsOneChunk() {
    Stop stop = new Stop();
    stop.ask();
    assertEquals(1, Chunks.measure(this::busy, 50, stop).nanosPerTurn().length);
    assertTrue(calls > 1);
  }
}
