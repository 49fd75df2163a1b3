/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import org.cdmalloc.NativeCallException;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.CommitResult.Outcome;
import org.cdmalloc.spi.Region;
import org.cdmalloc.stubs.FaultInjectingSource.Errno;
import org.junit.jupiter.api.Test;

/** Faults come where the rules say, and leave what the port says. */
final class FaultInjectingSourceTest {
  private static final long MEBIBYTE = 1 << 20;

  private final RecordingSource inside = new RecordingSource(EmulatedSource.of(Machines.oneNode()));
  private final FaultInjectingSource source = new FaultInjectingSource(inside);

  private static NativeCallException failed(Runnable call) {
    return assertThrows(NativeCallException.class, call::run);
  }

  @Test
  void theNthCallFailsOnce() {
    source.at(SourceCall.FREE_BYTES, 2).errno(Errno.EIO);
    source.freeBytes(0);
    NativeCallException failure = failed(() -> source.freeBytes(0));
    assertEquals(Errno.EIO.number(), failure.errno());
    assertEquals("freeBytes", failure.function());
    assertTrue(failure.getMessage().contains("EIO"), failure.getMessage());
    assertTrue(failure.getMessage().contains("node=0"), failure.getMessage());
    source.freeBytes(0);
    assertEquals(1, source.injected());
    assertEquals(2, inside.count(SourceCall.FREE_BYTES));
  }

  @Test
  void fromTheNthCallOnAllFail() {
    source.from(SourceCall.NAME, 2).errno(Errno.EPERM);
    source.name();
    failed(source::name);
    failed(source::name);
    source.isReal();
    source.clear();
    source.name();
    assertEquals(2, source.injected());
  }

  @Test
  void anyCallCanFail() {
    Region region = source.reserve(0, MEBIBYTE);
    Map<SourceCall, Runnable> calls =
        Map.ofEntries(
            Map.entry(SourceCall.NAME, source::name),
            Map.entry(SourceCall.IS_REAL, source::isReal),
            Map.entry(SourceCall.MACHINE, source::machine),
            Map.entry(SourceCall.OS_PAGE_BYTES, source::osPageBytes),
            Map.entry(SourceCall.LIMIT_BYTES, source::limitBytes),
            Map.entry(SourceCall.CURRENT_NODE, source::currentNode),
            Map.entry(SourceCall.FREE_BYTES, () -> source.freeBytes(0)),
            Map.entry(SourceCall.PRESENT_BYTES, () -> source.presentBytes(0)),
            Map.entry(SourceCall.ROOM, () -> source.room(0, 4096)),
            Map.entry(SourceCall.RESERVE, () -> source.reserve(0, 4096)),
            Map.entry(SourceCall.COMMIT, () -> source.commit(region, 0, 4096)),
            Map.entry(SourceCall.MOVE, () -> source.move(region, 0, 4096, 0)),
            Map.entry(SourceCall.LOCK, () -> source.lock(region, 0, 4096)),
            Map.entry(SourceCall.UNLOCK, () -> source.unlock(region, 0, 4096)),
            Map.entry(SourceCall.LOCK_HAZARDS, () -> source.lockHazards(0)),
            Map.entry(SourceCall.PURGE, () -> source.purge(region, 0, 4096)),
            Map.entry(SourceCall.RELEASE, () -> source.release(region)),
            Map.entry(SourceCall.VIEW, () -> source.view(region, 0, 1)),
            Map.entry(SourceCall.ADDRESS_OF, () -> source.addressOf(region.roots().get(0))),
            Map.entry(SourceCall.RESIDENCY, () -> source.residency(region, 0, 4096)),
            Map.entry(SourceCall.EXPLAIN, () -> source.explain(0, 1)),
            Map.entry(SourceCall.DIAGNOSIS, source::diagnosis));
    inside.clear();
    assertEquals(SourceCall.values().length, calls.size());
    for (SourceCall call : SourceCall.values()) {
      source.at(call, 1).errno(Errno.EBUSY);
      assertEquals(call.method(), failed(calls.get(call)).function());
    }
    assertEquals(List.of(), inside.lines());
  }

  @Test
  void whatALateFailureTookIsGivenBack() {
    Region region = source.reserve(0, MEBIBYTE);
    source.commit(region, 4096, 4096);
    source.commit(region, 4 * 4096, 4096);
    source.view(region, 4096, 1).put(0, (byte) 7);
    long free = source.freeBytes(0);
    source.at(SourceCall.COMMIT, 1).afterEffect().errno(Errno.EINVAL);
    failed(() -> source.commit(region, 0, 6 * 4096));
    assertEquals(free, source.freeBytes(0));
    assertEquals(7, source.view(region, 4096, 1).get(0));
    assertTrue(source.residency(region, 4096, 4096).isAllOn(0));

    inside.clear();
    source.at(SourceCall.RESERVE, 1).afterEffect().errno(Errno.ENOMEM);
    failed(() -> source.reserve(0, MEBIBYTE));
    assertEquals(1, inside.count(SourceCall.RESERVE));
    assertEquals(1, inside.count(SourceCall.RELEASE));
  }

