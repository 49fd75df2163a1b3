/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonParser;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ZonelistsCommandTest {
  private static final String FIVE_NODES = CommandRun.captured("two-sockets-three-devices.txt");

  @Test
  void textSaysWhyAndPrintsTheTableOfTheMail() {
    assertEquals(
        """
        node 2 is taken for a device: it has memory and no CPUs
        node 3 is taken for a device: it has memory and no CPUs
        node 4 is taken for a device: it has memory and no CPUs

        Sample zonelist configuration:
        [NODE (0)]\t\t\t\t\t\tRAM
                ZONELIST_FALLBACK (0)
                        (0) (node 0) (Normal  0)
                        (1) (node 1) (Normal  1)
                ZONELIST_NOFALLBACK (1)
                        (0) (node 0) (Normal  0)
        [NODE (1)]\t\t\t\t\t\tRAM
                ZONELIST_FALLBACK (2)
                        (0) (node 1) (Normal  1)
                        (1) (node 0) (Normal  0)
                ZONELIST_NOFALLBACK (3)
                        (0) (node 1) (Normal  1)
        [NODE (2)]\t\t\t\t\t\tCDM
                ZONELIST_FALLBACK (4)
                        (0) (node 2) (Movable 2)
                        (1) (node 0) (Normal  0)
                        (2) (node 1) (Normal  1)
                ZONELIST_NOFALLBACK (5)
                        (0) (node 2) (Movable 2)
        [NODE (3)]\t\t\t\t\t\tCDM
                ZONELIST_FALLBACK (6)
                        (0) (node 3) (Movable 3)
                        (1) (node 0) (Normal  0)
                        (2) (node 1) (Normal  1)
                ZONELIST_NOFALLBACK (7)
                        (0) (node 3) (Movable 3)
        [NODE (4)]\t\t\t\t\t\tCDM
                ZONELIST_FALLBACK (8)
                        (0) (node 4) (Movable 4)
                        (1) (node 0) (Normal  0)
                        (2) (node 1) (Normal  1)
                ZONELIST_NOFALLBACK (9)
                        (0) (node 4) (Movable 4)
        """,
        CommandRun.of("zonelists", "--numactl", FIVE_NODES, "--rule=assign", "--spill=ram")
            .succeeded());
  }

  @Test
  void jsonOfTheDefaultsIsAccumulateAndStrict() {
    assertEquals(
        "{\"rule\":\"accumulate\",\"spill\":\"strict\",\"nodes\":["
            + "{\"node\":0,\"kind\":\"system\",\"fallback\":[0,1],\"nofallback\":[0]},"
            + "{\"node\":1,\"kind\":\"system\",\"fallback\":[1,0],\"nofallback\":[1]},"
            + "{\"node\":2,\"kind\":\"device\",\"fallback\":[2],\"nofallback\":[2]},"
            + "{\"node\":3,\"kind\":\"device\",\"fallback\":[3],\"nofallback\":[3]},"
            + "{\"node\":4,\"kind\":\"device\",\"fallback\":[4],\"nofallback\":[4]}]}\n",
        CommandRun.of("zonelists", "--numactl", FIVE_NODES, "--format", "json").succeeded());
  }

  @Test
  void ruleAndSpillReachTheLists() {
    assertEquals("[3,1,0]", fallback(3, "--spill", "ram"));
    assertEquals("[3,0,1]", fallback(3, "--spill", "ram", "--rule", "assign"));
    assertEquals("[3]", fallback(3, "--rule", "assign", "--spill", "strict"));
  }

  @Test
  void namedDevicesReplaceTheDefault() {
    assertEquals("[0,3,4,1]", fallback(0, "--device", "2"));
    assertEquals("[0,4]", fallback(0, "--device", "1-3"));
  }

  @Test
  void noneMakesEveryNodeASystemNode() {
    String out =
        CommandRun.of("zonelists", "--numactl", FIVE_NODES, "--device", "none").succeeded();

    assertTrue(out.startsWith("Sample zonelist configuration:\n[NODE (0)]\t\t\t\t\t\tRAM\n"), out);
    assertTrue(!out.contains("CDM"), out);
    assertEquals("[0,2,3,4,1]", fallback(0, "--device", "none"));
  }

  @Test
  void aMachineWithoutDeviceNodesSaysSo() {
    String out =
        CommandRun.of("zonelists", "--numactl", CommandRun.captured("one-node.txt")).succeeded();

    assertTrue(
        out.startsWith("no node is taken for a device: none has memory and no CPUs\n\nSample"),
        out);
  }

  @Test
  void aMachineOfDevicesAloneSaysSo() {
    String out =
        CommandRun.of("zonelists", "--numactl", CommandRun.captured("memoryless-cpus.txt"))
            .succeeded();

    assertTrue(
        out.startsWith(
            """
            node 8 is taken for a device: it has memory and no CPUs
            no system node with memory is left: an allocator needs one

            Sample zonelist configuration:
            [NODE (0)]\t\t\t\t\t\tRAM
                    ZONELIST_FALLBACK (0)
                    ZONELIST_NOFALLBACK (1)
            [NODE (8)]\t\t\t\t\t\tCDM
            """),
        out);
  }

  @Test
  void aDeviceThatIsNotOnlineIsRefused() {
    CommandRun.of("zonelists", "--numactl", FIVE_NODES, "--device", "2,7-8")
        .refused("not online: nodes=7-8, online=0-4", "cdmalloc zonelists --help");
  }

  @ParameterizedTest
  @ValueSource(strings = {"2-", "x", "4-2", "2,none", "-1", "1024", "", " ", "0-3:2/4", "2,,3"})
  void aListThatIsNoneIsRefused(String list) {
    CommandRun.of("zonelists", "--numactl", FIVE_NODES, "--device=" + list).refused("--device");
  }

  @Test
  void wordsAreSpelledInLowerCase() {
    CommandRun.of("zonelists", "--numactl", FIVE_NODES, "--rule", "ASSIGN")
        .refused("--rule", "'ASSIGN' is none of assign, accumulate");
    CommandRun.of("zonelists", "--numactl", FIVE_NODES, "--spill", "cdm")
        .refused("--spill", "'cdm' is none of strict, ram");
    CommandRun.of("zonelists", "--numactl", FIVE_NODES, "--format", "xml")
        .refused("--format", "'xml' is none of text, json");
  }

  @Test
  void anOptionTwiceIsRefused() {
    CommandRun.of("zonelists", "--rule", "assign", "--rule", "assign").refused("--rule");
  }

  @Test
  void helpNamesEveryOptionAndDefault() {
    String help = CommandRun.of("zonelists", "--help").succeeded();

    for (String word :
        List.of(
            "--sysfs", "--numactl", "--device", "--rule", "--spill", "--format", "accumulate")) {
      assertTrue(help.contains(word), help);
    }
    assertTrue(!help.contains("\u001b"), help);
  }

  private static String fallback(int node, String... options) {
    String[] arguments = new String[options.length + 5];
    System.arraycopy(
        new String[] {"zonelists", "--numactl", FIVE_NODES, "--format", "json"},
        0,
        arguments,
        0,
        5);
    System.arraycopy(options, 0, arguments, 5, options.length);
    return JsonParser.parseString(CommandRun.of(arguments).succeeded())
        .getAsJsonObject()
        .getAsJsonArray("nodes")
        .get(node)
        .getAsJsonObject()
        .get("fallback")
        .toString();
  }
}
