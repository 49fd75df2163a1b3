/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.CommitResult.Outcome;
import org.cdmalloc.topology.NodeMask;

/**
 * Whether memory can be asked for without the kernel having to kill or to place it elsewhere: a
 * bound node that is full, a control group's limit and a host without memory all end in the OOM
 * killer, never in an error. So figures are read first, and what is short is a value.
 *
 * <p>A node has room if its free memory above its low marks and reserves holds what is asked for,
 * or, where free memory is short only because clean page cache fills the node, if free memory and
 * cache together hold it with a margin; {@link #isThroughCache} then says so.
 *
 * <p>A reading serves for a millisecond and while what was asked for since is small against what it
 * showed; near the edge every request reads anew. What others take in between is the race that
 * remains: each committer, one per node and process, at most a chunk, so that the margin holds
 * {@code MARGIN_BYTES / CHUNK_BYTES} = 32 of them at once by this count, less what the JVMs and
 * other programs in the group grow by in that moment. Page tables and other kernel memory of a
 * group need no rule of their own: they are in its usage when it is read again.
 */
final class Headroom {
  /** What is left free below a control group's limit, on the host, and of a node's cache. */
  static final long MARGIN_BYTES = 64L << 20;

  /** Which part of a reading's spare bytes may be used before it is read again. */
  private static final int REREAD_FRACTION = 16;

  private static final long READING_NANOS = 1_000_000;

  /**
   * Low marks change when huge pages or vm.min_free_kbytes are set, not from one moment to the
   * next.
   */
  private static final long MARKS_NANOS = 1_000_000_000;

  /**
   * Figures of one moment, in bytes that can still be asked for; none is negative. {@code room} is
   * what the group's figure came from.
   */
  private record Reading(
      long nanos,
      long nodeFree,
      long nodeWithCache,
      long host,
      ControlGroup.Room room,
      long group) {
    /** What is certainly there, for the question whether this reading still serves. */
    long certain() {
      return Math.min(nodeFree, Math.min(host, group));
    }

    long node() {
      return Math.max(nodeFree, nodeWithCache);
    }
  }

  /** What was read of a node, and what was asked for since: of the node, and of the host. */
  private record Account(Reading reading, long asked, long askedOfHost) {}

  private record Marks(long nanos, Map<Integer, Long> unusableBytes) {}

  private final Path proc;
  private final Path nodeDirectory;
  private final ControlGroup group;
  private final int pageBytes;
  private final long marginBytes;
  private final Map<Integer, Account> accounts = new ConcurrentHashMap<>();
  private final boolean hasNodes;
  private volatile Marks marks;

  /**
   * Prepares the checks.
   *
   * @param proc where procfs is mounted
   * @param sysfs where sysfs is mounted; a host without nodes there counts as one node
   * @param group the control groups of this process
   * @param pageBytes the size of an OS page, in which procfs counts
   */
  Headroom(Path proc, Path sysfs, ControlGroup group, int pageBytes) {
    this(proc, sysfs, group, pageBytes, MARGIN_BYTES);
  }

  /** As the other one, with a margin of its own: tests show what happens without one. */
  Headroom(Path proc, Path sysfs, ControlGroup group, int pageBytes, long marginBytes) {
    this.proc = proc;
    this.nodeDirectory = sysfs.resolve("devices/system/node");
    this.group = group;
    this.pageBytes = pageBytes;
    this.marginBytes = marginBytes;
    this.hasNodes = Files.isDirectory(nodeDirectory);
    this.marks = readMarks();
  }

  /**
   * Checks that memory can be asked for. One caller per node at a time.
   *
   * @param node where it shall come from
   * @param bytes how much
   * @return committed if so, else what is short
   */
  CommitResult check(int node, long bytes) {
    return check(node, bytes, bytes);
  }

  /**
   * Checks that a node's share of what comes from several can be asked for. One caller per node at
   * a time.
   *
   * @param node where the share shall come from
   * @param bytes how much that is
   * @param allBytes how much comes from all nodes together, from one host and one control group
   * @return committed if so, else what is short
   */
  CommitResult check(int node, long bytes, long allBytes) {
    Account account = accounts.get(node);
    if (account == null || !serves(account, allBytes)) {
      account = new Account(read(node), 0, 0);
    }
    long asked = account.asked + bytes;
    long askedOfHost = account.askedOfHost + allBytes;
    accounts.put(node, new Account(account.reading, asked, askedOfHost));
    Reading reading = account.reading;
    if (reading.node() < asked) {
      return new CommitResult(
          Outcome.NODE_FULL,
          "node="
              + node
              + ", free_above_low_mark_bytes="
              + reading.nodeFree
              + ", with_clean_cache_bytes="
              + reading.nodeWithCache
              + ", wanted_bytes="
              + bytes);
    }
    if (reading.host < askedOfHost || reading.group < askedOfHost) {
      return new CommitResult(Outcome.LIMIT_REACHED, limitReached(reading, allBytes));
    }
    return CommitResult.COMMITTED;
  }

  private String limitReached(Reading reading, long bytes) {
    String asked = ", margin_bytes=" + marginBytes + ", wanted_bytes=" + bytes;
    if (reading.host < reading.group) {
      return "host_spare_bytes=" + reading.host + asked + " (free memory on this host)";
    }
    ControlGroup.Room room = reading.room;
    return "cgroup="
        + room.limit()
        + ", limit_bytes="
        + room.limitBytes()
        + ", used_bytes="
        + room.usedBytes()
        + asked
        + " (raise this limit or free memory in the group)";
  }

