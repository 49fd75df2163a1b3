/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.io.IOException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.cdmalloc.spi.DisplacementCause;
import org.cdmalloc.spi.Explanation;
import org.cdmalloc.spi.Residency;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodePerformance;
import org.cdmalloc.topology.TopologyFormatException;

/**
 * The kernel's figures about what moves pages: nodes that went offline, demotions, pins, swap. It
 * keeps no record by page, so a cause is likely when it could have moved pages between these two
 * nodes, and something of the kind happened since the source was opened or is happening now. Safe
 * for use by any number of threads.
 */
final class DisplacementFigures {
  /** Open files beyond these are not looked through for devices that pin. */
  private static final int MOST_FILES = 10_000;

  private static final int HEXADECIMAL = 16;
  private static final String[] DEMOTIONS = {
    "pgdemote_kswapd", "pgdemote_direct", "pgdemote_khugepaged", "pgdemote_proactive"
  };

  private final Path proc;
  private final Path sysfs;
  private final Machine opened;

  /** What had been demoted when the source was opened, in pages, by node. */
  private final Map<Integer, Long> demotedAtOpen = new HashMap<>();

  /**
   * Takes down how things stand.
   *
   * @param proc where procfs is mounted
   * @param sysfs where sysfs is mounted
   * @param opened the nodes as the source knows them
   */
  DisplacementFigures(Path proc, Path sysfs, Machine opened) {
    this.proc = proc;
    this.sysfs = sysfs;
    this.opened = opened;
    opened.withMemory().stream().forEach(node -> demotedAtOpen.put(node, demotedPages(node)));
  }

  /** What {@link org.cdmalloc.spi.MemorySource#explain} tells. */
  Explanation explain(int home, int found) {
    KeyedText status = KeyedText.of(proc.resolve("self/status"));
    if (found == Residency.NOT_PRESENT) {
      long swappedBytes = status.bytes("VmSwap:");
      return new Explanation(
          swappedBytes > 0 ? DisplacementCause.SWAPPED_OUT : DisplacementCause.UNKNOWN,
          "VmSwap=" + swappedBytes);
    }
    Machine now;
    try {
      now = Machine.fromSysfs(sysfs);
    } catch (TopologyFormatException e) {
      return Explanation.UNKNOWN;
    }
    return now.online().contains(home) && now.online().contains(found)
        ? explain(now.node(home), now.node(found), status)
        : Explanation.UNKNOWN;
  }

  private Explanation explain(Node home, Node found, KeyedText status) {
    long bytesAtOpen = opened.node(home.id()).bytes();
    String size = "home_bytes=" + home.bytes() + ", home_bytes_at_open=" + bytesAtOpen;
    if (!home.hasMemory()) {
      return new Explanation(DisplacementCause.NODE_OFFLINE, size);
    }
    long demoted = demotedPages(home.id()) - demotedAtOpen.getOrDefault(home.id(), 0L);
    String demotion =
        "demotion_enabled="
            + KeyedText.of(sysfs.resolve("kernel/mm/numa/demotion_enabled")).word("")
            + ", pages_demoted_since_open="
            + demoted
            + ", home_tier="
            + home.performance().tier()
            + ", found_tier="
            + found.performance().tier();
    if (demoted > 0 && isFaster(home, found)) {
      return new Explanation(DisplacementCause.DEMOTION, demotion);
    }
    long pinnedBytes = status.bytes("VmPin:");
    Map<String, Integer> pinners = pinners();
    String pins = "VmPin=" + pinnedBytes + ", files_that_pin=" + pinners;
    // What VFIO pins is not in that figure.
    boolean arePages = pinnedBytes > 0 || pinners.containsKey("vfio");
    if (arePages && home.movableOnly() && !found.movableOnly()) {
      return new Explanation(DisplacementCause.LONG_TERM_PIN, pins + ", home_is_movable_only=true");
    }
    if (bytesAtOpen - home.bytes() >= blockBytes()) {
      return new Explanation(DisplacementCause.NODE_OFFLINE, size);
    }
    return new Explanation(DisplacementCause.UNKNOWN, demotion + ", " + pins + ", " + size);
  }

