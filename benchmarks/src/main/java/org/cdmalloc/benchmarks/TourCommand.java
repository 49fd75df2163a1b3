/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks;

import java.io.PrintWriter;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.cdmalloc.DeviceNode;
import org.cdmalloc.NodeAccessException;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.NodeMemoryExhaustedException;
import org.cdmalloc.NodeReport;
import org.cdmalloc.Placement;
import org.cdmalloc.topology.LoadRule;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;
import org.cdmalloc.topology.SpillMode;
import org.cdmalloc.topology.Zonelist;
import org.cdmalloc.topology.ZonelistTable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** {@code cdmalloc tour}: what an allocator does on this host, shown on its own memory. */
@Command(
    name = "tour",
    description = "Shows what an allocator does on this host; uses at most 96 MiB. The default.",
    mixinStandardHelpOptions = true,
    versionProvider = ManifestVersion.class)
final class TourCommand implements Runnable {
  private static final long MEBIBYTE = 1 << 20;
  private static final long SYSTEM_BYTES = 64 * MEBIBYTE;
  private static final long ARENA_BYTES = 32 * MEBIBYTE;
  private static final int BLOCK_BYTES = 1 << 20;
  private static final int BUFFER_BYTES = 64 << 10;

  @Spec private CommandSpec spec;

  private PrintWriter out;

  @Override
  public void run() {
    out = spec.commandLine().getOut();
    host();
    emulated();
    out.flush();
  }

  private void host() {
    NodeAllocator.Builder builder = NodeAllocator.builder();
    Machine machine;
    try (NodeAllocator probe = NodeAllocator.open()) {
      machine = probe.machine();
      for (NodeReport node : probe.report()) {
        builder.capacity(node.node(), Math.min(node.capacityBytes(), SYSTEM_BYTES));
      }
    }
    int host = machine.withMemory().without(machine.memoryOnly()).first();
    int arena = Math.max(machine.possible().last(), machine.online().last()) + 1;
    try (NodeAllocator memory = builder.deviceArena(arena, host, ARENA_BYTES).open()) {
      String heading =
          memory.source().isReal()
              ? "This host. Memory is real, and the kernel says where it lies."
              : "This host, EMULATED: no kernel was asked where memory lies.";
      title(heading);
      print("memory source: %s; machine: %s%n", memory.source().name(), machine.origin());
      memory.source().diagnosis().findings().forEach(finding -> print("note: %s%n", finding));
      print(
          "Node %d is designated for this tour: %s of node %d that count as a device's.%n%n",
          arena, mebibytes(ARENA_BYTES), host);
      show(memory, arena);
      exhaust(memory, arena);
    }
  }

  private void emulated() {
    title("The machine of the 2017 mails, EMULATED: nothing below is a measurement.");
    Machine machine = mailMachine();
    NodeMask devices = NodeMask.parse("2-4");
    print(
        "The kernel's lists under the rules of 2017 (load rule assign, devices spill to RAM):%n%n");
    out.print(
        ZonelistTable.render(
            machine.zonelists(devices, LoadRule.ASSIGN, SpillMode.RAM),
            ZonelistTable.numbers(machine)));
    out.println();
    NodeAllocator.Builder builder = NodeAllocator.builder().machine(machine);
    machine.nodes().forEach(node -> builder.capacity(node.id(), SYSTEM_BYTES));
    try (NodeAllocator memory = builder.open()) {
      show(memory, devices.first());
      exhaust(memory, devices.first());
    }
  }

  /** Two nodes with CPUs and RAM, three with a device's memory, all equally far from each other. */
  private static Machine mailMachine() {
    return Machine.builder()
        .origin("A. Khandual, linux-mm, 8 March 2017")
        .node(Node.of(0, "0-7", 1024 * MEBIBYTE))
        .node(Node.of(1, "8-15", 1024 * MEBIBYTE))
        .node(Node.memoryOnly(2, 1024 * MEBIBYTE))
        .node(Node.memoryOnly(3, 1024 * MEBIBYTE))
        .node(Node.memoryOnly(4, 1024 * MEBIBYTE))
        .distances((from, to) -> from == to ? 10 : 40)
        .build();
  }

  private void show(NodeAllocator memory, int deviceNode) {
    nodes(memory);
    placements(memory, deviceNode);
  }

