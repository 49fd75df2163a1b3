/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.Placement;
import org.cdmalloc.SystemMemory;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Memory that goes back to this host's kernel, as the kernel counts it. */
final class TrimTest {
  private static final long MEBIBYTE = 1 << 20;
  private static final long UNIT = 2 * MEBIBYTE;
  private static final long CAPACITY = 16 * MEBIBYTE;

  private NodeAllocator memory;
  private SystemMemory node;

  /** Where the node's region begins: a block of all of it does. */
  private long start;

  @BeforeEach
  void open() {
    memory =
        NodeAllocator.builder()
            .source(ThisHost.source())
            .deviceNodes(NodeMask.EMPTY)
            .capacity(0, CAPACITY)
            .purgeDelay(Duration.ZERO)
            .open();
    node = memory.at(Placement.onNode(0));
    start = node.allocate(CAPACITY);
    node.free(start);
    memory.trim();
  }

  @AfterEach
  void close() {
    memory.close();
  }

  /** What the kernel says of the region's mappings. */
  private record Mappings(int count, long residentBytes) {}

  private Mappings mappings() throws IOException {
    int count = 0;
    long residentKibibytes = 0;
    boolean inside = false;
    for (String line : Files.readAllLines(Path.of("/proc/self/smaps"), ISO_8859_1)) {
      if (line.matches("[0-9a-f]+-[0-9a-f]+ .*")) {
        int dash = line.indexOf('-');
        long from = Long.parseUnsignedLong(line.substring(0, dash), 16);
        long to = Long.parseUnsignedLong(line.substring(dash + 1, line.indexOf(' ')), 16);
        inside = from < start + CAPACITY && to > start;
        count += inside ? 1 : 0;
      } else if (inside && line.startsWith("Rss:")) {
        residentKibibytes += Long.parseLong(line.replaceAll("[^0-9]", ""));
      }
    }
    return new Mappings(count, residentKibibytes << 10);
  }

  private long committedBytes() {
    return memory.report().node(0).committedBytes();
  }

  @Test
  void afterALoadTheKernelHasItsMemoryBack() throws IOException {
    assertEquals(0, mappings().residentBytes());
    List<ByteBuffer> load = new ArrayList<>();
    for (int i = 0; i < 12; i++) {
      load.add(node.allocateBuffer(1 << 20));
    }
    assertEquals(12 * MEBIBYTE, committedBytes());
    assertEquals(12 * MEBIBYTE, mappings().residentBytes());
    ByteBuffer kept = load.remove(7);
    kept.putLong(0, 42).putLong(kept.capacity() - 8, 43);
    load.forEach(memory::free);
    assertEquals(12 * MEBIBYTE, mappings().residentBytes());
    assertEquals(10 * MEBIBYTE, memory.trim());
    assertEquals(UNIT, committedBytes());
    assertEquals(UNIT, mappings().residentBytes());
    assertEquals(42, kept.getLong(0));
    assertEquals(43, kept.getLong(kept.capacity() - 8));
    assertTrue(memory.residency(kept).isAllOn(0));
    memory.free(kept);
    assertEquals(UNIT, memory.trim());
    assertEquals(0, mappings().residentBytes());
  }

  @Test
  void aHundredRoundsOfPurgeAndRecommitLeaveAHandfulOfMappings() throws IOException {
    int before = MappingBudget.countMappings();
    SplittableRandom random = new SplittableRandom(Long.getLong("seed", 20170308L));
    for (int round = 0; round < 100; round++) {
      List<Long> blocks = new ArrayList<>();
      for (long at = 0; at < CAPACITY; at += UNIT) {
        blocks.add(node.allocate(UNIT));
      }
      List<Long> kept = new ArrayList<>();
      for (long block : blocks) {
        if (random.nextInt(3) == 0) {
          kept.add(block);
        } else {
          node.free(block);
        }
      }
      assertEquals(CAPACITY - kept.size() * UNIT, memory.trim(), "round=" + round);
      Mappings holes = mappings();
      assertEquals(kept.size() * UNIT, holes.residentBytes(), "round=" + round);
      // At most one mapping for each run of units, committed or not.
      assertTrue(holes.count() <= 2 * kept.size() + 1, "round=" + round + ", " + holes);
      for (long block : kept) {
        assertTrue(memory.residency(block).isAllOn(0));
        node.free(block);
      }
      node.free(node.allocate(CAPACITY));
      // Holes that are filled again leave no mapping behind.
      assertTrue(mappings().count() <= 8, "round=" + round + ", " + mappings());
      assertEquals(CAPACITY, memory.trim());
      assertTrue(mappings().count() <= 8, "round=" + round + ", " + mappings());
    }
    int after = MappingBudget.countMappings();
    assertTrue(after <= before + 50, "before=" + before + ", after=" + after);
  }
}
