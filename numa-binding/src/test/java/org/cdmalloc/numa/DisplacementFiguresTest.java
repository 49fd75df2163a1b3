/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import static org.cdmalloc.spi.DisplacementCause.DEMOTION;
import static org.cdmalloc.spi.DisplacementCause.LONG_TERM_PIN;
import static org.cdmalloc.spi.DisplacementCause.NODE_OFFLINE;
import static org.cdmalloc.spi.DisplacementCause.SWAPPED_OUT;
import static org.cdmalloc.spi.DisplacementCause.UNKNOWN;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.cdmalloc.spi.Explanation;
import org.cdmalloc.spi.Residency;
import org.cdmalloc.topology.Machine;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Which cause which figures make likely, from files as Linux 6.1 and 6.12 write them. */
final class DisplacementFiguresTest {
  private static final int RAM = 0;
  private static final int DEVICE = 2;
  private static final int OTHER_DEVICE = 3;
  private static final long NODE_BYTES = 524_288L << 10;

  @TempDir private Path root;
  private DisplacementFigures figures;

  /** Node 0 is RAM; 2 and 3 are devices whose memory is movable only. Nothing moved anything. */
  @BeforeEach
  void healthyHost() throws IOException {
    write("sys/devices/system/node/online", "0,2-3\n");
    write("sys/devices/system/node/has_memory", "0,2-3\n");
    write("sys/devices/system/node/has_normal_memory", "0\n");
    write("sys/devices/system/node/has_cpu", "0\n");
    write("sys/devices/system/node/node0/cpulist", "0\n");
    for (int node : new int[] {RAM, DEVICE, OTHER_DEVICE}) {
      write(
          "sys/devices/system/node/node" + node + "/meminfo",
          "Node " + node + " MemTotal:  524288 kB\n");
      write("sys/devices/system/node/node" + node + "/distance", "10 20 20\n");
      demoted(node, 7, 5);
    }
    write("sys/devices/virtual/memory_tiering/memory_tier4/nodelist", "0\n");
    write("sys/devices/virtual/memory_tiering/memory_tier112/nodelist", "2-3\n");
    write("sys/devices/system/memory/block_size_bytes", "8000000\n");
    write("sys/kernel/mm/numa/demotion_enabled", "false\n");
    status(0, 0);
    Files.createDirectories(root.resolve("proc/self/fd"));
    open();
  }

  private void open() {
    figures =
        new DisplacementFigures(
            root.resolve("proc"), root.resolve("sys"), Machine.fromSysfs(root.resolve("sys")));
  }

  private void write(String name, String text) throws IOException {
    Path file = root.resolve(name);
    Files.createDirectories(file.getParent());
    Files.writeString(file, text);
  }

  private void status(long pinnedKibibytes, long swappedKibibytes) throws IOException {
    write(
        "proc/self/status",
        "Name:\tjava\nVmLck:\t       0 kB\nVmPin:\t    "
            + pinnedKibibytes
            + " kB\nVmSwap:\t "
            + swappedKibibytes
            + " kB\n");
  }

  private void demoted(int node, long kswapd, long direct) throws IOException {
    write(
        "sys/devices/system/node/node" + node + "/vmstat",
        "nr_free_pages 1\npgdemote_kswapd " + kswapd + "\npgdemote_direct " + direct + "\n");
  }

  private void assertExplained(Explanation expected, int home, int found) {
    assertEquals(expected, figures.explain(home, found));
  }

  private void assertUnknown(int home, int found) {
    assertEquals(UNKNOWN, figures.explain(home, found).cause());
  }

  @Test
  void nothingIsLikelyWhereNothingHappened() {
    assertExplained(
        new Explanation(
            UNKNOWN,
            "demotion_enabled=false, pages_demoted_since_open=0, home_tier=4, found_tier=112,"
                + " VmPin=0, files_that_pin={}, home_bytes=536870912, home_bytes_at_open=536870912"),
        RAM,
        DEVICE);
    assertUnknown(DEVICE, RAM);
    assertUnknown(DEVICE, OTHER_DEVICE);
  }