  /** What {@link org.cdmalloc.spi.MemorySource#lockHazards} tells. */
  List<String> lockHazards(int node, int pageBytes) {
    List<String> hazards = new ArrayList<>();
    long compacts = KeyedText.of(proc.resolve("sys/vm/compact_unevictable_allowed")).single();
    if (compacts > 0) {
      hazards.add(
          "compaction moves locked pages within their node: vm.compact_unevictable_allowed="
              + compacts
              + " (set it to 0)");
    }
    ZoneMarks zones = ZoneMarks.read(proc, pageBytes);
    String figures =
        "node="
            + node
            + ", zone_movable_bytes="
            + zones.movableBytes(node)
            + ", cma_bytes="
            + zones.contiguousBytes(node);
    if (zones.movableBytes(node) + zones.contiguousBytes(node) > 0) {
      hazards.add(
          "input and output that pins pages for long (io_uring, RDMA, VFIO) moves those in"
              + " ZONE_MOVABLE and in CMA to other memory, perhaps of another node: "
              + figures);
    }
    if (zones.movableBytes(node) > 0) {
      hazards.add(
          "memory in ZONE_MOVABLE can be taken offline, which moves its pages to other nodes: "
              + figures);
    }
    return hazards;
  }

  /** Tells whether pages are demoted from one node to another, rather than back. */
  private static boolean isFaster(Node one, Node other) {
    int tier = one.performance().tier();
    int otherTier = other.performance().tier();
    boolean areKnown = tier != NodePerformance.UNKNOWN && otherTier != NodePerformance.UNKNOWN;
    return areKnown ? tier < otherTier : one.hasCpus() && !other.hasCpus();
  }

  /**
   * Returns what was demoted since the host booted: by node since Linux 6.8, before that of all.
   */
  private long demotedPages(int node) {
    Path ofNode = sysfs.resolve("devices/system/node/node" + node + "/vmstat");
    long pages = demotedPages(KeyedText.of(ofNode));
    return pages >= 0 ? pages : Math.max(0, demotedPages(KeyedText.of(proc.resolve("vmstat"))));
  }

  /** Returns −1 where nothing is counted. */
  private static long demotedPages(KeyedText vmstat) {
    long sum = -1;
    for (String demotion : DEMOTIONS) {
      long pages = vmstat.bytes(demotion);
      sum = pages < 0 ? sum : Math.max(0, sum) + pages;
    }
    return sum;
  }

  /** Counts this process's open files through which memory is pinned for long, by their kind. */
  private Map<String, Integer> pinners() {
    Map<String, Integer> counts = new TreeMap<>();
    int files = 0;
    try (DirectoryStream<Path> open = Files.newDirectoryStream(proc.resolve("self/fd"))) {
      for (Path file : open) {
        String kind = pinner(file);
        if (!kind.isEmpty()) {
          counts.merge(kind, 1, Integer::sum);
        }
        if (++files == MOST_FILES) {
          break;
        }
      }
    } catch (IOException | DirectoryIteratorException e) {
      // What could be read is counted.
    }
    return counts;
  }

  private static String pinner(Path file) {
    try {
      String target = Files.readSymbolicLink(file).toString();
      for (String kind : new String[] {"io_uring", "infiniband", "vfio"}) {
        if (target.contains("anon_inode:[" + kind) || target.contains("/dev/" + kind)) {
          return kind;
        }
      }
    } catch (IOException e) {
      // Closed meanwhile.
    }
    return "";
  }

  /** Returns the least that a node can lose, in bytes. */
  private long blockBytes() {
    String text = KeyedText.of(sysfs.resolve("devices/system/memory/block_size_bytes")).word("");
    try {
      return Long.parseLong(text, HEXADECIMAL);
    } catch (NumberFormatException e) {
      return Long.MAX_VALUE;
    }
  }
}
