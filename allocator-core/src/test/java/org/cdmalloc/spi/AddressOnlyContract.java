/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.spi;

import static org.junit.jupiter.api.Assertions.assertAll;

import org.junit.jupiter.api.Test;

/**
 * What every {@link MemorySource} does, as far as it can be told without looking at memory: for a
 * source whose regions have addresses and nothing behind them. One that has memory keeps {@link
 * MemorySourceContract}.
 */
public abstract class AddressOnlyContract extends LockContract {
  @Test
  @Clause({
    "Offsets and sizes are in bytes, whole multiples of osPageBytes(), and lie in the region.",
    "Whatever breaks this rule is an IllegalArgumentException and changes nothing."
  })
  void rangesThatAreNoneAreRefusedAndChangeNothing() {
    Region region = reserve(2 * CHUNK_BYTES);
    long page = source.osPageBytes();
    commit(region, 0, CHUNK_BYTES);
    long free = source.freeBytes(region.node());
    long[][] ranges = {
      {0, 0},
      {0, -page},
      {page, 0},
      {page, -page},
      {-page, page},
      {-page, 2 * page},
      {1, page},
      {page / 2, page},
      {0, page - 1},
      {0, page + 1},
      {0, 2 * CHUNK_BYTES + page},
      {2 * CHUNK_BYTES, page},
      {CHUNK_BYTES, 2 * CHUNK_BYTES},
      {4 * CHUNK_BYTES, page},
      {page, Long.MAX_VALUE - page + 1},
      {Long.MAX_VALUE - page + 1, page},
      {Long.MIN_VALUE, page},
      {0, Long.MIN_VALUE},
    };
    for (long[] range : ranges) {
      assertIllegal(() -> source.commit(region, range[0], range[1]));
      assertIllegal(() -> source.purge(region, range[0], range[1]));
      assertIllegal(() -> source.residency(region, range[0], range[1]));
      assertIllegal(() -> source.move(region, range[0], range[1], region.node()));
      assertIllegal(() -> source.lock(region, range[0], range[1]));
      assertIllegal(() -> source.unlock(region, range[0], range[1]));
    }
    assertResident(region, 0, CHUNK_BYTES);
    assertAbsent(region, CHUNK_BYTES, CHUNK_BYTES);
    assertFree(free, region.node());
  }

  @Test
  @Clause("After release a region may not be used again: IllegalStateException.")
  void releasedRegionIsRefused() {
    Region region = reserve(CHUNK_BYTES);
    commit(region, 0, CHUNK_BYTES);
    release(region);
    long free = source.freeBytes(region.node());
    assertAll(
        () -> assertStale(() -> source.commit(region, 0, CHUNK_BYTES)),
        () -> assertStale(() -> source.purge(region, 0, CHUNK_BYTES)),
        () -> assertStale(() -> source.residency(region, 0, CHUNK_BYTES)),
        () -> assertStale(() -> source.move(region, 0, CHUNK_BYTES, region.node())),
        () -> assertStale(() -> source.lock(region, 0, CHUNK_BYTES)),
        () -> assertStale(() -> source.unlock(region, 0, CHUNK_BYTES)),
        () -> assertStale(() -> source.release(region)));
    assertFree(free, region.node());
  }

  @Test
  @Clause({
    "A region of another source is an IllegalArgumentException.",
    "region a region of this source"
  })
  void regionOfAnotherSourceIsRefused() {
    Region region = foreign();
    long free = source.freeBytes(firstNode());
    assertAll(
        () -> assertIllegal(() -> source.commit(region, 0, CHUNK_BYTES)),
        () -> assertIllegal(() -> source.purge(region, 0, CHUNK_BYTES)),
        () -> assertIllegal(() -> source.move(region, 0, CHUNK_BYTES, firstNode())),
        () -> assertIllegal(() -> source.residency(region, 0, CHUNK_BYTES)),
        () -> assertIllegal(() -> source.lock(region, 0, CHUNK_BYTES)),
        () -> assertIllegal(() -> source.unlock(region, 0, CHUNK_BYTES)),
        () -> assertIllegal(() -> source.release(region)));
    assertFree(free, firstNode());
  }

  @Test
  @Clause("Every method may be called by any number of threads at once.")
  void threadsUseDisjointRangesOfOneRegionAtOnce() throws Exception {
    long chunksPerThread = 2;
    Region region = reserve(THREADS * chunksPerThread * CHUNK_BYTES);
    long before = source.freeBytes(region.node());
    inThreads(
        thread -> {
          for (long i = 0; i < chunksPerThread; i++) {
            long offset = (i * THREADS + thread) * CHUNK_BYTES;
            commit(region, offset, CHUNK_BYTES);
            source.purge(region, offset, CHUNK_BYTES / 2);
            assertAbsent(region, offset, CHUNK_BYTES / 2);
            commit(region, offset, CHUNK_BYTES / 2);
            assertResident(region, offset, CHUNK_BYTES);
          }
          return thread;
        });
    assertResident(region, 0, region.bytes());
    assertFree(before - region.bytes(), region.node());
  }

  @Test
  @Clause("Every method may be called by any number of threads at once.")
  void threadsReserveAndReleaseAtOnce() throws Exception {
    long before = source.freeBytes(firstNode());
    inThreads(
        thread -> {
          for (int round = 0; round < 10; round++) {
            Region region = reserve(2 * CHUNK_BYTES);
            commit(region, CHUNK_BYTES, CHUNK_BYTES);
            assertResident(region, CHUNK_BYTES, CHUNK_BYTES);
            assertAbsent(region, 0, CHUNK_BYTES);
            source.freeBytes(region.node());
            source.diagnosis();
            source.currentNode();
            release(region);
          }
          return thread;
        });
    assertFree(before, firstNode());
  }
}