  @Test
  void aNodeWithoutMemoryIsOffline() throws IOException {
    write("sys/devices/system/node/has_memory", "0,3\n");
    assertExplained(
        new Explanation(NODE_OFFLINE, "home_bytes=0, home_bytes_at_open=" + NODE_BYTES),
        DEVICE,
        RAM);
    // The others' pages it explains not.
    assertUnknown(OTHER_DEVICE, RAM);
  }

  @Test
  void aNodeThatLostABlockIsPartlyOffline() throws IOException {
    write("sys/devices/system/node/node2/meminfo", "Node 2 MemTotal:  393216 kB\n");
    assertExplained(
        new Explanation(NODE_OFFLINE, "home_bytes=402653184, home_bytes_at_open=" + NODE_BYTES),
        DEVICE,
        OTHER_DEVICE);
    write("sys/devices/system/node/node2/meminfo", "Node 2 MemTotal:  393217 kB\n");
    assertUnknown(DEVICE, OTHER_DEVICE);
  }

  @Test
  void demotionGoesToASlowerTierAndIsCountedAtItsNode() throws IOException {
    write("sys/kernel/mm/numa/demotion_enabled", "true\n");
    // Enabled is not enough.
    assertUnknown(RAM, DEVICE);
    demoted(RAM, 9, 5);
    assertExplained(
        new Explanation(
            DEMOTION,
            "demotion_enabled=true, pages_demoted_since_open=2, home_tier=4, found_tier=112"),
        RAM,
        DEVICE);
    assertUnknown(DEVICE, RAM);
    assertUnknown(DEVICE, OTHER_DEVICE);
    // What happened before does not count.
    open();
    assertUnknown(RAM, DEVICE);
  }

  @Test
  void olderKernelsCountDemotionsOfAllNodes() throws IOException {
    for (int node : new int[] {RAM, DEVICE, OTHER_DEVICE}) {
      write("sys/devices/system/node/node" + node + "/vmstat", "nr_free_pages 1\n");
    }
    write("proc/vmstat", "pgpgin 4\npgdemote_kswapd 3\npgdemote_direct 4\n");
    open();
    assertUnknown(RAM, DEVICE);
    write("proc/vmstat", "pgpgin 4\npgdemote_kswapd 4\npgdemote_direct 5\n");
    Explanation demoted = figures.explain(RAM, DEVICE);
    assertEquals(DEMOTION, demoted.cause());
    assertTrue(demoted.evidence().contains("pages_demoted_since_open=2"), demoted::toString);
    // Without tiers, memory without CPUs is the slower one.
    Files.delete(root.resolve("sys/devices/virtual/memory_tiering/memory_tier4/nodelist"));
    Files.delete(root.resolve("sys/devices/virtual/memory_tiering/memory_tier4"));
    assertEquals(DEMOTION, figures.explain(RAM, DEVICE).cause());
    assertUnknown(DEVICE, RAM);
  }

  @Test
  void pinnedPagesLeaveMovableMemory() throws IOException {
    status(8192, 0);
    Files.createSymbolicLink(root.resolve("proc/self/fd/5"), Path.of("anon_inode:[io_uring]"));
    Files.createSymbolicLink(root.resolve("proc/self/fd/6"), Path.of("/dev/infiniband/uverbs0"));
    Files.createSymbolicLink(root.resolve("proc/self/fd/7"), Path.of("/tmp/vfio"));
    assertExplained(
        new Explanation(
            LONG_TERM_PIN,
            "VmPin=8388608, files_that_pin={infiniband=1, io_uring=1}, home_is_movable_only=true"),
        DEVICE,
        RAM);
    // Neither to movable memory, nor from memory that may be pinned where it is.
    assertUnknown(DEVICE, OTHER_DEVICE);
    assertUnknown(RAM, DEVICE);
    // A ring that has nothing registered pins nothing.
    status(0, 0);
    assertUnknown(DEVICE, RAM);
    Files.createSymbolicLink(root.resolve("proc/self/fd/8"), Path.of("/dev/vfio/14"));
    assertEquals(LONG_TERM_PIN, figures.explain(DEVICE, RAM).cause());
  }

