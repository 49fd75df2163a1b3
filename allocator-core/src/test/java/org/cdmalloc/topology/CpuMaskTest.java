/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.topology;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CpuMaskTest {
  @ParameterizedTest
  @ValueSource(ints = {0, 1, 63, 64, 255, 1023, 1024, 8191, CpuMask.MAX_CPUS - 1})
  void aCpuNumberIsItsOwnBit(int cpu) {
    CpuMask mask = CpuMask.parse(Integer.toString(cpu));
    assertTrue(mask.contains(cpu));
    assertFalse(mask.contains(cpu + 1));
    assertFalse(mask.contains(cpu - 1));
    assertEquals(1, mask.size());
    assertEquals(Integer.toString(cpu), mask.toString());
  }

  @ParameterizedTest
  @ValueSource(strings = {"0", "0-3,8", "0-9,20-29", "0-65535", "1,3,5,65535"})
  void listsSurviveReadingAndPrinting(String list) {
    assertEquals(list, CpuMask.parse(list).toString());
  }

  @ParameterizedTest
  @ValueSource(strings = {"65536", "0-65536", "-1", "0,", "cpu0", "3-1", "0 1"})
  void listsOfOtherThingsAreRefused(String list) {
    IllegalArgumentException refusal =
        assertThrows(IllegalArgumentException.class, () -> CpuMask.parse(list));
    assertTrue(refusal.getMessage().startsWith("not a list of CPUs"), refusal.getMessage());
  }

  @Test
  void theEmptyMaskHasNoMembers() {
    assertTrue(CpuMask.EMPTY.isEmpty());
    assertEquals(0, CpuMask.EMPTY.size());
    assertEquals("", CpuMask.EMPTY.toString());
    assertEquals(CpuMask.EMPTY, CpuMask.parse(""));
    assertFalse(CpuMask.EMPTY.contains(0));
    assertFalse(CpuMask.EMPTY.contains(-1));
    assertFalse(CpuMask.EMPTY.intersects(CpuMask.EMPTY));
  }

  @Test
  void masksIntersectIfTheyShareACpu() {
    assertTrue(CpuMask.parse("0-63").intersects(CpuMask.parse("63-64")));
    assertFalse(CpuMask.parse("0-63").intersects(CpuMask.parse("64")));
  }

  @Test
  void membersComeAscending() {
    assertArrayEquals(new int[] {0, 1, 64}, CpuMask.parse("64,0-1").stream().toArray());
  }

  @Test
  void equalityIsOfMembers() {
    assertEquals(CpuMask.parse("0,1"), CpuMask.parse("0-1"));
    assertEquals(CpuMask.parse("0,1").hashCode(), CpuMask.parse("0-1").hashCode());
    assertNotEquals(CpuMask.parse("0"), CpuMask.parse("1"));
    assertNotEquals(CpuMask.parse("1"), NodeMask.of(1));
  }
}
