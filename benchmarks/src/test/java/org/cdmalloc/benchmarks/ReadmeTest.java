/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.cdmalloc.DeviceNode;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.NodeArena;
import org.cdmalloc.Placement;
import org.cdmalloc.SpillBudget;
import org.cdmalloc.SystemMemory;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.Test;

/** What the README shows compiles, runs, and does what it says. */
final class ReadmeTest {
  private static final Path ROOT = Path.of("..");
  private static final Path NODES = Machine.SYSFS.resolve("devices/system/node");
  private static final String JAR = "java -jar benchmarks/target/cdmalloc.jar ";

  @Test
  void theExampleDoesWhatItSays() {
    // docs: readme
    try (NodeAllocator memory = NodeAllocator.builder().deviceArena(9, 0, 8 << 20).open()) {
      // Implicit: near the caller, on system RAM only, zeroed.
      ByteBuffer near = memory.allocateBuffer(64 * 1024);
      memory.free(near);

      // A raw address, on node 0 or an exception.
      long block = memory.allocate(4096, Placement.onNode(0));
      memory.free(block);

      // Memory for others: on node 0 unless they name another, and not theirs to close.
      SystemMemory onNode0 = memory.at(Placement.onNode(0));
      onNode0.free(onNode0.allocate(4096, 2 << 20)); // at a multiple of 2 MiB

      // Page by page over nodes, and all of it freed at the end.
      try (NodeArena scope = memory.arena(Placement.interleave(NodeMask.of(0, 1)))) {
        scope.allocateBuffer(1 << 20);
      }
      memory.trim(); // what is free goes back to the kernel now, and not in a second
      memory.audit(); // how much lies elsewhere by now, and what probably moved it

      // The capability is the only way to a device node; nothing of it was reserved before.
      DeviceNode device = memory.device(9);
      device.online();
      ByteBuffer named = device.allocateBuffer(1 << 20); // on node 9 or an exception
      memory.move(named, Placement.onNode(0)); // while others use it; the address stays
      device.free(named);

      // A narrower one for a tenant: a quota, and how much of it may spill into RAM.
      DeviceNode tenant = device.withQuota(4 << 20).spilling(SpillBudget.ofBytes(1 << 20));
      tenant.free(tenant.allocate(2 << 20));
      tenant.revoke(); // serves nothing more; its blocks live until they are freed
    }
    // docs: end
    try (NodeAllocator memory = NodeAllocator.builder().deviceArena(9, 0, 8 << 20).open()) {
      DeviceNode device = memory.device(9);
      device.online();
      ByteBuffer named = device.allocateBuffer(1 << 20);
      assertEquals(1 << 20, named.capacity());
      assertTrue(memory.residency(named).isAllOn(0));
      device.free(named);

      SystemMemory onNode0 = memory.at(Placement.onNode(0));
      long block = onNode0.allocate(4096, 2 << 20);
      assertEquals(0, block % (2 << 20));
      assertTrue(memory.residency(block).isAllOn(0));
      onNode0.free(block);
      try (NodeArena scope = memory.arena(Placement.interleave(NodeMask.of(0, 1)))) {
        assertEquals(0, memory.residency(scope.allocateBuffer(1 << 20)).node(0));
        assertEquals(1, scope.liveBlocks());
      }
      assertTrue(memory.trim() > 0);
      assertEquals(0, memory.report().system().usedBytes());
      assertEquals(0, memory.report().system().committedBytes());
    }
  }

  @Test
  void theCommandLinesSucceedWhereTheRepositoryIs() throws IOException {
    String readme = Files.readString(ROOT.resolve("README.md")).replaceAll("\\\\\n\\s*", "");
    List<String> lines = readme.lines().filter(line -> line.startsWith(JAR)).toList();
    assertTrue(lines.size() >= 2, () -> "lines=" + lines);
    for (String line : lines) {
      String[] arguments = line.substring(JAR.length()).split(" ", -1);
      for (int i = 0; i < arguments.length; i++) {
        // The reader stands at the root of the repository, this test in its module.
        Path file = ROOT.resolve(arguments[i]);
        arguments[i] = Files.isRegularFile(file) ? file.toString() : arguments[i];
      }
      if (line.contains("--numactl") || Files.isDirectory(NODES)) {
        assertTrue(CommandRun.of(arguments).succeeded().contains("0"), line);
      }
    }
  }

  @Test
  void theReadmeIsShort() throws IOException {
    assertTrue(Files.readAllLines(ROOT.resolve("README.md")).size() <= 150);
  }
}
