/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.topology;

import java.io.IOException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Reads the nodes of a Linux host from sysfs, live or recorded (kernel documentation,
 * ABI/stable/sysfs-devices-node, admin-guide/mm/numaperf and
 * ABI/testing/sysfs-kernel-mm-memory-tiers).
 *
 * <p>What a kernel, or a recording, may lack, and what then holds:
 *
 * <table>
 *   <caption>Optional files</caption>
 *   <tr><th>absent</th><th>then</th></tr>
 *   <tr><td>{@code possible}</td><td>only the online nodes are possible</td></tr>
 *   <tr><td>{@code has_memory}</td><td>every node's {@code meminfo} decides (Linux before 3.8)</td></tr>
 *   <tr><td>{@code has_normal_memory}</td><td>no node is {@link Node#movableOnly()}</td></tr>
 *   <tr><td>{@code has_cpu}</td><td>every node must have a {@code cpulist}</td></tr>
 *   <tr><td>{@code nodeN/cpulist}</td><td>a node that {@code has_cpu} does not name has no CPUs</td></tr>
 *   <tr><td>{@code nodeN/meminfo}</td><td>a node that {@code has_memory} does not name has no
 *       memory; the file is not even opened</td></tr>
 *   <tr><td>{@code nodeN/distance}</td><td>{@link DistanceMatrix#uniform} if no node has one</td></tr>
 *   <tr><td>{@code nodeN/access0}, or a file below it</td><td>those figures are not known</td></tr>
 *   <tr><td>{@code memory_tiering}</td><td>no tier is known (Linux before 6.1)</td></tr>
 * </table>
 */
final class SysfsReader {
  private static final String NODES = "devices/system/node";

  private static final Pattern MEM_TOTAL =
      Pattern.compile("Node\\s++(\\S++)\\s++MemTotal:\\s++(\\S++)\\s++kB");

  private final Path root;

  /**
   * Makes a reader.
   *
   * @param root of a sysfs, of a file system with a {@code sys} in it, or the node directory itself
   */
  SysfsReader(Path root) {
    this.root = Objects.requireNonNull(root, "root");
  }

  /**
   * Reads the tree.
   *
   * @return the machine
   * @throws TopologyFormatException if {@code online} is missing, another file that is needed is
   *     missing, or a file cannot be read or does not hold what it should
   */
  Machine read() {
    Path directory = nodeDirectory();
    NodeMask online = online(directory);
    Optional<NodeMask> withCpus = mask(directory, "has_cpu");
    Optional<NodeMask> withMemory = mask(directory, "has_memory");
    Optional<NodeMask> withNormalMemory = mask(directory, "has_normal_memory");
    Map<Integer, Integer> tiers = tiers(directory);
    Machine.Builder machine =
        Machine.builder()
            .origin("sysfs " + root)
            .possible(mask(directory, "possible").orElse(NodeMask.EMPTY));
    for (int id : online.stream().toArray()) {
      Path node = directory.resolve("node" + id);
      if (!Files.isDirectory(node)) {
        throw new TopologyFormatException(
            node, 0, "directory of an online node is missing: node=" + id + ", online=" + online);
      }
      CpuMask cpus = cpus(node, withCpus.isEmpty() || withCpus.get().contains(id));
      boolean memory = withMemory.isEmpty() || withMemory.get().contains(id);
      long bytes = memory ? memoryBytes(node, id) : 0;
      boolean normal = withNormalMemory.isEmpty() || withNormalMemory.get().contains(id);
      NodePerformance performance =
          performance(node, tiers.getOrDefault(id, NodePerformance.UNKNOWN));
      add(machine, new Node(id, cpus, bytes, bytes > 0 && !normal, performance), node);
    }
    distances(directory, online).ifPresent(machine::distances);
    return machine.build();
  }

  private Path nodeDirectory() {
    Path ofSysfs = root.resolve(NODES);
    Path ofFileSystem = root.resolve("sys").resolve(NODES);
    if (Files.isDirectory(ofSysfs)) {
      return ofSysfs;
    }
    if (Files.isDirectory(ofFileSystem)) {
      return ofFileSystem;
    }
    return root.endsWith(NODES) || Files.exists(root.resolve("online")) ? root : ofSysfs;
  }

  private NodeMask online(Path directory) {
    Path file = directory.resolve("online");
    TopologyText text =
        TopologyText.readIfPresent(file)
            .orElseThrow(
                () ->
                    new TopologyFormatException(
                        file,
                        0,
                        "no NUMA nodes in sysfs: root="
                            + root
                            + "; name the /sys of a Linux with CONFIG_NUMA, or a copy of one"));
    NodeMask online = text.nodes();
    if (online.isEmpty()) {
      throw text.malformed("no node is online: online=\"\"");
    }
    return online;
  }

  private static Optional<NodeMask> mask(Path directory, String name) {
    return TopologyText.readIfPresent(directory.resolve(name)).map(TopologyText::nodes);
  }

  private static CpuMask cpus(Path node, boolean needed) {
    Path file = node.resolve("cpulist");
    Optional<TopologyText> found =
        needed ? Optional.of(TopologyText.read(file)) : TopologyText.readIfPresent(file);
    return found
        .map(
            text -> {
              String list = text.whole();
              return text.value(() -> CpuMask.parse(list));
            })
        .orElse(CpuMask.EMPTY);
  }

  private static long memoryBytes(Path node, int id) {
    TopologyText text = TopologyText.read(node.resolve("meminfo"));
    while (text.nextLine()) {
      if (text.line().contains("MemTotal:")) {
        Matcher line = MEM_TOTAL.matcher(text.line());
        if (!line.matches()) {
          throw text.malformed(
              "not a line like \"Node 0 MemTotal: 1024 kB\": line="
                  + KernelList.quoted(text.line()));
        }
        if (text.number("node", line.group(1), NodeMask.MAX_NODES - 1) != id) {
          throw text.malformed("memory of another node: node=" + id + ", named=" + line.group(1));
        }
        return text.number("MemTotal", line.group(2), Node.MAX_BYTES >> 10) << 10;
      }
    }
    throw text.malformed(0, "line is missing: line=MemTotal, node=" + id);
  }

  /** The kernel prints 0 for what firmware does not say, and no memory has no latency. */
  private static int figure(Path initiators, String name) {
    int figure =
        TopologyText.readIfPresent(initiators.resolve(name))
            .map(text -> (int) text.number(name, text.whole(), Integer.MAX_VALUE))
            .orElse(0);
    return figure == 0 ? NodePerformance.UNKNOWN : figure;
  }

  private static NodePerformance performance(Path node, int tier) {
    Path initiators = node.resolve("access0").resolve("initiators");
    return new NodePerformance(
        NodeMask.of(numbered(initiators, "node", NodeMask.MAX_NODES - 1)),
        figure(initiators, "read_latency"),
        figure(initiators, "write_latency"),
        figure(initiators, "read_bandwidth"),
        figure(initiators, "write_bandwidth"),
        tier);
  }

  private static Map<Integer, Integer> tiers(Path directory) {
    Path tiering = directory.resolve("../../virtual/memory_tiering").normalize();
    Map<Integer, Integer> tiers = new HashMap<>();
    for (int tier : numbered(tiering, "memory_tier", Integer.MAX_VALUE)) {
      TopologyText text =
          TopologyText.read(tiering.resolve("memory_tier" + tier).resolve("nodelist"));
      for (int node : text.nodes().stream().toArray()) {
        Integer other = tiers.putIfAbsent(node, tier);
        if (other != null) {
          throw text.malformed(
              "node is in two memory tiers: node=" + node + ", tiers=" + other + "," + tier);
        }
      }
    }
    return tiers;
  }

  private static Optional<int[][]> distances(Path directory, NodeMask online) {
    int[][] rows = new int[online.size()][];
    List<Path> missing = new ArrayList<>();
    int row = 0;
    for (int id : online.stream().toArray()) {
      Path file = directory.resolve("node" + id).resolve("distance");
      Optional<TopologyText> text = TopologyText.readIfPresent(file);
      if (text.isPresent()) {
        rows[row] = text.get().distances(text.get().whole(), rows.length);
      } else {
        missing.add(file);
      }
      row++;
    }
    if (missing.size() == rows.length) {
      return Optional.empty();
    }
    if (!missing.isEmpty()) {
      throw new TopologyFormatException(
          missing.get(0),
          0,
          "file is missing, and other nodes have theirs: missing=" + missing.size());
    }
    return Optional.of(rows);
  }

  private static void add(Machine.Builder machine, Node node, Path directory) {
    try {
      machine.node(node);
    } catch (IllegalArgumentException e) {
      throw new TopologyFormatException(directory.resolve("cpulist"), 1, e.getMessage(), e);
    }
  }

  /**
   * Lists the numbers of the entries that are called by the prefix and a number.
   *
   * @return ascending; empty if there is no such directory
   */
  private static int[] numbered(Path directory, String prefix, int limit) {
    TreeMap<Integer, Path> found = new TreeMap<>();
    try (DirectoryStream<Path> entries = Files.newDirectoryStream(directory, prefix + "*")) {
      for (Path entry : entries) {
        String digits = entry.getFileName().toString().substring(prefix.length());
        long number = KernelList.decimal(digits);
        if (number > limit) {
          throw new TopologyFormatException(
              entry, 0, "number is too large: number=" + number + ", limit=" + limit);
        }
        if (number >= 0 && digits.equals(Long.toString(number))) {
          found.put((int) number, entry);
        }
      }
    } catch (NoSuchFileException e) {
      return new int[0];
    } catch (DirectoryIteratorException e) {
      throw TopologyText.unreadable(directory, e.getCause());
    } catch (IOException e) {
      throw TopologyText.unreadable(directory, e);
    }
    return found.keySet().stream().mapToInt(Integer::intValue).toArray();
  }
}
