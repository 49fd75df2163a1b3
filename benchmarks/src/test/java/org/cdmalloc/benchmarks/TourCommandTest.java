/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;

/** The tour, on this host and where there is no native code. */
final class TourCommandTest {
  private static void assertHolds(String tour, String part) {
    assertTrue(tour.contains(part), () -> "no \"" + part + "\" in: " + tour);
  }

  private static void assertTellsItsStory(String tour) {
    // An implicit request is refused on exhaustion while the device stays empty.
    assertHolds(tour, "implicit requests took 63 blocks of 1 MiB, then:");
    assertHolds(tour, "would fall below its low mark (256 of 16384 pages free)\n");
    assertHolds(tour, "meanwhile: 0 MiB used, 0 MiB committed of 32 MiB");
    assertHolds(tour, "now: 1 MiB used, 2 MiB committed of 32 MiB");
    // A device node is reached by name only.
    assertHolds(tour, "refused: placement names a device node");
    assertFalse(tour.contains("NodeAllocator.device("), tour);
    // Its holders use what they may, and no more.
    assertHolds(tour, "quota of 2 MiB: 2 blocks of 1 MiB, 0 MiB of them in RAM, then:");
    assertHolds(tour, "no spill budget: 0 blocks of 1 MiB, 0 MiB of them in RAM, then:");
    assertHolds(tour, "spill budget of 2 MiB: 2 blocks of 1 MiB, 2 MiB of them in RAM, then:");
    // The machine of the mails, labelled.
    assertHolds(tour, "EMULATED: nothing below is a measurement.");
    assertHolds(tour, "(2) (node 1) (Normal  1)");
  }

  @Test
  void onThisHostTheKernelSaysWhereMemoryLies() {
    MemorySource source;
    try (NodeAllocator memory = NodeAllocator.open()) {
      source = memory.source();
    }
    String tour = CommandRun.of("tour").succeeded();
    assertHolds(tour, "memory source: " + source.name());
    assertHolds(tour, source.isReal() ? "16 pages on node 0 (move_pages)" : "(emulated)");
    if (source.machine().withMemory().size() == 1) {
      assertTellsItsStory(tour);
    }
  }

  private static final long GIBIBYTE = 1L << 30;

  private static Machine oneNode() {
    return Machine.builder().node(Node.of(0, "0-1", GIBIBYTE)).build();
  }

  private static String hostTour(MemorySource source) {
    StringWriter text = new StringWriter();
    PrintWriter out = new PrintWriter(text);
    TourCommand.host(out, source);
    out.flush();
    return text.toString();
  }

  @Test
  @EnabledOnOs(OS.LINUX)
  void theMailsMachineIsEmulatedWhateverTheHostsSourceIs() {
    for (String source : List.of("linux", "emulated")) {
      String tour = tourWithSource(source).succeeded();
      assertHolds(tour, "memory source: " + source);
      assertHolds(tour, "memory.device(2).allocateBuffer(1 MiB): 256 pages on node 2 (emulated)");
    }
  }

  @Test
  void anUnknownSourceIsWrongInput() {
    tourWithSource("windows").refused("no such memory source", "windows");
  }

  private static CommandRun tourWithSource(String source) {
    System.setProperty("cdmalloc.source", source);
    try {
      return CommandRun.of("tour");
    } finally {
      System.clearProperty("cdmalloc.source");
    }
  }

  @Test
  void aLimitIsAnAnswerAndNotAFailure() {
    String tour = hostTour(RefusingSource.limited(oneNode(), 8 << 20));
    assertHolds(tour, "This host. Memory is real, and the kernel says where it lies.");
    assertHolds(tour, "implicit requests took 8 blocks of 1 MiB, then:\n  node 0: memory refused:");
    assertHolds(tour, "allocateBuffer(1 MiB): refused\n  node 1: memory refused: LIMIT_REACHED");
  }

  @Test
  void aLimitOfNothingIsToldRequestByRequest() {
    String tour = hostTour(RefusingSource.limited(oneNode(), 0));
    assertHolds(tour, "no memory: node 0: memory refused: LIMIT_REACHED");
    assertHolds(tour, "implicit requests took 0 blocks of 1 MiB, then:");
  }

