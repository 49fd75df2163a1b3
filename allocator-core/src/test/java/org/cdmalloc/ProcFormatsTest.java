/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.cdmalloc.topology.Zonelist.Kind;
import org.junit.jupiter.api.Test;

/**
 * The dumps of a report are in the kernel's formats: the code that reads the files of this host's
 * kernel reads them, and gets the report's figures.
 */
class ProcFormatsTest {
  private static final Path BUDDYINFO = Path.of("/proc/buddyinfo");
  private static final Path ZONEINFO = Path.of("/proc/zoneinfo");
  private static final Path NUMASTAT = Path.of("/sys/devices/system/node/node0/numastat");

  private static final int PAGE = 4096;
  private static final int ORDERS = 11;
  private static final int RANDOM_REPORTS = 200;

  private static String hostFile(Path file) throws IOException {
    assumeTrue(Files.isReadable(file), () -> "this host has no readable " + file);
    return Files.readString(file);
  }

  @Test
  void buddyinfoOfThisHostIsReadAndPrintedTheSame() throws IOException {
    String host = hostFile(BUDDYINFO);
    Map<ProcText.Zone, List<Integer>> zones = ProcText.buddyinfo(host);
    assertFalse(zones.isEmpty());
    StringBuilder printed = new StringBuilder();
    zones.forEach(
        (zone, blocks) ->
            printed.append(KernelFormats.buddyinfo(zone.node(), zone.name(), blocks)));
    assertEquals(host, printed.toString());
  }

  @Test
  void zoneinfoOfThisHostIsRead() throws IOException {
    Map<ProcText.Zone, Map<String, Long>> zones = ProcText.zoneinfo(hostFile(ZONEINFO));
    assertFalse(zones.isEmpty());
    // A zone without pages has no more than its marks.
    zones.values().removeIf(figures -> figures.get("present") == 0);
    assertFalse(zones.isEmpty());
    zones.forEach(
        (zone, figures) -> {
          assertTrue(figures.get("managed") <= figures.get("present"), zone::toString);
          assertTrue(figures.get("present") <= figures.get("spanned"), zone::toString);
          // Kernels differ in what they print, but not in the names of these.
          assertTrue(
              figures
                  .keySet()
                  .containsAll(
                      List.of("pages free", "min", "low", "high", "protection", "start_pfn:")),
              figures::toString);
        });
  }

  @Test
  void zoneinfoHasTheNamesOfThisHostInItsOrder() throws IOException {
    Map<ProcText.Zone, Map<String, Long>> host = ProcText.zoneinfo(hostFile(ZONEINFO));
    List<String> names =
        host.values().stream()
            .filter(figures -> figures.containsKey("numa_hit"))
            .findFirst()
            .map(figures -> List.copyOf(figures.keySet()))
            .orElse(List.of());
    assumeTrue(!names.isEmpty(), "this host's kernel is built without NUMA");
    List<String> ours =
        List.copyOf(
            ProcText.zoneinfo(ReportFixture.small().zoneinfo())
                .values()
                .iterator()
                .next()
                .keySet());
    List<String> unknown = ours.stream().filter(name -> !names.contains(name)).toList();
    // These two came with Linux 5.9 and 5.12.
    assertTrue(List.of("boost", "cma").containsAll(unknown), unknown::toString);
    assertEquals(
        names.stream().filter(ours::contains).toList(),
        ours.stream().filter(names::contains).toList());
  }

  @Test
  void numastatOfThisHostIsReadAndPrintedTheSame() throws IOException {
    String host = hostFile(NUMASTAT);
    Map<String, Long> counters = ProcText.numastat(host);
    assertEquals(
        host,
        KernelFormats.numastat(
            new NumaCounters(
                counters.get("numa_hit"),
                counters.get("numa_miss"),
                counters.get("numa_foreign"),
                counters.get("interleave_hit"),
                counters.get("local_node"),
                counters.get("other_node"))));
  }

