/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.topology;

import java.nio.file.Path;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Reads what {@code numactl --hardware} prints, with or without {@code --cpu-compress}: {@code
 * hardware()} and {@code print_distances()} of numactl.c, the same in releases 2.0.14 to 2.0.19 but
 * for the width of the columns.
 *
 * <pre>
 * available: 2 nodes (0-1)
 * node 0 cpus: 0 1
 * node 0 size: 32105 MB
 * node 0 free: 30012 MB
 * node 1 cpus:
 * node 1 size: 16384 MB
 * node 1 free: 16000 MB
 * node distances:
 * node   0   1
 *   0:  10  20
 *   1:  20  10
 * </pre>
 *
 * <p>Blank lines, blanks around a line and either kind of line end make no difference. Sizes are in
 * MB of 2<sup>20</sup> bytes, the only unit numactl has; {@code <not available>}, printed where it
 * could not read a node's meminfo, counts as none. Where it prints no distances, {@link
 * DistanceMatrix#uniform} holds: it does so on machines without a SLIT. The free memory is of the
 * moment and is not kept.
 */
final class NumactlReader {
  private static final Pattern AVAILABLE =
      Pattern.compile("available:\\s++(\\d++)\\s++nodes\\s++\\(([^()]*+)\\)");
  private static final Pattern NODE_LINE =
      Pattern.compile("node\\s++(\\d++)\\s++(cpus|size|free):(.*+)");
  private static final Pattern CPUS = Pattern.compile("([-0-9 ]*+)(?:\\((\\d++)\\))?+");
  private static final Pattern AMOUNT = Pattern.compile("(\\S++)\\s++MB");
  private static final String NOT_AVAILABLE = "<not available>";
  private static final String DISTANCES = "node distances:";
  private static final String NO_DISTANCES = "No distance information available.";

  private final Path file;

  /**
   * Makes a reader.
   *
   * @param file the captured text
   */
  NumactlReader(Path file) {
    this.file = Objects.requireNonNull(file, "file");
  }

  /** What the text says of one node. */
  private static final class NodeLines {
    final Set<String> kinds = new HashSet<>();
    CpuMask cpus = CpuMask.EMPTY;
    int cpusLine;
    long bytes;
  }

  /**
   * Reads the text.
   *
   * @return the machine
   * @throws TopologyFormatException if the file cannot be read, is more than {@value
   *     TopologyText#MAX_BYTES} bytes, or is not such a text; numactl's "No NUMA available on this
   *     system" describes no machine either
   */
  Machine read() {
    return read(TopologyText.read(file));
  }

  /** Reads a text that was got in some other way than from the file. */
  Machine read(TopologyText text) {
    NodeMask online = available(text);
    int availableLine = text.lineNumber();
    Map<Integer, NodeLines> found = new HashMap<>();
    boolean more = text.nextLine();
    while (more) {
      Matcher line = NODE_LINE.matcher(text.line());
      if (!line.matches()) {
        break;
      }
      take(text, line, online, found);
      more = text.nextLine();
    }
    boolean matrix = more && text.line().equals(DISTANCES);
    if (more && !matrix && !text.line().equals(NO_DISTANCES)) {
      throw text.malformed(
          "not a line of numactl --hardware: line=" + KernelList.quoted(text.line()));
    }
    Machine.Builder machine = Machine.builder().origin("numactl " + file);
    for (int id : online.stream().toArray()) {
      if (!found.containsKey(id)) {
        throw text.malformed(availableLine, "node is not described: node=" + id);
      }
      add(machine, id, found.get(id), text);
    }
    if (matrix) {
      machine.distances(distances(text, online));
    }
    if (text.nextLine()) {
      throw text.malformed("text goes on after its end: line=" + KernelList.quoted(text.line()));
    }
    return machine.build();
  }

