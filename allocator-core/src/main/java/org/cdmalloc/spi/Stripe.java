/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.spi;

import java.util.Arrays;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import org.cdmalloc.topology.NodeMask;

/**
 * How the OS pages of a region are dealt out to nodes: in rounds, in each of which every node gets
 * as many successive pages as its weight, in the order of node numbers ({@code interleave_nid} and
 * {@code weighted_interleave_nid} of Linux mm/mempolicy.c, counted from the region's first page).
 * One node of weight 1 is the ordinary case: all pages are its own.
 *
 * <p>Immutable. Equal if nodes and weights are; finding a page's node takes a binary search over
 * the nodes and makes no garbage.
 */
public final class Stripe {
  /** The largest weight, as of {@code /sys/kernel/mm/mempolicy/weighted_interleave}. */
  public static final int MAX_WEIGHT = 255;

  private final int[] nodes;

  /** Element i is the place in a round at which the turn of node i begins; one more: the end. */
  private final int[] starts;

  private Stripe(SortedMap<Integer, Integer> weights) {
    this.nodes = weights.keySet().stream().mapToInt(Integer::intValue).toArray();
    this.starts = new int[nodes.length + 1];
    for (int i = 0; i < nodes.length; i++) {
      starts[i + 1] = starts[i] + weights.get(nodes[i]);
    }
  }

  /**
   * Returns the stripe of one node.
   *
   * @param node the node's number
   * @return all pages on that node
   * @throws IllegalArgumentException if it is not a node number
   */
  public static Stripe of(int node) {
    return even(NodeMask.of(node));
  }

  /**
   * Returns the stripe that deals pages out one by one.
   *
   * @param nodes at least one
   * @return every node with weight 1
   * @throws IllegalArgumentException if there is no node
   * @throws NullPointerException if {@code nodes} is null
   */
  public static Stripe even(NodeMask nodes) {
    Map<Integer, Integer> weights = new TreeMap<>();
    nodes.stream().forEach(node -> weights.put(node, 1));
    return weighted(weights);
  }

  /**
   * Returns the stripe that deals more pages to the nodes of more weight.
   *
   * @param weights pages per round by node, 1 … {@value #MAX_WEIGHT}; at least one node
   * @return the stripe
   * @throws IllegalArgumentException if there is no node, a number is not a node's, or a weight is
   *     not as said
   * @throws NullPointerException if the map or a key or value of it is null
   */
  public static Stripe weighted(Map<Integer, Integer> weights) {
    if (weights.isEmpty()) {
      throw new IllegalArgumentException("a stripe needs a node: weights={}; name at least one");
    }
    SortedMap<Integer, Integer> sorted = new TreeMap<>(weights);
    sorted.forEach(
        (node, weight) -> {
          if (weight < 1 || weight > MAX_WEIGHT) {
            throw new IllegalArgumentException(
                "not a weight: node=" + node + ", weight=" + weight + "; give 1 to " + MAX_WEIGHT);
          }
        });
    // Refuses what is not a node number.
    NodeMask.of(sorted.keySet().stream().mapToInt(Integer::intValue).toArray());
    return new Stripe(sorted);
  }

  /**
   * Returns the nodes.
   *
   * @return at least one
   */
  public NodeMask nodes() {
    return NodeMask.of(nodes);
  }

  /**
   * Returns the node with the lowest number.
   *
   * @return a node of the stripe
   */
  public int first() {
    return nodes[0];
  }

  /**
   * Tells whether there is one node only.
   *
   * @return true if all pages are its own
   */
  public boolean isSingle() {
    return nodes.length == 1;
  }

  /**
   * Returns the pages that a node gets in a round.
   *
   * @param node any number
   * @return its weight; 0 for a node that is not in the stripe
   */
  public int weight(int node) {
    int i = Arrays.binarySearch(nodes, node);
    return i < 0 ? 0 : starts[i + 1] - starts[i];
  }

  /**
   * Returns the length of a round.
   *
   * @return pages: the sum of all weights
   */
  public int roundPages() {
    return starts[nodes.length];
  }

  /**
   * Returns the node of a page.
   *
   * @param page its number in the region, from 0
   * @return a node of the stripe
   * @throws IllegalArgumentException if the number is negative
   */
  public int node(long page) {
    return nodes[turn(place(page))];
  }

  /**
   * Returns the first page from a given one on that another node follows.
   *
   * @param page a page's number in the region, from 0
   * @return the end, exclusive, of the run of pages on {@code node(page)}; for a single node {@link
   *     Long#MAX_VALUE}
   * @throws IllegalArgumentException if the number is negative
   */
  public long runEnd(long page) {
    int place = place(page);
    int left = starts[turn(place) + 1] - place;
    return isSingle() || page > Long.MAX_VALUE - left ? Long.MAX_VALUE : page + left;
  }

  /**
   * Returns how many pages of a range lie on a node.
   *
   * @param node any number
   * @param fromPage the first page's number in the region, from 0
   * @param toPage the end of the range, exclusive, at least {@code fromPage}
   * @return 0 … the pages of the range
   * @throws IllegalArgumentException if the first is negative or behind the end
   */
  public long pages(int node, long fromPage, long toPage) {
    if (fromPage < 0 || toPage < fromPage) {
      throw new IllegalArgumentException(
          "not a range of pages: fromPage="
              + fromPage
              + ", toPage="
              + toPage
              + "; count from 0, the end is exclusive");
    }
    int i = Arrays.binarySearch(nodes, node);
    return i < 0 ? 0 : pagesBefore(i, toPage) - pagesBefore(i, fromPage);
  }

  private long pagesBefore(int i, long page) {
    long inRound = page % roundPages() - starts[i];
    int weight = starts[i + 1] - starts[i];
    return page / roundPages() * weight + Math.max(0, Math.min(weight, inRound));
  }

  /** Returns the place of a page in its round. */
  private int place(long page) {
    if (page < 0) {
      throw new IllegalArgumentException(
          "not a page of a region: page=" + page + "; pages count from 0");
    }
    return (int) (page % roundPages());
  }

  /** Returns whose turn a place in a round is: an index of {@link #nodes}. */
  private int turn(int place) {
    int i = Arrays.binarySearch(starts, place);
    return i >= 0 ? i : -i - 2;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Stripe that
        && Arrays.equals(that.nodes, nodes)
        && Arrays.equals(that.starts, starts);
  }

  @Override
  public int hashCode() {
    return 31 * Arrays.hashCode(nodes) + Arrays.hashCode(starts);
  }

  /** Prints {@code 2}, {@code 0-3} where all weights are 1, or {@code 0:3,1:1}. */
  @Override
  public String toString() {
    if (roundPages() == nodes.length) {
      return nodes().toString();
    }
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < nodes.length; i++) {
      text.append(i == 0 ? "" : ",").append(nodes[i]).append(':').append(starts[i + 1] - starts[i]);
    }
    return text.toString();
  }
}