  @Test
  void aSmallReportPrintsTheseTexts() {
    MemoryReport report = ReportFixture.small();
    assertEquals(
        """
        Node 0, zone   Normal      1      1      0      1      1      1      1      1      1      1      1      1      1      1\s
        Node 1, zone   Normal      0      0      0      0      0      0      0      0      0      1      0\s
        Node 2, zone  Movable      0      0      0      0      0      0      0      0      1      1      1\s
        """,
        report.buddyinfo());
    String zones = report.zoneinfo();
    assertEquals(
        """
        Node 0, zone   Normal
          pages free     15611
                boost    0
                min      64
                low      80
                high     96
                spanned  16384
                present  16384
                managed  16384
                cma      0
                protection: (0, 0, 0, 0, 0)
              nr_free_pages 15611
              numa_hit     1234567
              numa_miss    10
              numa_foreign 20
              numa_interleave 400
              numa_local   1234500
              numa_other   77
          pagesets
          node_unreclaimable:  0
          start_pfn:           0
        """,
        zones.substring(0, zones.indexOf("Node 1")));
    assertEquals(
        """
        Node 2, zone  Movable
          pages free     1792
                boost    0
                min      8
                low      10
                high     12
                spanned  2048
                present  2048
                managed  2048
                cma      0
                protection: (0, 0, 0, 0, 0)
              nr_free_pages 1792
              numa_hit     7
              numa_miss    0
              numa_foreign 0
              numa_interleave 0
              numa_local   3
              numa_other   4
          pagesets
          node_unreclaimable:  0
          start_pfn:           0
        """,
        zones.substring(zones.indexOf("Node 2")));
    assertEquals(
        """
        numa_hit 1234567
        numa_miss 10
        numa_foreign 20
        interleave_hit 400
        local_node 1234500
        other_node 77
        """,
        report.numastat(0));
  }

  @Test
  void figuresComeBackFromTheTexts() {
    forRandomReports(
        report -> {
          Map<ProcText.Zone, List<Integer>> blocks = ProcText.buddyinfo(report.buddyinfo());
          Map<ProcText.Zone, Map<String, Long>> zones = ProcText.zoneinfo(report.zoneinfo());
          List<NodeReport> online = report.nodes().stream().filter(NodeReport::online).toList();
          assertEquals(online.stream().map(ProcFormatsTest::zone).toList(), keys(blocks));
          assertEquals(keys(blocks), keys(zones));
          for (NodeReport node : online) {
            assertEquals(padded(node.freeBlocksPerOrder()), blocks.get(zone(node)));
            assertEquals(figures(node), zones.get(zone(node)));
          }
        });
  }

  @Test
  void countersComeBackFromNumastat() {
    forRandomReports(
        report ->
            report
                .nodes()
                .forEach(
                    node ->
                        assertEquals(
                            counters(node.counters()),
                            ProcText.numastat(report.numastat(node.node())))));
  }

  private static void forRandomReports(Consumer<MemoryReport> check) {
    Long given = Long.getLong("seed");
    for (long seed = 1; seed <= (given == null ? RANDOM_REPORTS : 1); seed++) {
      long chosen = given == null ? seed : given;
      try {
        check.accept(ReportFixture.random(new SplittableRandom(chosen)));
      } catch (AssertionError e) {
        throw new AssertionError("-Dseed=" + chosen + ": " + e.getMessage(), e);
      }
    }
  }

  private static <K> List<K> keys(Map<K, ?> map) {
    return List.copyOf(map.keySet());
  }

  private static ProcText.Zone zone(NodeReport node) {
    return new ProcText.Zone(node.node(), node.kind() == Kind.SYSTEM ? "Normal" : "Movable");
  }

  private static List<Integer> padded(List<Integer> blocks) {
    List<Integer> padded = new ArrayList<>(blocks);
    while (padded.size() < ORDERS) {
      padded.add(0);
    }
    return padded;
  }