  @Test
  void aLateFailureOfPurgeOrReleaseIsDone() {
    Region region = source.reserve(0, MEBIBYTE);
    source.commit(region, 0, MEBIBYTE);
    source.at(SourceCall.PURGE, 1).afterEffect().errno(Errno.EINVAL);
    failed(() -> source.purge(region, 0, MEBIBYTE));
    assertEquals(256 * MEBIBYTE, source.freeBytes(0));
    source.at(SourceCall.RELEASE, 1).errno(Errno.EINVAL);
    failed(() -> source.release(region));
    source.at(SourceCall.RELEASE, 1).afterEffect().errno(Errno.EINVAL);
    failed(() -> source.release(region));
    assertThrows(IllegalStateException.class, () -> source.release(region));
  }

  @Test
  void commitsAnswerWhatIsAsked() {
    Region region = source.reserve(0, MEBIBYTE);
    for (Outcome full : EnumSet.complementOf(EnumSet.of(Outcome.COMMITTED))) {
      source.at(SourceCall.COMMIT, 1).result(full);
      CommitResult result = source.commit(region, 0, 4096);
      assertEquals(full, result.outcome());
      assertFalse(result.detail().isEmpty());
    }
    assertEquals(0, inside.count(SourceCall.COMMIT));
    FaultInjectingSource.Rule lie = source.at(SourceCall.COMMIT, 1);
    assertThrows(IllegalArgumentException.class, () -> lie.result(Outcome.COMMITTED));
    FaultInjectingSource.Rule other = source.at(SourceCall.PURGE, 1);
    assertThrows(IllegalArgumentException.class, () -> other.result(Outcome.NODE_FULL));
    assertThrows(IllegalArgumentException.class, other::refusal);
  }

  @Test
  void movesAndRoomAreRefusedOrDoneByHalf() {
    Region region = source.reserve(0, MEBIBYTE);
    source.commit(region, 0, 12_288);
    assertThrows(IllegalArgumentException.class, () -> source.at(SourceCall.COMMIT, 1).refusal());
    assertThrows(IllegalArgumentException.class, () -> source.at(SourceCall.LOCK, 1).part());
    source.at(SourceCall.ROOM, 1).refusal();
    assertEquals(Outcome.NODE_FULL, source.room(0, 4096).outcome());
    assertTrue(source.room(0, 4096).isCommitted());
    source.at(SourceCall.MOVE, 1).refusal();
    assertTrue(source.move(region, 0, 12_288, 0).isRefused());
    assertEquals(0, inside.count(SourceCall.MOVE));
    source.at(SourceCall.MOVE, 1).part();
    source.move(region, 0, 12_288, 0);
    List<String> moved = inside.lines(EnumSet.of(SourceCall.MOVE));
    assertEquals(1, moved.size());
    assertTrue(moved.get(0).startsWith("move(region=1, offset=0, bytes=8192) = "), moved::toString);
    source.at(SourceCall.MOVE, 1).outOfMemory();
    assertThrows(OutOfMemoryError.class, () -> source.move(region, 0, 4096, 0));
    assertEquals(1, inside.count(SourceCall.MOVE));
  }

  @Test
  void locksAreRefusedWhereThatIsAsked() {
    Region region = source.reserve(0, MEBIBYTE);
    source.commit(region, 0, 4096);
    source.at(SourceCall.LOCK, 2).refusal();
    assertTrue(source.lock(region, 0, 4096).isLocked());
    assertFalse(source.lock(region, 0, 4096).isLocked());
    assertTrue(source.lock(region, 0, 4096).isLocked());
    source.unlock(region, 0, 4096);
    List<String> lines = inside.lines(EnumSet.of(SourceCall.LOCK, SourceCall.UNLOCK));
    String range = "(region=1, offset=0, bytes=4096) = ";
    assertEquals(
        List.of("lock" + range + "LOCKED", "lock" + range + "LOCKED", "unlock" + range + "void"),
        lines);
  }

  private static List<Integer> draw(long seed, double probability) {
    FaultInjectingSource source = new FaultInjectingSource(EmulatedSource.of(Machines.oneNode()));
    source.randomly(seed, probability, SourceCall.NAME).errno(Errno.EIO);
    List<Integer> faults = new ArrayList<>();
    for (int i = 0; i < 1000; i++) {
      try {
        source.name();
        source.isReal();
      } catch (NativeCallException e) {
        faults.add(i);
      }
    }
    return faults;
  }

  @Test
  void drawsAreThoseOfTheirSeed() {
    assertEquals(draw(1, 0.1), draw(1, 0.1));
    assertNotEquals(draw(1, 0.1), draw(2, 0.1));
    assertEquals(0, draw(1, 0).size());
    assertEquals(1000, draw(1, 1).size());
    int faults = draw(3, 0.1).size();
    assertTrue(faults > 50 && faults < 200, "faults=" + faults);
  }
}
