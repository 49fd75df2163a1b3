/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.CommitResult.Outcome;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is refused before the kernel is asked, from files as the kernel writes them. */
final class HeadroomTest {
  private static final long MIB = 1 << 20;

  @TempDir private Path root;

  @BeforeEach
  void healthyHost() throws IOException {
    write(
        "proc/meminfo", "MemTotal:  8388608 kB\nMemFree:  4194304 kB\nMemAvailable:  4194304 kB\n");
    write(
        "proc/zoneinfo",
        """
        Node 0, zone      DMA
          per-node stats
              nr_inactive_anon 51
          pages free     3840
                boost    0
                min      33
                low      41
                high     49
                protection: (0, 0, 959)
        Node 0, zone   Normal
          pages free     100000
                low      9000
                protection: (0, 0, 0)
        Node 1, zone      DMA
          pages free     0
                low      41
                protection: (0, 5000, 5000)
        Node 1, zone  Movable
          pages free     16384
                low      2500
                protection: (0, 0, 0)
        """);
    nodeFree(0, 1024 * 1024);
    nodeFree(1, 65536);
    write("proc/self/cgroup", "4:memory:/job\n1:cpu:/\n0::/job\n");
    write(
        "proc/self/mountinfo",
        """
        30 20 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
        31 20 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
        """);
  }

  private void nodeFree(int node, long kibibytes) throws IOException {
    write(
        "sys/devices/system/node/node" + node + "/meminfo",
        "Node "
            + node
            + " MemTotal: 4194304 kB\nNode "
            + node
            + " MemFree:  "
            + kibibytes
            + " kB\n");
  }

  /** Node 1 with next to nothing free, and clean, dirty and mapped file cache. */
  private void nodeFullOfCache() throws IOException {
    write(
        "sys/devices/system/node/node1/meminfo",
        """
        Node 1 MemFree:           10240 kB
        Node 1 Active(file):     102400 kB
        Node 1 Inactive(file):   102400 kB
        Node 1 Dirty:             10240 kB
        Node 1 Writeback:         10240 kB
        Node 1 Mapped:            10240 kB
        """);
  }

  private void write(String file, String text) throws IOException {
    Path path = root.resolve(file);
    Files.createDirectories(path.getParent());
    Files.writeString(path, text);
  }

  private void version1(long limit, long usage, long cache, long dirty) throws IOException {
    String group = "sys/fs/cgroup/memory/job/memory.";
    write(group + "limit_in_bytes", limit + "\n");
    write(group + "usage_in_bytes", usage + "\n");
    write(
        group + "stat",
        "inactive_file 1\ntotal_inactive_file " + cache + "\ntotal_dirty " + dirty + "\n");
  }

  private void version2(String limit, long usage, long cache) throws IOException {
    String group = "sys/fs/cgroup/unified/job/memory.";
    write(group + "max", limit + "\n");
    write(group + "current", usage + "\n");
    write(group + "stat", "anon 7\ninactive_file " + cache + "\nactive_file 0\nfile_dirty 0\n");
  }

  private ControlGroup group() {
    return ControlGroup.find(root.resolve("proc"), root);
  }

  private Headroom headroom() {
    return new Headroom(root.resolve("proc"), root.resolve("sys"), group(), 4096);
  }

  private CommitResult check(int node, long bytes) {
    return headroom().check(node, bytes);
  }

  @Test
  void aNodeWhoseMemoryIsOfflineSaysSo() throws IOException {
    String absent = "present_bytes=0 (all memory of the node is offline: bring it online)";
    assertEquals(4096 * MIB, headroom().presentBytes(1));
    assertFalse(check(1, 4096 * MIB).detail().contains("offline"));
    String meminfo = "sys/devices/system/node/node1/meminfo";
    write(meminfo, "Node 1 MemFree: 0 kB\n");
    assertEquals(-1, headroom().presentBytes(1));
    assertFalse(check(1, 4096).detail().contains("offline"));
    write(meminfo, "Node 1 MemTotal: 0 kB\nNode 1 MemFree: 0 kB\n");
    assertEquals(0, headroom().presentBytes(1));
    CommitResult refused = check(1, 4096);
    assertEquals(Outcome.NODE_FULL, refused.outcome());
    assertTrue(refused.detail().endsWith(absent), refused.detail());
    // The kernel removes the folder of a node whose memory is taken away with the device.
    Files.delete(root.resolve(meminfo));
    assertEquals(0, headroom().presentBytes(1));
    assertTrue(check(1, 4096).detail().endsWith(absent));
  }

