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
  private static final Path STATUS = PROC.resolve("self/status");
  private static final Path NODES = Machine.SYSFS.resolve("devices/system/node");

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
    return JnaFault.ofThisProcess().or(LinuxSourceProvider::hostFault);
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

  @Override
  public MemorySource open(Optional<Machine> machine) {
    whyNot(machine)
        .ifPresent(
            why -> {
              throw new IllegalStateException("the Linux source cannot serve: " + why);
            });
    Kernel kernel = new Kernel(SystemCalls.of(System.getProperty("os.arch")).orElseThrow());
    Refusal refusal = Refusal.of(PROC, Machine.SYSFS);
    return open(kernel, host(), KeyedText.of(STATUS), refusal);
  }

  /**
   * Opens the source of a host as it shows itself to this process.
   *
   * @param kernel its kernel
   * @param host its nodes
   * @param status what proc(5) says of the process
   * @param refusal what refuses calls here
   */
  static LinuxSource open(Kernel kernel, Machine host, KeyedText status, Refusal refusal) {
    Machine allowed = allowed(host, status);
    List<String> findings = new ArrayList<>();
    if (!allowed.equals(host)) {
      findings.add(
          "a cpuset allows memory of nodes "
              + allowed.withMemory()
              + " only; nodes "
              + host.withMemory().without(allowed.withMemory())
              + " are left out");
    }
    if (!refusal.hasNodes()) {
      findings.add(NODES + " is not there, so all memory counts as that of one node");
    }
    Capability capability = Capability.probe(kernel, allowed, refusal, findings);
    if (!refusal.hasNodes() && Kernel.allowedNodes(status).size() > 1) {
      capability =
          capability.withoutBinding(
              Refusal.ofHiddenNodes(Kernel.allowedNodes(status), Machine.SYSFS));
    }
    return new LinuxSource(kernel, allowed, capability, MappingBudget.PROCESS, PROC);
  }

  /** Takes the memory of those nodes away that the process's cpuset leaves out: cpuset(7). */
  static Machine allowed(Machine host, KeyedText status) {
    NodeMask nodes = Kernel.allowedNodes(status);
    return nodes.isEmpty() ? host : host.withMemoryOn(nodes);
  }

  /**
   * A kernel without NUMA support has no node directory, nor has a container that hides sysfs; all
   * memory is then one node.
   */
  private static Machine host() {
    if (Files.isDirectory(NODES)) {
      return Machine.fromSysfs(Machine.SYSFS);
    }
    NodeMask allowed = Kernel.allowedNodes(KeyedText.of(STATUS));
    long bytes = KeyedText.of(PROC.resolve("meminfo")).bytes("MemTotal:");
    int cpus = Runtime.getRuntime().availableProcessors();
    int node = allowed.isEmpty() ? 0 : allowed.first();
    return Machine.builder()
        .origin("meminfo " + PROC)
        .node(Node.of(node, "0-" + (cpus - 1), Math.max(1, bytes)))
        .build();
  }
}
