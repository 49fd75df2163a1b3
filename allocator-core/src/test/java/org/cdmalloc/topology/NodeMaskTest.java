/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.topology;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class NodeMaskTest {
  @Test
  void everyNodeNumberIsItsOwnBit() {
    for (int node = 0; node < NodeMask.MAX_NODES; node++) {
      NodeMask mask = NodeMask.of(node);
      assertTrue(mask.contains(node));
      assertFalse(mask.contains(node + 1));
      assertFalse(mask.contains(node - 1));
      assertEquals(1, mask.size());
      assertEquals(node, mask.first());
      assertEquals(node, mask.last());
      assertEquals(Integer.toString(node), mask.toString());
      assertEquals(mask, NodeMask.parse(mask.toString()));
      long[] words = mask.toWords(16);
      assertEquals(1L << (node % 64), words[node / 64]);
      assertEquals(1, IntStream.range(0, 16).filter(i -> words[i] != 0).count());
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {-1, -64, NodeMask.MAX_NODES, Integer.MIN_VALUE, Integer.MAX_VALUE})
  void whatIsNoNodeNumberIsRefusedAndNoMember(int node) {
    assertThrows(IllegalArgumentException.class, () -> NodeMask.of(0, node));
    assertFalse(NodeMask.parse("0-1023").contains(node));
  }

  @Test
  void setOperationsLeaveTheirOperandsAlone() {
    NodeMask low = NodeMask.of(0, 1, 63);
    NodeMask high = NodeMask.of(63, 64, 255);
    assertEquals(NodeMask.of(0, 1, 63, 64, 255), low.or(high));
    assertEquals(NodeMask.of(63), low.and(high));
    assertEquals(NodeMask.of(0, 1), low.without(high));
    assertEquals(NodeMask.of(0, 1, 63), low);
    assertEquals(NodeMask.of(63, 64, 255), high);
    assertTrue(low.containsAll(NodeMask.of(1, 63)));
    assertFalse(low.containsAll(high));
    assertTrue(low.containsAll(NodeMask.EMPTY));
    assertTrue(NodeMask.EMPTY.containsAll(NodeMask.EMPTY));
    assertFalse(NodeMask.EMPTY.containsAll(low));
  }

  @Test
  void theEmptyMaskHasNoEnds() {
    assertTrue(NodeMask.EMPTY.isEmpty());
    assertEquals(0, NodeMask.EMPTY.size());
    assertEquals(-1, NodeMask.EMPTY.first());
    assertEquals(-1, NodeMask.EMPTY.last());
    assertEquals("", NodeMask.EMPTY.toString());
    assertEquals(NodeMask.EMPTY, NodeMask.of());
    assertEquals(NodeMask.EMPTY, NodeMask.parse(" \n"));
    assertArrayEquals(new long[0], NodeMask.EMPTY.toWords(0));
  }

  @Test
  void wordsThatCannotHoldTheHighestNodeAreRefused() {
    assertArrayEquals(new long[] {1L << 63}, NodeMask.of(63).toWords(1));
    assertArrayEquals(new long[] {0, 1}, NodeMask.of(64).toWords(2));
    assertThrows(IllegalArgumentException.class, () -> NodeMask.of(64).toWords(1));
    assertThrows(IllegalArgumentException.class, () -> NodeMask.of(0).toWords(0));
    assertThrows(IllegalArgumentException.class, () -> NodeMask.of(0).toWords(-1));
    assertThrows(IllegalArgumentException.class, () -> NodeMask.EMPTY.toWords(-1));
  }

  @Test
  void membersComeAscendingAndOnce() {
    assertArrayEquals(new int[] {0, 8, 255}, NodeMask.of(255, 0, 8, 0, 255).stream().toArray());
  }

  @Test
  void equalityIsOfMembers() {
    assertEquals(NodeMask.of(1, 2), NodeMask.parse("1-2"));
    assertEquals(NodeMask.of(1, 2).hashCode(), NodeMask.parse("1-2").hashCode());
    assertNotEquals(NodeMask.of(1), NodeMask.of(2));
    assertNotEquals(NodeMask.of(1), CpuMask.parse("1"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"1024", "0-1024", "-1", "0,", "node0", "3-1"})
  void listsOfOtherThingsAreRefused(String list) {
    assertThrows(IllegalArgumentException.class, () -> NodeMask.parse(list));
  }
}
