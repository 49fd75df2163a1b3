/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.spi;

import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.junit.jupiter.api.Test;

/** What a source says about itself, its machine and the calling thread. */
abstract class FactsContract extends MemorySourceFixture {
  @Test
  @Clause("a word: linux, emulated")
  void nameIsAWord() {
    assertTrue(source.name().matches("[a-z]+"), source.name());
    assertEquals(source.name(), source.name());
  }

  @Test
  @Clause({
    "Tells whether placement is the work of a kernel.",
    "true if pages really lie where residency says",
    "Names the call that answered.",
    "for example move_pages; emulated where no kernel was asked"
  })
  void onlyAKernelsPlacementIsReal() {
    Region region = reserve(CHUNK_BYTES);
    commit(region, 0, CHUNK_BYTES);
    assertResident(region, 0, CHUNK_BYTES);
    String askedBy = source.residency(region, 0, CHUNK_BYTES).askedBy();
    assertFalse(askedBy.isBlank());
    assertEquals(source.isReal(), !askedBy.equals("emulated"), askedBy);
    assertEquals(source.isReal(), source.isReal());
  }

  @Test
  @Clause({
    "Returns the machine whose memory this is.",
    "its online nodes as they were when the source was opened"
  })
  void theMachineDoesNotChange() {
    Machine machine = source.machine();
    assertFalse(machine.withMemory().isEmpty());
    assertEquals(machine, source.machine());
    Region region = reserve(CHUNK_BYTES);
    commit(region, 0, CHUNK_BYTES);
    assertEquals(machine, source.machine());
    assertTrue(machine.withMemory().contains(region.node()));
  }

  @Test
  @Clause({
    "Returns the size of the pages in which the platform thinks.",
    "a power of two, in bytes: 4, 16 or 64 KiB"
  })
  void pagesHaveOneSize() {
    int bytes = source.osPageBytes();
    assertTrue(List.of(4 << 10, 16 << 10, 64 << 10).contains(bytes), "bytes=" + bytes);
    Region region = reserve(CHUNK_BYTES);
    assertEquals(bytes, source.residency(region, 0, bytes).osPageBytes());
    assertEquals(bytes, source.osPageBytes());
  }

  @Test
  @Clause({
    "Returns the most memory that this process may use: the host's, or less where a control group"
        + " says so.",
    "bytes, positive"
  })
  void theLimitIsPositive() {
    assertTrue(source.limitBytes() > 0, "limit=" + source.limitBytes());
  }

  @Test
  @Clause({
    "Tells which node's CPU runs the calling thread.",
    "A hint: the thread may move at any time.",
    "a node of machine()"
  })
  void everyThreadRunsOnANodeOfTheMachine() throws Exception {
    for (int node : inThreads(thread -> source.currentNode())) {
      assertTrue(source.machine().online().contains(node), "node=" + node);
    }
  }

  @Test
  @Clause({
    "Returns the memory of a node that nothing uses at this moment, by the platform's own account.",
    "node a node of machine()",
    "bytes, not negative; 0 for a node without memory"
  })
  void freeBytesAreWithinTheNode() {
    for (Node node : source.machine().nodes()) {
      long free = source.freeBytes(node.id());
      assertTrue(free >= 0 && free <= node.bytes(), node + ", free=" + free);
    }
  }

  @Test
  @Clause("IllegalArgumentException if the machine has no such node")
  void freeBytesBelongToANode() {
    assertAll(
        () -> assertIllegal(() -> source.freeBytes(NO_SUCH_NODE)),
        () -> assertIllegal(() -> source.freeBytes(-1)),
        () -> assertIllegal(() -> source.freeBytes(Integer.MAX_VALUE)),
        () -> assertIllegal(() -> source.freeBytes(Integer.MIN_VALUE)));
  }

  @Test
  @Clause({
    "Says in words what this source can and cannot do here: whether binding works, and if not, what"
        + " blocks it and what lifts it.",
    "the same value each time",
    "one sentence each: what was found, what blocks, what lifts it; may be empty"
  })
  void theDiagnosisDoesNotChange() {
    Diagnosis diagnosis = source.diagnosis();
    assertTrue(diagnosis.binds() || !diagnosis.findings().isEmpty(), diagnosis::toString);
    diagnosis.findings().forEach(finding -> assertFalse(finding.isBlank(), diagnosis::toString));
    commit(reserve(CHUNK_BYTES), 0, CHUNK_BYTES);
    assertEquals(diagnosis, source.diagnosis());
  }
}
