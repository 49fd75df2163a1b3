/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.CommitResult.Outcome;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is refused before the kernel is asked, from files as the kernel writes them. */
final class HeadroomTest {
  private static final long MIB = 1 << 20;

  /** Two nodes of system memory: what falls off one falls on the other. */
  private static final Machine TWO_NODES =
      Machine.builder().node(Node.of(0, "0", 1L << 32)).node(Node.of(1, "1", 1L << 32)).build();

  /** The same with a device whose memory the kernel would use after node 1, or after node 0. */
  private static Machine withDevice(int distanceFromNode1) {
    return Machine.builder()
        .node(Node.of(0, "0", 1L << 32))
        .node(Node.of(1, "1", 1L << 32))
        .node(Node.memoryOnly(2, 1L << 32))
        .distances(
            new int[] {10, 20, 40},
            new int[] {20, 10, distanceFromNode1},
            new int[] {40, distanceFromNode1, 10})
        .build();
  }

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

  private Headroom headroom(Machine machine) {
    return new Headroom(root.resolve("proc"), root.resolve("sys"), group(), machine, 4096);
  }

  private CommitResult check(int node, long bytes) {
    return headroom(TWO_NODES).check(node, bytes);
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
  void cacheIsNotReliedOnWhereOverflowCouldReachADevice() throws IOException {
    nodeFullOfCache();
    // From node 1 the kernel turns to node 0 first, which has plenty.
    assertTrue(headroom(withDevice(40)).check(1, 16 * MIB).isCommitted());
    // Now the device comes first, and only what node 1 itself has free is safe.
    assertEquals(Outcome.NODE_FULL, headroom(withDevice(15)).check(1, 16 * MIB).outcome());
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
    assertEquals(80 * MIB, group().spareBytes());
    assertTrue(check(0, 16 * MIB).isCommitted());
    CommitResult refused = check(0, 16 * MIB + 1);
    assertEquals(Outcome.LIMIT_REACHED, refused.outcome());
    assertTrue(refused.detail().startsWith("cgroup_spare_bytes=16777216"), refused.detail());
  }

  @Test
  void aVersion2GroupIsReadToo() throws IOException {
    version2("max", 1, 1);
    assertEquals(ControlGroup.UNLIMITED, group().limitBytes());
    version2(Long.toString(100 * MIB), 90 * MIB, 80 * MIB);
    assertEquals(90 * MIB, group().spareBytes());
  }

  @Test
  void theTightestLevelCounts() throws IOException {
    version1(200 * MIB, 10 * MIB, 0, 0);
    write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    assertEquals(200 * MIB, group().limitBytes());
    write("sys/fs/cgroup/memory/memory.limit_in_bytes", 100 * MIB + "\n");
    write("sys/fs/cgroup/memory/memory.usage_in_bytes", 95 * MIB + "\n");
    assertEquals(100 * MIB, group().limitBytes());
    assertEquals(5 * MIB, group().spareBytes());
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
    Headroom headroom = headroom(TWO_NODES);
    long most = 64 * MIB - 2500 * 4096;
    for (int i = 0; i < 3; i++) {
      assertTrue(headroom.check(1, most).isCommitted());
      assertEquals(Outcome.NODE_FULL, headroom.check(1, most + 1).outcome());
    }
  }

  @Test
  void aNodeThatIsGoneHasNothing() {
    assertEquals(Outcome.NODE_FULL, headroom(withDevice(40)).check(2, 1).outcome());
  }

  @Test
  void aKernelThatDoesNotSayWhatIsAvailableSaysWhatIsFree() throws IOException {
    write("proc/meminfo", "MemTotal: 8388608 kB\nMemFree:  102400 kB\n");
    assertTrue(check(0, 36 * MIB).isCommitted());
    assertEquals(Outcome.LIMIT_REACHED, check(0, 36 * MIB + 1).outcome());
  }

  @Test
  void withoutProcfsOrSysfsNothingIsPromised() {
    Path nowhere = root.resolve("nowhere");
    Headroom blind =
        new Headroom(nowhere, nowhere, ControlGroup.find(nowhere, nowhere), TWO_NODES, 4096);
    assertEquals(Outcome.NODE_FULL, blind.check(0, 1).outcome());
    assertEquals(0, blind.freeBytes(0));
  }
}
