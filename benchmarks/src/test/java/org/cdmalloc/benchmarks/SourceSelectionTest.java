/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.cdmalloc.NodeAllocator;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Which memory source serves when both are on the class path. */
final class SourceSelectionTest {
  private static final String PROPERTY = "cdmalloc.source";

  @AfterEach
  void clear() {
    System.clearProperty(PROPERTY);
  }

  private static String opened(NodeAllocator.Builder builder) {
    try (NodeAllocator memory = builder.open()) {
      return memory.source().name();
    }
  }

  @Test
  void linuxServesWhereItsKernelAnswers() {
    String expected = System.getProperty("os.name").equals("Linux") ? "linux" : "emulated";
    assertEquals(expected, opened(NodeAllocator.builder()));
  }

  @Test
  void aDescribedMachineIsEmulated() {
    Machine machine = Machine.builder().node(Node.of(0, "0", 1 << 30)).build();
    assertEquals("emulated", opened(NodeAllocator.builder().machine(machine)));
    System.setProperty(PROPERTY, "linux");
    IllegalStateException refused =
        assertThrows(
            IllegalStateException.class, () -> NodeAllocator.builder().machine(machine).open());
    assertTrue(refused.getMessage().contains("this host only"), refused.getMessage());
  }

  @Test
  void thePropertyDecides() {
    System.setProperty(PROPERTY, "emulated");
    assertEquals("emulated", opened(NodeAllocator.builder()));
    System.setProperty(PROPERTY, "no-such");
    IllegalArgumentException refused =
        assertThrows(IllegalArgumentException.class, () -> opened(NodeAllocator.builder()));
    assertTrue(refused.getMessage().contains("no-such"), refused.getMessage());
    assertFalse(refused.getMessage().contains("null"), refused.getMessage());
  }
}
