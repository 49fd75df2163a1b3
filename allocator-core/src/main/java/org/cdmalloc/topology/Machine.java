/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.topology;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.TreeMap;
import java.util.function.Predicate;
import org.cdmalloc.internal.zonelist.ZonelistBuilder;

/**
 * The memory nodes of a machine: immutable, safe for use by any number of threads. Read from sysfs,
 * from what {@code numactl --hardware} prints, or built by hand.
 */
public final class Machine {
  /** Where a Linux host mounts sysfs. */
  public static final Path SYSFS = Path.of("/sys");

  private final String origin;
  private final List<Node> nodes;
  private final DistanceMatrix distances;
  private final NodeMask possible;

  private Machine(String origin, List<Node> nodes, DistanceMatrix distances, NodeMask possible) {
    this.origin = origin;
    this.nodes = List.copyOf(nodes);
    this.distances = distances;
    this.possible = possible;
  }

  /**
   * Reads the nodes of a Linux host from a sysfs tree, live or recorded: {@code online}, {@code
   * possible}, {@code has_cpu}, {@code has_memory}, {@code has_normal_memory} and {@code
   * nodeN/cpulist}, {@code meminfo}, {@code distance}, {@code access0} below {@code
   * devices/system/node}, and the memory tiers below {@code devices/virtual/memory_tiering}.
   *
   * @param root the tree's root, {@link #SYSFS} on a live host; the root of a file system with a
   *     {@code sys} in it and the {@code devices/system/node} directory itself are taken too
   * @return the machine
   * @throws TopologyFormatException if a file is missing, cannot be read, or does not hold what it
   *     should
   */
  public static Machine fromSysfs(Path root) {
    return new SysfsReader(root).read();
  }

  /**
   * Reads what {@code numactl --hardware} printed. Sizes are those printed, in MiB; nodes with
   * memory and without CPUs count as {@link Node#movableOnly()}, because the text does not name
   * zones.
   *
   * @param file the captured text
   * @return the machine
   * @throws TopologyFormatException if the file cannot be read or does not describe a machine
   */
  public static Machine fromNumactl(Path file) {
    return new NumactlReader(file).read();
  }

  /**
   * Starts the description of a machine by hand.
   *
   * @return a builder without nodes
   */
  public static Builder builder() {
    return new Builder();
  }

  /**
   * Says where the description comes from.
   *
   * @return for example {@code sysfs /sys}
   */
  public String origin() {
    return origin;
  }

  /**
   * Returns the online nodes.
   *
   * @return at least one, ascending
   */
  public List<Node> nodes() {
    return nodes;
  }

  /**
   * Returns an online node by number.
   *
   * @param id the number
   * @return the node
   * @throws IllegalArgumentException if no online node has it
   */
  public Node node(int id) {
    for (Node node : nodes) {
      if (node.id() == id) {
        return node;
      }
    }
    throw new IllegalArgumentException("no such node: node=" + id + ", online=" + online());
  }

  /**
   * Returns the distances between the online nodes.
   *
   * @return the matrix
   */
  public DistanceMatrix distances() {
    return distances;
  }

  /**
   * Returns the nodes that are online.
   *
   * @return at least one
   */
  public NodeMask online() {
    return distances.nodes();
  }

  /**
   * Returns the nodes that could come online while the machine runs.
   *
   * @return the online nodes and perhaps more
   */
  public NodeMask possible() {
    return possible;
  }

  /**
   * Returns the nodes with memory: the kernel's N_MEMORY.
   *
   * @return perhaps none
   */
  public NodeMask withMemory() {
    return select(Node::hasMemory);
  }

  /**
   * Returns the nodes with CPUs: the kernel's N_CPU.
   *
   * @return perhaps none
   */
  public NodeMask withCpus() {
    return select(Node::hasCpus);
  }

