/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks;

import java.nio.file.Path;
import org.cdmalloc.topology.Machine;
import picocli.CommandLine.Option;

/** Where a command reads its machine from: the options, one of them at most. */
final class MachineSource {
  @Option(
      names = "--sysfs",
      paramLabel = "DIR",
      description = "Read a sysfs tree, live or recorded. Default: this host's /sys.")
  private Path sysfs;

  @Option(
      names = "--numactl",
      paramLabel = "FILE",
      description = "Read what numactl --hardware printed, on any host.")
  private Path numactl;

  /**
   * Reads the machine.
   *
   * @return the machine that was named, or this host
   * @throws org.cdmalloc.topology.TopologyFormatException if it cannot be read
   */
  Machine read() {
    if (numactl != null) {
      return Machine.fromNumactl(numactl);
    }
    return Machine.fromSysfs(sysfs != null ? sysfs : Machine.SYSFS);
  }
}
