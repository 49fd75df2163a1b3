/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.MemorySourceProvider;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;
import org.cdmalloc.topology.TopologyFormatException;

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
    return jnaFault().or(LinuxSourceProvider::hostFault);
  }

  /** A node directory that cannot be read describes no machine. */
  private static Optional<String> hostFault() {
    try {
      return host().withMemory().isEmpty()
          ? Optional.of("no node of this host has memory")
          : Optional.empty();
    } catch (TopologyFormatException e) {
      return Optional.of("this host's nodes cannot be read: " + e.getMessage());
    }
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
    Machine allowed = allowed(host, KeyedText.of(PROC.resolve("self/status")));
    List<String> findings = new ArrayList<>();
    if (!allowed.equals(host)) {
      findings.add(
          "a cpuset allows memory of nodes "
              + allowed.withMemory()
              + " only; nodes "
              + host.withMemory().without(allowed.withMemory())
              + " are left out");
    }
    Capability capability = Capability.probe(kernel, allowed, findings);
    return new LinuxSource(kernel, allowed, capability, MappingBudget.PROCESS, PROC);
  }

  /** Takes the memory of those nodes away that the process's cpuset leaves out: cpuset(7). */
  static Machine allowed(Machine host, KeyedText status) {
    String list = status.word("Mems_allowed_list:");
    return list.isEmpty() ? host : host.withMemoryOn(NodeMask.parse(list));
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