  /**
   * Returns the nodes that have memory and no CPUs: what coherent device memory looks like, and
   * what an allocator takes for device nodes unless it is told otherwise.
   *
   * @return perhaps none
   */
  public NodeMask memoryOnly() {
    return withMemory().without(withCpus());
  }

  /**
   * Returns the node of a CPU.
   *
   * @param cpu the CPU's number
   * @return the node's number, or −1 if no node has that CPU
   */
  public int nodeOfCpu(int cpu) {
    for (Node node : nodes) {
      if (node.cpus().contains(cpu)) {
        return node.id();
      }
    }
    return -1;
  }

  /**
   * Builds the zonelists of all online nodes.
   *
   * @param devices the device nodes; those that are not online make no difference
   * @param rule how load is counted
   * @param spill what follows a device in its own list
   * @return a list per online node, ascending
   */
  public List<Zonelist> zonelists(NodeMask devices, LoadRule rule, SpillMode spill) {
    Objects.requireNonNull(devices, "devices");
    Objects.requireNonNull(rule, "rule");
    Objects.requireNonNull(spill, "spill");
    return new ZonelistBuilder(withMemory(), withCpus(), distances).build(devices, rule, spill);
  }

  /**
   * Returns this machine with part of a node's memory designated as a node of its own, CPU-less, so
   * that a machine without device memory can have a device node. The new node stands where its host
   * stands, at distance {@link DistanceMatrix#REMOTE} from it.
   *
   * @param id the new node's number, not in use
   * @param host the node whose memory it takes
   * @param bytes how much, less than the host has
   * @return the changed machine
   * @throws IllegalArgumentException if {@code id} is in use or no node number, {@code host} is not
   *     online, or it has not more than {@code bytes}
   */
  public Machine withDeviceArena(int id, int host, long bytes) {
    Node hostNode = node(host);
    if (online().contains(id)) {
      throw new IllegalArgumentException(
          "node number is in use: node=" + id + ", online=" + online());
    }
    if (bytes <= 0 || bytes >= hostNode.bytes()) {
      throw new IllegalArgumentException(
          "arena does not fit its host node: bytes="
              + bytes
              + ", host="
              + host
              + ", host_bytes="
              + hostNode.bytes());
    }
    Builder changed = builder().origin(origin).possible(possible);
    for (Node node : nodes) {
      changed.node(
          node.id() == host
              ? new Node(
                  host, node.cpus(), node.bytes() - bytes, node.movableOnly(), node.performance())
              : node);
    }
    changed.node(
        new Node(id, CpuMask.EMPTY, bytes, hostNode.movableOnly(), hostNode.performance()));
    changed.distances(
        (from, to) -> {
          int standsAt = from == id ? host : from;
          int reaches = to == id ? host : to;
          return standsAt == reaches && from != to
              ? DistanceMatrix.REMOTE
              : distances.between(standsAt, reaches);
        });
    return changed.build();
  }

  /**
   * Returns this machine as a process sees it that may use the memory of some nodes only.
   *
   * @param allowed the nodes whose memory may be used; all others keep their CPUs and have none
   * @return the changed machine, or this one if nothing changes
   */
  public Machine withMemoryOn(NodeMask allowed) {
    if (allowed.containsAll(withMemory())) {
      return this;
    }
    Builder changed = builder().origin(origin).possible(possible);
    for (Node node : nodes) {
      changed.node(
          allowed.contains(node.id())
              ? node
              : new Node(node.id(), node.cpus(), 0, false, node.performance()));
    }
    return changed.distances(distances::between).build();
  }

  private NodeMask select(Predicate<Node> condition) {
    return NodeMask.of(nodes.stream().filter(condition).mapToInt(Node::id).toArray());
  }

  /** Equal if nodes, distances and possible nodes are; where they were read makes no difference. */
  @Override
  public boolean equals(Object other) {
    return other instanceof Machine machine
        && machine.nodes.equals(nodes)
        && machine.distances.equals(distances)
        && machine.possible.equals(possible);
  }

