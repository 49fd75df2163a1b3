/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The examples on the emulated machine. */
final class EmulatedDevicesTest extends DevicesExamples {
  private static final String PROPERTY = "cdmalloc.source";

  @BeforeAll
  static void emulate() {
    System.setProperty(PROPERTY, "emulated");
  }

  @AfterAll
  static void clear() {
    System.clearProperty(PROPERTY);
  }

  @Test
  void thisIsTheEmulatedMachine() {
    assertEquals("emulated", memory.source().name());
  }
}
