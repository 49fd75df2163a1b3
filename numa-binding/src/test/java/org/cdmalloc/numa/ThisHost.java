/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Optional;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.topology.Machine;

/** Sources over the host that runs the tests, whole or with capabilities taken away. */
final class ThisHost {
  static final Kernel KERNEL =
      new Kernel(SystemCalls.of(System.getProperty("os.arch")).orElseThrow());

  /** The first node with memory. */
  static final int NODE = FirstNode.id();

  private static final int CAP_IPC_LOCK = 14;

  /** What {@code .ci/guest} leaves in a guest: the nodes that it was asked for. */
  private static final Path GUEST = Path.of("/run/guest/nodes");

  private ThisHost() {}

  static MemorySource source() {
    return new LinuxSourceProvider().open(Optional.empty());
  }

  static LinuxSource source(Capability capability, MappingBudget budget) {
    Machine machine = Machine.fromSysfs(Machine.SYSFS);
    return new LinuxSource(KERNEL, machine, capability, budget, Path.of("/proc"));
  }

  /**
   * Skips a test whose process lacks a right. Where {@code CI=true} says that a machine was set up
   * to run all of them, that is a failure.
   */
  static void assumeRight(boolean has, String otherwise) {
    assertTrue(has || !"true".equals(System.getenv("CI")), otherwise);
    assumeTrue(has, otherwise);
  }

  static boolean isGuest() {
    return Files.exists(GUEST);
  }

  /** Skips a test that may run in guests only, where nothing is to be harmed. */
  static void assumeGuest(String why) {
    assumeTrue(isGuest(), "this is no guest of .ci/guest: " + why);
  }

  /** Skips a test of memory that is locked where this process may lock none. */
  static void assumeMayLock() {
    String capabilities = KeyedText.of(Path.of("/proc/self/status")).word("CapEff:");
    boolean may = (Long.parseUnsignedLong(capabilities, 16) >>> CAP_IPC_LOCK & 1) != 0;
    assumeRight(may, "this process may not lock memory: CapEff=" + capabilities);
  }

  /** What this process has locked. */
  static long lockedBytes() {
    return KeyedText.of(Path.of("/proc/self/status")).bytes("VmLck:");
  }

  /** This host with another procfs. */
  static LinuxSource source(Path proc) {
    return source(proc, Machine.SYSFS);
  }

  /** This host with other places where the kernel's figures are read. */
  static LinuxSource source(Path proc, Path sysfs) {
    Machine machine = Machine.fromSysfs(Machine.SYSFS);
    return new LinuxSource(KERNEL, machine, capability(), MappingBudget.PROCESS, proc, sysfs);
  }

  /** Writes a procfs where the kernel counts what is writable, not what is used. */
  static Path procThatCountsWhatIsWritable(Path proc) throws IOException {
    for (String file : new String[] {"meminfo", "zoneinfo"}) {
      Files.copy(Path.of("/proc", file), proc.resolve(file), StandardCopyOption.REPLACE_EXISTING);
    }
    Files.createDirectories(proc.resolve("sys/vm"));
    Files.writeString(proc.resolve("sys/vm/overcommit_memory"), "2\n");
    return proc;
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
