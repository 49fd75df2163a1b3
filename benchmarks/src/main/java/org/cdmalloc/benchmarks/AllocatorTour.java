/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks;

import java.io.PrintWriter;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.cdmalloc.DeviceNode;
import org.cdmalloc.NodeAccessException;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.NodeMemoryExhaustedException;
import org.cdmalloc.NodeMemoryExhaustedException.Attempt;
import org.cdmalloc.NodeReport;
import org.cdmalloc.Placement;
import org.cdmalloc.SpillBudget;
import org.cdmalloc.spi.Residency;
import org.cdmalloc.topology.LoadRule;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;
import org.cdmalloc.topology.SpillMode;
import org.cdmalloc.topology.Zonelist;
import org.cdmalloc.topology.ZonelistTable;

/** What the tour shows of one open allocator, a part at a time. */
final class AllocatorTour {
  private static final int BLOCK_BYTES = 1 << 20;
  private static final int BUFFER_BYTES = 64 << 10;
  private static final int PAGE_BYTES = 4 << 10;

  private final PrintWriter out;
  private final NodeAllocator memory;
  private final int deviceNode;
  private final NodeMask devices;

  /**
   * Begins a tour.
   *
   * @param out where it is told
   * @param memory the allocator, not used by others meanwhile
   * @param deviceNode the device node that is asked by name
   */
  AllocatorTour(PrintWriter out, NodeAllocator memory, int deviceNode) {
    this.out = out;
    this.memory = memory;
    this.deviceNode = deviceNode;
    this.devices =
        NodeMask.of(
            memory.report().nodes().stream()
                .filter(report -> report.kind() == Zonelist.Kind.DEVICE)
                .mapToInt(NodeReport::node)
                .toArray());
  }

  /** Shows all nodes, those without memory too, and how far they are from each other. */
  void nodes() {
    Machine machine = memory.machine();
    Map<Integer, NodeReport> reports =
        memory.report().nodes().stream()
            .collect(Collectors.toMap(NodeReport::node, Function.identity()));
    AlignedTable table =
        new AlignedTable(List.of("node", "kind", "memory", "capacity here", "CPUs"));
    for (Node node : machine.nodes()) {
      NodeReport report = reports.get(node.id());
      table.row(
          List.of(
              Integer.toString(node.id()),
              devices.contains(node.id()) ? "device" : "system",
              mebibytes(node.bytes()),
              report == null ? "" : mebibytes(report.capacityBytes()),
              node.hasCpus() ? node.cpus().toString() : "none"));
    }
    out.println(table);
    if (machine.nodes().size() > 1) {
      print("distances, from the row's node to the column's%n");
      out.println(TopologyCommand.distances(machine));
    }
  }

  /** Shows the lists that the allocator walks. */
  void zonelists() {
    Machine machine = memory.machine();
    print("Where each node's requests try, in order (load rule accumulate, devices strict):%n%n");
    out.println(
        ZonelistTable.render(
            machine.zonelists(devices, LoadRule.ACCUMULATE, SpillMode.STRICT),
            ZonelistTable.numbers(machine)));
  }

  /** Shows a buffer in each placement, and where its pages lie. */
  void placements() {
    NodeMask system = memory.machine().withMemory().without(devices);
    int node = system.first();
    AlignedTable table = new AlignedTable(List.of("64 KiB, zeroed", "where its pages lie"));
    row(table, "local (names no node)", Placement.LOCAL);
    row(table, "on node " + node, Placement.onNode(node));
    row(table, "preferred " + node, Placement.preferred(node));
    row(table, "preferred many " + system, Placement.preferredMany(system));
    row(table, "bind " + system, Placement.bind(system));
    row(table, "interleave " + system, Placement.interleave(system));
    if (system.size() > 1) {
      Placement weighted = Placement.weightedInterleave(Map.of(node, 3, system.last(), 1));
      row(table, weighted.toString(), weighted);
    }
    row(table, "on node " + deviceNode, Placement.onNode(deviceNode));
    out.println(table);
  }

  private void row(AlignedTable table, String request, Placement placement) {
    String answer;
    try {
      ByteBuffer buffer = memory.allocateBuffer(BUFFER_BYTES, placement);
      buffer.putLong(0, 42);
      answer = where(memory.residency(buffer));
      memory.free(buffer);
    } catch (NodeAccessException refused) {
      answer = "refused: " + firstPart(refused.getMessage());
    } catch (NodeMemoryExhaustedException full) {
      answer =
          "no memory: "
              + full.attempts().stream()
                  .map(AllocatorTour::brief)
                  .collect(Collectors.joining("; "));
    }
    table.row(List.of(request, answer));
  }

