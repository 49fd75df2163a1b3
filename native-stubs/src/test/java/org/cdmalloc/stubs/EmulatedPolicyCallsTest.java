/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.cdmalloc.spi.PolicyCalls;
import org.cdmalloc.spi.PolicyCallsContract;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.junit.jupiter.api.Nested;

/** The emulated kernel answers as real ones were measured to, on machines of one node and more. */
final class EmulatedPolicyCallsTest {
  private static PolicyCalls boot(Machine machine, int pageBytes) {
    int first = machine.withMemory().first();
    return new EmulatedPolicyCalls(
        machine, pageBytes, new EmulatedKernel(machine, pageBytes, () -> first));
  }

  @Nested
  final class OneNode extends PolicyCallsContract {
    @Override
    protected PolicyCalls calls() {
      return boot(Machines.oneNode(), 4 << 10);
    }
  }

  /** Nodes 0, 1 and 4 with memory, 2 without, 3 is absent. */
  @Nested
  final class TwoSocketsAndADevice extends PolicyCallsContract {
    @Override
    protected PolicyCalls calls() {
      return boot(Machines.twoSocketsAndADevice(), 4 << 10);
    }
  }

  /** The first node with memory need not be node 0. */
  @Nested
  final class NodesEightAndTwoHundredFifty extends PolicyCallsContract {
    @Override
    protected PolicyCalls calls() {
      return boot(
          Machine.builder()
              .node(Node.of(0, "0-3", 0))
              .node(Node.of(8, "4-7", 64 << 20))
              .node(Node.memoryOnly(250, 64 << 20))
              .build(),
          4 << 10);
    }
  }

  /**
   * What one node cannot show: a line of nodes 0 - 1 - 63 - 64 - 255 with room for 4 pages each, of
   * which 0 and 1 have CPUs, and pages are brought in from node 0 unless {@code run_on} says
   * otherwise.
   */
  private abstract static class SeveralNodes extends PolicyCallsContract {
    private static final List<Integer> LINE = List.of(0, 1, 63, 64, 255);
    private static final int PAGES = 4;

    private final int pageBytes;
    private final AtomicInteger currentNode = new AtomicInteger();
    private EmulatedKernel kernel;

    SeveralNodes(int pageBytes) {
      this.pageBytes = pageBytes;
    }

    @Override
    protected List<String> tables() {
      return List.of("several-nodes.txt", "full-nodes.txt");
    }

    @Override
    protected PolicyCalls calls() {
      Machine.Builder line = Machine.builder();
      for (int id : LINE) {
        long bytes = (long) PAGES * pageBytes;
        line.node(id <= 1 ? Node.of(id, Integer.toString(id), bytes) : Node.memoryOnly(id, bytes));
      }
      Machine machine =
          line.distances((a, b) -> 10 + 10 * Math.abs(LINE.indexOf(a) - LINE.indexOf(b))).build();
      kernel = new EmulatedKernel(machine, pageBytes, currentNode::get);
      return new EmulatedPolicyCalls(machine, pageBytes, kernel);
    }

    /** Does {@code run_on NODE}, {@code weight NODE PAGES} or {@code free NODE}. */
    @Override
    protected String more(String verb, List<String> arguments) {
      int node = Integer.parseInt(arguments.get(0));
      switch (verb) {
        case "run_on" -> currentNode.set(node);
        case "weight" -> kernel.setWeight(node, Integer.parseInt(arguments.get(1)));
        case "free" -> {
          return kernel.freeBytes(node) / pageBytes + " pages";
        }
        case "mappings" -> {
          return Integer.toString(kernel.mappings());
        }
        default -> throw new IllegalArgumentException("no such call: " + verb);
      }
      return "ok";
    }
  }

  @Nested
  final class SmallPages extends SeveralNodes {
    SmallPages() {
      super(4 << 10);
    }
  }

  @Nested
  final class LargePages extends SeveralNodes {
    LargePages() {
      super(64 << 10);
    }
  }
}