  private static NodeMask available(TopologyText text) {
    text.nextLine();
    if (text.line().startsWith("No NUMA")) {
      throw text.malformed(
          "numactl found no NUMA there: line="
              + KernelList.quoted(text.line())
              + "; capture it on a kernel with CONFIG_NUMA");
    }
    Matcher line = AVAILABLE.matcher(text.line());
    if (!line.matches()) {
      throw text.malformed(
          "not a line like \"available: 2 nodes (0-1)\": line="
              + KernelList.quoted(text.line())
              + "; capture the output of numactl --hardware");
    }
    NodeMask online = text.value(() -> NodeMask.parse(line.group(2)));
    long count = text.number("nodes", line.group(1), NodeMask.MAX_NODES);
    if (online.isEmpty() || online.size() != count) {
      throw text.malformed("nodes are not as many as listed: nodes=" + count + ", list=" + online);
    }
    return online;
  }

  private static void take(
      TopologyText text, Matcher line, NodeMask online, Map<Integer, NodeLines> found) {
    int id = (int) text.number("node", line.group(1), NodeMask.MAX_NODES - 1);
    if (!online.contains(id)) {
      throw text.malformed("node is not available: node=" + id + ", available=" + online);
    }
    NodeLines node = found.computeIfAbsent(id, unused -> new NodeLines());
    String kind = line.group(2);
    if (!node.kinds.add(kind)) {
      throw text.malformed("duplicate line: node=" + id + ", line=" + kind);
    }
    String value = line.group(3).strip();
    switch (kind) {
      case "cpus" -> {
        node.cpus = cpus(text, value);
        node.cpusLine = text.lineNumber();
      }
      case "size" -> node.bytes = bytes(text, value);
      default -> bytes(text, value);
    }
  }

  private static CpuMask cpus(TopologyText text, String value) {
    Matcher line = CPUS.matcher(value);
    if (!line.matches()) {
      throw text.malformed(
          "not numbers with a blank between them: cpus="
              + KernelList.quoted(value)
              + "; for example \"0 1 2\"");
    }
    String list = line.group(1).strip().replace(' ', ',');
    CpuMask cpus = text.value(() -> CpuMask.parse(list));
    if (line.group(2) != null
        && text.number("count", line.group(2), CpuMask.MAX_CPUS) != cpus.size()) {
      throw text.malformed(
          "CPUs are not as many as counted: cpus=" + cpus + ", count=" + line.group(2));
    }
    return cpus;
  }

  private static long bytes(TopologyText text, String value) {
    if (value.equals(NOT_AVAILABLE)) {
      return 0;
    }
    Matcher amount = AMOUNT.matcher(value);
    if (!amount.matches()) {
      throw text.malformed("not an amount in MB: amount=" + KernelList.quoted(value));
    }
    return text.number("amount", amount.group(1), Node.MAX_BYTES >> 20) << 20;
  }

  private static void add(Machine.Builder machine, int id, NodeLines node, TopologyText text) {
    int line = node.cpusLine;
    if (!node.kinds.contains("cpus") || !node.kinds.contains("size")) {
      throw text.malformed(
          line, "node needs the lines cpus and size: node=" + id + ", has=" + node.kinds);
    }
    boolean movableOnly = node.bytes > 0 && node.cpus.isEmpty();
    try {
      machine.node(new Node(id, node.cpus, node.bytes, movableOnly, NodePerformance.NONE));
    } catch (IllegalArgumentException e) {
      throw text.malformed(line, e);
    }
  }

  private static int[][] distances(TopologyText text, NodeMask online) {
    int[] ids = online.stream().toArray();
    StringBuilder header = new StringBuilder("node");
    for (int id : ids) {
      header.append(' ').append(id);
    }
    if (!text.nextLine() || !text.line().replaceAll("\\s+", " ").contentEquals(header)) {
      throw text.malformed(
          "columns of the distances are not the available nodes: line="
              + KernelList.quoted(text.line())
              + ", available="
              + online);
    }
    int[][] rows = new int[ids.length][];
    for (int row = 0; row < rows.length; row++) {
      String label = ids[row] + ":";
      if (!text.nextLine() || !text.line().startsWith(label)) {
        throw text.malformed("row of the distances is missing: node=" + ids[row]);
      }
      rows[row] = text.distances(text.line().substring(label.length()), rows.length);
    }
    return rows;
  }
}
