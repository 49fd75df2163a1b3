/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.topology;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.stream.Stream;

/** A machine of {@code src/test/resources/topology}, and what tests do with its files. */
record MachineFixture(String shape) {
  static final String NODES = "devices/system/node";

  /** The shapes that are machines: all but no-sysfs. */
  static List<MachineFixture> machines() {
    return Stream.of(
            "one-node",
            "two-sockets",
            "sparse-ids",
            "node-without-memory",
            "cpuless-nodes",
            "gh200")
        .map(MachineFixture::new)
        .toList();
  }

  Path directory() {
    try {
      return Path.of(
          Objects.requireNonNull(getClass().getResource("/topology/" + shape), shape).toURI());
    } catch (URISyntaxException e) {
      throw new AssertionError(e);
    }
  }

  Path sysfs() {
    return directory().resolve("sysfs");
  }

  Path numactl() {
    return directory().resolve("numactl.txt");
  }

  String expected() throws IOException {
    return Files.readString(directory().resolve("expected.txt"));
  }

  /** Copies the sysfs tree, so that a test can spoil it. */
  Path copySysfs(Path to) throws IOException {
    try (Stream<Path> paths = Files.walk(sysfs())) {
      for (Path path : (Iterable<Path>) paths::iterator) {
        Path copy = to.resolve(sysfs().relativize(path).toString());
        if (Files.isDirectory(path)) {
          Files.createDirectories(copy);
        } else {
          Files.copy(path, copy);
        }
      }
    }
    return to;
  }

  /** Prints all that a machine says, as {@code expected.txt} has it. */
  static String print(Machine machine) {
    StringBuilder text = new StringBuilder();
    text.append("online ").append(machine.online()).append('\n');
    text.append("possible ").append(machine.possible()).append('\n');
    text.append("memory-only ").append(machine.memoryOnly()).append('\n');
    for (Node node : machine.nodes()) {
      NodePerformance performance = node.performance();
      text.append(
          String.format(
              Locale.ROOT,
              "node %d: cpus=%s bytes=%d zone=%s initiators=%s read=%dns,%dMiB/s write=%dns,%dMiB/s"
                  + " tier=%d\n",
              node.id(),
              node.cpus(),
              node.bytes(),
              node.zoneName(),
              performance.initiators(),
              performance.readLatencyNanos(),
              performance.readBandwidthMebibytes(),
              performance.writeLatencyNanos(),
              performance.writeBandwidthMebibytes(),
              performance.tier()));
    }
    for (int from : machine.online().stream().toArray()) {
      text.append("from ").append(from).append(':');
      for (int to : machine.online().stream().toArray()) {
        text.append(' ').append(machine.distances().between(from, to));
      }
      text.append('\n');
    }
    return text.toString().replace("\r", "");
  }

  @Override
  public String toString() {
    return shape;
  }
}
