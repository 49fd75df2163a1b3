/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.topology;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DistanceMatrixTest {
  private static final NodeMask SPARSE = NodeMask.of(0, 8, 255);

  @Test
  void entriesAreFoundByNodeNumberAndNotByPosition() {
    DistanceMatrix matrix =
        DistanceMatrix.of(SPARSE, new int[][] {{10, 20, 30}, {21, 10, 31}, {22, 32, 10}});
    assertEquals(20, matrix.between(0, 8));
    assertEquals(21, matrix.between(8, 0));
    assertEquals(31, matrix.between(8, 255));
    assertEquals(22, matrix.between(255, 0));
    assertEquals(10, matrix.between(255, 255));
    assertEquals(SPARSE, matrix.nodes());
  }

  @ParameterizedTest
  @ValueSource(ints = {-1, 1, 7, 254, 256, 1024, Integer.MIN_VALUE, Integer.MAX_VALUE})
  void aNodeWithoutARowIsRefused(int node) {
    DistanceMatrix matrix = DistanceMatrix.uniform(SPARSE);
    assertThrows(IllegalArgumentException.class, () -> matrix.between(node, 0));
    assertThrows(IllegalArgumentException.class, () -> matrix.between(0, node));
  }

  @Test
  void theUniformMatrixIsLocalOnTheDiagonalAndRemoteElsewhere() {
    DistanceMatrix matrix = DistanceMatrix.uniform(SPARSE);
    for (int from : SPARSE.stream().toArray()) {
      for (int to : SPARSE.stream().toArray()) {
        assertEquals(from == to ? 10 : 20, matrix.between(from, to));
      }
    }
  }

  @Test
  void rowsMustBeAsManyAndAsLongAsThereAreNodes() {
    NodeMask two = NodeMask.of(0, 1);
    assertThrows(
        IllegalArgumentException.class, () -> DistanceMatrix.of(two, new int[][] {{10, 20}}));
    assertThrows(
        IllegalArgumentException.class, () -> DistanceMatrix.of(two, new int[][] {{10, 20}, {20}}));
    assertThrows(
        IllegalArgumentException.class,
        () -> DistanceMatrix.of(two, new int[][] {{10, 20}, {20, 10, 30}}));
    assertThrows(
        IllegalArgumentException.class, () -> DistanceMatrix.of(NodeMask.EMPTY, new int[0][]));
    assertThrows(IllegalArgumentException.class, () -> DistanceMatrix.uniform(NodeMask.EMPTY));
  }

  @ParameterizedTest
  @ValueSource(ints = {0, -10, 256, Integer.MIN_VALUE, Integer.MAX_VALUE})
  void aDistanceIsAByteAndNotZero(int distance) {
    assertThrows(
        IllegalArgumentException.class,
        () -> DistanceMatrix.of(NodeMask.of(0, 1), new int[][] {{10, distance}, {20, 10}}));
  }

  @Test
  void theExtremesOfAByteAreDistances() {
    DistanceMatrix matrix = DistanceMatrix.of(NodeMask.of(0, 1), new int[][] {{1, 255}, {255, 1}});
    assertEquals(255, matrix.between(0, 1));
    assertEquals(1, matrix.between(1, 1));
  }

  @Test
  void rowsAreCopied() {
    int[][] rows = {{10, 20}, {20, 10}};
    DistanceMatrix matrix = DistanceMatrix.of(NodeMask.of(0, 1), rows);
    rows[0][1] = 99;
    assertEquals(20, matrix.between(0, 1));
  }

  @Test
  void equalityIsOfNodesAndEntries() {
    DistanceMatrix matrix = DistanceMatrix.of(NodeMask.of(0, 1), new int[][] {{10, 20}, {20, 10}});
    assertEquals(DistanceMatrix.uniform(NodeMask.of(0, 1)), matrix);
    assertEquals(DistanceMatrix.uniform(NodeMask.of(0, 1)).hashCode(), matrix.hashCode());
    assertNotEquals(DistanceMatrix.uniform(NodeMask.of(0, 2)), matrix);
    assertNotEquals(DistanceMatrix.of(NodeMask.of(0, 1), new int[][] {{10, 21}, {20, 10}}), matrix);
    assertEquals("[[10, 20], [20, 10]]", matrix.toString());
  }
}
