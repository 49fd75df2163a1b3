/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zonelist;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.cdmalloc.topology.LoadRule;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;
import org.cdmalloc.topology.SpillMode;
import org.cdmalloc.topology.Zonelist;
import org.junit.jupiter.api.Test;

/** All device masks, and on three nodes all masks of CPUs and memory and all two-step distances. */
class ZonelistExhaustiveTest {
  private static final int MACHINES_PER_SIZE = 60;

  @Test
  void everyDeviceMaskOfUpToSixNodesAgreesWithTheNaiveModel() {
    SplittableRandom random = new SplittableRandom(Long.getLong("seed", 1));
    for (int size = 1; size <= 6; size++) {
      for (int draw = 0; draw < MACHINES_PER_SIZE; draw++) {
        int cpus = random.nextInt(1 << size);
        int memory = draw % 2 == 0 ? (1 << size) - 1 : random.nextInt(1 << size);
        int range = draw % 3 == 0 ? 2 : 4;
        int step = draw % 5 + 1;
        Machine machine =
            machine(size, cpus, memory, (from, to) -> 20 + step * random.nextInt(range));
        for (int devices = 0; devices < 1 << size; devices++) {
          check(machine, mask(devices));
        }
      }
    }
  }

  @Test
  void everyMachineOfThreeNodesAgreesWithTheNaiveModel() {
    for (int cpus = 0; cpus < 8; cpus++) {
      for (int memory = 0; memory < 8; memory++) {
        for (int distances = 0; distances < 64; distances++) {
          int bits = distances;
          Machine machine =
              machine(
                  3,
                  cpus,
                  memory,
                  (from, to) -> 20 + (bits >> (from * 2 + (to + 2 - from) % 3) & 1));
          for (int devices = 0; devices < 8; devices++) {
            check(machine, mask(devices));
          }
        }
      }
    }
  }

  private static void check(Machine machine, NodeMask devices) {
    for (LoadRule rule : LoadRule.values()) {
      for (SpillMode spill : SpillMode.values()) {
        Map<Integer, List<Integer>> actual = new TreeMap<>();
        for (Zonelist list : machine.zonelists(devices, rule, spill)) {
          actual.put(list.node(), list.fallback());
          assertTrue(
              list.fallback().stream()
                  .noneMatch(node -> node != list.node() && devices.contains(node)),
              () -> "devices=" + devices + ", list=" + list + ", " + machine);
        }
        assertEquals(
            NaiveZonelists.fallback(machine, devices, rule, spill),
            actual,
            () -> "devices=" + devices + ", rule=" + rule + ", spill=" + spill + ", " + machine);
      }
    }
  }

  private static Machine machine(int size, int cpus, int memory, Machine.DistanceFunction remote) {
    Machine.Builder builder = Machine.builder();
    for (int node = 0; node < size; node++) {
      builder.node(
          Node.of(
              node,
              (cpus >> node & 1) == 1 ? Integer.toString(node) : "",
              (memory >> node & 1) << 30));
    }
    return builder.distances((from, to) -> from == to ? 10 : remote.between(from, to)).build();
  }

  private static NodeMask mask(int bits) {
    return NodeMask.of(IntStream.range(0, 31).filter(node -> (bits >> node & 1) == 1).toArray());
  }
}
