/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.util.HashMap;
import java.util.Map;
import org.cdmalloc.Marks;
import org.cdmalloc.internal.zone.Watermarks;
import org.cdmalloc.internal.zone.Zone;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;

/**
 * How much of each node an allocator may use, unless it is told: a quarter of each system node, all
 * together no more than half of what the process may use beyond the Java heap, and all of a device
 * node. A capacity is a promise about this allocator, not about the node, which others use too.
 */
public final class Capacities {
  /** The least that all system nodes give together: below it an allocator is of little use. */
  private static final long SYSTEM_LEAST_BYTES = 64L << 20;

  /** The most that one zone can hold: its pages are counted in an int. */
  static final long MOST_BYTES = (1L << 43) - Backing.COMMIT_BYTES;

  private Capacities() {}

  /**
   * Works out the capacities of all nodes with memory.
   *
   * @param machine the machine, arenas included
   * @param system its system nodes with memory
   * @param chosen what the user chose, by node
   * @param source asked for the OS page size and the process's limit
   * @return bytes by node, whole OS pages
   * @throws IllegalArgumentException if a chosen capacity is for no node with memory, or larger
   *     than the node
   */
  public static Map<Integer, Long> of(
      Machine machine, NodeMask system, Map<Integer, Long> chosen, MemorySource source) {
    chosen.forEach((node, bytes) -> requireFits(machine, node, bytes));
    long systemBytes = 0;
    for (Node node : machine.nodes()) {
      systemBytes += system.contains(node.id()) ? node.bytes() : 0;
    }
    long spare = (source.limitBytes() - Runtime.getRuntime().maxMemory()) / 2;
    long together = Math.min(systemBytes / 4, Math.max(spare, SYSTEM_LEAST_BYTES));
    together = Math.min(systemBytes, Math.max(together, SYSTEM_LEAST_BYTES));
    Map<Integer, Long> capacities = new HashMap<>();
    for (Node node : machine.nodes()) {
      if (node.hasMemory()) {
        long share =
            system.contains(node.id())
                ? wholeUnits((long) ((double) node.bytes() / systemBytes * together))
                : node.bytes();
        share = Math.min(share, MOST_BYTES);
        long bytes = chosen.getOrDefault(node.id(), share);
        long osPage = source.osPageBytes();
        capacities.put(node.id(), Math.max(osPage, bytes / osPage * osPage));
      }
    }
    return capacities;
  }

  /**
   * Works out the marks of all nodes.
   *
   * @param capacities bytes by node
   * @param chosen what the user chose, by node
   * @return marks by node, in pages
   * @throws IllegalArgumentException if marks are for no node with a capacity, or above it
   */
  static Map<Integer, Watermarks> marks(Map<Integer, Long> capacities, Map<Integer, Marks> chosen) {
    chosen.forEach(
        (node, marks) -> {
          long capacity = capacities.getOrDefault(node, 0L);
          if (marks.highBytes() > capacity) {
            throw new IllegalArgumentException(
                "marks do not fit the node: node="
                    + node
                    + ", marks="
                    + marks
                    + ", capacity_bytes="
                    + capacity
                    + "; lower them, or raise capacity(node, bytes)");
          }
        });
    Map<Integer, Watermarks> marks = new HashMap<>();
    capacities.forEach(
        (node, bytes) ->
            marks.put(
                node,
                chosen.containsKey(node)
                    ? pages(chosen.get(node))
                    : Watermarks.of(Math.toIntExact(bytes / Zone.PAGE_BYTES))));
    return marks;
  }

  private static Watermarks pages(Marks marks) {
    return new Watermarks(
        (int) (marks.minBytes() / Zone.PAGE_BYTES),
        (int) (marks.lowBytes() / Zone.PAGE_BYTES),
        (int) (marks.highBytes() / Zone.PAGE_BYTES));
  }

  /** A zone that ends with a whole commit unit has no small blocks at its end. */
  static long wholeUnits(long bytes) {
    return bytes < Backing.COMMIT_BYTES
        ? bytes
        : bytes / Backing.COMMIT_BYTES * Backing.COMMIT_BYTES;
  }

  private static void requireFits(Machine machine, int node, long bytes) {
    long most = machine.online().contains(node) ? machine.node(node).bytes() : 0;
    if (bytes > Math.min(most, MOST_BYTES)) {
      throw new IllegalArgumentException(
          "capacity does not fit the node: node="
              + node
              + ", bytes="
              + bytes
              + ", node_bytes="
              + most
              + ", with_memory="
              + machine.withMemory()
              + "; give at most "
              + Math.min(most, MOST_BYTES));
    }
  }
}
