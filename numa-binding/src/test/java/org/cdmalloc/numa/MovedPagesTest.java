/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import java.util.zip.CRC32C;
import org.cdmalloc.DeviceNode;
import org.cdmalloc.MoveReport;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.NodeMemoryExhaustedException;
import org.cdmalloc.NodeReport;
import org.cdmalloc.Placement;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * Blocks that are moved between real nodes, as the kernel tells it: on hosts with several. {@code
 * .ci/guest} makes one of any host.
 */
final class MovedPagesTest {
  private static final long MIB = 1L << 20;
  private static final long CAPACITY = 48 * MIB;
  private static final int BLOCK = (int) (9 * MIB);

  private final MemorySource source = ThisHost.source();
  private final Machine machine = source.machine();
  private final NodeMask devices = machine.memoryOnly();
  private final NodeMask system = machine.withMemory().without(devices);
  private NodeAllocator memory;

  @BeforeEach
  void open() {
    assumeTrue(machine.withMemory().size() > 1, "this host has one node: " + machine.withMemory());
    // Neighbours of a few pages lie behind the blocks, and not in slabs.
    NodeAllocator.Builder builder = NodeAllocator.builder().source(source).magazineBytes(0);
    machine.withMemory().stream().forEach(node -> builder.capacity(node, CAPACITY));
    memory = builder.open();
    devices.stream().forEach(node -> memory.device(node).online());
  }

  @AfterEach
  void close() {
    if (memory != null) {
      memory.close();
    }
  }

  private List<Placement> placements() {
    return Stream.concat(
            system.stream().mapToObj(Placement::onNode),
            devices.stream().mapToObj(node -> memory.device(node).placement()))
        .toList();
  }

  private static int node(Placement placement) {
    return placement.nodes().first();
  }

  private static ByteBuffer filled(NodeAllocator memory, Placement placement) {
    ByteBuffer buffer = memory.allocateBuffer(BLOCK, placement);
    for (int i = 0; i < BLOCK; i += Long.BYTES) {
      buffer.putLong(i, i * 0x9e3779b97f4a7c15L);
    }
    return buffer;
  }

  private static long checksum(ByteBuffer buffer) {
    CRC32C sum = new CRC32C();
    sum.update(buffer.duplicate());
    return sum.getValue();
  }

  private static long movedBytes(NodeAllocator memory) {
    return memory.report().nodes().stream().mapToLong(NodeReport::movedInBytes).sum();
  }

  @Test
  void blocksGoFromEachNodeToEachOther() {
    int mappings = MappingBudget.countMappings();
    for (Placement from : placements()) {
      for (Placement to : placements()) {
        ByteBuffer buffer = filled(memory, from);
        ByteBuffer neighbour = memory.allocateBuffer(3 * 4096, from);
        long sum = checksum(buffer);
        MoveReport report = memory.move(buffer, to);
        assertEquals(new MoveReport(node(to), BLOCK, List.of()), report);
        assertTrue(memory.residency(buffer).isAllOn(node(to)));
        // It ends in the middle of a huge page, the rest of which is somebody else's.
        assertTrue(memory.residency(neighbour).isAllOn(node(from)));
        assertEquals(sum, checksum(buffer));
        assertEquals(node(from) == node(to) ? 0 : BLOCK, movedBytes(memory));
        memory.free(buffer);
        memory.free(neighbour);
        assertEquals(0, movedBytes(memory));
        ByteBuffer again = memory.allocateBuffer(BLOCK, from);
        assertTrue(memory.residency(again).isAllOn(node(from)));
        assertEquals(0, again.getLong(BLOCK - Long.BYTES));
        memory.free(again);
      }
    }
    memory.trim();
    int more = MappingBudget.countMappings() - mappings;
    assertTrue(more < 40, "mappings=" + more);
  }

  @Test
  void aBlockIsWrittenToWhileItIsMoved() throws Exception {
    Placement home = Placement.onNode(system.first());
    ByteBuffer buffer = memory.allocateBuffer(BLOCK, home);
    List<Thread> writers = new ArrayList<>();
    List<Throwable> failures = new ArrayList<>();
    int rounds = 30;
    for (int i = 0; i < 2; i++) {
      int writer = i;
      Thread thread = new Thread(() -> write(buffer, writer, rounds));
      thread.setUncaughtExceptionHandler((ignored, failure) -> failures.add(failure));
      thread.start();
      writers.add(thread);
    }
    int moves = 0;
    List<Placement> targets = placements();
    while (writers.stream().anyMatch(Thread::isAlive) || moves < 2 * targets.size()) {
      memory.move(buffer, targets.get(moves % targets.size()));
      moves++;
    }
    for (Thread thread : writers) {
      thread.join();
    }
    assertEquals(List.of(), failures);
    for (int at = 0; at < BLOCK; at += 2 * Long.BYTES) {
      assertEquals(at * 31L + rounds - 1, buffer.getLong(at));
      assertEquals((at + 8) * 31L + rounds - 1, buffer.getLong(at + Long.BYTES));
    }
    memory.free(buffer);
  }

  /** Writes every other word, and looks before whether what it wrote last is there. */
  private static void write(ByteBuffer buffer, int writer, int rounds) {
    for (int round = 0; round < rounds; round++) {
      for (int at = writer * Long.BYTES; at < BLOCK; at += 2 * Long.BYTES) {
        long expected = round == 0 ? 0 : at * 31L + round - 1;
        assertEquals(expected, buffer.getLong(at));
        buffer.putLong(at, at * 31L + round);
      }
    }
  }