  @Test
  void aNodeKeepsItsLowMarks() {
    long node0 = 1024 * MIB - 10_000 * 4096;
    assertTrue(check(0, node0).isCommitted());
    CommitResult refused = check(0, node0 + 1);
    assertEquals(Outcome.NODE_FULL, refused.outcome());
    assertTrue(refused.detail().contains("free_above_low_mark_bytes=" + node0), refused.detail());
    assertTrue(check(1, 64 * MIB - 2500 * 4096).isCommitted());
    assertEquals(Outcome.NODE_FULL, check(1, 64 * MIB - 2500 * 4096 + 1).outcome());
  }

  /** What marks may rise by, and what a CPU's list takes beyond what is asked for, is left too. */
  @Test
  void aNodeKeepsWhatTakingItMayCost() throws IOException {
    write("proc/sys/vm/watermark_boost_factor", "15000\n");
    write(
        "proc/zoneinfo",
        """
        Node 0, zone   Normal
          pages free     200000
                boost    512
                min      1312
                low      1512
                high     1712
                managed  262144
                protection: (0, 0, 0)
          pagesets
            cpu: 0
                      count:    84
                      high:     3000
                      batch:    63
                      high_min: 200
                      high_max: 9000
            cpu: 1
                      count:    0
                      high:     1000
                      batch:    63
        Node 1, zone  Movable
          pages free     16384
                boost    0
                low      439
                high     500
                managed  32768
                protection: (0, 0, 0)
          pagesets
            cpu: 0
                      high:     0
                      batch:    7
        """);
    long node0 = 1024 * MIB - (1000 + 1800 + 2016) * 4096;
    assertTrue(check(0, node0).isCommitted());
    assertEquals(Outcome.NODE_FULL, check(0, node0 + 1).outcome());
    long node1 = 64 * MIB - (439 + 7) * 4096;
    assertTrue(check(1, node1).isCommitted());
    assertEquals(Outcome.NODE_FULL, check(1, node1 + 1).outcome());
  }

  /** What a zone had too little of to keep is kept when the zone has it again. */
  @Test
  void marksAreThoseOfTheMomentWhereTheyDecide() throws IOException {
    String zone =
        """
        Node 1, zone  Movable
          pages free     FREE
                low      2500
                protection: (0, 0, 0)
        """;
    write("proc/zoneinfo", zone.replace("FREE", "100"));
    nodeFree(1, 100 * 4);
    Headroom headroom = headroom();
    assertEquals(Outcome.NODE_FULL, headroom.check(1, MIB).outcome());
    write("proc/zoneinfo", zone.replace("FREE", "4196"));
    nodeFree(1, 4196 * 4);
    assertEquals(Outcome.NODE_FULL, headroom.check(1, 1697 * 4096).outcome());
  }

  @Test
  void hugePagesThatAreCompactedForMayComeFromElsewhere() throws IOException {
    assertFalse(headroom().overflows(0));
    String settings = "sys/kernel/mm/transparent_hugepage/";
    write(settings + "enabled", "[always] madvise never\n");
    write(settings + "defrag", "always defer defer+madvise [madvise] never\n");
    assertFalse(headroom().overflows(0));
    write(settings + "defrag", "[always] defer defer+madvise madvise never\n");
    assertTrue(headroom().overflows(0));
    write(settings + "enabled", "always [madvise] never\n");
    assertFalse(headroom().overflows(0));
  }

  @Test
  void cleanCacheCountsWithAMargin() throws IOException {
    nodeFullOfCache();
    long room = (10 + 200 - 30 - 64) * MIB - 2500 * 4096;
    assertTrue(check(1, room).isCommitted());
    CommitResult refused = check(1, room + 1);
    assertEquals(Outcome.NODE_FULL, refused.outcome());
    assertTrue(refused.detail().contains("with_clean_cache_bytes=" + room), refused.detail());
  }

  @Test
  void whatNeedsCacheToBeDroppedIsToldApart() throws IOException {
    nodeFullOfCache();
    Headroom headroom = headroom();
    assertTrue(headroom.check(1, 16 * MIB).isCommitted());
    assertTrue(headroom.isThroughCache(1));
    assertTrue(headroom.check(0, 16 * MIB).isCommitted());
    assertFalse(headroom.isThroughCache(0));
  }

