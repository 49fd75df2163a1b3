/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.cdmalloc.NativeCallException;
import org.cdmalloc.topology.CpuMask;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Where a thread runs is where it was told to. */
final class CpuAffinityTest {
  private final CpuMask before = CpuAffinity.get();

  @AfterEach
  void restore() {
    CpuAffinity.set(before);
  }

  @Test
  void aThreadRunsWhereItIsPinnedAndOthersWhereTheyWere() throws InterruptedException {
    assertFalse(before.isEmpty());
    for (int cpu : before.stream().toArray()) {
      CpuMask one = CpuMask.parse(Integer.toString(cpu));
      CpuAffinity.set(one);
      assertEquals(one, CpuAffinity.get());
      assertEquals(cpu, ThisHost.KERNEL.currentCpu());
    }
    CpuMask[] others = new CpuMask[1];
    CpuAffinity.set(before);
    Thread other =
        new Thread(
            () -> {
              CpuAffinity.set(CpuMask.parse(Integer.toString(before.stream().max().orElseThrow())));
              others[0] = CpuAffinity.get();
            });
    other.start();
    other.join();
    assertEquals(1, others[0].size());
    assertEquals(before, CpuAffinity.get());
  }

  @Test
  void cpusThatAreNotThereAreRefusedAndLeftOut() {
    CpuMask absent = CpuMask.parse("60000");
    NativeCallException refused =
        assertThrows(NativeCallException.class, () -> CpuAffinity.set(absent));
    assertTrue(refused.getMessage().contains("cpus=60000"), refused.getMessage());
    assertEquals(before, CpuAffinity.get());
    CpuAffinity.set(CpuMask.parse(before + ",60000"));
    assertEquals(before, CpuAffinity.get());
    assertThrows(IllegalArgumentException.class, () -> CpuAffinity.set(CpuMask.EMPTY));
  }
}