  @Test
  void pinnedPagesStayAndAreReported() {
    assumeTrue(system.size() > 1, "only memory that is not movable can be pinned where it lies");
    Placement home = Placement.onNode(system.first());
    Placement other = Placement.onNode(system.last());
    long block = memory.allocate(BLOCK, home);
    long pinned = block + 3 * MIB + 4096;
    int pages = 5;
    try (PinnedRange pin = new PinnedRange(pinned, pages * 4096L)) {
      assertTrue(pin.isPinned());
      MoveReport report = memory.move(block, other);
      assertEquals(1, report.unmoved().size(), report::toString);
      MoveReport.Unmoved stayed = report.unmoved().get(0);
      // The pages themselves, or the huge page that they are part of.
      assertTrue(stayed.address() <= pinned, report::toString);
      assertTrue(stayed.address() + stayed.bytes() >= pinned + pages * 4096L, report::toString);
      assertTrue(stayed.bytes() <= 2 * MIB, report::toString);
      assertEquals(BLOCK - stayed.bytes(), report.movedBytes(), report::toString);
      assertEquals(system.first(), stayed.node());
      assertTrue(stayed.reason().contains("EBUSY"), stayed::toString);
      // Both nodes pay for what lies on them.
      assertEquals(report.movedBytes(), movedBytes(memory));
    }
    assertTrue(memory.move(block, other).isComplete());
    assertTrue(memory.move(block, home).isComplete());
    assertEquals(0, movedBytes(memory));
    memory.free(block);
  }

  @Test
  void aFullNodeIsAnException() {
    int node = devices.isEmpty() ? system.last() : devices.last();
    try (NodeAllocator other =
        NodeAllocator.builder()
            .source(source)
            .capacity(node, machine.node(node).bytes())
            .magazineBytes(0)
            .open()) {
      Placement target;
      if (devices.contains(node)) {
        other.device(node).online();
        target = other.device(node).placement();
      } else {
        target = Placement.onNode(node);
      }
      List<Long> filled = new ArrayList<>();
      for (long at = other.tryAllocate(2 * MIB, target); at != 0; ) {
        filled.add(at);
        at = other.tryAllocate(2 * MIB, target);
      }
      Placement mine =
          devices.contains(node) ? memory.device(node).placement() : Placement.onNode(node);
      long block = memory.allocate(BLOCK, Placement.onNode(system.first()));
      NodeMemoryExhaustedException full =
          assertThrows(NodeMemoryExhaustedException.class, () -> memory.move(block, mine));
      assertTrue(full.getMessage().contains("node=" + node + ":"), full::getMessage);
      assertTrue(memory.residency(block).isAllOn(system.first()));
      filled.forEach(other::free);
      other.trim();
      assertTrue(memory.move(block, mine).isComplete());
      memory.free(block);
    }
  }

  /** The memory blocks of a node, as sysfs shows them. */
  private static List<Path> memoryBlocks(int node) throws IOException {
    try (Stream<Path> files =
        Files.list(Machine.SYSFS.resolve("devices/system/node/node" + node))) {
      return files.filter(file -> file.getFileName().toString().matches("memory\\d+")).toList();
    }
  }

  private static void set(int node, String state) throws IOException {
    for (Path block : memoryBlocks(node)) {
      Files.writeString(block.resolve("state"), state);
    }
  }

  /**
   * The memory of a device goes while blocks lie there; they stay usable, and can be moved back.
   */
  @Test
  void blocksOfANodeThatGoesOfflineKeepTheirContent() throws IOException {
    assumeTrue(
        !devices.isEmpty() && machine.node(devices.last()).movableOnly(),
        "this host has no device whose memory can be taken offline");
    assumeTrue(Files.exists(Path.of("/run/guest/nodes")), "this host is no guest");
    int node = devices.last();
    DeviceNode device = memory.device(node);
    ByteBuffer stays = filled(memory, device.placement());
    ByteBuffer leaves = filled(memory, device.placement());
    long sum = checksum(stays);
    // What is moved off before is where it was put; the kernel moves the rest where it likes.
    assertTrue(memory.move(leaves, Placement.onNode(system.first())).isComplete());
    set(node, "offline");
    try {
      assertTrue(memory.residency(leaves).isAllOn(system.first()));
      assertTrue(!memory.residency(stays).pagesByNode().containsKey(node));
      assertTrue(memory.residency(stays).pagesByNode().keySet().stream().allMatch(n -> n >= 0));
      assertEquals(sum, checksum(stays));
      assertEquals(sum, checksum(leaves));
      // Nothing can be moved there, and what was refused changed nothing.
      assertThrows(
          NodeMemoryExhaustedException.class, () -> memory.move(leaves, device.placement()));
      assertTrue(memory.residency(leaves).isAllOn(system.first()));
    } finally {
      set(node, "online_movable");
    }
    assertTrue(memory.move(stays, device.placement()).isComplete());
    assertTrue(memory.move(leaves, device.placement()).isComplete());
    assertTrue(memory.residency(stays).isAllOn(node));
    assertEquals(sum, checksum(stays));
    assertEquals(sum, checksum(leaves));
    assertEquals(0, movedBytes(memory));
    memory.free(stays);
    memory.free(leaves);
  }
}
