/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.spi;

import java.util.Arrays;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;

/**
 * Where the pages of a range lay when the platform was asked. Immutable, and out of date as soon as
 * the kernel moves a page.
 */
public final class Residency {
  /**
   * Stands for a page that is not there: never touched, or given back (ENOENT of move_pages(2)).
   * Linux 6.1 says so too while automatic NUMA balancing looks who uses a page, which it does with
   * memory that is not bound to nodes.
   */
  public static final int NOT_PRESENT = -2;

  /** Stands for a page that the platform would not tell about. */
  public static final int UNKNOWN = -1;

  private final int osPageBytes;
  private final int[] nodes;
  private final String askedBy;

  /**
   * Makes an answer.
   *
   * @param osPageBytes the size of a page, in bytes
   * @param nodes a node, {@link #NOT_PRESENT} or {@link #UNKNOWN} per page; copied
   * @param askedBy the call that answered, for example {@code move_pages}
   */
  public Residency(int osPageBytes, int[] nodes, String askedBy) {
    this.osPageBytes = osPageBytes;
    this.nodes = nodes.clone();
    this.askedBy = Objects.requireNonNull(askedBy, "askedBy");
  }

  /**
   * Returns the size of a page.
   *
   * @return bytes
   */
  public int osPageBytes() {
    return osPageBytes;
  }

  /**
   * Returns the number of pages asked about.
   *
   * @return at least 1
   */
  public int pages() {
    return nodes.length;
  }

  /**
   * Returns where a page lay.
   *
   * @param page from 0, in address order
   * @return a node, {@link #NOT_PRESENT} or {@link #UNKNOWN}
   */
  public int node(int page) {
    return nodes[page];
  }

  /**
   * Counts the pages of each node.
   *
   * @return pages by node, ascending; pages that are not present or unknown under those values
   */
  public Map<Integer, Integer> pagesByNode() {
    Map<Integer, Integer> count = new TreeMap<>();
    for (int node : nodes) {
      count.merge(node, 1, Integer::sum);
    }
    return count;
  }

  /**
   * Tells whether every page lay on one node.
   *
   * @param node the node
   * @return true if so
   */
  public boolean isAllOn(int node) {
    return Arrays.stream(nodes).allMatch(n -> n == node);
  }

  /**
   * Tells whether the platform knows of each page on which node it lies.
   *
   * @return false if a page is not present, or unknown
   */
  public boolean isAllPresent() {
    return Arrays.stream(nodes).allMatch(node -> node >= 0);
  }

  /**
   * Names the call that answered.
   *
   * @return for example {@code move_pages}; {@code emulated} where no kernel was asked
   */
  public String askedBy() {
    return askedBy;
  }

  /** Prints {@code 16 pages on node 0 (move_pages)}. */
  @Override
  public String toString() {
    StringBuilder text = new StringBuilder();
    pagesByNode()
        .forEach(
            (node, pages) ->
                text.append(text.length() == 0 ? "" : ", ")
                    .append(pages)
                    .append(pages == 1 ? " page " : " pages ")
                    .append(
                        node == NOT_PRESENT
                            ? "not present"
                            : node == UNKNOWN ? "unknown" : "on node " + node));
    return text.append(" (").append(askedBy).append(')').toString();
  }
}