  private void nodes(NodeAllocator memory) {
    Machine machine = memory.machine();
    List<Zonelist> lists =
        machine.zonelists(devices(memory), LoadRule.ACCUMULATE, SpillMode.STRICT);
    AlignedTable table =
        new AlignedTable(
            List.of("node", "kind", "CPUs", "memory", "capacity here", "tries in order"));
    for (NodeReport report : memory.report()) {
      Node node = machine.node(report.node());
      table.row(
          List.of(
              Integer.toString(node.id()),
              EnumWord.of(report.kind()),
              node.cpus().toString(),
              mebibytes(node.bytes()),
              mebibytes(report.capacityBytes()),
              lists.stream()
                  .filter(list -> list.node() == node.id())
                  .map(list -> list.fallback().toString())
                  .findFirst()
                  .orElse("")));
    }
    out.println(table);
  }

  private static NodeMask devices(NodeAllocator memory) {
    return NodeMask.of(
        memory.report().stream()
            .filter(report -> report.kind() == Zonelist.Kind.DEVICE)
            .mapToInt(NodeReport::node)
            .toArray());
  }

  private void placements(NodeAllocator memory, int deviceNode) {
    int node = memory.machine().withMemory().without(devices(memory)).first();
    AlignedTable table = new AlignedTable(List.of("64 KiB, zeroed", "where its pages lie"));
    row(table, memory, "local (names no node)", Placement.LOCAL);
    row(table, memory, "on node " + node, Placement.onNode(node));
    row(table, memory, "preferred " + node, Placement.preferred(node));
    NodeMask system = memory.machine().withMemory().without(devices(memory));
    row(table, memory, "bind " + system, Placement.bind(system));
    row(table, memory, "on node " + deviceNode, Placement.onNode(deviceNode));
    out.println(table);
  }

  private static void row(
      AlignedTable table, NodeAllocator memory, String request, Placement placement) {
    String answer;
    try {
      ByteBuffer buffer = memory.allocateBuffer(BUFFER_BYTES, placement);
      buffer.putLong(0, 42);
      answer = memory.residency(buffer).toString();
      memory.free(buffer);
    } catch (NodeAccessException refused) {
      answer = "refused: " + refused.getMessage();
    }
    table.row(List.of(request, answer));
  }

  private void exhaust(NodeAllocator memory, int deviceNode) {
    DeviceNode device = memory.device(deviceNode);
    try {
      device.online();
    } catch (NodeAccessException refused) {
      print("device node %d: %s%n%n", deviceNode, refused.getMessage());
      return;
    }
    List<Long> blocks = new ArrayList<>();
    for (long block = memory.tryAllocate(BLOCK_BYTES);
        block != 0;
        block = memory.tryAllocate(BLOCK_BYTES)) {
      blocks.add(block);
    }
    print("implicit requests took %d blocks of 1 MiB, then:%n", blocks.size());
    try {
      blocks.add(memory.allocate(BLOCK_BYTES));
      throw new IllegalStateException("an implicit request was served beyond exhaustion");
    } catch (NodeMemoryExhaustedException expected) {
      expected
          .attempts()
          .forEach(attempt -> print("  node %d: %s%n", attempt.node(), attempt.reason()));
    }
    print("device node %d meanwhile: %s%n", deviceNode, usage(memory, deviceNode));
    ByteBuffer named = device.allocateBuffer(BLOCK_BYTES);
    print(
        "asked by name, memory.device(%d).allocateBuffer(1 MiB): %s%n",
        deviceNode, memory.residency(named));
    print("device node %d now: %s%n%n", deviceNode, usage(memory, deviceNode));
    device.free(named);
    blocks.forEach(memory::free);
  }

  private static String usage(NodeAllocator memory, int node) {
    NodeReport report =
        memory.report().stream().filter(r -> r.node() == node).findFirst().orElseThrow();
    return mebibytes(report.usedBytes())
        + " used, "
        + mebibytes(report.committedBytes())
        + " committed of "
        + mebibytes(report.capacityBytes());
  }

  private static String mebibytes(long bytes) {
    return bytes / MEBIBYTE + " MiB";
  }

  private void print(String format, Object... arguments) {
    out.print(String.format(Locale.ROOT, format, arguments));
  }

  private void title(String text) {
    out.println(text);
    out.println("-".repeat(text.length()));
  }
}
