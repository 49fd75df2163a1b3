/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TopologyCommandTest {
  private static final String FIVE_NODES = CommandRun.captured("two-sockets-three-devices.txt");

  @Test
  void textOfACapturedMachine() {
    String out = CommandRun.of("topology", "--numactl", FIVE_NODES).succeeded();

    assertTrue(out.startsWith("origin    "), out);
    assertEquals(
        """
        online    0-4
        possible  0-4

        node  kind      memory  zone     CPUs
           0  system  16.0 GiB  Normal   0-3
           1  system  16.0 GiB  Normal   4-7
           2  device   4.0 GiB  Movable  none
           3  device   4.0 GiB  Movable  none
           4  device   1.5 GiB  Movable  none

        distances, from the row's node to the column's
        node   0   1   2   3   4
           0  10  40  40  40  40
           1  40  10  40  40  40
           2  40  40  10  40  40
           3  40  40  40  10  40
           4  40  40  40  40  10

        node 2 is taken for a device: it has memory and no CPUs
        node 3 is taken for a device: it has memory and no CPUs
        node 4 is taken for a device: it has memory and no CPUs
        """,
        out.substring(out.indexOf('\n') + 1));
  }

  @Test
  void textOfASysfsTreeShowsWhatFirmwareSays(@TempDir Path root) throws IOException {
    String out = CommandRun.of("topology", "--sysfs", sysfs(root)).succeeded();

    assertTrue(
        out.contains(
            """
            node  kind     memory  zone     tier  near  read latency  write latency  read bandwidth\
              write bandwidth  CPUs
               0  system  2.0 GiB  Normal      4                                                   \
                               0-1
               8  device  1.0 GiB  Movable    11     0        500 ns         600 ns     400.0 GiB/s\
                  200.0 GiB/s  none
            """),
        out);
    assertTrue(out.contains("   8  160  10\n"), out);
  }

  @Test
  void jsonHasEverythingAndNullForTheUnknown(@TempDir Path root) throws IOException {
    String out = CommandRun.of("topology", "--json", "--sysfs", sysfs(root)).succeeded();

    assertEquals(1, out.lines().count());
    JsonObject machine = JsonParser.parseString(out).getAsJsonObject();
    assertTrue(machine.get("origin").getAsString().contains(root.toString()), out);
    assertEquals("\"0,8\"", machine.get("online").toString());
    assertEquals("\"0-8\"", machine.get("possible").toString());
    assertEquals("\"8\"", machine.get("defaultDevices").toString());
    assertEquals("[[10,80],[160,10]]", machine.get("distances").toString());
    assertEquals(
        "{\"id\":8,\"cpus\":\"\",\"bytes\":1073741824,\"zone\":\"Movable\",\"attributes\":"
            + "{\"initiators\":\"0\",\"readLatencyNanos\":500,\"writeLatencyNanos\":600,"
            + "\"readBandwidthMebibytes\":409600,\"writeBandwidthMebibytes\":204800,\"tier\":11}}",
        machine.getAsJsonArray("nodes").get(1).toString());
    assertEquals(
        "{\"initiators\":\"\",\"readLatencyNanos\":null,\"writeLatencyNanos\":null,"
            + "\"readBandwidthMebibytes\":null,\"writeBandwidthMebibytes\":null,\"tier\":4}",
        machine.getAsJsonArray("nodes").get(0).getAsJsonObject().get("attributes").toString());
  }

  @Test
  void jsonOfACapturedMachineKnowsNoAttributes() {
    String out =
        CommandRun.of("topology", "--json", "--numactl", CommandRun.captured("one-node.txt"))
            .succeeded();

    assertTrue(
        out.endsWith(
            "\"online\":\"0\",\"possible\":\"0\",\"defaultDevices\":\"\",\"nodes\":[{\"id\":0,"
                + "\"cpus\":\"0-1\",\"bytes\":8339324928,\"zone\":\"Normal\",\"attributes\":null}],"
                + "\"distances\":[[10]]}\n"),
        out);
  }

  @Test
  void aNodeWithoutMemoryHasNone() {
    String out =
        CommandRun.of("topology", "--numactl", CommandRun.captured("memoryless-cpus.txt"))
            .succeeded();

    assertTrue(out.contains("\n   0  system      0 B           0-1\n"), out);
  }

  @Test
  void twoSourcesAreRefused() {
    CommandRun.of("topology", "--numactl", FIVE_NODES, "--sysfs", "/sys")
        .refused("--sysfs=DIR", "--numactl=FILE", "mutually exclusive");
  }

  @Test
  void aMissingFileIsRefused() {
    CommandRun.of("topology", "--numactl", "no-such-file.txt")
        .refused("no-such-file.txt: cannot be read: error=no such file or directory;");
    CommandRun.of("topology", "--sysfs", "no-such-directory").refused("no-such-directory");
    CommandRun.of("topology", "--numactl", "").refused(": (empty name): cannot be read");
  }

  @Test
  void aFileThatIsNoMachineIsRefused() {
    CommandRun.of("topology", "--numactl", CommandRun.captured("no-numa.txt"))
        .refused("no-numa.txt", "CONFIG_NUMA");
  }

  @Test
  void anErrorInAFileSpeaksOfTheFileAlone() {
    for (String file : List.of("", "no-such-file.txt", CommandRun.captured("no-numa.txt"))) {
      String err = CommandRun.of("topology", "--numactl", file).err();
      assertFalse(err.contains("--help"), err);
      assertFalse(err.contains("java."), err);
    }
  }

  private static String sysfs(Path root) throws IOException {
    Path nodes = root.resolve("devices/system/node");
    write(nodes.resolve("online"), "0,8\n");
    write(nodes.resolve("possible"), "0-8\n");
    write(nodes.resolve("has_cpu"), "0\n");
    write(nodes.resolve("has_memory"), "0,8\n");
    write(nodes.resolve("has_normal_memory"), "0\n");
    write(nodes.resolve("node0/cpulist"), "0-1\n");
    write(nodes.resolve("node0/distance"), "10 80\n");
    write(nodes.resolve("node0/meminfo"), "Node 0 MemTotal:        2097152 kB\n");
    write(nodes.resolve("node8/cpulist"), "\n");
    write(nodes.resolve("node8/distance"), "160 10\n");
    write(nodes.resolve("node8/meminfo"), "Node 8 MemTotal:        1048576 kB\n");
    Path access = nodes.resolve("node8/access0/initiators");
    Files.createDirectories(access.resolve("node0"));
    write(access.resolve("read_latency"), "500\n");
    write(access.resolve("write_latency"), "600\n");
    write(access.resolve("read_bandwidth"), "409600\n");
    write(access.resolve("write_bandwidth"), "204800\n");
    Path tiers = root.resolve("devices/virtual/memory_tiering");
    write(tiers.resolve("memory_tier4/nodelist"), "0\n");
    write(tiers.resolve("memory_tier11/nodelist"), "8\n");
    return root.toString();
  }

  private static void write(Path file, String text) throws IOException {
    Files.createDirectories(file.getParent());
    Files.writeString(file, text);
  }
}
