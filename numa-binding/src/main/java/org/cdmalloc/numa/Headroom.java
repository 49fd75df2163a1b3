/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.nio.file.Files;
import java.nio.file.Path;
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
 * <p>A node has room if its free memory above what {@link ZoneMarks} sets aside holds what is asked
 * for, or, where free memory is short only because clean page cache fills the node, if free memory
 * and cache together hold it with a margin; {@link #isThroughCache} then says so.
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

  /** How long marks serve, but near them, where what is free in each zone decides. */
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

  private record Marks(long nanos, ZoneMarks zones, boolean compactsForHugePages) {}

  private final Path proc;
  private final Path nodeDirectory;
  private final Path hugePages;
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
    this.hugePages = sysfs.resolve("kernel/mm/transparent_hugepage");
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
      return nodeFull(node, reading, bytes);
    }
    if (reading.host < askedOfHost || reading.group < askedOfHost) {
      return new CommitResult(Outcome.LIMIT_REACHED, limitReached(reading, allBytes));
    }
    return CommitResult.COMMITTED;
  }

  /**
   * Tells whether memory could be asked for now; nobody is about to. Any number of callers.
   *
   * @param node where it would come from
   * @param bytes how much
   * @return committed if so, else what is short
   */
  CommitResult room(int node, long bytes) {
    Reading reading = read(node);
    if (reading.node() < bytes) {
      return nodeFull(node, reading, bytes);
    }
    return reading.host < bytes || reading.group < bytes
        ? new CommitResult(Outcome.LIMIT_REACHED, limitReached(reading, bytes))
        : CommitResult.COMMITTED;
  }

  /**
   * Checks that pages can be moved to a node. Moving takes nothing of the host or of a control
   * group that they did not have before.
   *
   * @param node where to
   * @param bytes how much
   * @return committed if so, else what is short
   */
  CommitResult checkMove(int node, long bytes) {
    Reading reading = read(node);
    accounts.put(node, new Account(reading, bytes, bytes));
    return reading.node() < bytes ? nodeFull(node, reading, bytes) : CommitResult.COMMITTED;
  }

  private CommitResult nodeFull(int node, Reading reading, long bytes) {
    return new CommitResult(
        Outcome.NODE_FULL,
        "node="
            + node
            + ", free_above_low_mark_bytes="
            + reading.nodeFree
            + ", with_clean_cache_bytes="
            + reading.nodeWithCache
            + ", wanted_bytes="
            + bytes
            + ifAbsent(node));
  }

  /** What to say of a node that has nothing to give because its memory is gone; else nothing. */
  String ifAbsent(int node) {
    return presentBytes(node) == 0
        ? ", present_bytes=0 (all memory of the node is offline: bring it online)"
        : "";
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

  /**
   * Tells whether PREFERRED is too little to keep what was last checked off other nodes: if it fits
   * only {@linkplain #isThroughCache through cache}, and where the kernel would rather take a huge
   * page of another node than small ones of this (transparent huge pages with defrag {@code
   * always}; {@code alloc_pages_mpol} of mm/mempolicy.c).
   *
   * @param node the node that was checked
   * @return true if pages may fall elsewhere although the node has room
   */
  boolean overflows(int node) {
    return marks.compactsForHugePages || isThroughCache(node);
  }

  private static boolean serves(Account account, long bytes) {
    return account.askedOfHost + bytes <= account.reading.certain() / REREAD_FRACTION
        && System.nanoTime() - account.reading.nanos < READING_NANOS;
  }

  private Reading read(int node) {
    long now = System.nanoTime();
    KeyedText text = meminfo(node);
    boolean isNearMarks =
        text.bytes("MemFree:") < marks.zones.mostUnusableBytes(node) + MARGIN_BYTES;
    if (isNearMarks || now - marks.nanos > MARKS_NANOS) {
      marks = readMarks();
    }
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

  private Marks readMarks() {
    return new Marks(
        System.nanoTime(),
        ZoneMarks.read(proc, pageBytes),
        isAlways("enabled") && isAlways("defrag"));
  }

  /** Tells whether a setting of transparent huge pages is {@code [always] madvise never}. */
  private boolean isAlways(String setting) {
    return KeyedText.lines(hugePages.resolve(setting)).stream()
        .anyMatch(line -> line.contains("[always]"));
  }

  private long aboveLowMark(int node, KeyedText meminfo) {
    return meminfo.bytes("MemFree:") - marks.zones.unusableBytes(node);
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

  /**
   * Returns how much memory a node has, all of which may have been taken offline, or with the node
   * away from the host; −1 if that is not told.
   */
  long presentBytes(int node) {
    KeyedText meminfo = meminfo(node);
    return meminfo.isEmpty() && hasNodes ? 0 : meminfo.bytes("MemTotal:");
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
}
