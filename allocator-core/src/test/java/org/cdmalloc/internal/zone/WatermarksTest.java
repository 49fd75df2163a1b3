/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zone;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class WatermarksTest {
  @ParameterizedTest
  @CsvSource({
    "1,0,0,0",
    "255,0,0,0",
    "256,1,1,1",
    "1024,4,5,6",
    "262144,1024,1280,1536",
    "2147483647,8388607,10485758,12582910"
  })
  void theDefaultsArePartsOfTheCapacityInWholePages(int capacity, int min, int low, int high) {
    assertEquals(new Watermarks(min, low, high), Watermarks.of(capacity));
  }

  @Test
  void levelsOutOfOrderAreRefused() {
    assertThrows(IllegalArgumentException.class, () -> new Watermarks(-1, 0, 0));
    assertThrows(IllegalArgumentException.class, () -> new Watermarks(2, 1, 2));
    assertThrows(IllegalArgumentException.class, () -> new Watermarks(1, 3, 2));
  }

  @Test
  void aZoneWithoutPagesHasNoLevels() {
    IllegalArgumentException refused =
        assertThrows(IllegalArgumentException.class, () -> Watermarks.of(0));
    assertEquals("zone without pages: capacityPages=0; give at least 1", refused.getMessage());
  }
}