  @Test
  void aHostKeepsTheMargin() throws IOException {
    write("proc/meminfo", "MemTotal: 8388608 kB\nMemAvailable:  102400 kB\n");
    assertTrue(check(0, 36 * MIB).isCommitted());
    CommitResult refused = check(0, 36 * MIB + 1);
    assertEquals(Outcome.LIMIT_REACHED, refused.outcome());
    assertTrue(refused.detail().startsWith("host_spare_bytes=37748736"), refused.detail());
  }

  @Test
  void aControlGroupKeepsTheMarginAndCountsCleanCacheAsFree() throws IOException {
    version1(200 * MIB, 150 * MIB, 40 * MIB, 10 * MIB);
    assertEquals(200 * MIB, group().limitBytes());
    assertEquals(80 * MIB, group().tightest().spareBytes());
    assertTrue(check(0, 16 * MIB).isCommitted());
    CommitResult refused = check(0, 16 * MIB + 1);
    assertEquals(Outcome.LIMIT_REACHED, refused.outcome());
    String limit = root.resolve("sys/fs/cgroup/memory/job/memory.limit_in_bytes").toString();
    assertEquals(
        "cgroup="
            + limit
            + ", limit_bytes=209715200, used_bytes=125829120, margin_bytes=67108864,"
            + " wanted_bytes=16777217 (raise this limit or free memory in the group)",
        refused.detail());
  }

  @Test
  void cacheThatTheKernelMayHaveCountedTooLateIsUsed() throws IOException {
    version1(200 * MIB, 150 * MIB, 40 * MIB, 10 * MIB);
    ControlGroup lagging = ControlGroup.find(root.resolve("proc"), root, 6 * MIB);
    assertEquals(74 * MIB, lagging.tightest().spareBytes());
    // Only cache is counted late: what is used is exact.
    version1(200 * MIB, 150 * MIB, 5 * MIB, 0);
    assertEquals(50 * MIB, lagging.tightest().spareBytes());
  }

  @Test
  void aVersion2GroupIsReadToo() throws IOException {
    version2("max", 1, 1);
    assertEquals(ControlGroup.UNLIMITED, group().limitBytes());
    version2(Long.toString(100 * MIB), 90 * MIB, 80 * MIB);
    assertEquals(90 * MIB, group().tightest().spareBytes());
  }

  @Test
  void memoryAndSwapTogetherAreALimitToo() throws IOException {
    version1(200 * MIB, 50 * MIB, 0, 0);
    assertEquals(150 * MIB, group().tightest().spareBytes());
    // What was swapped out before the limits were made equal counts in the second only.
    write("sys/fs/cgroup/memory/job/memory.memsw.limit_in_bytes", 200 * MIB + "\n");
    write("sys/fs/cgroup/memory/job/memory.memsw.usage_in_bytes", 120 * MIB + "\n");
    assertEquals(80 * MIB, group().tightest().spareBytes());
    assertTrue(group().tightest().limit().endsWith("/job/memory.memsw.limit_in_bytes"));
  }

  @Test
  void beyondTheHighMarkAProcessWouldOnlySleep() throws IOException {
    version2(Long.toString(500 * MIB), 90 * MIB, 0);
    write("sys/fs/cgroup/unified/job/memory.high", "max\n");
    assertEquals(410 * MIB, group().tightest().spareBytes());
    write("sys/fs/cgroup/unified/job/memory.high", 300 * MIB + "\n");
    assertEquals(210 * MIB, group().tightest().spareBytes());
    assertEquals(300 * MIB, group().limitBytes());
  }

  @Test
  void theTightestLevelCounts() throws IOException {
    version1(200 * MIB, 10 * MIB, 0, 0);
    write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    assertEquals(200 * MIB, group().limitBytes());
    write("sys/fs/cgroup/memory/memory.limit_in_bytes", 100 * MIB + "\n");
    write("sys/fs/cgroup/memory/memory.usage_in_bytes", 95 * MIB + "\n");
    assertEquals(100 * MIB, group().limitBytes());
    assertEquals(5 * MIB, group().tightest().spareBytes());
    write("sys/fs/cgroup/memory/memory.limit_in_bytes", 1000 * MIB + "\n");
    assertEquals(190 * MIB, group().tightest().spareBytes());
  }

