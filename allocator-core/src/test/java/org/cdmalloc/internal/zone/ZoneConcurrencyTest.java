/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zone;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.junit.jupiter.api.Test;

class ZoneConcurrencyTest {
  private static final int THREADS = 4;
  private static final int STEPS = 300_000;
  private static final int CAPACITY_PAGES = 1000;
  private static final int LIVE_LIMIT = 64;

  private final Zone zone = new Zone(CAPACITY_PAGES, 9, 16, new Watermarks(0, 0, 0));
  private final CyclicBarrier start = new CyclicBarrier(THREADS);
  private final AtomicIntegerArray owners = new AtomicIntegerArray(CAPACITY_PAGES);

  @Test
  void threadsNeverOwnTheSamePageAndEverythingComesBack() throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(THREADS);
    try {
      List<Callable<Void>> tasks = new ArrayList<>();
      for (int thread = 1; thread <= THREADS; thread++) {
        int owner = thread;
        tasks.add(() -> takeAndFree(owner));
      }
      for (Future<Void> done : threads.invokeAll(tasks)) {
        done.get();
      }
    } finally {
      threads.shutdownNow();
    }
    zone.validate();
    assertEquals(CAPACITY_PAGES, zone.freePages());
    // 1000 = 512 + 256 + 128 + 64 + 32 + 8
    assertArrayEquals(new int[] {0, 0, 0, 1, 0, 1, 1, 1, 1, 1}, zone.freeBlocksPerOrder());
  }

  private Void takeAndFree(int owner) throws Exception {
    start.await();
    SplittableRandom random = new SplittableRandom(owner);
    int[] runs = new int[LIVE_LIMIT];
    int live = 0;
    for (int step = 0; step < STEPS; step++) {
      boolean full = live == LIVE_LIMIT;
      if (!full && (live == 0 || random.nextBoolean())) {
        int pages = 1 + random.nextInt(1 << random.nextInt(6));
        long run = zone.take(pages, 0);
        if (run >= 0) {
          move(Zone.page(run), pages, 0, owner);
          runs[live++] = Zone.page(run);
        }
      } else {
        live = free(runs, live, random.nextInt(live), owner);
      }
    }
    while (live > 0) {
      live = free(runs, live, live - 1, owner);
    }
    return null;
  }

  private int free(int[] runs, int live, int index, int owner) {
    int page = runs[index];
    int pages = zone.pages(page);
    move(page, pages, owner, 0);
    assertEquals(pages, zone.free(page));
    runs[index] = runs[live - 1];
    return live - 1;
  }

  private void move(int page, int pages, int from, int to) {
    for (int at = page; at < page + pages; at++) {
      if (!owners.compareAndSet(at, from, to)) {
        throw new AssertionError("page " + at + " is owned by thread " + owners.get(at));
      }
    }
  }
}
