/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zonelist;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashSet;
import java.util.List;
import java.util.SplittableRandom;
import org.cdmalloc.topology.LoadRule;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;
import org.cdmalloc.topology.SpillMode;
import org.junit.jupiter.api.Test;

final class CallerListsTest {
  private static CallerLists lists(Machine machine, NodeMask devices) {
    return new CallerLists(
        machine.zonelists(devices, LoadRule.ACCUMULATE, SpillMode.RAM),
        machine.withMemory().without(devices));
  }

  @Test
  void everyCallerGetsAllSystemNodesNearestFirst() {
    long seed = Long.getLong("seed", 7L);
    SplittableRandom random = new SplittableRandom(seed);
    for (int round = 0; round < 2000; round++) {
      int size = 1 + random.nextInt(8);
      Machine.Builder builder = Machine.builder();
      for (int node = 0; node < size; node++) {
        String cpus = random.nextBoolean() ? Integer.toString(node) : "";
        builder.node(Node.of(node, cpus, random.nextInt(4) == 0 ? 0 : 1 << 20));
      }
      builder.distances((from, to) -> from == to ? 10 : 11 + random.nextInt(40));
      Machine machine = builder.build();
      NodeMask devices =
          NodeMask.of(random.ints(random.nextInt(3), 0, size).toArray()).and(machine.online());
      NodeMask system = machine.withMemory().without(devices);
      if (system.isEmpty()) {
        continue;
      }
      CallerLists lists = lists(machine, devices);
      String replay = "replay with -Dseed=" + seed + ": " + machine + ", devices=" + devices;
      machine.online().stream()
          .forEach(
              caller -> {
                List<Integer> list = lists.of(caller);
                assertEquals(system.size(), list.size(), replay);
                assertEquals(system.size(), new HashSet<>(list).size(), replay);
                assertTrue(list.stream().allMatch(system::contains), replay);
                if (system.contains(caller)) {
                  assertEquals(caller, list.get(0), replay);
                }
                assertFalse(list.stream().anyMatch(devices::contains), replay);
              });
    }
  }

  @Test
  void aCallerOnADeviceUsesTheListOfTheNearestSystemNode() {
    Machine machine =
        Machine.builder()
            .node(Node.of(0, "0", 1 << 20))
            .node(Node.of(1, "1", 1 << 20))
            .node(Node.of(2, "2", 1 << 20))
            .distances(new int[] {10, 30, 20}, new int[] {30, 10, 40}, new int[] {25, 15, 10})
            .build();
    // Node 2 is nearer to 1 than to 0; from 1 on the list is that of node 1.
    assertEquals(List.of(1, 0), lists(machine, NodeMask.of(2)).of(2));
  }

  @Test
  void aNodeThatIsNotOnlineIsRefused() {
    Machine machine = Machine.builder().node(Node.of(0, "0", 1 << 20)).build();
    assertThrows(IllegalArgumentException.class, () -> lists(machine, NodeMask.EMPTY).of(1));
  }
}
