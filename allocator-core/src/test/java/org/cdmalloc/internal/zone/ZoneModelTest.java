/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zone;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collections;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Long random sequences against models that know nothing of buddies. Each episode is a zone of its
 * own with its own mixture of operations and lengths, some of them left out altogether.
 */
class ZoneModelTest {
  private static final Watermarks NO_MARKS = new Watermarks(0, 0, 0);

  private static final int TINY_EPISODES = 1000;
  private static final int TINY_STEPS = 500;
  private static final int LARGE_EPISODES = 20;
  private static final int LARGE_STEPS = 5_000;

  static LongStream seeds() {
    return Seeds.upTo(4);
  }

  private enum Operation {
    TAKE,
    TAKE_ALIGNED,
    TAKE_COMMITTED,
    FREE_LIVE,
    FREE_ANY,
    MARK,
    RETIRE,
    LEND,
    REPAY
  }

  /** A mixture: each operation as often as it shall be drawn, some of them never. */
  private static List<Operation> drawMixture(SplittableRandom random) {
    List<Operation> mixture = new ArrayList<>(List.of(Operation.TAKE, Operation.FREE_LIVE));
    for (Operation operation : Operation.values()) {
      int times = random.nextInt(3) == 0 ? 0 : 1 + random.nextInt(8);
      mixture.addAll(Collections.nCopies(times, operation));
    }
    return mixture;
  }

  /** Lengths in which all powers of two are as likely, none above a limit. */
  private static int drawPages(SplittableRandom random, int limitPages) {
    int bits = Integer.SIZE - Integer.numberOfLeadingZeros(limitPages);
    return 1 + random.nextInt(Math.min(limitPages, 1 << random.nextInt(bits + 1)));
  }

  @ParameterizedTest
  @MethodSource("seeds")
  void aZoneOfUpTo64PagesDoesExactlyWhatTheModelSays(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    try {
      for (int episode = 0; episode < TINY_EPISODES; episode++) {
        runTinyEpisode(random);
      }
    } catch (RuntimeException | AssertionError failure) {
      throw Seeds.failure(seed, failure);
    }
  }

  private static void runTinyEpisode(SplittableRandom random) {
    int regionPages = 1 + random.nextInt(64);
    int capacityPages = random.nextBoolean() ? regionPages : 1 + random.nextInt(regionPages);
    int commitPages = 1 << random.nextInt(5);
    Zone zone = new Zone(regionPages, capacityPages, random.nextInt(8), commitPages, NO_MARKS);
    TinyModel model = new TinyModel(regionPages, capacityPages, zone.maxOrder(), commitPages);
    List<Operation> mixture = drawMixture(random);
    int limitPages = drawPages(random, regionPages);
    int floorLimit = random.nextInt(2) == 0 ? 1 : 1 + capacityPages / 4;
    for (int step = 0; step < TINY_STEPS; step++) {
      int pages = drawPages(random, limitPages);
      int page = random.nextInt(regionPages);
      int floor = random.nextInt(floorLimit);
      switch (mixture.get(random.nextInt(mixture.size()))) {
        case TAKE -> model.assertTook(model.take(pages, floor), zone.take(pages, floor), pages);
        case TAKE_ALIGNED -> {
          int align = random.nextInt(7);
          Object owner = random.nextInt(2) == 0 ? null : new Object();
          model.assertTook(
              model.take(pages, floor, align, owner),
              zone.take(pages, floor, align, NumaEvents.NONE, owner),
              pages);
        }
        case TAKE_COMMITTED ->
            model.assertTook(
                model.takeCommitted(pages, floor), zone.takeCommitted(pages, floor), pages);
        case FREE_LIVE -> {
          int live = liveAtOrAfter(model, page);
          Object owner = model.master(live);
          assertEquals(model.free(live, owner), zone.free(live, owner), "free");
        }
        case FREE_ANY -> assertEquals(model.free(page), zone.free(page), "free of any page");
        case MARK -> {
          int marked = Math.min(pages, regionPages - page);
          if (model.lentPages() > 0 || model.committedWith(page, marked) > capacityPages) {
            // Who commits what may be more than the capacity asks first; here that is not tried.
            break;
          }
          zone.markCommitted(page, marked);
          model.mark(page, marked, true);
        }
        case RETIRE -> {
          int from = page / commitPages;
          boolean onlyIdle = random.nextInt(2) == 0;
          BitSet units = zone.retire(from, from + pages, onlyIdle);
          assertEquals(model.retire(from, from + pages, onlyIdle), units, "retired units");
          boolean zeroed = random.nextInt(4) != 0;
          zone.purged(units, zeroed);
          if (zeroed) {
            model.purged(units);
          }
        }
        case LEND -> assertEquals(model.lend(pages, floor), zone.lend(pages, floor), "lend");
        case REPAY -> {
          int repaid = Math.min(pages, model.lentPages());
          model.repay(repaid);
          zone.repay(repaid);
        }
      }
      assertEquals(model.freePages(), zone.freePages(), "free pages");
      if (step % 16 == 0) {
        model.assertAgrees(zone);
      }
    }
    freeAllAndCheck(zone, model);
  }