  @Test
  void absentPagesAreInSwapIfThisProcessHasAny() throws IOException {
    assertExplained(new Explanation(UNKNOWN, "VmSwap=0"), RAM, Residency.NOT_PRESENT);
    status(8192, 12);
    assertExplained(new Explanation(SWAPPED_OUT, "VmSwap=12288"), RAM, Residency.NOT_PRESENT);
  }

  private static String zone(int node, String name, int managed, int contiguous) {
    return "Node "
        + node
        + ", zone "
        + name
        + "\n  pages free     7\n        boost    0\n        min      1\n        low      2\n"
        + "        high     3\n        spanned  99\n        present  98\n        managed  "
        + managed
        + "\n        cma      "
        + contiguous
        + "\n        protection: (0, 0, 0)\n";
  }

  @Test
  void lockedPagesAreMovedByCompactionAndOutOfMovableMemory() throws IOException {
    write(
        "proc/zoneinfo",
        zone(RAM, "DMA", 3, 0)
            + zone(RAM, "Normal", 1000, 0)
            + zone(DEVICE, "Movable", 512, 0)
            + zone(OTHER_DEVICE, "Normal", 256, 16)
            + zone(OTHER_DEVICE, "Movable", 256, 0));
    write("proc/sys/vm/compact_unevictable_allowed", "0\n");
    assertEquals(List.of(), figures.lockHazards(RAM, 4096));
    String pins =
        "input and output that pins pages for long (io_uring, RDMA, VFIO) moves those in"
            + " ZONE_MOVABLE and in CMA to other memory, perhaps of another node: ";
    String offline =
        "memory in ZONE_MOVABLE can be taken offline, which moves its pages to other nodes: ";
    String device = "node=2, zone_movable_bytes=2097152, cma_bytes=0";
    assertEquals(List.of(pins + device, offline + device), figures.lockHazards(DEVICE, 4096));
    String other = "node=3, zone_movable_bytes=1048576, cma_bytes=65536";
    assertEquals(List.of(pins + other, offline + other), figures.lockHazards(OTHER_DEVICE, 4096));
    write("proc/sys/vm/compact_unevictable_allowed", "1\n");
    assertEquals(
        List.of(
            "compaction moves locked pages within their node: vm.compact_unevictable_allowed=1"
                + " (set it to 0)"),
        figures.lockHazards(RAM, 4096));
    assertEquals(3, figures.lockHazards(DEVICE, 4096).size());
  }

  @Test
  void memoryForContiguousRequestsIsAHazardByItself() throws IOException {
    write("proc/zoneinfo", zone(RAM, "Normal", 1000, 16));
    List<String> hazards = figures.lockHazards(RAM, 4096);
    assertEquals(1, hazards.size());
    assertTrue(hazards.get(0).endsWith("node=0, zone_movable_bytes=0, cma_bytes=65536"));
  }

  @Test
  void filesThatCannotBeReadMakeNothingLikely() throws IOException {
    Files.delete(root.resolve("proc/self/status"));
    Files.delete(root.resolve("proc/self/fd"));
    assertUnknown(RAM, DEVICE);
    assertUnknown(RAM, Residency.NOT_PRESENT);
    assertEquals(List.of(), figures.lockHazards(DEVICE, 4096));
    write("sys/devices/system/node/online", "?\n");
    assertExplained(Explanation.UNKNOWN, RAM, DEVICE);
    assertExplained(Explanation.UNKNOWN, RAM, 77);
  }
}