  private static Map<String, Long> figures(NodeReport node) {
    Map<String, Long> figures = new LinkedHashMap<>();
    figures.put("pages free", node.freeBytes() / PAGE);
    figures.put("boost", 0L);
    figures.put("min", node.marks().minBytes() / PAGE);
    figures.put("low", node.marks().lowBytes() / PAGE);
    figures.put("high", node.marks().highBytes() / PAGE);
    figures.put("spanned", node.reservedBytes() / PAGE);
    figures.put("present", node.capacityBytes() / PAGE);
    figures.put("managed", node.capacityBytes() / PAGE);
    figures.put("cma", 0L);
    figures.put("protection", 0L);
    figures.put("nr_free_pages", node.freeBytes() / PAGE);
    figures.put("numa_hit", node.counters().numaHit());
    figures.put("numa_miss", node.counters().numaMiss());
    figures.put("numa_foreign", node.counters().numaForeign());
    figures.put("numa_interleave", node.counters().interleaveHit());
    figures.put("numa_local", node.counters().localNode());
    figures.put("numa_other", node.counters().otherNode());
    figures.put("node_unreclaimable:", 0L);
    figures.put("start_pfn:", 0L);
    return figures;
  }

  private static Map<String, Long> counters(NumaCounters counters) {
    return Map.of(
        "numa_hit",
        counters.numaHit(),
        "numa_miss",
        counters.numaMiss(),
        "numa_foreign",
        counters.numaForeign(),
        "interleave_hit",
        counters.interleaveHit(),
        "local_node",
        counters.localNode(),
        "other_node",
        counters.otherNode());
  }

  @Test
  void noDeviceThatIsOfflineAndNoStripeHasALine() {
    MemoryReport report = ReportFixture.small();
    assertEquals(
        List.of(0, 1, 2),
        ProcText.buddyinfo(report.buddyinfo()).keySet().stream()
            .map(ProcText.Zone::node)
            .collect(Collectors.toList()));
    assertEquals(
        Map.of(),
        ProcText.buddyinfo(
            new MemoryReport(List.of(report.node(9)), List.of(), List.of(), List.of())
                .buddyinfo()));
    assertEquals(
        "",
        new MemoryReport(List.of(report.node(9)), report.stripes(), List.of(), List.of())
            .zoneinfo());
    assertEquals(counters(NumaCounters.ZERO), ProcText.numastat(report.numastat(9)));
  }

  @Test
  void digitsAreTheKernelsInEveryLocale() {
    Locale before = Locale.getDefault();
    try {
      String expected = ReportFixture.small().zoneinfo();
      Locale.setDefault(Locale.forLanguageTag("ar-EG-u-nu-arab"));
      assertEquals(expected, ReportFixture.small().zoneinfo());
      assertTrue(ReportFixture.small().buddyinfo().contains("Movable      0"));
      assertTrue(ReportFixture.small().numastat(0).startsWith("numa_hit 1234567\n"));
    } finally {
      Locale.setDefault(before);
    }
  }

  @Test
  void whatIsNotTheKernelsFormatIsRefused() {
    for (String text :
        List.of(
            "Node 0, zone  Normal      1 \n",
            "Node 0, zone   Normal     1 \n",
            "Node 0, zone   Normal      1\n",
            "Node 0, zone   Normal      1 ",
            "Node 0, zone   Normal      1 \nNode 0, zone   Normal      1 \n")) {
      assertThrows(AssertionError.class, () -> ProcText.buddyinfo(text), text);
    }
    for (String line :
        List.of(
            "  pages free    1", "       min      1", "      numa_hit    1", "  start_pfn: 1 ")) {
      String text = "Node 0, zone   Normal\n" + line + "\n";
      assertThrows(AssertionError.class, () -> ProcText.zoneinfo(text), text);
    }
    assertThrows(AssertionError.class, () -> ProcText.zoneinfo("Node 0, zone  Normal\n"));
    for (String text : List.of("numa_hit  1\n", " numa_hit 1\n", "numa_hit 1", "numa_hit\n")) {
      assertThrows(AssertionError.class, () -> ProcText.numastat(text), text);
    }
  }
}
