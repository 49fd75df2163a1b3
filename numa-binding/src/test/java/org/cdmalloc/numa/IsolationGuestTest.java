/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestReporter;

/**
 * What a kernel counts as placed on device nodes stands still, to the page, while requests of all
 * placements fill RAM until the kernel has no more, again and again. It runs in guests only.
 */
final class IsolationGuestTest {
  private static final int WAVES = Integer.getInteger("isolation.waves", 3);
  private static final long MIB = 1L << 20;
  private static final int HELD_MIB = 8;
  private static final int MOST_READS = 100;

  /** What of each node of RAM is left to be fought for. */
  private static final long LEFT_BYTES = 128 * MIB;

  private static final Path NODES = Machine.SYSFS.resolve("devices/system/node");
  private static final Pattern PAIR = Pattern.compile("(\\w+) (\\d+)");
  private static final Pattern ZONE = Pattern.compile("Node (\\d+), zone +\\w+");
  private static final Pattern PAGESET = Pattern.compile("\\s+count: +(\\d+)");
  private static final Pattern FIGURES =
      Pattern.compile(
          "requests=(\\d+), refused=(\\d+), blocks=\\d+, pages_on_devices=(-?\\d+),"
              + " displaced_bytes=(\\d+), races=(\\d+), .*");

  private final Machine machine = Machine.fromSysfs(Machine.SYSFS);
  private final NodeMask devices = machine.memoryOnly();
  private final NodeMask system = machine.withMemory().without(devices);
  private OffDevices offDevices;

  @BeforeEach
  void leaveLittleRam() throws IOException {
    ThisHost.assumeGuest("it fills all memory of the host");
    assertTrue(system.size() > 1 && !devices.isEmpty(), "not nodes of both kinds: " + machine);
    offDevices = new OffDevices(system);
  }

  @AfterEach
  void restore() throws IOException {
    if (offDevices != null) {
      offDevices.close();
      for (int node : system.stream().toArray()) {
        keepHugePages(node, 0);
      }
    }
  }

  private static void keepHugePages(int node, long bytes) throws IOException {
    Files.writeString(
        NODES.resolve("node" + node + "/hugepages/hugepages-2048kB/nr_hugepages"),
        Long.toString(bytes / (2 * MIB)));
  }

  /** All that the kernel counts of device nodes, read until it says the same twice. */
  private Map<String, Long> figures() throws IOException {
    Map<String, Long> before = read();
    Map<String, Long> figures = read();
    for (int i = 0; i < MOST_READS && !figures.equals(before); i++) {
      before = figures;
      figures = read();
    }
    return figures;
  }

  /**
   * Reads once. Counters of single CPUs are folded in first. Pages that are free, but on a CPU's
   * list, are in no figure of the node's, and move to and fro: they are added. On which list of its
   * own the kernel keeps pages that are used, active or not, is its business.
   */
  private Map<String, Long> read() throws IOException {
    Files.readString(Path.of("/proc/sys/vm/stat_refresh"));
    Map<String, Long> figures = new TreeMap<>();
    for (int node : devices.stream().toArray()) {
      for (String file : new String[] {"numastat", "vmstat"}) {
        Matcher pairs = PAIR.matcher(Files.readString(NODES.resolve("node" + node + "/" + file)));
        while (pairs.find()) {
          figures.put(node + " " + pairs.group(1), Long.valueOf(pairs.group(2)));
        }
      }
      // A page of a file that lies there already may be mapped by anybody: that places nothing.
      figures.remove(node + " nr_mapped");
      figures.merge(node + " nr_free_pages", pagesOnLists(node), Long::sum);
    }
    figures.keySet().removeIf(name -> name.contains("active"));
    return figures;
  }

  /** Returns the free pages on lists of CPUs, of all zones of a node. */
  private static long pagesOnLists(int node) throws IOException {
    long pages = 0;
    boolean isOfNode = false;
    for (String line : Files.readAllLines(Path.of("/proc/zoneinfo"))) {
      Matcher zone = ZONE.matcher(line);
      Matcher pageset = PAGESET.matcher(line);
      if (zone.matches()) {
        isOfNode = Integer.parseInt(zone.group(1)) == node;
      } else if (isOfNode && pageset.matches()) {
        pages += Long.parseLong(pageset.group(1));
      }
    }
    return pages;
  }

  private static Map<String, Long> moved(Map<String, Long> before, Map<String, Long> after) {
    Map<String, Long> moved = new TreeMap<>();
    after.forEach(
        (name, value) -> {
          long by = value - before.getOrDefault(name, 0L);
          if (by != 0) {
            moved.put(name, by);
          }
        });
    return moved;
  }

  private static void say(ProbeProcess child, String line) throws Exception {
    child.write(line);
    child.awaitLine("done: " + line);
    assertFalse(child.hasEnded(), child::toString);
  }

  @Test
  void deviceCountersStandStill(TestReporter reporter) throws Exception {
    ProbeProcess child = offDevices.start(1, IsolationProbe.class, system).get(0);
    int device = devices.first();
    Map<String, Long> before = figures();
    say(child, "hold " + device + " " + HELD_MIB);
    Map<String, Long> atStart = figures();
    long pages = HELD_MIB * MIB / ThisHost.KERNEL.pageBytes();
    Map<String, Long> held = moved(before, atStart);
    assertEquals(-pages, held.get(device + " nr_free_pages"), held::toString);
    assertTrue(held.containsKey(device + " numa_hit"), held::toString);

    for (int node : system.stream().toArray()) {
      long free = KeyedText.of(NODES.resolve("node" + node + "/meminfo")).bytes("MemFree:");
      keepHugePages(node, Math.max(0, free - LEFT_BYTES));
    }
    say(child, "fire 1 " + WAVES);
    Map<String, Long> moved = moved(atStart, figures());
    String said = String.join("\n", child.lines());
    reporter.publishEntry("held=" + held, said + "\nmoved=" + moved);

    Matcher matcher = FIGURES.matcher(child.lines().get(child.lines().size() - 2));
    assertTrue(matcher.matches(), said);
    assertTrue(Long.parseLong(matcher.group(2)) > 0, said);
    assertEquals("0", matcher.group(3), said);
    assertEquals("0", matcher.group(4), said);
    // A page that was freed waits for others in a batch of its CPU (mm/swap.c): what is given up
    // before may be counted as free later. What is placed is counted at once, and free no more.
    moved.entrySet().removeIf(by -> by.getKey().endsWith(" nr_free_pages") && by.getValue() > 0);
    assertEquals(Map.of(), moved, said);
  }
}
