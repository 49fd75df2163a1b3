/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks;

import java.io.PrintWriter;
import java.util.Comparator;
import java.util.Optional;
import java.util.ServiceLoader;
import java.util.stream.IntStream;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.MemorySourceProvider;
import org.cdmalloc.topology.LoadRule;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;
import org.cdmalloc.topology.SpillMode;
import org.cdmalloc.topology.ZonelistTable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code cdmalloc tour}: what an allocator does on this host, shown on its own memory. */
@Command(
    name = "tour",
    description = {
      "Shows what an allocator does on this host; uses at most 64 MiB of each node, and 32 MiB for"
          + " the arena. The default.",
      "java -Dcdmalloc.source=linux|emulated -jar ... chooses where this host's memory comes from."
    },
    mixinStandardHelpOptions = true,
    versionProvider = ManifestVersion.class)
final class TourCommand implements Runnable {
  private static final long MEBIBYTE = 1 << 20;
  private static final long SYSTEM_BYTES = 64 * MEBIBYTE;
  private static final long ARENA_BYTES = 32 * MEBIBYTE;

  /** Capacities are whole multiples, so that no zone ends with small blocks. */
  private static final long UNIT_BYTES = 2 * MEBIBYTE;

  private static final String SOURCE_PROPERTY = "cdmalloc.source";

  @Spec private CommandSpec spec;

  @Override
  public void run() {
    PrintWriter out = spec.commandLine().getOut();
    host(out, hostSource());
    emulated(out);
    out.flush();
  }

  private MemorySource hostSource() {
    try (NodeAllocator memory = NodeAllocator.open()) {
      return memory.source();
    } catch (IllegalArgumentException refused) {
      String wanted = System.getProperty(SOURCE_PROPERTY);
      if (wanted != null && provider(wanted).isEmpty()) {
        throw new ParameterException(spec.commandLine(), refused.getMessage(), refused);
      }
      throw refused;
    }
  }

  private static Optional<MemorySourceProvider> provider(String name) {
    return ServiceLoader.load(MemorySourceProvider.class).stream()
        .map(ServiceLoader.Provider::get)
        .filter(provider -> provider.name().equals(name))
        .findFirst();
  }

  /** Opens the emulated machine, whatever {@code -Dcdmalloc.source} wants for this host. */
  static MemorySource emulatedSource(Machine machine) {
    return provider("emulated")
        .orElseThrow(
            () ->
                new IllegalStateException(
                    "no emulated machine: add org.cdmalloc:native-stubs to the class path"))
        .open(Optional.of(machine));
  }

  /** Gives the part of the tour that is about this host's memory. */
  static void host(PrintWriter out, MemorySource source) {
    Machine machine = source.machine();
    NodeAllocator.Builder builder = builder(source);
    int host = largestSystemNode(machine);
    int arena = arenaNode(machine);
    try (NodeAllocator memory = builder.deviceArena(arena, host, ARENA_BYTES).open()) {
      AllocatorTour tour = new AllocatorTour(out, memory, arena);
      tour.title(heading(source));
      tour.print("memory source: %s; machine: %s%n", source.name(), machine.origin());
      source.diagnosis().findings().forEach(finding -> tour.print("note: %s%n", finding));
      tour.print(
          "Node %d is designated for this tour: %s of node %d that count as a device's.%n%n",
          arena, AllocatorTour.mebibytes(ARENA_BYTES), host);
      tour.nodes();
      tour.zonelists();
      tour.placements();
      tour.exhaust();
      tour.holders();
    }
  }

  private static String heading(MemorySource source) {
    if (!source.isReal()) {
      return "This host, EMULATED: no kernel was asked where memory lies.";
    }
    return source.diagnosis().binds()
        ? "This host. Memory is real, and the kernel says where it lies."
        : "This host. Memory is real, but the kernel does not let it be bound and checked.";
  }

  private static NodeAllocator.Builder builder(MemorySource source) {
    NodeAllocator.Builder builder = NodeAllocator.builder().source(source);
    for (Node node : source.machine().nodes()) {
      long bytes = Math.min(SYSTEM_BYTES, node.bytes() / 4 / UNIT_BYTES * UNIT_BYTES);
      if (bytes > 0) {
        builder.capacity(node.id(), bytes);
      }
    }
    return builder;
  }

  private static int largestSystemNode(Machine machine) {
    NodeMask system = machine.withMemory().without(machine.memoryOnly());
    return machine.nodes().stream()
        .filter(node -> system.contains(node.id()))
        .max(
            Comparator.comparingLong(Node::bytes)
                .thenComparing(Node::id, Comparator.reverseOrder()))
        .orElseThrow(
            () ->
                new IllegalStateException(
                    "no node has memory and CPUs: online=" + machine.online()))
        .id();
  }

  /** Returns a number for the arena that no node will have, or, where all may, that none has. */
  static int arenaNode(Machine machine) {
    return lowestOutside(machine.possible().or(machine.online()))
        .or(() -> lowestOutside(machine.online()))
        .orElseThrow(
            () ->
                new IllegalStateException(
                    "no number is left for the arena: online=" + machine.online()));
  }

  private static Optional<Integer> lowestOutside(NodeMask taken) {
    return IntStream.range(0, NodeMask.MAX_NODES)
        .filter(node -> !taken.contains(node))
        .boxed()
        .findFirst();
  }

  private static void emulated(PrintWriter out) {
    Machine machine = mailMachine();
    NodeMask devices = machine.memoryOnly();
    try (NodeAllocator memory = builder(emulatedSource(machine)).open()) {
      AllocatorTour tour = new AllocatorTour(out, memory, devices.first());
      tour.title("The machine of the 2017 mails, EMULATED: nothing below is a measurement.");
      tour.print(
          "The kernel's lists under the rules of 2017 (load rule assign, devices spill to RAM):%n%n");
      out.println(
          ZonelistTable.render(
              machine.zonelists(devices, LoadRule.ASSIGN, SpillMode.RAM),
              ZonelistTable.numbers(machine)));
      tour.print("This allocator's lists are strict: a device's list holds the device alone.%n%n");
      tour.nodes();
      tour.placements();
      tour.exhaust();
      tour.holders();
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
}
