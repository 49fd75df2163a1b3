/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.topology.Machine;

/** Sources over the host that runs the tests, whole or with capabilities taken away. */
final class ThisHost {
  static final Kernel KERNEL =
      new Kernel(SystemCalls.of(System.getProperty("os.arch")).orElseThrow());

  private ThisHost() {}

  static MemorySource source() {
    return new LinuxSourceProvider().open(Optional.empty());
  }

  static LinuxSource source(Capability capability, MappingBudget budget) {
    Machine machine = Machine.fromSysfs(Machine.SYSFS);
    return new LinuxSource(KERNEL, machine, capability, budget, Path.of("/proc"));
  }

  static Capability capability() {
    return capability(KERNEL);
  }

  static Capability capability(Kernel kernel) {
    return Capability.probe(
        kernel,
        Machine.fromSysfs(Machine.SYSFS),
        Refusal.of(Path.of("/proc"), Machine.SYSFS),
        List.of());
  }

  static Capability unbound() {
    return new Capability(
        false, true, Capability.ResidencyCall.NONE, List.of("mbind is refused with EPERM: a test"));
  }
}
