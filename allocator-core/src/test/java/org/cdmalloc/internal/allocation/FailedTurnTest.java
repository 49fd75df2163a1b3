/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.ArrayList;
import java.util.List;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.NodeArena;
import org.cdmalloc.NodeMemoryExhaustedException;
import org.cdmalloc.NodeMemoryExhaustedException.Attempt;
import org.cdmalloc.Placement;
import org.cdmalloc.SystemMemory;
import org.cdmalloc.spi.AddressOnlySource;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/**
 * A request that fails in an interleaving took one turn, and tells about the nodes of that turn.
 */
final class FailedTurnTest {
  private static final long NODE_BYTES = 4 << 20;

  private static List<Integer> nodesTried(Executable request) {
    return assertThrows(NodeMemoryExhaustedException.class, request).attempts().stream()
        .map(Attempt::node)
        .toList();
  }

  @Test
  void aFailureTellsOfTheNodesThatWereTriedAndTakesNoTurnMore() {
    Machine machine =
        Machine.builder()
            .node(Node.of(0, "0", NODE_BYTES))
            .node(Node.of(1, "1", NODE_BYTES))
            .build();
    try (NodeAllocator memory =
        NodeAllocator.builder()
            .source(AddressOnlySource.of(machine))
            .capacity(0, NODE_BYTES)
            .capacity(1, NODE_BYTES)
            .open()) {
      memory.allocate(NODE_BYTES, Placement.onNode(0));
      memory.allocate(NODE_BYTES, Placement.onNode(1));
      SystemMemory turns = memory.at(Placement.interleave(NodeMask.of(0, 1)));
      NodeArena scope = turns.arena(Placement.interleave(NodeMask.of(0, 1)));
      List<Executable> requests =
          List.of(
              () -> turns.allocate(1),
              () -> turns.allocate(1, 1),
              () -> turns.allocateBuffer(1),
              () -> scope.allocate(1),
              () -> scope.allocateBuffer(1),
              () -> turns.allocateBufferUninitialized(1));
      List<List<Integer>> tried = new ArrayList<>();
      requests.forEach(request -> tried.add(nodesTried(request)));
      List<Integer> even = List.of(0, 1);
      List<Integer> odd = List.of(1, 0);
      assertEquals(List.of(even, odd, even, odd, even, odd), tried);
    }
  }
}
