/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.topology;

import java.util.Arrays;

/**
 * The distances between the nodes of a machine, as ACPI's SLIT gives them: 10 from a node to
 * itself, more to others, 255 where there is no path. A matrix need not be symmetric. Immutable,
 * safe for use by any number of threads.
 */
public final class DistanceMatrix {
  /** The distance of a node to itself: LOCAL_DISTANCE of include/linux/topology.h. */
  public static final int LOCAL = 10;

  /** The distance to another node where firmware gives none: REMOTE_DISTANCE of the same file. */
  public static final int REMOTE = 20;

  /** The largest distance: a SLIT entry is one byte (ACPI 6.5, 5.2.17). */
  public static final int MAX = 255;

  private final NodeMask nodes;
  private final int[] positions;
  private final int[][] rows;

  private DistanceMatrix(NodeMask nodes, int[][] rows) {
    this.nodes = nodes;
    this.rows = rows;
    this.positions = new int[nodes.last() + 1];
    Arrays.fill(positions, -1);
    int position = 0;
    for (int node : nodes.stream().toArray()) {
      positions[node] = position++;
    }
  }

  /**
   * Returns the matrix of the given rows.
   *
   * @param nodes the nodes, at least one
   * @param rows one row a node, ascending; entry {@code [i][j]} is the distance from the i-th to
   *     the j-th node; copied
   * @return the matrix
   * @throws IllegalArgumentException if the rows are not as many and as long as there are nodes, or
   *     an entry is outside 1 … {@value #MAX}
   */
  public static DistanceMatrix of(NodeMask nodes, int[][] rows) {
    int size = nodes.size();
    if (size == 0 || rows.length != size) {
      throw new IllegalArgumentException(
          "distance matrix needs a row per node: rows=" + rows.length + ", nodes=" + size);
    }
    int[][] copy = new int[size][];
    int[] ids = nodes.stream().toArray();
    for (int row = 0; row < size; row++) {
      copy[row] = rows[row].clone();
      if (copy[row].length != size) {
        throw new IllegalArgumentException(
            "distance row is not as long as there are nodes: node="
                + ids[row]
                + ", entries="
                + copy[row].length
                + ", nodes="
                + size);
      }
      for (int distance : copy[row]) {
        if (distance < 1 || distance > MAX) {
          throw new IllegalArgumentException(
              "distance is not one of a SLIT: node="
                  + ids[row]
                  + ", distance="
                  + distance
                  + ", range=1-"
                  + MAX);
        }
      }
    }
    return new DistanceMatrix(nodes, copy);
  }

  /**
   * Returns the matrix of a machine whose firmware gives no SLIT: {@value #LOCAL} on the diagonal,
   * {@value #REMOTE} elsewhere.
   *
   * @param nodes the nodes, at least one
   * @return the matrix
   * @throws IllegalArgumentException if there are no nodes
   */
  public static DistanceMatrix uniform(NodeMask nodes) {
    int size = nodes.size();
    int[][] rows = new int[size][size];
    for (int row = 0; row < size; row++) {
      Arrays.fill(rows[row], REMOTE);
      rows[row][row] = LOCAL;
    }
    return of(nodes, rows);
  }

  /**
   * Returns the distance from one node to another.
   *
   * @param from the node that asks
   * @param to the node that holds the memory
   * @return 1 … {@value #MAX}
   * @throws IllegalArgumentException if either is not one of {@link #nodes()}
   */
  public int between(int from, int to) {
    return rows[position(from)][position(to)];
  }

  /**
   * Returns the nodes that have rows.
   *
   * @return at least one node
   */
  public NodeMask nodes() {
    return nodes;
  }

  private int position(int node) {
    int position = node >= 0 && node < positions.length ? positions[node] : -1;
    if (position < 0) {
      throw new IllegalArgumentException("no such node: node=" + node + ", nodes=" + nodes);
    }
    return position;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof DistanceMatrix matrix
        && matrix.nodes.equals(nodes)
        && Arrays.deepEquals(matrix.rows, rows);
  }

  @Override
  public int hashCode() {
    return 31 * nodes.hashCode() + Arrays.deepHashCode(rows);
  }

  /** Prints the rows, {@code [[10, 20], [20, 10]]}. */
  @Override
  public String toString() {
    return Arrays.deepToString(rows);
  }
}
