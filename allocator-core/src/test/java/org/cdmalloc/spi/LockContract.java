/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.spi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;

/**
 * How committed pages are locked in memory. Locks a few pages only, which any process may. What is
 * locked is looked at where the fixture can ask the platform ({@link #lockedBytes}).
 */
abstract class LockContract extends MoveContract {
  final void lock(Region region, long offset, long bytes) {
    LockResult result = source.lock(region, offset, bytes);
    assertTrue(result.isLocked(), result::toString);
    assertEquals(LockResult.LOCKED, result);
  }

  /** Asserts how much is locked, where the platform tells. */
  final void assertLocked(long expectedBytes) {
    lockedBytes().ifPresent(bytes -> assertEquals(expectedBytes, bytes, "locked"));
  }

  private long locked() {
    return lockedBytes().orElse(0);
  }

  /** Reserves three chunks, of which all but the last is committed. */
  private Region committed() {
    Region region = reserve(3 * CHUNK_BYTES);
    commit(region, 0, 2 * CHUNK_BYTES);
    return region;
  }

  @Test
  @Clause({
    "Locks the pages of a committed range in memory: they are neither swapped out nor demoted until"
        + " the range is unlocked, purged or released.",
    "Content and place stay",
    "what of the range is not present is brought in.",
    "All of it is then locked",
    "LockResult.LOCKED, or what was refused",
    "Ends the locks of a range.",
    "what is on both sides stays locked."
  })
  void aLockedRangeIsLockedUntilItIsUnlocked() {
    Region region = committed();
    long page = source.osPageBytes();
    long before = locked();
    lock(region, CHUNK_BYTES - 2 * page, 4 * page);
    assertLocked(before + 4 * page);
    assertResident(region, 0, 2 * CHUNK_BYTES);
    source.unlock(region, CHUNK_BYTES - page, 2 * page);
    assertLocked(before + 2 * page);
    source.unlock(region, CHUNK_BYTES - 2 * page, 4 * page);
    assertLocked(before);
    assertResident(region, 0, 2 * CHUNK_BYTES);
    assertAbsent(region, 2 * CHUNK_BYTES, CHUNK_BYTES);
  }

  @Test
  @Clause({
    "Locks do not nest: locking what is locked keeps it locked, and one unlock ends it.",
    "What of it is not locked stays as it is"
  })
  void locksDoNotNest() {
    Region region = committed();
    long page = source.osPageBytes();
    long before = locked();
    lock(region, page, 2 * page);
    lock(region, page, 2 * page);
    assertLocked(before + 2 * page);
    lock(region, 0, 4 * page);
    lock(region, 2 * page, page);
    assertLocked(before + 4 * page);
    source.unlock(region, page, 2 * page);
    assertLocked(before + 2 * page);
    // What is locked of it, what is not, and what is not even committed.
    source.unlock(region, 0, region.bytes());
    source.unlock(region, 0, region.bytes());
    assertLocked(before);
    assertResident(region, 0, 2 * CHUNK_BYTES);
    assertAbsent(region, 2 * CHUNK_BYTES, CHUNK_BYTES);
  }

  @Test
  @Clause({
    "IllegalArgumentException if not all of the range is committed",
    "Whatever breaks this rule is an IllegalArgumentException and changes nothing."
  })
  void whatIsNotCommittedCannotBeLocked() {
    Region region = committed();
    long page = source.osPageBytes();
    long before = locked();
    assertIllegal(() -> source.lock(region, 2 * CHUNK_BYTES, page));
    assertIllegal(() -> source.lock(region, 2 * CHUNK_BYTES - page, 2 * page));
    source.purge(region, page, page);
    assertIllegal(() -> source.lock(region, 0, 3 * page));
    assertLocked(before);
    assertAbsent(region, page, page);
    assertAbsent(region, 2 * CHUNK_BYTES, CHUNK_BYTES);
  }

  @Test
  @Clause({
    "Gives the memory of a range back, whether or not all of it is committed, and ends its locks.",
    "Gives up a region: all its memory and its locks at once",
    "until the range is unlocked, purged or released."
  })
  void whatIsPurgedOrReleasedIsLockedNoMore() {
    long page = source.osPageBytes();
    long before = locked();
    for (Stripe stripe : List.of(Stripe.of(firstNode()), Stripe.even(nodesToStripe(source)))) {
      Region region = reserve(stripe, 2 * CHUNK_BYTES);
      commit(region, 0, region.bytes());
      lock(region, CHUNK_BYTES - 2 * page, 4 * page);
      source.purge(region, CHUNK_BYTES - page, CHUNK_BYTES);
      assertAbsent(region, CHUNK_BYTES - page, CHUNK_BYTES);
      assertLocked(before + page);
      // Committed again it is not locked.
      commit(region, 0, region.bytes());
      assertResident(region, 0, region.bytes());
      assertLocked(before + page);
      lock(region, CHUNK_BYTES, 2 * page);
      source.unlock(region, CHUNK_BYTES, 2 * page);
      source.purge(region, CHUNK_BYTES, CHUNK_BYTES);
      assertAbsent(region, CHUNK_BYTES, CHUNK_BYTES);
      release(region);
      assertLocked(before);
    }
  }