  /** Shows that implicit requests run out of memory while a device has some, by name only. */
  void exhaust() {
    boolean online = bringOnline();
    List<Long> blocks = new ArrayList<>();
    try {
      while (true) {
        blocks.add(memory.allocate(BLOCK_BYTES));
      }
    } catch (NodeMemoryExhaustedException full) {
      print("implicit requests took %d blocks of 1 MiB, then:%n", blocks.size());
      attempts(full);
      if (online) {
        askByName();
      }
    } finally {
      blocks.forEach(memory::free);
    }
    out.println();
  }

  private boolean bringOnline() {
    try {
      memory.device(deviceNode).online();
      return true;
    } catch (NodeAccessException refused) {
      print("device node %d stays offline: %s%n", deviceNode, firstPart(refused.getMessage()));
      return false;
    }
  }

  private void askByName() {
    print("device node %d meanwhile: %s%n", deviceNode, usage());
    DeviceNode device = memory.device(deviceNode);
    print("asked by name, memory.device(%d).allocateBuffer(1 MiB): ", deviceNode);
    try {
      ByteBuffer named = device.allocateBuffer(BLOCK_BYTES);
      print("%s%n", where(memory.residency(named)));
      print("device node %d now: %s%n", deviceNode, usage());
      device.free(named);
    } catch (NodeMemoryExhaustedException full) {
      print("refused%n");
      attempts(full);
    }
  }

  /** Shows what holders of a device's capability may use: of the device, and of RAM instead. */
  void holders() {
    DeviceNode device = memory.device(deviceNode);
    if (memory.report().node(deviceNode).online()) {
      hold("quota of 2 MiB", device.named("tenant").withQuota(2 * BLOCK_BYTES));
      long all = device.tryAllocate(memory.report().node(deviceNode).freeBytes());
      if (all != 0) {
        print("all of device node %d is in use now%n", deviceNode);
        hold("no spill budget", device.named("strict"));
        SpillBudget budget = SpillBudget.ofBytes(2 * BLOCK_BYTES);
        hold("spill budget of 2 MiB", device.named("spilling").spilling(budget));
        device.free(all);
      }
      out.println();
    }
  }

  private void hold(String what, DeviceNode holder) {
    List<Long> blocks = new ArrayList<>();
    try {
      while (true) {
        blocks.add(holder.allocate(BLOCK_BYTES));
      }
    } catch (NodeMemoryExhaustedException full) {
      print("%s, %s: %d blocks of 1 MiB, ", holder.holder(), what, blocks.size());
      print("%s of them in RAM, then:%n", mebibytes(holder.holders().get(0).spilledBytes()));
      attempts(full);
    } finally {
      blocks.forEach(memory::free);
    }
  }

  private void attempts(NodeMemoryExhaustedException full) {
    full.attempts().forEach(attempt -> print("  %s%n", brief(attempt)));
  }

  /** Leaves out the figures that only who maintains a zone can read. */
  private static String brief(Attempt attempt) {
    return String.format(
        Locale.ROOT,
        "node %d: %s (%d of %d pages free)",
        attempt.node(),
        attempt.why(),
        attempt.freeBytes() / PAGE_BYTES,
        attempt.capacityBytes() / PAGE_BYTES);
  }

  private static String firstPart(String message) {
    int end = message.indexOf(';');
    return end < 0 ? message : message.substring(0, end);
  }

  private static String where(Residency residency) {
    return residency.pagesByNode().keySet().equals(Set.of(Residency.UNKNOWN))
        ? residency.pages() + " pages, the kernel does not say where"
        : residency.toString();
  }

  private String usage() {
    NodeReport report = memory.report().node(deviceNode);
    return mebibytes(report.usedBytes())
        + " used, "
        + mebibytes(report.committedBytes())
        + " committed of "
        + mebibytes(report.capacityBytes());
  }

  /** Prints an amount in whole MiB. */
  static String mebibytes(long bytes) {
    return (bytes >> 20) + " MiB";
  }

  /** Prints as {@link String#format} does, the same in every locale. */
  void print(String format, Object... arguments) {
    out.print(String.format(Locale.ROOT, format, arguments));
  }

  /** Prints a line and underlines it. */
  void title(String text) {
    out.println(text);
    out.println("-".repeat(text.length()));
  }
}
