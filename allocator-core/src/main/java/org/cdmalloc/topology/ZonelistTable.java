/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.topology;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Objects;

/**
 * Prints zonelists as the debugging code of the coherent-device-memory patches did: the layout of
 * "Sample zonelist configuration" in A. Khandual, linux-mm, 8 March 2017, "[PATCH 1/2] mm: Change
 * generic FALLBACK zonelist creation process". A node's line says whether its memory is {@code RAM}
 * or {@code CDM}; below it stand its two lists, an entry a line: place in the list, node, zone.
 * Lines end with a line feed on every platform.
 *
 * <p>Where the kernel prints pointers, {@link Labels} decides what stands. Static functions, safe
 * for use by any number of threads.
 */
public final class ZonelistTable {
  /** The first line. */
  public static final String TITLE = "Sample zonelist configuration:";

  private ZonelistTable() {}

  /** Names zones and lists: where the kernel prints their addresses. */
  public interface Labels {
    /**
     * Returns the name of the zone that holds a node's memory.
     *
     * @param node a node with memory
     * @return for example {@code Movable}; padded to seven characters where it is printed
     */
    String zoneName(int node);

    /**
     * Identifies the zone that holds a node's memory.
     *
     * @param node a node with memory
     * @return for example {@code 2}
     */
    String zone(int node);

    /**
     * Identifies a node's fallback list.
     *
     * @param node any node that has lists
     * @return for example {@code 4}
     */
    String fallback(int node);

    /**
     * Identifies a node's no-fallback list.
     *
     * @param node any node that has lists
     * @return for example {@code 5}
     */
    String noFallback(int node);
  }

  /**
   * Returns the labels of a machine of which no addresses are known: numbers in the order of the
   * table. The k-th node with memory, from 0, has zone k. The i-th online node, from 0, has the
   * lists 2i (fallback) and 2i + 1 (no fallback).
   *
   * @param machine the machine whose lists are printed
   * @return labels for its online nodes; they throw {@link IllegalArgumentException} for others,
   *     and for the zone of a node without memory
   */
  public static Labels numbers(Machine machine) {
    return new Numbers(machine);
  }

  /**
   * Prints lists. A node without memory has its line and its lists too, without an entry of its
   * own.
   *
   * @param lists the lists, in the order in which they are printed
   * @param labels what zones and lists are called
   * @return {@link #TITLE} and the table, each line with its end
   */
  public static String render(List<Zonelist> lists, Labels labels) {
    Objects.requireNonNull(labels, "labels");
    StringBuilder table = new StringBuilder(TITLE).append('\n');
    for (Zonelist list : lists) {
      int node = list.node();
      String kind = list.kind() == Zonelist.Kind.DEVICE ? "CDM" : "RAM";
      table.append("[NODE (").append(node).append(")]\t\t\t\t\t\t").append(kind).append('\n');
      appendList(table, "ZONELIST_FALLBACK", labels.fallback(node), list.fallback(), labels);
      appendList(table, "ZONELIST_NOFALLBACK", labels.noFallback(node), list.noFallback(), labels);
    }
    return table.toString();
  }

  private static void appendList(
      StringBuilder table, String name, String label, List<Integer> nodes, Labels labels) {
    table.append(" ".repeat(8)).append(name).append(" (").append(label).append(")\n");
    for (int place = 0; place < nodes.size(); place++) {
      int node = nodes.get(place);
      table
          .append(" ".repeat(16))
          .append(
              String.format(
                  Locale.ROOT,
                  "(%d) (node %d) (%-7s %s)\n",
                  place,
                  node,
                  labels.zoneName(node),
                  labels.zone(node)));
    }
  }

  private static final class Numbers implements Labels {
    private final Machine machine;
    private final int[] online;
    private final int[] withMemory;

    Numbers(Machine machine) {
      this.machine = machine;
      this.online = machine.online().stream().toArray();
      this.withMemory = machine.withMemory().stream().toArray();
    }

    @Override
    public String zoneName(int node) {
      return machine.node(node).zoneName();
    }

    @Override
    public String zone(int node) {
      return Integer.toString(position(withMemory, node));
    }

    @Override
    public String fallback(int node) {
      return Integer.toString(2 * position(online, node));
    }

    @Override
    public String noFallback(int node) {
      return Integer.toString(2 * position(online, node) + 1);
    }

    private static int position(int[] nodes, int node) {
      int position = Arrays.binarySearch(nodes, node);
      if (position < 0) {
        throw new IllegalArgumentException(
            "not a node that is labelled: node=" + node + ", nodes=" + NodeMask.of(nodes));
      }
      return position;
    }
  }
}
