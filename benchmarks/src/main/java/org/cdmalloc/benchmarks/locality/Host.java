/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodePerformance;

/**
 * What a report says of where it was taken: no name, no address, nothing that tells one host from
 * another of its kind. Immutable.
 *
 * @param processor the processor's name, as the kernel has it
 * @param kernel its release
 * @param isVirtual whether this is a virtual machine, as far as the processor says so
 * @param jdk the version and its vendor
 * @param form how the measured loops access memory
 * @param hugePages the setting of transparent huge pages
 * @param balancing whether the kernel moves pages to who uses them by itself
 * @param caches the data caches of a CPU, in bytes by level
 * @param nodes the nodes
 * @param distances what firmware says, from each node, a row, to each node
 */
record Host(
    String processor,
    String kernel,
    boolean isVirtual,
    String jdk,
    String form,
    String hugePages,
    boolean balancing,
    Map<Integer, Long> caches,
    List<HostNode> nodes,
    List<List<Integer>> distances) {
  private static final Path CPUS = Path.of("/proc/cpuinfo");
  private static final Path BALANCING = Path.of("/proc/sys/kernel/numa_balancing");

  /**
   * A node.
   *
   * @param id its number
   * @param cpus its CPUs, as the kernel lists them
   * @param bytes its memory
   * @param readLatencyNanos what firmware says (HMAT); −1 where it does not, as for all others
   * @param writeLatencyNanos likewise
   * @param readBandwidthMebibytes likewise, per second
   * @param writeBandwidthMebibytes likewise, per second
   * @param nearNodes whose CPUs these figures are of; nothing where there are none
   */
  record HostNode(
      int id,
      String cpus,
      long bytes,
      int readLatencyNanos,
      int writeLatencyNanos,
      int readBandwidthMebibytes,
      int writeBandwidthMebibytes,
      String nearNodes) {
    static HostNode of(Node node) {
      NodePerformance told = node.performance();
      return new HostNode(
          node.id(),
          node.cpus().toString(),
          node.bytes(),
          told.readLatencyNanos(),
          told.writeLatencyNanos(),
          told.readBandwidthMebibytes(),
          told.writeBandwidthMebibytes(),
          told.initiators().toString());
    }
  }

  Host {
    // In order: a file that is written twice is the same.
    caches = Collections.unmodifiableMap(new TreeMap<>(caches));
    nodes = List.copyOf(nodes);
    distances = List.copyOf(distances);
  }

  /** Reads this host. */
  static Host read(Machine machine, int cpu) {
    return new Host(
        cpuLine("model name", System.getProperty("os.arch")),
        System.getProperty("os.version"),
        (" " + cpuLine("flags", "") + " ").contains(" hypervisor "),
        Runtime.version() + " (" + System.getProperty("java.vendor") + ")",
        RawMemory.form(),
        chosen(text(Machine.SYSFS.resolve("kernel/mm/transparent_hugepage/enabled"))),
        text(BALANCING).matches("[1-9].*"),
        Caches.of(Machine.SYSFS, cpu).bytesByLevel(),
        machine.nodes().stream().map(HostNode::of).toList(),
        machine.nodes().stream().map(from -> distancesFrom(machine, from)).toList());
  }

  private static List<Integer> distancesFrom(Machine machine, Node from) {
    return machine.nodes().stream()
        .map(to -> machine.distances().between(from.id(), to.id()))
        .toList();
  }

  /** Of {@code always [madvise] never} the word in brackets. */
  private static String chosen(String setting) {
    int open = setting.indexOf('[');
    int close = setting.indexOf(']');
    return open >= 0 && close > open ? setting.substring(open + 1, close) : "none";
  }

  private static String cpuLine(String key, String otherwise) {
    try (Stream<String> lines = Files.lines(CPUS)) {
      return lines
          .filter(line -> line.startsWith(key))
          .findFirst()
          .map(line -> line.substring(line.indexOf(':') + 1).strip())
          .orElse(otherwise);
    } catch (IOException | UncheckedIOException e) {
      return otherwise;
    }
  }

  private static String text(Path file) {
    try {
      return Files.readString(file).strip();
    } catch (IOException e) {
      return "";
    }
  }
}
