/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.MemorySourceProvider;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;

/** Offers the memory of a Linux host. */
public final class LinuxSourceProvider implements MemorySourceProvider {
  private static final Path PROC = Path.of("/proc");

  /** Makes a provider; called by {@link java.util.ServiceLoader}. */
  public LinuxSourceProvider() {}

  @Override
  public String name() {
    return "linux";
  }

  @Override
  public int priority() {
    return 100;
  }

  @Override
  public Optional<String> whyNot(Optional<Machine> machine) {
    if (machine.isPresent()) {
      return Optional.of("serves this host only, not a machine that was described");
    }
    if (!System.getProperty("os.name").equals("Linux")) {
      return Optional.of("this is not Linux: os.name=" + System.getProperty("os.name"));
    }
    String architecture = System.getProperty("os.arch");
    if (SystemCalls.of(architecture).isEmpty()) {
      return Optional.of("no system call numbers are known for os.arch=" + architecture);
    }
    return jnaFault();
  }

  /** JNA may be absent, or unable to unpack its library; both are errors of linkage. */
  private static Optional<String> jnaFault() {
    try {
      int cpu = LibC.sched_getcpu();
      return cpu >= -1 ? Optional.empty() : Optional.of("the C library does not answer");
    } catch (LinkageError e) {
      return Optional.of(
          "JNA does not work here ("
              + e
              + "); add net.java.dev.jna:jna to the class path, or set -Djna.tmpdir to a folder"
              + " that allows execution");
    }
  }

  @Override
  public MemorySource open(Optional<Machine> machine) {
    whyNot(machine)
        .ifPresent(
            why -> {
              throw new IllegalStateException("the Linux source cannot serve: " + why);
            });
    Kernel kernel = new Kernel(SystemCalls.of(System.getProperty("os.arch")).orElseThrow());
    Machine host = host();
    return new LinuxSource(
        kernel, host, Capability.probe(kernel, host), MappingBudget.PROCESS, PROC);
  }

  /** A kernel without NUMA support has no node directory; all memory is then one node. */
  private static Machine host() {
    if (Files.isDirectory(Machine.SYSFS.resolve("devices/system/node"))) {
      return Machine.fromSysfs(Machine.SYSFS);
    }
    long bytes = KeyedText.of(PROC.resolve("meminfo")).bytes("MemTotal:");
    int cpus = Runtime.getRuntime().availableProcessors();
    return Machine.builder()
        .origin("meminfo " + PROC)
        .node(Node.of(0, "0-" + (cpus - 1), Math.max(1, bytes)))
        .build();
  }
}
