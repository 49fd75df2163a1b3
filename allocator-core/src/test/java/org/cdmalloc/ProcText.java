/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Reads the kernel's texts about memory, whoever printed them. What was read of a line is printed
 * again by the kernel's printf format and must be that line, blank for blank; every other line is
 * refused.
 */
final class ProcText {
  private static final Pattern ZONE = Pattern.compile("Node (\\d+), zone +(\\w+)");
  private static final Pattern BUDDYINFO = Pattern.compile(ZONE + "((?: +\\d+)+) ");
  private static final Pattern PROTECTION =
      Pattern.compile(" {8}protection: \\((\\d+(?:, \\d+)*)\\)");

  private static final Pattern NUMBER = Pattern.compile("\\d+");
  private static final Pattern FIGURE = Pattern.compile(" *(\\w.*?) +(-?\\d+)");

  /** In a paragraph of zoneinfo: of the zone, its counters, a CPU's set of pages, and the rest. */
  private static final List<String> ZONEINFO =
      List.of(
          "  %-14s %d",
          "        %-8s %d",
          "      %-12s %d",
          "    %s %d",
          "              %-9s %d",
          "  %s %d",
          "  %-20s %d");

  private static final String NUMASTAT = "%s %d";

  /** A zone of a node, by its kernel name. */
  record Zone(int node, String name) {}

  private record Figure(String name, long value) {}

  private ProcText() {}

  /** Reads {@code /proc/buddyinfo}: free blocks per order, by zone, in the order of the lines. */
  static Map<Zone, List<Integer>> buddyinfo(String text) {
    Map<Zone, List<Integer>> zones = new LinkedHashMap<>();
    for (String line : lines(text)) {
      Matcher matcher = BUDDYINFO.matcher(line);
      require(matcher.matches(), line);
      List<Integer> blocks = numbers(matcher.group(3)).map(Integer::valueOf).toList();
      Zone zone = zone(matcher);
      String counts = blocks.stream().map(n -> print("%6d ", n)).collect(Collectors.joining());
      require(line.equals(print("Node %d, zone %8s ", zone.node, zone.name) + counts), line);
      putOnce(zones, zone, blocks);
    }
    return zones;
  }

  /**
   * Reads {@code /proc/zoneinfo}: the figures of each zone by name. Names of what stands below a
   * heading have it before them, {@code per-node stats/nr_dirty}, {@code cpu: 0/batch:}; the
   * protection is given as its sum.
   */
  static Map<Zone, Map<String, Long>> zoneinfo(String text) {
    Map<Zone, Map<String, Long>> zones = new LinkedHashMap<>();
    Map<String, Long> figures = new LinkedHashMap<>();
    String heading = "";
    for (String line : lines(text)) {
      Matcher zone = ZONE.matcher(line);
      Matcher protection = PROTECTION.matcher(line);
      if (zone.matches()) {
        require(line.equals(print("Node %d, zone %8s", zone(zone).node, zone(zone).name)), line);
        figures = new LinkedHashMap<>();
        putOnce(zones, zone(zone), figures);
        heading = "";
      } else if (line.equals("  per-node stats") || line.startsWith("    cpu: ")) {
        heading = line.strip() + "/";
      } else if (line.equals("  pagesets")) {
        heading = "";
      } else if (protection.matches()) {
        putOnce(
            figures, "protection", numbers(protection.group(1)).mapToLong(Long::parseLong).sum());
      } else {
        Figure figure = figure(ZONEINFO, line);
        // A zone's figures follow those of the node, and what is left those of the last CPU.
        heading = List.of("pages free", "node_unreclaimable:").contains(figure.name) ? "" : heading;
        putOnce(figures, heading + figure.name, figure.value);
      }
    }
    return zones;
  }

  /** Reads a node's {@code numastat}: the counters by name, in the order of the lines. */
  static Map<String, Long> numastat(String text) {
    Map<String, Long> counters = new LinkedHashMap<>();
    for (String line : lines(text)) {
      Figure figure = figure(List.of(NUMASTAT), line);
      putOnce(counters, figure.name, figure.value);
    }
    return counters;
  }

  private static List<String> lines(String text) {
    require(text.isEmpty() || text.endsWith("\n"), text);
    return text.lines().toList();
  }

  private static Zone zone(Matcher matcher) {
    return new Zone(Integer.parseInt(matcher.group(1)), matcher.group(2));
  }

  private static Figure figure(List<String> formats, String line) {
    Matcher matcher = FIGURE.matcher(line);
    require(matcher.matches(), line);
    Figure figure = new Figure(matcher.group(1), Long.parseLong(matcher.group(2)));
    require(formats.stream().anyMatch(f -> line.equals(print(f, figure.name, figure.value))), line);
    return figure;
  }

  private static Stream<String> numbers(String text) {
    return NUMBER.matcher(text).results().map(MatchResult::group);
  }

  private static String print(String format, Object... arguments) {
    return String.format(Locale.ROOT, format, arguments);
  }

  private static <K, V> void putOnce(Map<K, V> map, K key, V value) {
    if (map.putIfAbsent(key, value) != null) {
      throw new AssertionError("stands there twice: " + key);
    }
  }

  private static void require(boolean holds, String line) {
    if (!holds) {
      throw new AssertionError("not the kernel's format: \"" + line + "\"");
    }
  }
}
