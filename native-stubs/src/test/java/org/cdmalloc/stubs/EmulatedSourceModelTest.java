/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Region;
import org.cdmalloc.spi.Residency;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Random commits, writes and purges against an array that says what each page holds, on both sides
 * of the boundary between two mappings, on a node that is too small. {@code -Dseed=N} runs one
 * seed.
 */
final class EmulatedSourceModelTest {
  private static final int PAGE = 4 << 10;
  private static final int PAGES = 48;
  private static final int NODE_PAGES = 30;
  private static final int STEPS = 200;
  private static final long START = MemorySource.ROOT_BYTES - (long) PAGES / 2 * PAGE;
  private static final int ABSENT = -1;

  static LongStream seeds() {
    Long seed = Long.getLong("seed");
    return seed == null ? LongStream.rangeClosed(1, 8) : LongStream.of(seed);
  }

  @ParameterizedTest(name = "-Dseed={0}")
  @MethodSource("seeds")
  void pagesHoldWhatTheModelSays(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    Machine machine = Machine.builder().node(Node.of(0, "0", (long) NODE_PAGES * PAGE + 1)).build();
    EmulatedSource source = EmulatedSource.of(machine, PAGE);
    Region region = source.reserve(0, START + (long) PAGES * PAGE);
    int[] model = new int[PAGES];
    Arrays.fill(model, ABSENT);
    for (int step = 0; step < STEPS; step++) {
      int from = random.nextInt(PAGES);
      int to = from + 1 + random.nextInt(Math.min(PAGES - from, 16));
      switch (random.nextInt(3)) {
        case 0 -> commit(source, region, model, from, to);
        case 1 -> purge(source, region, model, from, to);
        default -> write(source, region, model, from, to, step);
      }
      check(source, region, model, "seed=" + seed + ", step=" + step);
    }
    source.release(region);
    assertEquals(NODE_PAGES * (long) PAGE + 1, source.freeBytes(0));
  }

  private static void commit(EmulatedSource source, Region region, int[] model, int from, int to) {
    long absent = IntStream.range(from, to).filter(page -> model[page] == ABSENT).count();
    boolean fits = absent <= NODE_PAGES - committed(model);
    CommitResult result = source.commit(region, offset(from), (long) (to - from) * PAGE);
    assertEquals(fits, result.isCommitted(), result::toString);
    for (int page = from; fits && page < to; page++) {
      model[page] = Math.max(model[page], 0);
    }
  }

  private static void purge(EmulatedSource source, Region region, int[] model, int from, int to) {
    source.purge(region, offset(from), (long) (to - from) * PAGE);
    Arrays.fill(model, from, to, ABSENT);
  }

  private static void write(
      EmulatedSource source, Region region, int[] model, int from, int to, int step) {
    for (int page = from; page < to; page++) {
      if (model[page] != ABSENT) {
        model[page] = 1 + (step + page) % 100;
        source.view(region, offset(page), PAGE).put(0, filled(model[page]));
      }
    }
  }

  private static void check(EmulatedSource source, Region region, int[] model, String when) {
    assertEquals((NODE_PAGES - committed(model)) * PAGE + 1, source.freeBytes(0), when);
    Residency residency = source.residency(region, START, (long) PAGES * PAGE);
    for (int page = 0; page < PAGES; page++) {
      String where = when + ", page=" + page;
      boolean absent = model[page] == ABSENT;
      assertEquals(absent ? Residency.NOT_PRESENT : 0, residency.node(page), where);
      ByteBuffer expected = ByteBuffer.wrap(filled(absent ? 0 : model[page]));
      assertEquals(-1, source.view(region, offset(page), PAGE).mismatch(expected), where);
    }
  }

  private static long committed(int[] model) {
    return Arrays.stream(model).filter(content -> content != ABSENT).count();
  }

  private static long offset(int page) {
    return START + (long) page * PAGE;
  }

  private static byte[] filled(int value) {
    byte[] page = new byte[PAGE];
    Arrays.fill(page, (byte) value);
    return page;
  }
}
