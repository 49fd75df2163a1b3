/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.topology;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Both readers on every recorded machine. */
class TopologyFixtureTest {
  private static final long MIB = 1L << 20;

  static List<MachineFixture> machines() {
    return MachineFixture.machines();
  }

  @ParameterizedTest
  @MethodSource("machines")
  void theTreeReadsAsExpected(MachineFixture fixture) throws IOException {
    Machine machine = Machine.fromSysfs(fixture.sysfs());
    assertEquals(fixture.expected(), MachineFixture.print(machine));
    assertEquals("sysfs " + fixture.sysfs(), machine.origin());
  }

  @ParameterizedTest
  @MethodSource("machines")
  void numactlTellsTheSameMachineInWholeMebibytes(MachineFixture fixture) {
    Machine tree = Machine.fromSysfs(fixture.sysfs());
    Machine text = Machine.fromNumactl(fixture.numactl());
    assertEquals(tree.online(), text.online());
    assertEquals(tree.online(), text.possible());
    assertEquals(tree.distances(), text.distances());
    for (Node node : tree.nodes()) {
      long printedBytes = node.bytes() / MIB * MIB;
      Node expected =
          new Node(node.id(), node.cpus(), printedBytes, node.movableOnly(), NodePerformance.NONE);
      assertEquals(expected, text.node(node.id()));
    }
    assertEquals("numactl " + fixture.numactl(), text.origin());
  }

  @Test
  void aKernelWithoutNumaIsRefusedByBothReaders() {
    MachineFixture none = new MachineFixture("no-sysfs");
    TopologyFormatException tree =
        assertThrows(TopologyFormatException.class, () -> Machine.fromSysfs(none.sysfs()));
    assertEquals(none.sysfs().resolve(MachineFixture.NODES).resolve("online"), tree.file());
    assertEquals(0, tree.line());
    TopologyFormatException text =
        assertThrows(TopologyFormatException.class, () -> Machine.fromNumactl(none.numactl()));
    assertEquals(none.numactl(), text.file());
    assertEquals(1, text.line());
    assertTrue(text.getMessage().contains("No NUMA available"), text.getMessage());
  }
}
