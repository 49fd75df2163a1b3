/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** How much of a node is there now: what the kernel has online, and lets this process use. */
final class PresentMemoryTest {
  private static final int NODE = ThisHost.NODE;
  private static final long BYTES = Machine.fromSysfs(Machine.SYSFS).node(NODE).bytes();

  private NodeMask allowed = NodeMask.EMPTY;

  private long presentBytes(Path sysfs) {
    Kernel kernel =
        new Kernel(SystemCalls.of(System.getProperty("os.arch")).orElseThrow()) {
          @Override
          NodeMask allowedNodes() {
            return allowed;
          }
        };
    Machine machine = Machine.fromSysfs(Machine.SYSFS);
    return new LinuxSource(
            kernel, machine, ThisHost.capability(), MappingBudget.PROCESS, Path.of("/proc"), sysfs)
        .presentBytes(NODE);
  }

  @Test
  void memoryIsPresentIfItIsOnlineAndAllowed(@TempDir Path sysfs) throws IOException {
    Path folder = sysfs.resolve("devices/system/node/node" + NODE);
    Path meminfo = Files.createDirectories(folder).resolve("meminfo");
    assertEquals(0, presentBytes(sysfs), "the node is gone with its device");
    Files.writeString(meminfo, "Node 0 MemTotal: 0 kB\n");
    assertEquals(0, presentBytes(sysfs), "offline");
    Files.writeString(meminfo, "Node 0 MemTotal: 4 kB\n");
    assertEquals(4096, presentBytes(sysfs), "most of it is offline");
    allowed = NodeMask.of(NODE + 1);
    assertEquals(0, presentBytes(sysfs), "online and not allowed");
    allowed = NodeMask.of(NODE, NODE + 1);
    assertEquals(4096, presentBytes(sysfs));
    Files.writeString(meminfo, "Node 0 MemFree: 4 kB\n");
    assertEquals(BYTES, presentBytes(sysfs), "not told: what the machine says");
    Files.writeString(meminfo, "Node 0 MemTotal: " + (BYTES / 1024 + 4) + " kB\n");
    assertEquals(BYTES, presentBytes(sysfs), "never more than the machine says");
  }
}