  @Test
  void theMountThatShowsTheGroupCounts() throws IOException {
    write(
        "proc/self/mountinfo",
        """
        29 20 0:26 /job2 /other rw - cgroup cgroup rw,memory
        30 20 0:26 / /sys/fs/with\\040blank rw shared:9 - cgroup cgroup rw,memory
        """);
    write("other/memory.limit_in_bytes", 50 * MIB + "\n");
    write("sys/fs/with blank/job/memory.limit_in_bytes", 70 * MIB + "\n");
    assertEquals(70 * MIB, group().limitBytes());
  }

  @Test
  void aContainerSeesItsOwnGroupAtTheMountPoint() throws IOException {
    write(
        "proc/self/mountinfo",
        "30 20 0:26 /docker/1234 /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n");
    write("proc/self/cgroup", "4:memory:/docker/1234\n");
    write("sys/fs/cgroup/memory/memory.limit_in_bytes", 300 * MIB + "\n");
    assertEquals(300 * MIB, group().limitBytes());
    write("proc/self/cgroup", "4:memory:/\n");
    assertEquals(300 * MIB, group().limitBytes());
  }

  @Test
  void aReadingIsNotUsedTwiceNearTheEdge() {
    Headroom headroom = headroom();
    long most = 64 * MIB - 2500 * 4096;
    for (int i = 0; i < 3; i++) {
      assertTrue(headroom.check(1, most).isCommitted());
      assertEquals(Outcome.NODE_FULL, headroom.check(1, most + 1).outcome());
    }
  }

  @Test
  void aNodeNeedsRoomForItsShareAndTheHostForAll() throws IOException {
    long room = 64 * MIB - 2500 * 4096;
    assertTrue(headroom().check(1, room, 10 * room).isCommitted());
    CommitResult full = headroom().check(1, room + 1, 10 * room);
    assertEquals(Outcome.NODE_FULL, full.outcome());
    assertTrue(full.detail().endsWith("wanted_bytes=" + (room + 1)), full.detail());
    write("proc/meminfo", "MemTotal: 8388608 kB\nMemAvailable:  102400 kB\n");
    assertTrue(headroom().check(1, MIB, 36 * MIB).isCommitted());
    CommitResult refused = headroom().check(1, MIB, 36 * MIB + 1);
    assertEquals(Outcome.LIMIT_REACHED, refused.outcome());
    assertTrue(refused.detail().contains("wanted_bytes=37748737"), refused.detail());
  }

  @Test
  void aNodeThatIsGoneHasNothing() {
    assertEquals(Outcome.NODE_FULL, headroom().check(2, 1).outcome());
  }

  @Test
  void aKernelThatDoesNotSayWhatIsAvailableSaysWhatIsFree() throws IOException {
    write("proc/meminfo", "MemTotal: 8388608 kB\nMemFree:  102400 kB\n");
    assertTrue(check(0, 36 * MIB).isCommitted());
    assertEquals(Outcome.LIMIT_REACHED, check(0, 36 * MIB + 1).outcome());
  }

  @Test
  void whatWasPlacedOnNodesIsCountedWhereTheKernelCountsIt() throws IOException {
    for (int node = 0; node < 2; node++) {
      write(
          "sys/devices/system/node/node" + node + "/numastat",
          "numa_hit 1" + node + "\nnuma_miss 5\nnuma_foreign 900\ninterleave_hit 3\n");
    }
    assertEquals(-1, headroom().placedPages(NodeMask.of(0, 1)));
    write("proc/sys/vm/numa_stat", "1\n");
    assertEquals(15 + 16, headroom().placedPages(NodeMask.of(0, 1)));
    assertEquals(-1, headroom().placedPages(NodeMask.of(0, 2)));
    write("proc/sys/vm/numa_stat", "0\n");
    assertEquals(-1, headroom().placedPages(NodeMask.of(0, 1)));
  }

  @Test
  void withoutProcfsOrSysfsNothingIsPromised() {
    Path nowhere = root.resolve("nowhere");
    Headroom blind = new Headroom(nowhere, nowhere, ControlGroup.find(nowhere, nowhere), 4096);
    assertEquals(Outcome.NODE_FULL, blind.check(0, 1).outcome());
    assertEquals(0, blind.freeBytes(0));
  }
}