  /**
   * Tells whether what was last checked fits only if the kernel drops page cache for it.
   *
   * @param node the node that was checked
   * @return true if free memory alone does not hold it
   */
  boolean isThroughCache(int node) {
    Account account = accounts.get(node);
    return account != null && account.asked > account.reading.nodeFree;
  }

  private static boolean serves(Account account, long bytes) {
    return account.askedOfHost + bytes <= account.reading.certain() / REREAD_FRACTION
        && System.nanoTime() - account.reading.nanos < READING_NANOS;
  }

  private Reading read(int node) {
    long now = System.nanoTime();
    if (now - marks.nanos > MARKS_NANOS) {
      marks = readMarks();
    }
    KeyedText text = meminfo(node);
    long free = aboveLowMark(node, text);
    ControlGroup.Room room = group.tightest();
    return new Reading(
        now,
        Math.max(0, free),
        Math.max(0, free + cleanCache(text) - marginBytes),
        aboveMargin(hostAvailable()),
        room,
        aboveMargin(room.spareBytes()));
  }

  private long aboveMargin(long spareBytes) {
    return spareBytes == ControlGroup.UNLIMITED
        ? spareBytes
        : Math.max(0, spareBytes - marginBytes);
  }

  private long hostAvailable() {
    KeyedText host = KeyedText.of(proc.resolve("meminfo"));
    long available = host.bytes("MemAvailable:");
    // Linux before 3.14 does not say; what is free is then all that is certain.
    return available >= 0 ? available : host.bytes("MemFree:");
  }

  private long aboveLowMark(int node, KeyedText meminfo) {
    return meminfo.bytes("MemFree:") - marks.unusableBytes.getOrDefault(node, 0L);
  }

  /** Cache that the kernel can drop at once: not dirty, not being written, not mapped by anyone. */
  private static long cleanCache(KeyedText meminfo) {
    long cache = atLeast0(meminfo, "Active(file):") + atLeast0(meminfo, "Inactive(file):");
    long busy =
        atLeast0(meminfo, "Dirty:")
            + atLeast0(meminfo, "Writeback:")
            + atLeast0(meminfo, "Mapped:");
    return Math.max(0, cache - busy);
  }

  private static long atLeast0(KeyedText meminfo, String key) {
    return Math.max(0, meminfo.bytes(key));
  }

  /**
   * Counts the pages that the kernel has ever placed on nodes, for whomever: {@code
   * Documentation/admin-guide/numastat.rst}.
   *
   * @param nodes whose
   * @return pages, exact at the time of the call; −1 where they are not counted, or not exactly
   *     (before Linux 4.15, and while vm.numa_stat is 0)
   */
  long placedPages(NodeMask nodes) {
    long pages = 0;
    if (KeyedText.of(proc.resolve("sys/vm/numa_stat")).single() != 1) {
      return -1;
    }
    for (int node : nodes.stream().toArray()) {
      KeyedText counts = KeyedText.of(nodeDirectory.resolve("node" + node + "/numastat"));
      long hit = counts.bytes("numa_hit");
      long miss = counts.bytes("numa_miss");
      if (hit < 0 || miss < 0) {
        return -1;
      }
      pages += hit + miss;
    }
    return pages;
  }

  /** Returns the free memory of a node, in bytes. */
  long freeBytes(int node) {
    return atLeast0(meminfo(node), "MemFree:");
  }

  private KeyedText meminfo(int node) {
    return hasNodes
        ? KeyedText.of(nodeDirectory.resolve("node" + node + "/meminfo"))
        : KeyedText.of(proc.resolve("meminfo"));
  }

  /**
   * Adds up, for each node, what of its free pages an ordinary request cannot have: in each zone
   * the low mark and the reserve for requests that can use no higher zone (proc(5) zoneinfo; {@code
   * __zone_watermark_ok} of mm/page_alloc.c), at most what is free there.
   */
  private Marks readMarks() {
    Map<Integer, Long> unusableBytes = new HashMap<>();
    int node = 0;
    long free = 0;
    long low = 0;
    for (String line : KeyedText.lines(proc.resolve("zoneinfo"))) {
      String text = line.strip();
      if (text.startsWith("Node ") && text.indexOf(',') > 0) {
        node = (int) number(text.substring(5));
      } else if (text.startsWith("pages free ")) {
        free = number(text.substring(11));
      } else if (text.startsWith("low ")) {
        low = number(text.substring(4));
      } else if (text.startsWith("protection: (")) {
        long reserve = number(text.substring(text.lastIndexOf(' ') + 1).replace("(", ""));
        unusableBytes.merge(node, Math.min(free, low + reserve) * pageBytes, Long::sum);
      }
    }
    return new Marks(System.nanoTime(), unusableBytes);
  }

  /** Returns the number that a text begins with after blanks; 0 if it begins with none. */
  private static long number(String text) {
    String digits = text.strip();
    int end = 0;
    while (end < digits.length() && end < 18 && Character.isDigit(digits.charAt(end))) {
      end++;
    }
    return end == 0 ? 0 : Long.parseLong(digits, 0, end, 10);
  }
}
