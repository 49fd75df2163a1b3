/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.function.IntToLongFunction;
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
  private final long beyondCaches;
  private final IntToLongFunction freeBytes;
  private final Map<Integer, List<Integer>> cpus = new HashMap<>();
  private final List<Cell> cells = new ArrayList<>();
  private final List<Refused> refused = new ArrayList<>();
  private final Map<Integer, Long> bytes = new HashMap<>();

  private Plan(
      Machine machine,
      Request request,
      Caches caches,
      IntToLongFunction freeBytes,
      CpuMask allowed) {
    this.machine = machine;
    this.request = request;
    this.beyondCaches = CACHES * caches.lastLevelBytes();
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
   * @param caches of one of its CPUs
   * @param freeBytes what a node has free
   * @param allowed the CPUs on which this process may run
   */
  static Plan of(
      Machine machine,
      Request request,
      Caches caches,
      IntToLongFunction freeBytes,
      CpuMask allowed) {
    Plan plan = new Plan(machine, request, caches, freeBytes, allowed);
    plan.make();
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
    boolean isWhole = cell.bytes() > 0 && cell.bytes() == bytes(cell.memoryNode());
    return isWhole && (beyondCaches == 0 || cell.bytes() < beyondCaches);
  }

  /** Returns the most memory that a cell takes of each node. */
  Map<Integer, Long> bytesByNode() {
    Map<Integer, Long> most = new HashMap<>();
    for (Cell cell : cells) {
      boolean isLine = cell.measure() == Measure.PING_PONG;
      int node = isLine ? cell.cpuNode() : cell.memoryNode();
      long blocks = cell.measure() == Measure.LOADED_LATENCY ? 2 : 1;
      long bytes = Math.max(MeasuredMemory.UNIT_BYTES, cell.bytes() * blocks);
      most.merge(node, roundedUp(bytes), Math::max);
    }
    return most;
  }

  private static long roundedUp(long bytes) {
    return (bytes + MeasuredMemory.UNIT_BYTES - 1) & -MeasuredMemory.UNIT_BYTES;
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
  }

  private void pair(int cpuNode, int memoryNode) {
    long bytes = bytes(memoryNode);
    if (bytes < LEAST_BYTES) {
      refused.add(
          new Refused(
              "memory of node " + memoryNode + " from node " + cpuNode,
              "the node is too full: free_bytes="
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
    int team = team(cpuNode);
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
    long wanted = beyondCaches == 0 ? most : Math.min(most, beyondCaches);
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

  private int team(int cpuNode) {
    int all = cpus.get(cpuNode).size();
    return request.threads() == 0 ? all : Math.min(all, request.threads());
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
        if (request.memoryNodes().contains(from) && machine.node(from).hasMemory()) {
          cells.add(new Cell(Measure.PING_PONG, from, pair, to, PageKind.SMALL, 0, 0));
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