  @Override
  public int hashCode() {
    return Objects.hash(nodes, distances, possible);
  }

  @Override
  public String toString() {
    return "Machine[origin=" + origin + ", nodes=" + nodes + ", distances=" + distances + "]";
  }

  /** Gives the distance from one node to another. */
  @FunctionalInterface
  public interface DistanceFunction {
    /**
     * Returns a distance.
     *
     * @param from the node that asks
     * @param to the node that holds the memory
     * @return 1 … {@link DistanceMatrix#MAX}
     */
    int between(int from, int to);
  }

  /** Collects nodes and distances. Not safe for use by several threads. */
  public static final class Builder {
    private final TreeMap<Integer, Node> nodes = new TreeMap<>();
    private String origin = "builder";
    private NodeMask possible = NodeMask.EMPTY;
    private DistanceFunction distances;
    private int[][] rows;

    private Builder() {}

    /**
     * Says where the description comes from.
     *
     * @param origin a few words; by default {@code builder}
     * @return this
     */
    public Builder origin(String origin) {
      this.origin = Objects.requireNonNull(origin, "origin");
      return this;
    }

    /**
     * Adds a node.
     *
     * @param node the node
     * @return this
     * @throws IllegalArgumentException if its number, or one of its CPUs, was added before
     */
    public Builder node(Node node) {
      if (nodes.containsKey(node.id())) {
        throw new IllegalArgumentException("duplicate node: node=" + node.id());
      }
      for (Node other : nodes.values()) {
        if (other.cpus().intersects(node.cpus())) {
          throw new IllegalArgumentException(
              "a CPU belongs to two nodes: node="
                  + other.id()
                  + " has "
                  + other.cpus()
                  + ", node="
                  + node.id()
                  + " has "
                  + node.cpus());
        }
      }
      nodes.put(node.id(), node);
      return this;
    }

    /**
     * Adds nodes that could come online; those that were added count without being named.
     *
     * @param possible the nodes
     * @return this
     */
    public Builder possible(NodeMask possible) {
      this.possible = Objects.requireNonNull(possible, "possible");
      return this;
    }

    /**
     * Sets the distances; by default {@link DistanceMatrix#uniform}.
     *
     * @param rows one row a node, ascending
     * @return this
     */
    public Builder distances(int[]... rows) {
      this.rows = Objects.requireNonNull(rows, "rows");
      this.distances = null;
      return this;
    }

    /**
     * Sets the distances by a function.
     *
     * @param distances asked once for each pair of nodes
     * @return this
     */
    public Builder distances(DistanceFunction distances) {
      this.distances = Objects.requireNonNull(distances, "distances");
      this.rows = null;
      return this;
    }

    /**
     * Builds the machine.
     *
     * @return the machine
     * @throws IllegalArgumentException if there are no nodes, or the distances are not those of a
     *     {@link DistanceMatrix} of the nodes
     */
    public Machine build() {
      if (nodes.isEmpty()) {
        throw new IllegalArgumentException("a machine needs a node: nodes=0");
      }
      int[] ids = nodes.keySet().stream().mapToInt(Integer::intValue).toArray();
      NodeMask online = NodeMask.of(ids);
      DistanceMatrix matrix;
      if (rows != null) {
        matrix = DistanceMatrix.of(online, rows);
      } else if (distances != null) {
        int[][] asked = new int[ids.length][ids.length];
        for (int i = 0; i < ids.length; i++) {
          for (int j = 0; j < ids.length; j++) {
            asked[i][j] = distances.between(ids[i], ids[j]);
          }
        }
        matrix = DistanceMatrix.of(online, asked);
      } else {
        matrix = DistanceMatrix.uniform(online);
      }
      return new Machine(origin, new ArrayList<>(nodes.values()), matrix, possible.or(online));
    }
  }
}