  @Test
  void whereNothingCanBeBoundTheTourSaysSoAndGoesOn() {
    String tour = hostTour(RefusingSource.unbound(oneNode()));
    assertHolds(tour, "This host. Memory is real, but the kernel does not let it be bound");
    assertFalse(tour.contains("and the kernel says where it lies"), tour);
    assertHolds(tour, "note: mbind is refused; allow it");
    assertHolds(tour, "16 pages, the kernel does not say where");
    assertEquals(1, tour.split("allow it", -1).length - 1, tour);
    assertHolds(
        tour, "device node 1 stays offline: cannot bring a device node online here: node=1\n");
    assertHolds(
        tour, "implicit requests took 63 blocks of 1 MiB, then:\n  node 0: would fall below");
    assertFalse(tour.contains("asked by name"), tour);
  }

  @Test
  void nodesWithoutMemoryDistancesAndListsAreShown() {
    Machine machine =
        Machine.builder()
            .node(Node.of(0, "0-1", 0))
            .node(Node.of(1, "2-3", GIBIBYTE))
            .distances((from, to) -> from == to ? 10 : 21)
            .build();
    String tour = hostTour(TourCommand.emulatedSource(machine));
    assertHolds(
        tour,
        """
        node  kind     memory  capacity here  CPUs
           0  system    0 MiB                 0-1
           1  system  992 MiB         64 MiB  2-3
           2  device   32 MiB         32 MiB  none

        distances, from the row's node to the column's
        node   0   1   2
           0  10  21  21
           1  21  10  20
           2  21  20  10
        """);
    assertHolds(
        tour,
        """
        [NODE (2)]\t\t\t\t\t\tCDM
                ZONELIST_FALLBACK (4)
                        (0) (node 2) (Normal  1)
                ZONELIST_NOFALLBACK (5)
                        (0) (node 2) (Normal  1)
        """);
  }

  @Test
  void theArenaIsOnTheLargestNodeSoThatItFits() {
    Machine machine =
        Machine.builder()
            .node(Node.of(0, "0", 16 << 20))
            .node(Node.of(1, "1", GIBIBYTE))
            .node(Node.of(2, "2", GIBIBYTE))
            .build();
    String tour = hostTour(TourCommand.emulatedSource(machine));
    assertHolds(tour, "Node 3 is designated for this tour: 32 MiB of node 1 that count");
  }

  @Test
  void theArenasNumberIsOneThatNoNodeWillHaveIfThereIsOne() {
    assertEquals(1, TourCommand.arenaNode(oneNode()));
    assertEquals(0, TourCommand.arenaNode(machine("1", "1,3")));
    assertEquals(2, TourCommand.arenaNode(machine("0", "0-1")));
    assertEquals(1, TourCommand.arenaNode(machine("0", "0-1023")));
    assertHolds(
        hostTour(TourCommand.emulatedSource(machine("0", "0-1023"))),
        "Node 1 is designated for this tour");
  }

  private static Machine machine(String online, String possible) {
    int node = NodeMask.parse(online).first();
    return Machine.builder()
        .node(Node.of(node, "0", GIBIBYTE))
        .possible(NodeMask.parse(possible))
        .build();
  }

  @Test
  void helpSaysHowMuchItUses() {
    String help = CommandRun.of("tour", "--help").succeeded().replaceAll("\\s+", " ");
    assertHolds(help, "at most 64 MiB of each node, and 32 MiB for the arena");
  }

  @Test
  void withoutNativeCodeItIsEmulatedAndSaysSo() throws Exception {
    List<String> classPath =
        Arrays.stream(
                System.getProperty(
                        "surefire.test.class.path", System.getProperty("java.class.path"))
                    .split(File.pathSeparator, -1))
            .filter(entry -> !isNative(Path.of(entry)))
            .collect(Collectors.toList());
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx64m",
                "-cp",
                String.join(File.pathSeparator, classPath),
                CommandLineMain.class.getName())
            .redirectErrorStream(true)
            .start();
    String tour = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), tour);
    assertHolds(tour, "This host, EMULATED: no kernel was asked where memory lies.");
    assertFalse(tour.contains("move_pages"), tour);
    assertTellsItsStory(tour);
  }

  /** Tells whether a class path entry is numa-binding, as classes or as a jar, or JNA. */
  private static boolean isNative(Path entry) {
    String name = entry.getFileName().toString();
    return name.startsWith("jna-")
        || name.startsWith("numa-binding")
        || entry.endsWith(Path.of("numa-binding", "target", "classes"));
  }
}
