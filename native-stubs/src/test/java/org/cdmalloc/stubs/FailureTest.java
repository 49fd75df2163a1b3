/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import org.cdmalloc.NativeCallException;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.NodeReport;
import org.cdmalloc.Placement;
import org.cdmalloc.spi.CommitResult.Outcome;
import org.cdmalloc.stubs.FaultInjectingSource.Errno;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.junit.jupiter.api.Test;

/** Nothing is lost on a failure: what was reserved is returned, and later requests work. */
final class FailureTest {
  private static final long MEBIBYTE = 1 << 20;

  private final EmulatedSource machine =
      EmulatedSource.of(
          Machine.builder()
              .node(Node.of(0, "0", 64 * MEBIBYTE))
              .node(Node.of(1, "1", 64 * MEBIBYTE))
              .build());
  private final FaultInjectingSource source = new FaultInjectingSource(machine);

  private NodeAllocator open() {
    return NodeAllocator.builder()
        .source(source)
        .capacity(0, 32 * MEBIBYTE)
        .capacity(1, 32 * MEBIBYTE)
        .open();
  }

  /** Commits units 0 and 4 to 7, so that a run of all units has two ranges to commit. */
  private static void commitWithAHole(NodeAllocator memory) {
    long first = memory.allocate(2 * MEBIBYTE, Placement.onNode(0));
    long second = memory.allocate(8 * MEBIBYTE, Placement.onNode(0));
    memory.free(first);
    memory.free(second);
  }

  private void assertNothingLost(NodeAllocator memory, long committedBytes) {
    NodeReport report = memory.report().node(0);
    assertEquals(0, report.usedBytes());
    assertEquals(0, report.liveBlocks());
    assertEquals(committedBytes, report.committedBytes());
    assertEquals(64 * MEBIBYTE - committedBytes, machine.freeBytes(0));
    memory.free(memory.allocate(32 * MEBIBYTE, Placement.onNode(0)));
  }

  @Test
  void aCommitThatThrowsAtAnyRangeLeavesNothingBehind() {
    for (int range = 1; range <= 2; range++) {
      try (NodeAllocator memory = open()) {
        commitWithAHole(memory);
        source.at(SourceCall.COMMIT, range).errno(Errno.ENOMEM);
        assertThrows(
            NativeCallException.class, () -> memory.allocate(32 * MEBIBYTE, Placement.onNode(0)));
        assertNothingLost(memory, 10 * MEBIBYTE);
      }
    }
  }

  @Test
  void aCommitThatIsRefusedOnceIsTriedAgainWithWhatWasIdle() {
    for (int range = 1; range <= 2; range++) {
      try (NodeAllocator memory = open()) {
        commitWithAHole(memory);
        source.at(SourceCall.COMMIT, range).result(Outcome.NODE_FULL);
        memory.free(memory.allocate(32 * MEBIBYTE, Placement.onNode(0)));
        assertNothingLost(memory, 32 * MEBIBYTE);
      }
    }
  }

  @Test
  void aCommitThatIsRefusedAtAnyRangeLeavesNothingBehind() {
    for (int range = 1; range <= 2; range++) {
      try (NodeAllocator memory = open()) {
        commitWithAHole(memory);
        source.from(SourceCall.COMMIT, range).result(Outcome.LOST_RACE);
        assertEquals(0, memory.tryAllocate(32 * MEBIBYTE, Placement.onNode(0)));
        source.clear();
        // What was idle was given back before the request was tried a second time.
        assertNothingLost(memory, 0);
      }
    }
  }

  @Test
  void aZoneThatCannotBeReleasedDoesNotKeepTheOthersOpen() {
    NodeAllocator memory = open();
    memory.allocate(4096, Placement.onNode(1));
    source.at(SourceCall.RELEASE, 1).afterEffect().errno(Errno.ENOMEM);
    assertThrows(NativeCallException.class, memory::close);
    memory.close();
    assertEquals(64 * MEBIBYTE, machine.freeBytes(1));
    assertThrows(IllegalStateException.class, () -> memory.allocate(1, Placement.onNode(1)));
  }

