/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.function.IntToLongFunction;
import java.util.function.ToLongFunction;
import java.util.stream.IntStream;
import org.cdmalloc.topology.CpuMask;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;

/** The cells of a run, in the order in which they are measured, and what cannot be. Immutable. */
final class Plan {
  private static final long KIBIBYTE = 1 << 10;
  private static final long MEBIBYTE = 1 << 20;

  /** With less memory there is no figure that says anything of the node. */
  private static final long LEAST_BYTES = 16 * MEBIBYTE;

  /** Memory beyond the caches is so many times the last one. */
  private static final int CACHES = 4;

  /** Of what a node has free, so much is used. */
  private static final int FREE_SHARE = 4;

  /** A large machine has many pairs: a quick look at each is at less memory. */
  private static final int MANY_PAIRS = 8;

  private static final int SWEEP_STEP = 4;
  private static final long FIRST_WORKING_SET = 16 * KIBIBYTE;
  private static final int[] REST_NANOS = {200_000, 50_000, 20_000, 8_000, 3_000, 0};
  private static final List<Measure> BANDWIDTHS =
      List.of(Measure.READ, Measure.WRITE, Measure.COPY, Measure.TRIAD);

  private final Machine machine;
  private final Request request;
  private final ToLongFunction<List<Integer>> lastCacheBytes;
  private final IntToLongFunction freeBytes;
  private final Map<Integer, List<Integer>> cpus = new HashMap<>();
  private final List<Cell> cells = new ArrayList<>();
  private final List<Refused> refused = new ArrayList<>();
  private final Map<Integer, Long> bytes = new HashMap<>();

  private Plan(
      Machine machine,
      Request request,
      ToLongFunction<List<Integer>> lastCacheBytes,
      IntToLongFunction freeBytes,
      CpuMask allowed) {
    this.machine = machine;
    this.request = request;
    this.lastCacheBytes = lastCacheBytes;
    this.freeBytes = freeBytes;
    for (Node node : machine.nodes()) {
      cpus.put(node.id(), node.cpus().stream().filter(allowed::contains).boxed().toList());
    }
  }

  /**
   * Makes a plan.
   *
   * @param machine the host
   * @param request what is wanted
   * @param lastCacheBytes what the last caches of some CPUs hold together; 0 if that is not known
   * @param freeBytes what of a node this process may take
   * @param allowed the CPUs on which this process may run
   */
  static Plan of(
      Machine machine,
      Request request,
      ToLongFunction<List<Integer>> lastCacheBytes,
      IntToLongFunction freeBytes,
      CpuMask allowed) {
    Plan plan = new Plan(machine, request, lastCacheBytes, freeBytes, allowed);
    plan.make();
    plan.cells.sort(Comparator.comparingInt(plan::turn));
    return plan;
  }

  List<Cell> cells() {
    return List.copyOf(cells);
  }

  List<Refused> refused() {
    return List.copyOf(refused);
  }

  /** Tells whether a cell whose memory should be beyond the caches may be in them in part. */
  boolean mayHitCaches(Cell cell) {
    long beyondCaches = CACHES * lastCacheBytes.applyAsLong(cell.cpus());
    return isWhole(cell) && (beyondCaches == 0 || cell.bytes() < beyondCaches);
  }

  private boolean isWhole(Cell cell) {
    return cell.bytes() > 0 && cell.bytes() == bytes(cell.memoryNode());
  }

  /** The matrices that are looked at first come first: a run may be ended early. */
  private int turn(Cell cell) {
    return switch (cell.measure()) {
      case LATENCY -> isWhole(cell) && cell.pages() == PageKind.SMALL ? 0 : 4;
      case READ -> 1;
      case PING_PONG -> 2;
      case ALLOCATION -> 3;
      case LOADED_LATENCY -> 6;
      default -> 5;
    };
  }