  @Test
  @Clause({
    "or nothing of it that was not before, and the result says which limit was reached or what was"
        + " full.",
    "empty for what is locked; else the figures that decided, as name=value pairs, and what lifts"
        + " the limit"
  })
  void aLimitThatIsReachedIsAValue() {
    Region region = committed();
    long page = source.osPageBytes();
    lock(region, 2 * page, page);
    long before = locked();
    if (!limitLocks(before + 2 * page)) {
      return;
    }
    LockResult refused = source.lock(region, 0, 4 * page);
    assertFalse(refused.isLocked());
    String figures = "memlock_limit_bytes=" + (before + 2 * page) + ", locked_bytes=" + before;
    figures += ", wanted_bytes=" + 3 * page + "; ";
    assertTrue(refused.detail().startsWith(figures), refused::toString);
    assertLocked(before);
    lock(region, page, 3 * page);
    assertLocked(before + 2 * page);
    assertTrue(limitLocks(0));
    assertFalse(source.lock(region, 8 * page, page).isLocked());
    assertLocked(before + 2 * page);
    source.unlock(region, 0, CHUNK_BYTES);
    assertTrue(limitLocks(Long.MAX_VALUE));
    lock(region, 0, 4 * page);
    assertResident(region, 0, 2 * CHUNK_BYTES);
  }

  @Test
  @Clause({"as far as they can be moved.", "A range that is moved stays locked."})
  void aMovedRangeStaysLocked() {
    if (!moves()) {
      return;
    }
    long page = source.osPageBytes();
    long before = locked();
    for (int node : nodesUnderTest(source).stream().toArray()) {
      Region region = committed();
      lock(region, CHUNK_BYTES, 2 * page);
      move(region, 0, 2 * CHUNK_BYTES, node);
      assertLocked(before + 2 * page);
      // Part of a huge page that is locked may not be split, and stays; the result says so.
      MoveResult part = source.move(region, CHUNK_BYTES + page, 2 * page, firstNode());
      assertFalse(part.isRefused(), part::toString);
      assertEquals(part.unmoved().isEmpty(), part.residency().isAllOn(firstNode()));
      Residency now = source.residency(region, CHUNK_BYTES + page, 2 * page);
      assertEquals(now.toString(), part.residency().toString());
      assertLocked(before + 2 * page);
      source.unlock(region, CHUNK_BYTES, page);
      assertLocked(before + page);
      source.purge(region, 0, 2 * CHUNK_BYTES);
      assertLocked(before);
      assertAbsent(region, 0, 2 * CHUNK_BYTES);
    }
  }

  @Test
  @Clause({
    "Tells what may still move locked pages of a node, by what the platform's figures say now.",
    "a sentence for each hazard, with the figures as name=value pairs; empty by default",
    "IllegalArgumentException if the machine has no such node"
  })
  void hazardsAreSentencesWithFigures() {
    for (int node : source.machine().online().stream().toArray()) {
      for (String hazard : source.lockHazards(node)) {
        assertTrue(hazard.matches("[a-z].+ .*[a-z_]+=\\S+.*"), hazard);
      }
    }
    assertIllegal(() -> source.lockHazards(NO_SUCH_NODE));
    assertIllegal(() -> source.lockHazards(-1));
  }

  @Test
  @Clause("Every method may be called by any number of threads at once.")
  void threadsLockDisjointRangesAtOnce() throws Exception {
    Region region = committed();
    long page = source.osPageBytes();
    long before = locked();
    inThreads(
        thread -> {
          for (int round = 0; round < 20; round++) {
            long offset = CHUNK_BYTES + (round % 2 * THREADS + thread) * page;
            lock(region, offset, page);
            if (round % 3 == 0) {
              source.purge(region, offset, page);
              commit(region, offset, page);
            } else {
              source.unlock(region, offset, page);
            }
          }
          lock(region, thread * page, page);
          return thread;
        });
    assertLocked(before + THREADS * page);
    assertResident(region, 0, 2 * CHUNK_BYTES);
  }
}
