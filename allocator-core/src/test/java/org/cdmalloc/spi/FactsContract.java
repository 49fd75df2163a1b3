/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.spi;

import static org.cdmalloc.spi.DisplacementCause.SWAPPED_OUT;
import static org.cdmalloc.spi.DisplacementCause.UNKNOWN;
import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.EnumSet;
import java.util.List;
import java.util.Set;
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
  @Clause({
    "Returns how much memory a node has for this process at this moment, in use or not: less than"
        + " machine() says while the platform has taken some of it offline, or denies it.",
    "bytes, not negative; by default what the machine says",
    "IllegalArgumentException if the machine has no such node"
  })
  void presentBytesAreAtMostTheMachines() {
    for (Node node : source.machine().nodes()) {
      long present = source.presentBytes(node.id());
      // Nobody takes memory offline while this runs.
      assertEquals(node.hasMemory(), present > 0, node + ", present=" + present);
      assertTrue(present <= node.bytes(), node + ", present=" + present);
      assertTrue(source.freeBytes(node.id()) <= present, node + ", present=" + present);
    }
    assertIllegal(() -> source.presentBytes(NO_SUCH_NODE));
    assertIllegal(() -> source.presentBytes(-1));
  }

  @Test
  @Clause({
    "Tells whether as much memory of a node could be committed now, by the checks that a commit"
        + " makes first.",
    "A hint: nothing is taken, and others may be faster.",
    "node a node of machine() with memory",
    "bytes how much, positive",
    "CommitResult.COMMITTED if there is room, or what is full"
  })
  void roomIsAsACommitWouldFindIt() {
    for (Node node : source.machine().nodes()) {
      if (node.hasMemory()) {
        long free = source.freeBytes(node.id());
        assertEquals(CommitResult.COMMITTED, source.room(node.id(), source.osPageBytes()));
        CommitResult full = source.room(node.id(), node.bytes() + source.osPageBytes());
        assertEquals(CommitResult.Outcome.NODE_FULL, full.outcome());
        assertTrue(full.detail().contains("node=" + node.id()), full.detail());
        if (countsFreeBytesExactly()) {
          assertEquals(free, source.freeBytes(node.id()));
        }
      }
    }
  }

  @Test
  @Clause(
      "IllegalArgumentException if the machine has no such node, it has no memory, or the size is not"
          + " as said")
  void roomIsOfANodeWithMemory() {
    assertAll(
        () -> assertIllegal(() -> source.room(NO_SUCH_NODE, source.osPageBytes())),
        () -> assertIllegal(() -> source.room(-1, source.osPageBytes())),
        () -> assertIllegal(() -> source.room(source.machine().withMemory().first(), 0)),
        () -> assertIllegal(() -> source.room(source.machine().withMemory().first(), -1)));
    for (Node node : source.machine().nodes()) {
      if (!node.hasMemory()) {
        assertIllegal(() -> source.room(node.id(), source.osPageBytes()));
      }
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
    "Tells what probably moved pages away from their node, by what the platform's figures say now.",
    "A figure that cannot be read is no failure, it makes nothing likely.",
    "home the node on which they were committed, one of machine()",
    "found the node on which residency finds them, or Residency.NOT_PRESENT",
    "the cause, and the figures that make it likely; Explanation.UNKNOWN by default"
  })
  void anyDisplacementHasAnExplanation() {
    Set<DisplacementCause> elsewhere = EnumSet.complementOf(EnumSet.of(SWAPPED_OUT));
    for (int home : source.machine().withMemory().stream().toArray()) {
      // Nodes may come after the source was opened.
      for (int found : new int[] {0, 1, NO_SUCH_NODE, Residency.NOT_PRESENT}) {
        Explanation explanation = source.explain(home, found);
        assertTrue(source.isReal() || explanation.equals(Explanation.UNKNOWN));
        assertTrue(
            found == Residency.NOT_PRESENT
                ? Set.of(SWAPPED_OUT, UNKNOWN).contains(explanation.cause())
                : elsewhere.contains(explanation.cause()),
            explanation::toString);
        assertTrue(explanation.evidence().matches("|[a-zA-Z_0-9]+=.*"), explanation::toString);
      }
    }
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