  private static int liveAtOrAfter(TinyModel model, int page) {
    for (int offset = 0; offset < model.regionPages; offset++) {
      int candidate = (page + offset) % model.regionPages;
      if (model.isHead(candidate)) {
        return candidate;
      }
    }
    return page;
  }

  private static void freeAllAndCheck(Zone zone, TinyModel model) {
    for (int page = 0; page < model.regionPages; page++) {
      Object owner = model.master(page);
      assertEquals(model.free(page, owner), zone.free(page, owner), "free");
    }
    model.assertAgrees(zone);
    assertEquals(0, model.liveRuns());
  }

  @ParameterizedTest
  @MethodSource("seeds")
  void aZoneOfManyGroupsNeitherOverlapsNorLosesPagesNorRefusesWithoutNeed(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    try {
      for (int episode = 0; episode < LARGE_EPISODES; episode++) {
        new LargeEpisode(random).run();
      }
    } catch (RuntimeException | AssertionError failure) {
      throw Seeds.failure(seed, failure);
    }
  }

  /**
   * A zone whose free areas have several leaves; its model is a set of pages and a list of runs.
   */
  private static final class LargeEpisode {
    private final SplittableRandom random;
    private final Zone zone;
    private final int limitPages;
    private final int targetPages;
    private final BitSet used = new BitSet();
    private final int[] starts;
    private final int[] lengths;
    private int runs;

    LargeEpisode(SplittableRandom random) {
      this.random = random;
      int capacityPages = 1 + random.nextInt(1 << (1 + random.nextInt(17)));
      this.zone = new Zone(capacityPages, random.nextInt(20), 512, NO_MARKS);
      this.limitPages = drawPages(random, 1 << zone.maxOrder());
      this.targetPages = random.nextInt(capacityPages + 1);
      this.starts = new int[LARGE_STEPS];
      this.lengths = new int[LARGE_STEPS];
    }

    void run() {
      for (int step = 0; step < LARGE_STEPS; step++) {
        boolean grow =
            zone.usedPages() < targetPages ? random.nextInt(8) != 0 : random.nextInt(8) == 0;
        if (runs == 0 || grow) {
          take(drawPages(random, limitPages), step % 512 == 0);
        } else {
          free(random.nextInt(runs));
        }
        assertEquals(zone.capacityPages() - used.cardinality(), zone.freePages(), "free pages");
        if (step % 512 == 0) {
          zone.validate();
        }
      }
      while (runs > 0) {
        free(random.nextInt(runs));
      }
      zone.validate();
      int largeBlocks = zone.capacityPages() >> zone.maxOrder();
      int rest = zone.capacityPages() & ((1 << zone.maxOrder()) - 1);
      assertEquals(
          largeBlocks + Integer.bitCount(rest),
          IntStream.of(zone.freeBlocksPerOrder()).sum(),
          "free blocks after everything was freed");
    }

    private void take(int pages, boolean exactly) {
      int size = pages == 1 ? 1 : Integer.highestOneBit(pages - 1) << 1;
      int expected = exactly ? lowestOfSmallest(size) : Zone.NONE;
      int page = (int) zone.take(pages, 0);
      if (exactly) {
        assertEquals(expected, page, "first page of the run");
      }
      if (page < 0) {
        assertEquals(Zone.NONE, page);
        assertFalse(hasFree(size), "refused although a block is free");
        return;
      }
      assertEquals(0, page % size, "alignment");
      assertTrue(page + pages <= zone.capacityPages(), "end of the zone");
      int nextUsed = used.nextSetBit(page);
      assertTrue(nextUsed < 0 || nextUsed >= page + pages, "overlap");
      used.set(page, page + pages);
      starts[runs] = page;
      lengths[runs] = pages;
      runs++;
    }

    private void free(int run) {
      int page = starts[run];
      int pages = lengths[run];
      if (pages > 1) {
        assertEquals(Zone.INTERIOR, zone.free(page + 1 + random.nextInt(pages - 1)));
      }
      assertEquals(pages, zone.free(page), "pages of the run");
      assertEquals(Zone.NOT_LIVE, zone.free(page));
      used.clear(page, page + pages);
      runs--;
      starts[run] = starts[runs];
      lengths[run] = lengths[runs];
    }

    private boolean isFree(int page, int size) {
      if (page + size > zone.capacityPages()) {
        return false;
      }
      int nextUsed = used.nextSetBit(page);
      return nextUsed < 0 || nextUsed >= page + size;
    }

    private boolean hasFree(int size) {
      int page = 0;
      while (page < zone.capacityPages()) {
        if (isFree(page, size)) {
          return true;
        }
        // Past the used pages that stand in the way, on to the next multiple of the size.
        int clear = used.nextClearBit(Math.max(page + 1, used.nextSetBit(page)));
        page = (clear + size - 1) & -size;
      }
      return false;
    }

    private int lowestOfSmallest(int size) {
      for (int block = size; block <= 1 << zone.maxOrder(); block *= 2) {
        for (int page = 0; page < zone.capacityPages(); page += block) {
          boolean half = block < 1 << zone.maxOrder() && isFree(page & -(2 * block), 2 * block);
          if (isFree(page, block) && !half) {
            return page;
          }
        }
      }
      return Zone.NONE;
    }
  }
}