  /**
   * Returns the address space that cells need of each node: a block is cut from one of the next
   * power of two.
   */
  Map<Integer, Long> bytesByNode() {
    Map<Integer, Long> most = new HashMap<>();
    for (Cell cell : cells) {
      boolean isLine = cell.measure() == Measure.PING_PONG;
      int node = isLine ? cell.cpuNode() : cell.memoryNode();
      long blocks = cell.measure() == Measure.LOADED_LATENCY ? 2 : 1;
      long bytes = Math.max(MeasuredMemory.UNIT_BYTES, cell.bytes());
      most.merge(node, blocks * roundedUp(bytes), Math::max);
    }
    return most;
  }

  /** Returns the next power of two. */
  static long roundedUp(long bytes) {
    long below = Long.highestOneBit(bytes);
    return below == bytes ? bytes : 2 * below;
  }

  private void make() {
    for (int cpuNode : request.cpuNodes().stream().toArray()) {
      if (cpus.get(cpuNode).isEmpty()) {
        refused.add(
            new Refused(
                "CPUs of node " + cpuNode,
                machine.node(cpuNode).hasCpus()
                    ? "this process may run on none of them (offline, cpuset or taskset): cpus="
                        + machine.node(cpuNode).cpus()
                    : "the node has none; its memory is measured from other nodes"));
        continue;
      }
      for (int memoryNode : request.memoryNodes().stream().toArray()) {
        pair(cpuNode, memoryNode);
      }
    }
    pingPongs();
    refuseNamed();
  }

  private void pair(int cpuNode, int memoryNode) {
    long bytes = bytes(memoryNode);
    if (bytes < LEAST_BYTES) {
      refused.add(
          new Refused(
              "memory of node " + memoryNode + " from node " + cpuNode,
              "the node is too full, or this process may take too little: free_bytes="
                  + freeBytes.applyAsLong(memoryNode)
                  + ", of which an eighth is used; wanted_bytes="
                  + LEAST_BYTES));
      return;
    }
    boolean isNear = isNearest(cpuNode, memoryNode);
    boolean isWhole = isNear || !request.effort().equals(Effort.QUICK);
    add(Measure.LATENCY, cpuNode, 1, memoryNode, PageKind.SMALL, bytes, 0);
    if (isWhole || !request.workingSets().isEmpty()) {
      add(Measure.LATENCY, cpuNode, 1, memoryNode, PageKind.HUGE, bytes, 0);
    }
    int team = team(cpuNode, bytes);
    for (Measure measure : isWhole ? BANDWIDTHS : List.of(Measure.READ)) {
      add(measure, cpuNode, 1, memoryNode, PageKind.HUGE, bytes, 0);
      if (team > 1) {
        add(measure, cpuNode, team, memoryNode, PageKind.HUGE, bytes, 0);
      }
    }
    if (isNear || request.effort().sweeps() || !request.workingSets().isEmpty()) {
      for (long workingSet : workingSets(bytes)) {
        add(Measure.LATENCY, cpuNode, 1, memoryNode, PageKind.HUGE, workingSet, 0);
      }
    }
    if (team > 1 && isWhole) {
      for (int rest : REST_NANOS) {
        add(Measure.LOADED_LATENCY, cpuNode, team, memoryNode, PageKind.HUGE, bytes, rest);
      }
    }
    add(Measure.ALLOCATION, cpuNode, 1, memoryNode, PageKind.SMALL, 0, 0);
  }

  /** Returns how much memory of a node is used. */
  private long bytes(int memoryNode) {
    return bytes.computeIfAbsent(memoryNode, this::bytesBeyondCaches);
  }

  private long bytesBeyondCaches(int memoryNode) {
    long most = request.effort().mostBytes();
    int pairs = request.cpuNodes().size() * request.memoryNodes().size();
    if (request.effort().equals(Effort.QUICK) && pairs > MANY_PAIRS) {
      most /= 4;
    }
    long beyondCaches =
        CACHES
            * request.cpuNodes().stream()
                .mapToLong(cpuNode -> lastCacheBytes.applyAsLong(cpus.get(cpuNode)))
                .max()
                .orElse(0);
    long unit = MeasuredMemory.UNIT_BYTES;
    long whole = (beyondCaches + unit - 1) / unit * unit;
    long wanted = beyondCaches == 0 ? most : Math.min(most, whole);
    long spare = freeBytes.applyAsLong(memoryNode) / FREE_SHARE;
    // Loaded latency takes two such blocks.
    return Math.min(wanted, spare / 2) & -MeasuredMemory.UNIT_BYTES;
  }

