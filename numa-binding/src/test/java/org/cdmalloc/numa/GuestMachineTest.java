/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.Test;

/**
 * What sysfs tells of a guest is what the guest was asked to be: {@code .ci/guest} leaves a line
 * per node in it, with number, kind, bytes, initiator, nanoseconds, MiB per second, and distances.
 */
final class GuestMachineTest {
  private static final Path ASKED = Path.of("/run/guest/nodes");

  @Test
  void theMachineIsTheOneThatWasAskedFor() throws IOException {
    assumeTrue(Files.exists(ASKED), "this is no guest");
    Machine machine = Machine.fromSysfs(Machine.SYSFS);
    List<Integer> ids = new ArrayList<>();
    for (String line : Files.readAllLines(ASKED)) {
      String[] asked = line.split(" ", -1);
      if (!asked[1].equals("gap")) {
        ids.add(Integer.valueOf(asked[0]));
        assertIsAsAsked(machine, asked);
      }
    }
    assertEquals(NodeMask.of(ids.stream().mapToInt(Integer::intValue).toArray()), machine.online());
  }

  private static void assertIsAsAsked(Machine machine, String[] asked) {
    Node node = machine.node(Integer.parseInt(asked[0]));
    long bytes = Long.parseLong(asked[2]);
    assertEquals(asked[1].equals("ram"), node.hasCpus(), node::toString);
    assertEquals(asked[1].equals("dax"), node.movableOnly(), node::toString);
    // Firmware and the kernel keep some of it.
    assertTrue(node.bytes() <= bytes && node.bytes() > bytes / 2, node::toString);
    assertEquals(Long.parseLong(asked[4]), node.performance().readLatencyNanos(), node::toString);
    assertTrue(node.performance().readBandwidthMebibytes() > 0, node::toString);
    assertTrue(
        node.performance().initiators().contains(Integer.parseInt(asked[3])), node::toString);
    for (int other : machine.online().stream().toArray()) {
      assertEquals(
          Integer.parseInt(asked[6 + other]),
          machine.distances().between(node.id(), other),
          () -> node.id() + " to " + other);
    }
  }
}
