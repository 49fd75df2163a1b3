/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.Optional;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.MemorySourceProvider;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.TopologyFormatException;

/** Opens the emulated machine where no platform can serve, or where it is asked for. */
public final class EmulatedSourceProvider implements MemorySourceProvider {
  private final Path sysfs;

  /** Makes the provider; {@link java.util.ServiceLoader} calls this. */
  public EmulatedSourceProvider() {
    this(Machine.SYSFS);
  }

  EmulatedSourceProvider(Path sysfs) {
    this.sysfs = sysfs;
  }

  @Override
  public String name() {
    return EmulatedSource.NAME;
  }

  /**
   * {@inheritDoc}
   *
   * @return 0: below every platform
   */
  @Override
  public int priority() {
    return 0;
  }

  /**
   * {@inheritDoc}
   *
   * @return nothing: any host will do
   */
  @Override
  public Optional<String> whyNot(Optional<Machine> machine) {
    return Optional.empty();
  }

  /**
   * Opens the wanted machine; else one like this host: the nodes of its sysfs, or, where there is
   * none, a node 0 with all CPUs that the JVM may use and all memory that it sees. OS pages are 4
   * KiB.
   */
  @Override
  public MemorySource open(Optional<Machine> machine) {
    return EmulatedSource.of(machine.orElseGet(this::likeThisHost));
  }

  private Machine likeThisHost() {
    try {
      Machine host = Machine.fromSysfs(sysfs);
      Machine.Builder copy =
          Machine.builder()
              .origin("emulated from " + host.origin())
              .possible(host.possible())
              .distances(host.distances()::between);
      host.nodes().forEach(copy::node);
      return copy.build();
    } catch (TopologyFormatException e) {
      // No Linux, or a container that hides sysfs.
      return Machine.builder().origin("emulated from what the JVM sees").node(jvmNode()).build();
    }
  }

  private static Node jvmNode() {
    OperatingSystemMXBean host = ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);
    int cpus = Runtime.getRuntime().availableProcessors();
    return Node.of(0, "0-" + (cpus - 1), host.getTotalMemorySize());
  }
}