  private List<Long> workingSets(long most) {
    TreeSet<Long> sets = new TreeSet<>(request.workingSets());
    if (sets.isEmpty()) {
      for (long bytes = FIRST_WORKING_SET; bytes < most; bytes *= SWEEP_STEP) {
        sets.add(bytes);
      }
    }
    sets.removeIf(bytes -> bytes >= most);
    return List.copyOf(sets);
  }

  /** Each CPU of a team has a piece of the memory at least. */
  private int team(int cpuNode, long bytes) {
    int all = (int) Math.min(cpus.get(cpuNode).size(), bytes / StreamLoop.PIECE_BYTES);
    return request.threads() == 0 ? all : Math.min(all, request.threads());
  }

  /** Names what was asked for by name and is not measured as it was. */
  private void refuseNamed() {
    for (int memoryNode : request.memoryNodes().stream().toArray()) {
      long used = bytes(memoryNode);
      List<String> sets =
          request.workingSets().stream()
              .filter(set -> set >= used)
              .map(Quantities::binary)
              .toList();
      if (!sets.isEmpty() && used >= LEAST_BYTES) {
        refused.add(
            new Refused(
                "working sets of node " + memoryNode + ": " + String.join(", ", sets),
                "as large as what is used of the node, or larger: used_bytes=" + used));
      }
    }
    for (int cpuNode : request.cpuNodes().stream().toArray()) {
      int count = cpus.get(cpuNode).size();
      long least = request.memoryNodes().stream().mapToLong(this::bytes).min().orElse(0);
      int most = team(cpuNode, Math.max(least, LEAST_BYTES));
      if (count > 0 && request.threads() > most) {
        refused.add(
            new Refused(
                request.threads() + " threads of node " + cpuNode,
                "there are "
                    + most
                    + ": one for each CPU on which this process may run, and "
                    + Quantities.binary(StreamLoop.PIECE_BYTES)
                    + " of memory for each"));
      }
    }
  }

  private boolean isNearest(int cpuNode, int memoryNode) {
    int distance = machine.distances().between(cpuNode, memoryNode);
    return request.memoryNodes().stream()
        .allMatch(other -> machine.distances().between(cpuNode, other) >= distance);
  }

  private void pingPongs() {
    for (int from : request.cpuNodes().stream().toArray()) {
      for (int to : request.cpuNodes().stream().filter(node -> node >= from).toArray()) {
        List<Integer> first = cpus.get(from);
        List<Integer> second = cpus.get(to);
        if (first.isEmpty() || second.isEmpty() || (from == to && first.size() == 1)) {
          continue;
        }
        List<Integer> pair = List.of(first.get(0), second.get(second.size() - 1));
        if (request.memoryNodes().contains(from) && bytes(from) >= LEAST_BYTES) {
          cells.add(new Cell(Measure.PING_PONG, from, pair, to, PageKind.SMALL, 0, 0));
        } else {
          refused.add(
              new Refused(
                  "ping-pong of nodes " + from + " and " + to,
                  "the line would be memory of node " + from + ", which is not measured here"));
        }
      }
    }
  }

  private void add(
      Measure measure,
      int cpuNode,
      int threads,
      int memoryNode,
      PageKind pages,
      long bytes,
      int restNanos) {
    List<Integer> all = cpus.get(cpuNode);
    // The last CPU: interrupts and what else a host runs come to the first ones.
    List<Integer> chosen =
        IntStream.range(0, threads).mapToObj(i -> all.get(all.size() - 1 - i)).toList();
    cells.add(new Cell(measure, cpuNode, chosen, memoryNode, pages, bytes, restNanos));
  }
}
