/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

/** Core alone has no memory source, and says what to add. */
final class NodeAllocatorWithoutSourceTest {
  @Test
  void openNamesTheCoordinatesToAdd() {
    IllegalStateException refused = assertThrows(IllegalStateException.class, NodeAllocator::open);
    assertTrue(refused.getMessage().contains("org.cdmalloc:numa-binding"), refused.getMessage());
    assertTrue(refused.getMessage().contains("org.cdmalloc:native-stubs"), refused.getMessage());
  }

  @Test
  void aSourceThatIsNotThereIsRefusedByName() {
    System.setProperty("cdmalloc.source", "linux");
    try {
      IllegalArgumentException refused =
          assertThrows(IllegalArgumentException.class, NodeAllocator::open);
      assertTrue(refused.getMessage().contains("cdmalloc.source=linux"), refused.getMessage());
    } finally {
      System.clearProperty("cdmalloc.source");
    }
  }
}
