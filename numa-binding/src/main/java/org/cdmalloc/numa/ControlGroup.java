/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * The memory control groups that this process is in, innermost first: cgroups(7), version 2 ({@code
 * memory.max}) and version 1 ({@code memory.limit_in_bytes}, and with swap {@code
 * memory.memsw.limit_in_bytes}). A limit of any level is a kill, not an error, so it is read before
 * memory is asked for. {@code memory.high} counts as one: beyond it the kernel lets a process that
 * has nothing to reclaim sleep at every step, and daemons that watch memory pressure kill.
 *
 * <p>Clean file cache that nobody maps does not count as used: the kernel drops it when the limit
 * is reached. What memory.stat says of it lags behind by up to {@link #LAG_PAGES} for each CPU,
 * where usage itself is exact, so that much of the cache counts as used.
 */
final class ControlGroup {
  /** Stands for no limit. */
  static final long UNLIMITED = Long.MAX_VALUE;

  /** What a CPU may have changed before memory.stat shows it: MEMCG_CHARGE_BATCH. */
  static final long LAG_PAGES = 64;

  /** The names of the keys of memory.stat in one version. */
  private enum Version {
    V1(
        "total_inactive_file",
        "total_active_file",
        "total_dirty",
        "total_writeback",
        "total_mapped_file"),
    V2("inactive_file", "active_file", "file_dirty", "file_writeback", "file_mapped");

    private final String inactive;
    private final String active;
    private final String dirty;
    private final String writeback;
    private final String mapped;

    Version(String inactive, String active, String dirty, String writeback, String mapped) {
      this.inactive = inactive;
      this.active = active;
      this.dirty = dirty;
      this.writeback = writeback;
      this.mapped = mapped;
    }
  }

  /** What can be limited: the file that says how much, and the file that says how much is used. */
  private enum Limit {
    MEMORY(Version.V1, "memory.limit_in_bytes", "memory.usage_in_bytes"),
    MEMORY_AND_SWAP(Version.V1, "memory.memsw.limit_in_bytes", "memory.memsw.usage_in_bytes"),
    MAX(Version.V2, "memory.max", "memory.current"),
    HIGH(Version.V2, "memory.high", "memory.current");

    private final Version version;
    private final String limit;
    private final String usage;

    Limit(Version version, String limit, String usage) {
      this.version = version;
      this.limit = limit;
      this.usage = usage;
    }
  }

  private record Level(Path directory, Limit limit) {
    Path file() {
      return directory.resolve(limit.limit);
    }
  }

  /**
   * What a level allowed and used when it was read.
   *
   * @param limit the file that sets the limit
   * @param limitBytes the limit, or {@link #UNLIMITED}
   * @param usedBytes what is used of it, without file cache that the kernel can drop
   */
  record Room(String limit, long limitBytes, long usedBytes) {
    /** Returns how much can be used until the limit is reached; negative beyond it. */
    long spareBytes() {
      return limitBytes == UNLIMITED ? UNLIMITED : limitBytes - usedBytes;
    }
  }

  private static final Room NO_LIMIT = new Room("none", UNLIMITED, 0);

  private final List<Level> levels;
  private final long lagBytes;

  private ControlGroup(List<Level> levels, long lagBytes) {
    this.levels = levels;
    this.lagBytes = lagBytes;
  }

  /** Finds the groups of this process, whose figures are taken to be exact. */
  static ControlGroup find(Path proc, Path root) {
    return find(proc, root, 0);
  }

  /**
   * Finds the groups of this process.
   *
   * @param proc where procfs is mounted
   * @param root where absolute paths begin
   * @param lagBytes how far memory.stat may lag behind
   */
  static ControlGroup find(Path proc, Path root, long lagBytes) {
    List<Level> levels = new ArrayList<>();
    for (String line : KeyedText.lines(proc.resolve("self/cgroup"))) {
      String[] parts = line.split(":", 3);
      if (parts.length != 3) {
        continue;
      }
      if (parts[1].isEmpty()) {
        addLevels(levels, proc, root, Version.V2, parts[2]);
      } else if (List.of(parts[1].split(",", -1)).contains("memory")) {
        addLevels(levels, proc, root, Version.V1, parts[2]);
      }
    }
    return new ControlGroup(levels, lagBytes);
  }

  /** Returns the smallest limit of any level, in bytes, or {@link #UNLIMITED}. */
  long limitBytes() {
    long least = UNLIMITED;
    for (Level level : levels) {
      least = Math.min(least, limitBytes(level));
    }
    return least;
  }

  /** Returns the level with the least room; one without a limit if no level has one. */
  Room tightest() {
    Room tightest = NO_LIMIT;
    for (Level level : levels) {
      long limit = limitBytes(level);
      if (limit != UNLIMITED) {
        Room room = new Room(level.file().toString(), limit, usedBytes(level));
        tightest = room.spareBytes() < tightest.spareBytes() ? room : tightest;
      }
    }
    return tightest;
  }

  private static long limitBytes(Level level) {
    long limit = KeyedText.of(level.file()).single();
    return limit < 0 ? UNLIMITED : limit;
  }

  private long usedBytes(Level level) {
    Version version = level.limit.version;
    long usage = KeyedText.of(level.directory.resolve(level.limit.usage)).single();
    KeyedText stat = KeyedText.of(level.directory.resolve("memory.stat"));
    long cache = atLeast0(stat.bytes(version.inactive)) + atLeast0(stat.bytes(version.active));
    long busy =
        atLeast0(stat.bytes(version.dirty))
            + atLeast0(stat.bytes(version.writeback))
            + atLeast0(stat.bytes(version.mapped));
    return atLeast0(usage) - Math.max(0, cache - busy - lagBytes);
  }

  private static long atLeast0(long bytes) {
    return Math.max(0, bytes);
  }

  /** Adds a group's directory and those above it, up to the mount point. */
  private static void addLevels(
      List<Level> levels, Path proc, Path root, Version version, String group) {
    Path mountPoint = null;
    String inside = "";
    for (String line : KeyedText.lines(proc.resolve("self/mountinfo"))) {
      // proc(5): id parent major:minor root mount-point options [tags] - type source super-options
      String[] halves = line.split(" - ", 2);
      String[] mount = halves[0].split(" ", -1);
      String[] type = halves.length == 2 ? halves[1].split(" ", -1) : new String[0];
      if (mount.length < 5 || type.length < 3 || !holds(version, type)) {
        continue;
      }
      String mountRoot = mount[3].equals("/") ? "" : unescaped(mount[3]);
      boolean shows = group.equals(mountRoot) || group.startsWith(mountRoot + "/");
      // In a container the group's path may lie outside the mounted root; the mount point is then
      // the innermost group that can be seen.
      if (mountPoint == null || shows) {
        mountPoint = root.resolve(unescaped(mount[4]).substring(1));
        inside = shows ? group.substring(mountRoot.length()) : "";
      }
      if (shows) {
        break;
      }
    }
    if (mountPoint == null) {
      return;
    }
    Path directory = mountPoint.resolve(inside.startsWith("/") ? inside.substring(1) : inside);
    while (directory != null && directory.startsWith(mountPoint)) {
      for (Limit limit : Limit.values()) {
        Level level = new Level(directory, limit);
        if (limit.version == version && Files.isReadable(level.file())) {
          levels.add(level);
        }
      }
      directory = directory.getParent();
    }
  }

  /** Blanks and backslashes stand in mountinfo as octal numbers. */
  private static String unescaped(String path) {
    return path.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\");
  }

  private static boolean holds(Version version, String[] type) {
    return version == Version.V2
        ? type[0].equals("cgroup2")
        : type[0].equals("cgroup") && List.of(type[2].split(",", -1)).contains("memory");
  }
}
