/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zonelist;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.cdmalloc.topology.CpuMask;
import org.cdmalloc.topology.LoadRule;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;
import org.cdmalloc.topology.SpillMode;
import org.cdmalloc.topology.Zonelist;
import org.cdmalloc.topology.Zonelist.Kind;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/**
 * What holds for the zonelists of every machine, on 20,000 drawn ones; {@code -Dseed=} draws one.
 */
class ZonelistPropertyTest {
  private static final int MACHINES = 20_000;

  private static List<RandomMachine> machines = List.of();
  private static List<Build> builds = List.of();

  @BeforeAll
  static void draw() {
    Long only = Long.getLong("seed");
    machines =
        (only == null ? LongStream.range(0, MACHINES) : LongStream.of(only))
            .mapToObj(RandomMachine::of)
            .toList();
    builds = machines.stream().flatMap(ZonelistPropertyTest::allOf).toList();
  }

  @AfterAll
  static void drop() {
    machines = List.of();
    builds = List.of();
  }

  @Test
  void thereIsOneListPerOnlineNodeAscending() {
    eachBuild(
        build ->
            assertEquals(
                build.drawn.machine().nodes().stream().map(Node::id).toList(),
                build.lists.stream().map(Zonelist::node).toList(),
                build::toString));
  }

  @Test
  void theKindIsTheMasks() {
    eachList(
        (build, list) ->
            assertEquals(
                build.drawn.devices().contains(list.node()) ? Kind.DEVICE : Kind.SYSTEM,
                list.kind(),
                build::toString));
  }

  @Test
  void aRowBeginsWithItselfIfAndOnlyIfItHasMemory() {
    eachList(
        (build, list) ->
            assertEquals(
                build.drawn.machine().node(list.node()).hasMemory(),
                !list.fallback().isEmpty() && list.fallback().get(0) == list.node(),
                build::toString));
  }

  @Test
  void noNodeRepeats() {
    eachList(
        (build, list) ->
            assertEquals(
                new HashSet<>(list.fallback()).size(), list.fallback().size(), build::toString));
  }

  @Test
  void noDeviceIsInTheListOfAnother() {
    eachList(
        (build, list) ->
            assertTrue(
                list.fallback().stream()
                    .allMatch(node -> node == list.node() || !build.drawn.devices().contains(node)),
                build::toString));
  }

  @Test
  void everySystemNodeWithMemoryIsInEveryListButThatOfAStrictDevice() {
    eachList(
        (build, list) -> {
          if (list.kind() == Kind.SYSTEM || build.spill == SpillMode.RAM) {
            NodeMask system = build.drawn.machine().withMemory().without(build.drawn.devices());
            assertTrue(mask(list.fallback()).containsAll(system), build::toString);
          }
        });
  }

  @Test
  void aStrictDeviceHasItselfAlone() {
    eachList(
        (build, list) -> {
          if (list.kind() == Kind.DEVICE && build.spill == SpillMode.STRICT) {
            assertEquals(list.noFallback(), list.fallback(), build::toString);
          }
        });
  }

  @Test
  void noFallbackIsTheNodeItselfIfItHasMemory() {
    eachList(
        (build, list) ->
            assertEquals(
                build.drawn.machine().node(list.node()).hasMemory()
                    ? List.of(list.node())
                    : List.of(),
                list.noFallback(),
                build::toString));
  }

  @Test
  void aListNeverTurnsBackToANearerNode() {
    eachList(
        (build, list) -> {
          List<Integer> order = list.fallback();
          for (int i = 1; i < order.size(); i++) {
            // A penalty each for a lower number and for CPUs may outweigh two steps of distance.
            assertTrue(
                distance(build, list.node(), order.get(i - 1))
                    <= distance(build, list.node(), order.get(i)) + 2,
                build::toString);
          }
        });
  }

  @Test
  void theNaiveModelAgrees() {
    eachBuild(
        build ->
            assertEquals(
                NaiveZonelists.fallback(
                    build.drawn.machine(), build.drawn.devices(), build.rule, build.spill),
                orders(build.lists),
                build::toString));
  }

  @Test
  void systemRowsDoNotDependOnTheSpillMode() {
    eachDrawn(
        (drawn, rule) ->
            assertEquals(
                system(drawn, drawn.machine().zonelists(drawn.devices(), rule, SpillMode.STRICT)),
                system(drawn, drawn.machine().zonelists(drawn.devices(), rule, SpillMode.RAM)),
                drawn::toString));
  }

  @Test
  void buildingTwiceGivesTheSame() {
    eachBuild(
        build -> {
          Machine machine = build.drawn.machine();
          ZonelistBuilder builder =
              new ZonelistBuilder(machine.withMemory(), machine.withCpus(), machine.distances());
          builder.build(build.drawn.devices(), build.rule, build.spill);
          assertEquals(
              build.lists,
              builder.build(build.drawn.devices(), build.rule, build.spill),
              build::toString);
        });
  }

