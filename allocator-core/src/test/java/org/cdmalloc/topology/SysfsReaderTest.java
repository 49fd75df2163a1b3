/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.topology;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class SysfsReaderTest {
  private static final long KIB = 1024;

  @TempDir Path temporary;

  private Path root;
  private Path nodes;

  @BeforeEach
  void copyATree() throws IOException {
    root = new MachineFixture("cpuless-nodes").copySysfs(temporary.resolve("sysfs"));
    nodes = root.resolve(MachineFixture.NODES);
  }

  private Machine read() {
    return Machine.fromSysfs(root);
  }

  private void write(String file, String text) throws IOException {
    Files.writeString(nodes.resolve(file), text);
  }

  private void delete(String... files) throws IOException {
    for (String file : files) {
      Files.delete(nodes.resolve(file));
    }
  }

  /** Deletes a folder with all that is in it. */
  private static void prune(Path folder) throws IOException {
    try (Stream<Path> paths = Files.walk(folder)) {
      for (Path path : paths.sorted((a, b) -> b.compareTo(a)).toList()) {
        Files.delete(path);
      }
    }
  }

  private TopologyFormatException refusal(String file, int line) {
    TopologyFormatException refusal = assertThrows(TopologyFormatException.class, this::read);
    assertEquals(nodes.resolve(file), refusal.file(), refusal.getMessage());
    assertEquals(line, refusal.line(), refusal.getMessage());
    assertTrue(refusal.getMessage().startsWith(nodes.resolve(file).toString()));
    assertTrue(refusal.getMessage().length() < 500, refusal.getMessage());
    return refusal;
  }

  @Test
  void theRootMayBeSysfsAFileSystemOrTheNodeDirectory() throws IOException {
    Path fileSystem = temporary.resolve("root");
    new MachineFixture("cpuless-nodes")
        .copySysfs(Files.createDirectories(fileSystem).resolve("sys"));
    assertEquals(read(), Machine.fromSysfs(fileSystem));
    assertEquals(read(), Machine.fromSysfs(nodes));
    assertEquals(11, Machine.fromSysfs(nodes).node(2).performance().tier());
  }

  @Test
  void aNodeDirectoryOfAnyNameReadsWithoutTiers() throws IOException {
    Path moved = Files.move(nodes, temporary.resolve("recorded"));
    Machine machine = Machine.fromSysfs(moved);
    assertEquals(NodeMask.of(2, 3), machine.memoryOnly());
    assertEquals(NodePerformance.UNKNOWN, machine.node(2).performance().tier());
  }

  @Test
  void whatTheTreeDoesNotSayHasASensibleDefault() throws IOException {
    Machine whole = read();
    delete("possible");
    assertEquals(whole.online(), read().possible());
    delete("has_memory", "has_cpu");
    assertEquals(whole.nodes(), read().nodes());
    delete("has_normal_memory");
    assertFalse(read().node(2).movableOnly());
    delete("node0/distance", "node1/distance", "node2/distance", "node3/distance");
    assertEquals(DistanceMatrix.uniform(whole.online()), read().distances());
    prune(nodes.resolve("node2/access0"));
    assertEquals(
        new NodePerformance(NodeMask.EMPTY, -1, -1, -1, -1, 11), read().node(2).performance());
    prune(root.resolve("devices/virtual"));
    assertEquals(NodePerformance.NONE, read().node(2).performance());
  }

  @Test
  void aFigureOfZeroIsOneThatFirmwareDoesNotGive() {
    assertEquals(
        new NodePerformance(NodeMask.of(1), 500, -1, 409600, -1, 11), read().node(3).performance());
  }

  @Test
  void aNodeWithoutMemoryHasNoBytesWhateverItsMeminfoSays() throws IOException {
    write("has_memory", "0-1,3\n");
    write("node2/meminfo", "noise\n");
    assertEquals(0, read().node(2).bytes());
    assertFalse(read().node(2).movableOnly());
    delete("node2/meminfo");
    assertEquals(NodeMask.of(0, 1, 3), read().withMemory());
  }

  @Test
  void aNodeWithoutCpusNeedsNoCpulist() throws IOException {
    delete("node2/cpulist");
    assertEquals(CpuMask.EMPTY, read().node(2).cpus());
    delete("node0/cpulist");
    refusal("node0/cpulist", 0);
    write("node0/cpulist", "0\n");
    delete("has_cpu");
    refusal("node2/cpulist", 0);
  }

  @Test
  void anAsymmetricMatrixKeepsItsDirection() throws IOException {
    write("node0/distance", "10 21 22 23\n");
    assertEquals(22, read().distances().between(0, 2));
    assertEquals(80, read().distances().between(2, 0));
  }

  @Test
  void theKernelsLeadingBlankAndOtherEntriesMakeNoDifference() throws IOException {
    Machine whole = read();
    write("node0/distance", " 10 40 80 120\n");
    Files.createDirectory(nodes.resolve("node0/access0/initiators/node"));
    Files.createDirectory(nodes.resolve("node0/access0/initiators/nodes1"));
    Files.createDirectory(nodes.resolve("node0/access0/initiators/node01"));
    Files.createDirectory(nodes.resolve("node4"));
    write("has_generic_initiator", "2-3\n");
    assertEquals(whole, read());
  }

  @Test
  void linksOfALiveTreeAreInitiators() throws IOException {
    Path initiators = nodes.resolve("node2/access0/initiators");
    Files.createSymbolicLink(initiators.resolve("node1"), Path.of("../../../node1"));
    assertEquals(NodeMask.of(0, 1), read().node(2).performance().initiators());
  }

  @Test
  void tiersOfNodesThatAreOfflineMakeNoDifference() throws IOException {
    Machine whole = read();
    write("../../virtual/memory_tiering/memory_tier4/nodelist", "0-1,9\n");
    assertEquals(whole, read());
  }

  @ParameterizedTest
  @CsvSource({"online", "has_cpu", "has_memory", "has_normal_memory", "possible"})
  void aFileThatIsNoListOfNodesIsRefused(String file) throws IOException {
    for (String text : new String[] {"x\n", "0-", "3-0\n", "0-1024", "-1", "0\n1\n", "0,,1"}) {
      write(file, text);
      assertInstanceOf(IllegalArgumentException.class, refusal(file, 1).getCause());
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "node1/cpulist  | 1 | 0,1",
        "node0/cpulist  | 1 | 65536",
        "node0/cpulist  | 1 | 0 1",
        "node1/cpulist  | 1 | 0",
        "node1/distance | 1 | 40 10 120",
        "node1/distance | 1 | 40 10 120 80 1",
        "node1/distance | 1 | 40 10 120 -80",
        "node1/distance | 1 | 40 10 120 256",
        "node1/distance | 1 | 40 10 120 0",
        "node1/distance | 1 | 40 10 120 99999999999999999999",
        "node1/distance | 1 | ''",
        "node1/distance | 1 | '40 10\n120 80'",
        "node1/meminfo  | 0 | ''",
        "node1/meminfo  | 0 | Node 1 MemFree: 1 kB",
        "node1/meminfo  | 2 | '\nNode 1 MemTotal: x kB'",
        "node1/meminfo  | 1 | Node 0 MemTotal: 1 kB",
        "node1/meminfo  | 1 | Node 1 MemTotal: 1 MB",
        "node1/meminfo  | 1 | Node 1 MemTotal: -1 kB",
        "node1/meminfo  | 1 | Node 1 MemTotal: 4398046511105 kB",
        "node1/meminfo  | 1 | Node 1 MemTotal: 18014398509481984 kB",
        "node1/meminfo  | 1 | Node 1 MemTotal: 99999999999999999999999 kB",
        "node2/access0/initiators/read_latency   | 1 | fast",
        "node2/access0/initiators/write_latency  | 1 | -1",
        "node2/access0/initiators/read_bandwidth | 1 | 2147483648",
        "node2/access0/initiators/write_bandwidth| 1 | ''",
        "../../virtual/memory_tiering/memory_tier11/nodelist | 1 | 2-",
      })
  void aMalformedFileIsNamedWithItsLine(String file, int line, String text) throws IOException {
    write(file, text);
    TopologyFormatException refusal = assertThrows(TopologyFormatException.class, this::read);
    assertEquals(nodes.resolve(file).normalize(), refusal.file(), refusal.getMessage());
    assertEquals(line, refusal.line(), refusal.getMessage());
  }

  @Test
  void theLargestNodeIsRead() throws IOException {
    write("node1/meminfo", "Node 1 MemTotal: 4398046511104 kB\n");
    assertEquals(4398046511104L * KIB, read().node(1).bytes());
  }

  @Test
  void aNodeInTwoTiersIsRefused() throws IOException {
    Path tiers = root.resolve("devices/virtual/memory_tiering");
    Files.writeString(tiers.resolve("memory_tier11/nodelist"), "1-3\n");
    TopologyFormatException refusal = assertThrows(TopologyFormatException.class, this::read);
    assertEquals(tiers.resolve("memory_tier11/nodelist"), refusal.file());
  }

  @Test
  void anInitiatorThatIsNoNodeNumberIsRefused() throws IOException {
    Path initiator = nodes.resolve("node2/access0/initiators/node1024");
    Files.createDirectory(initiator);
    assertEquals(initiator, assertThrows(TopologyFormatException.class, this::read).file());
  }

  @Test
  void aTreeWithoutOnlineNodesIsRefused() throws IOException {
    write("online", "\n");
    refusal("online", 1);
    delete("online");
    assertTrue(refusal("online", 0).getMessage().contains("no NUMA nodes"));
  }

  @Test
  void aRootWithoutTheTreeIsRefused() {
    for (Path nowhere : new Path[] {temporary, temporary.resolve("missing")}) {
      TopologyFormatException refusal =
          assertThrows(TopologyFormatException.class, () -> Machine.fromSysfs(nowhere));
      assertEquals(nowhere.resolve(MachineFixture.NODES).resolve("online"), refusal.file());
    }
    assertThrows(NullPointerException.class, () -> Machine.fromSysfs(null));
  }

  @Test
  void anOnlineNodeWithoutADirectoryIsRefused() throws IOException {
    write("online", "0-3,9\n");
    for (int node = 0; node < 4; node++) {
      write("node" + node + "/distance", "10 20 20 20 20\n");
    }
    refusal("node9", 0);
  }

  @Test
  void distancesOfSomeNodesOnlyAreRefused() throws IOException {
    delete("node2/distance");
    refusal("node2/distance", 0);
  }

  @Test
  void aNodeWithMemoryNeedsItsMeminfo() throws IOException {
    delete("node3/meminfo");
    refusal("node3/meminfo", 0);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "online",
        "possible",
        "has_cpu",
        "has_memory",
        "has_normal_memory",
        "node1/cpulist",
        "node1/meminfo",
        "node1/distance",
        "node1/access0/initiators/read_latency"
      })
  void aDirectoryInPlaceOfAFileIsRefusedWithItsCause(String file) throws IOException {
    delete(file);
    Files.createDirectory(nodes.resolve(file));
    assertInstanceOf(IOException.class, refusal(file, 0).getCause());
  }

  @Test
  void aFileInPlaceOfADirectoryIsRefused() throws IOException {
    prune(nodes.resolve("node2/access0/initiators"));
    write("node2/access0/initiators", "");
    assertInstanceOf(IOException.class, refusal("node2/access0/initiators", 0).getCause());
    prune(nodes.resolve("node1"));
    write("node1", "");
    refusal("node1", 0);
  }

  @Test
  void anUnreadableFileIsRefusedWithItsCause() throws IOException {
    Path file = nodes.resolve("node1/cpulist");
    if (!file.toFile().setReadable(false) || Files.isReadable(file)) {
      // To root everything is readable, except the address 0 of a process.
      Files.delete(file);
      Files.createSymbolicLink(file, Path.of("/proc/self/mem"));
    }
    assertInstanceOf(IOException.class, refusal("node1/cpulist", 0).getCause());
  }

  @Test
  void thisHostReadsAsItsFilesSay() throws IOException {
    Path live = Path.of("/sys", MachineFixture.NODES);
    assumeTrue(Files.exists(live.resolve("online")), "no NUMA nodes in /sys");
    Machine host = Machine.fromSysfs(Machine.SYSFS);
    assertEquals(Files.readString(live.resolve("online")).strip(), host.online().toString());
    assertEquals(Files.readString(live.resolve("has_cpu")).strip(), host.withCpus().toString());
    assertEquals(
        Files.readString(live.resolve("has_memory")).strip(), host.withMemory().toString());
    assertEquals("sysfs /sys", host.origin());
    try (Stream<Path> entries = Files.list(live)) {
      assertEquals(
          host.nodes().size(),
          entries.filter(p -> p.getFileName().toString().matches("node[0-9]+")).count());
    }
    for (Node node : host.nodes()) {
      Path directory = live.resolve("node" + node.id());
      assertEquals(Files.readString(directory.resolve("cpulist")).strip(), node.cpus().toString());
      assertEquals(
          Files.readString(directory.resolve("distance")).strip(),
          String.join(
              " ",
              host.online().stream()
                  .mapToObj(to -> "" + host.distances().between(node.id(), to))
                  .toList()));
      if (node.hasMemory()) {
        String total = "MemTotal: *" + node.bytes() / KIB + " kB";
        assertTrue(
            Files.readAllLines(directory.resolve("meminfo")).stream()
                .anyMatch(line -> line.matches(".*" + total)),
            () -> "no line like " + total);
      }
    }
  }
}