  @Test
  void aViewThatFailsFreesItsBlock() {
    try (NodeAllocator memory = open()) {
      source.at(SourceCall.VIEW, 1).errno(Errno.ENOMEM);
      assertThrows(
          NativeCallException.class, () -> memory.allocateBuffer(4096, Placement.onNode(0)));
      assertEquals(0, memory.report().nodes().get(0).usedBytes());
      memory.free(memory.allocateBuffer(4096, Placement.onNode(0)));
    }
  }

  @Test
  void anAllocatorThatCannotReserveAllItsNodesReleasesWhatItGot() {
    source.at(SourceCall.RESERVE, 2).errno(Errno.ENOMEM);
    assertThrows(NativeCallException.class, this::open);
    try (NodeAllocator memory = open()) {
      memory.free(memory.allocate(32 * MEBIBYTE, Placement.onNode(1)));
    }
  }

  @Test
  void aDeviceThatCannotBeReservedCanBeTriedAgain() {
    try (NodeAllocator memory =
        NodeAllocator.builder().source(source).deviceArena(9, 1, 8 * MEBIBYTE).open()) {
      source.at(SourceCall.RESERVE, 1).errno(Errno.ENOMEM);
      assertThrows(NativeCallException.class, () -> memory.device(9).online());
      assertThrows(IllegalStateException.class, () -> memory.device(9).allocate(1));
      memory.device(9).online();
      memory.device(9).free(memory.device(9).allocate(8 * MEBIBYTE));
      assertEquals(
          List.of(0L, 0L, 0L),
          memory.report().nodes().stream().map(NodeReport::usedBytes).toList());
    }
  }

  @Test
  void whatCloseCouldNotReleaseIsReleasedByTheNextClose() {
    for (boolean after : new boolean[] {false, true}) {
      NodeAllocator memory = open();
      memory.allocate(4096, Placement.onNode(0));
      memory.allocate(4096, Placement.onNode(1));
      FaultInjectingSource.Rule rule = source.from(SourceCall.RELEASE, 1);
      (after ? rule.afterEffect() : rule).errno(Errno.EINVAL);
      NativeCallException failure = assertThrows(NativeCallException.class, memory::close);
      assertEquals(1, failure.getSuppressed().length);
      source.clear();
      memory.close();
      memory.close();
      assertEquals(64 * MEBIBYTE, machine.freeBytes(0));
      assertEquals(64 * MEBIBYTE, machine.freeBytes(1));
    }
  }

  @Test
  void anAllocatorThatCannotBeDiagnosedKeepsNoRegion() {
    RecordingSource record = new RecordingSource(source);
    source.at(SourceCall.DIAGNOSIS, 1).errno(Errno.EIO);
    assertThrows(NativeCallException.class, () -> NodeAllocator.builder().source(record).open());
    assertEquals(record.count(SourceCall.RESERVE), record.count(SourceCall.RELEASE));
  }

  @Test
  void aRangeThatCannotBePurgedKeepsNoneOfTheOthers() {
    try (NodeAllocator memory = open()) {
      commitWithAHole(memory);
      memory.free(memory.allocate(2 * MEBIBYTE, Placement.onNode(0)));
      long[] holes = new long[2];
      for (int i = 0; i < holes.length; i++) {
        holes[i] = memory.allocate(2 * MEBIBYTE, Placement.onNode(0));
      }
      // Units 0 and 1 are in use, 2 and 3 were never backed, 4 to 7 are idle.
      source.at(SourceCall.PURGE, 1).errno(Errno.EFAULT);
      assertThrows(NativeCallException.class, memory::trim);
      assertEquals(4 * MEBIBYTE, memory.report().node(0).committedBytes());
      assertEquals(52 * MEBIBYTE, machine.freeBytes(0));
      memory.free(holes[0]);
      memory.free(holes[1]);
      assertEquals(4 * MEBIBYTE, memory.trim());
      // What could not be given back is asked for again.
      assertEquals(64 * MEBIBYTE, machine.freeBytes(0));
      memory.free(memory.allocate(32 * MEBIBYTE, Placement.onNode(0)));
      assertEquals(32 * MEBIBYTE, machine.freeBytes(0));
    }
    assertEquals(64 * MEBIBYTE, machine.freeBytes(0));
  }
}