  /** A device is to the rows of others what a node without memory is, whatever else it has. */
  @Test
  void systemRowsDoNotDependOnMemoryCpusAndReachOfDevices() {
    eachDrawn(
        (drawn, rule) -> {
          Map<Integer, List<Integer>> rows =
              system(drawn, drawn.machine().zonelists(drawn.devices(), rule, SpillMode.STRICT));
          Machine turned = withOtherDevices(drawn);
          assertEquals(
              rows,
              system(drawn, turned.zonelists(drawn.devices(), rule, SpillMode.STRICT)),
              drawn::toString);
          Machine emptied = withoutDeviceMemory(drawn);
          assertEquals(
              rows,
              system(drawn, emptied.zonelists(NodeMask.EMPTY, rule, SpillMode.STRICT)),
              drawn::toString);
        });
  }

  /** A device's own walk counts as load, so only rows built before it are free of its presence. */
  @Test
  void systemRowsBelowTheFirstDeviceAreThoseOfAMachineWithoutDevices() {
    eachDrawn(
        (drawn, rule) -> {
          Machine machine = drawn.machine();
          NodeMask present = machine.online().without(drawn.devices());
          int firstDevice = drawn.devices().and(machine.online()).first();
          if (present.isEmpty() || firstDevice < 0) {
            return;
          }
          Machine.Builder without = Machine.builder();
          present.stream().forEach(id -> without.node(machine.node(id)));
          Machine bare = without.distances(machine.distances()::between).build();
          Map<Integer, List<Integer>> rows =
              orders(bare.zonelists(NodeMask.EMPTY, rule, SpillMode.STRICT));
          rows.keySet().removeIf(id -> id > firstDevice);
          Map<Integer, List<Integer>> expected =
              system(drawn, machine.zonelists(drawn.devices(), rule, SpillMode.RAM));
          expected.keySet().removeIf(id -> id > firstDevice);
          assertEquals(expected, rows, drawn::toString);
        });
  }

  @Test
  void theDrawHasEveryShape() {
    if (machines.size() == 1) {
      return;
    }
    assertTrue(machines.stream().anyMatch(m -> m.machine().nodes().size() == 64));
    assertTrue(machines.stream().anyMatch(m -> m.machine().online().last() == 1023));
    assertTrue(machines.stream().anyMatch(m -> m.devices().equals(m.machine().online())));
    assertTrue(machines.stream().anyMatch(m -> m.machine().withMemory().isEmpty()));
    assertTrue(machines.stream().anyMatch(m -> !m.devices().and(m.machine().withCpus()).isEmpty()));
  }

  private static Machine withOtherDevices(RandomMachine drawn) {
    Machine.Builder builder = Machine.builder();
    for (Node node : drawn.machine().nodes()) {
      if (drawn.devices().contains(node.id())) {
        CpuMask cpus = node.hasCpus() ? CpuMask.EMPTY : CpuMask.parse(Integer.toString(node.id()));
        long bytes = node.hasMemory() ? 0 : 1L << 20;
        builder.node(new Node(node.id(), cpus, bytes, !node.movableOnly(), node.performance()));
      } else {
        builder.node(node);
      }
    }
    return builder
        .distances(
            (from, to) ->
                from != to && drawn.devices().contains(to)
                    ? 265 - drawn.machine().distances().between(from, to)
                    : drawn.machine().distances().between(from, to))
        .build();
  }

  private static Machine withoutDeviceMemory(RandomMachine drawn) {
    Machine.Builder builder = Machine.builder();
    for (Node node : drawn.machine().nodes()) {
      long bytes = drawn.devices().contains(node.id()) ? 0 : node.bytes();
      builder.node(new Node(node.id(), node.cpus(), bytes, node.movableOnly(), node.performance()));
    }
    return builder.distances(drawn.machine().distances()::between).build();
  }

  private static int distance(Build build, int from, int to) {
    return build.drawn.machine().distances().between(from, to);
  }

  private static NodeMask mask(List<Integer> nodes) {
    return NodeMask.of(nodes.stream().mapToInt(Integer::intValue).toArray());
  }

  private static Map<Integer, List<Integer>> orders(List<Zonelist> lists) {
    return lists.stream()
        .collect(
            Collectors.toMap(
                Zonelist::node, Zonelist::fallback, (one, other) -> one, TreeMap::new));
  }

  private static Map<Integer, List<Integer>> system(RandomMachine drawn, List<Zonelist> lists) {
    Map<Integer, List<Integer>> rows = orders(lists);
    rows.keySet().removeIf(drawn.devices()::contains);
    return rows;
  }

  private interface DrawnCheck {
    void check(RandomMachine drawn, LoadRule rule);
  }

  private interface ListCheck {
    void check(Build build, Zonelist list);
  }

  private record Build(RandomMachine drawn, LoadRule rule, SpillMode spill, List<Zonelist> lists) {}

  private static void eachDrawn(DrawnCheck check) {
    assertFalse(machines.isEmpty());
    for (RandomMachine drawn : machines) {
      for (LoadRule rule : LoadRule.values()) {
        check.check(drawn, rule);
      }
    }
  }

  private static Stream<Build> allOf(RandomMachine drawn) {
    return Stream.of(LoadRule.values())
        .flatMap(
            rule ->
                Stream.of(SpillMode.values())
                    .map(
                        spill ->
                            new Build(
                                drawn,
                                rule,
                                spill,
                                drawn.machine().zonelists(drawn.devices(), rule, spill))));
  }

  private static void eachBuild(Consumer<Build> check) {
    assertFalse(builds.isEmpty());
    builds.forEach(check);
  }

  private static void eachList(ListCheck check) {
    eachBuild(build -> build.lists.forEach(list -> check.check(build, list)));
  }
}
