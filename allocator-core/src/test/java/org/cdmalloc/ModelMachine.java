/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.TreeSet;
import org.cdmalloc.spi.AddressOnlySource;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;

/**
 * A small machine drawn at random, its memory, and the node of the CPU on which the test runs. Node
 * sizes and capacities are a few commit units or less, so that all of them are full now and then.
 */
final class ModelMachine {
  private static final int UNIT = 2 << 20;
  private static final int SMALLEST = 64 << 10;
  private static final int[] OS_PAGE_BYTES = {4 << 10, 4 << 10, 16 << 10, 64 << 10};

  private final SplittableRandom random;
  private final Machine machine;
  private final NodeMask devices;
  private final AddressOnlySource source;

  /** Whether all nodes are of a few units, and wholly used: else stripes have little to share. */
  private final boolean isRoomy;

  private int caller;

  ModelMachine(SplittableRandom random) {
    this.random = random;
    this.isRoomy = random.nextBoolean();
    int system = random.nextInt(8) == 0 ? 1 : 2 + random.nextInt(3);
    int devicesWanted = random.nextInt(3);
    int withoutMemory = random.nextInt(4) == 0 ? 1 : 0;
    List<Integer> ids = ids(system + devicesWanted + withoutMemory);
    Machine.Builder builder = Machine.builder();
    NodeMask found = NodeMask.EMPTY;
    for (int i = 0; i < ids.size(); i++) {
      int id = ids.get(i);
      String cpu = Integer.toString(i);
      if (i < system) {
        // Memory without CPUs is a device only if it is not told otherwise.
        boolean hasCpus = i == 0 || random.nextInt(8) != 0;
        builder.node(hasCpus ? Node.of(id, cpu, nodeBytes()) : Node.memoryOnly(id, nodeBytes()));
      } else if (i < system + devicesWanted) {
        // And a node with CPUs is one if it is told so.
        boolean hasCpus = random.nextInt(8) == 0;
        builder.node(hasCpus ? Node.of(id, cpu, nodeBytes()) : Node.memoryOnly(id, nodeBytes()));
        found = found.or(NodeMask.of(id));
      } else {
        builder.node(Node.of(id, cpu, 0));
      }
    }
    int style = random.nextInt(4);
    this.machine =
        builder.distances((from, to) -> from == to ? 10 : distance(style, from, to)).build();
    this.devices = found;
    int osPageBytes = OS_PAGE_BYTES[random.nextInt(OS_PAGE_BYTES.length)];
    this.source = AddressOnlySource.of(machine, osPageBytes, () -> caller);
    move();
  }

  /** Numbers without order, dense or with gaps: devices may come before system nodes. */
  private List<Integer> ids(int count) {
    TreeSet<Integer> drawn = new TreeSet<>();
    int limit = random.nextBoolean() ? count : NodeMask.MAX_NODES;
    while (drawn.size() < count) {
      drawn.add(random.nextInt(limit));
    }
    List<Integer> ids = new ArrayList<>();
    for (int id : drawn) {
      ids.add(random.nextInt(ids.size() + 1), id);
    }
    return ids;
  }

  private int distance(int style, int from, int to) {
    return switch (style) {
      case 0 -> 20;
      case 1 -> 10 + 10 * Math.min(20, Math.abs(from - to));
      case 2 -> 20 + random.nextInt(3);
      default -> 10 + random.nextInt(246);
    };
  }

  private long nodeBytes() {
    return switch (isRoomy ? 16 : random.nextInt(32)) {
      case 0 -> (1L + random.nextInt(80)) * UNIT;
      case 1, 2, 3, 4, 5, 6, 7 -> (1L + random.nextInt(32)) * SMALLEST;
      case 8, 9, 10, 11, 12, 13, 14, 15 -> (1L + random.nextInt(128)) * SMALLEST;
      default -> (1L + random.nextInt(6)) * UNIT;
    };
  }

  SplittableRandom random() {
    return random;
  }

  Machine machine() {
    return machine;
  }

  NodeMask devices() {
    return devices;
  }

  NodeMask system() {
    return machine.withMemory().without(devices);
  }

  AddressOnlySource source() {
    return source;
  }

  /** Moves the test to another node. */
  void move() {
    // A machine with one node of CPUs runs everything there; else whatever a source says counts.
    NodeMask possible = machine.withCpus().size() == 1 ? machine.withCpus() : machine.online();
    int[] nodes = possible.stream().toArray();
    caller = nodes[random.nextInt(nodes.length)];
  }

  int caller() {
    return caller;
  }

  /** Draws what an allocator is told: how much it may use of which node, arenas and marks. */
  Options drawOptions() {
    Options options = new Options();
    for (int node : system().stream().toArray()) {
      long bytes = machine.node(node).bytes();
      boolean hostsArena = options.arenas.size() < 2 && random.nextInt(8) == 0;
      if (hostsArena && bytes > 2 * SMALLEST) {
        long arena = SMALLEST * (1 + random.nextLong(bytes / SMALLEST - 1));
        options.arenas.put(unusedNode(options), new Arena(node, arena));
        bytes -= arena;
      }
      options.capacities.put(node, drawCapacity(bytes));
    }
    for (int node : devices.stream().toArray()) {
      options.capacities.put(node, drawCapacity(machine.node(node).bytes()));
    }
    options.arenas.forEach((id, arena) -> options.capacities.put(id, drawCapacity(arena.bytes)));
    options.capacities.forEach(
        (node, bytes) -> {
          if (random.nextInt(isRoomy ? 8 : 3) == 0) {
            long high = random.nextLong(pageBytes(bytes) + 1);
            long low = random.nextLong(high + 1);
            options.marks.put(node, new Marks(random.nextLong(low + 1), low, high));
          }
        });
    return options;
  }

  private int unusedNode(Options options) {
    int node;
    do {
      node = random.nextInt(NodeMask.MAX_NODES);
    } while (machine.online().contains(node) || options.arenas.containsKey(node));
    return node;
  }

  private long drawCapacity(long bytes) {
    return switch (isRoomy ? 0 : random.nextInt(3)) {
      case 0 -> bytes;
      case 1 -> 1 + random.nextLong(Math.min(bytes, 1 << 20));
      default -> 1 + random.nextLong(bytes);
    };
  }

  /** What comes of a capacity: whole OS pages, at least one. */
  long pageBytes(long capacity) {
    long osPageBytes = source.osPageBytes();
    return Math.max(1, capacity / osPageBytes) * osPageBytes;
  }

  /** A device node of its own over part of an ordinary one. */
  record Arena(int host, long bytes) {}

  /** What an allocator is told. */
  static final class Options {
    final Map<Integer, Long> capacities = new TreeMap<>();
    final Map<Integer, Arena> arenas = new HashMap<>();
    final Map<Integer, Marks> marks = new TreeMap<>();

    private Options() {}
  }
}
