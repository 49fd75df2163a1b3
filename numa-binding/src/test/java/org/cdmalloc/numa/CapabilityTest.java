/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Optional;
import org.cdmalloc.NativeCallException;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.junit.jupiter.api.Test;

final class CapabilityTest {
  @Test
  void aKernelWithoutTheCallsIsDiagnosedInWords() {
    // These numbers are no system calls: the kernel answers as one without NUMA does.
    Kernel without = new Kernel(new SystemCalls(100_000, 100_001, 100_002, 0x4000));
    Capability capability = ThisHost.capability(without);
    assertFalse(capability.diagnosis().binds());
    assertEquals(Capability.ResidencyCall.NUMA_MAPS, capability.residency());
    assertEquals(2, capability.findings().size());
    assertTrue(capability.findings().get(0).startsWith("mbind is refused with ENOSYS"));
  }

  private static boolean populates(int errno) {
    return ThisHost.capability(
            new Kernel(SystemCalls.of(System.getProperty("os.arch")).orElseThrow()) {
              @Override
              int advise(long address, long bytes, int advice) {
                return advice == MADV_POPULATE_WRITE ? errno : super.advise(address, bytes, advice);
              }
            })
        .populates();
  }

  @Test
  void onlyARefusalToPopulateMeansThatTheKernelCannot() {
    assertTrue(populates(0));
    for (int ofThisMoment : new int[] {Errno.ENOMEM, Errno.EFAULT, Errno.EAGAIN}) {
      assertTrue(populates(ofThisMoment), () -> Errno.name(ofThisMoment));
    }
    for (int forGood : new int[] {Errno.EINVAL, Errno.EPERM, Errno.ENOSYS}) {
      assertFalse(populates(forGood), () -> Errno.name(forGood));
    }
  }

  @Test
  void aFailedCallNamesFunctionErrorAndArguments() {
    NativeCallException failed =
        assertThrows(NativeCallException.class, () -> ThisHost.KERNEL.preferOrThrow(1, 4096, 0));
    assertEquals("mbind", failed.function());
    assertEquals(Errno.EINVAL, failed.errno());
    assertTrue(failed.getMessage().contains("EINVAL"), failed.getMessage());
    assertTrue(failed.getMessage().contains("address=0x1"), failed.getMessage());
  }

  @Test
  void theProviderServesThisHostOnly() {
    LinuxSourceProvider provider = new LinuxSourceProvider();
    assertEquals(Optional.empty(), provider.whyNot(Optional.empty()));
    Machine other = Machine.builder().node(Node.of(0, "0", 1 << 20)).build();
    assertTrue(provider.whyNot(Optional.of(other)).isPresent());
    assertThrows(IllegalStateException.class, () -> provider.open(Optional.of(other)));
  }
}
