/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * The memory control groups that this process is in, innermost first: cgroups(7), version 2 ({@code
 * memory.max}) and version 1 ({@code memory.limit_in_bytes}). A limit of any level is a kill, not
 * an error, so it is read before memory is asked for.
 *
 * <p>Clean file cache that nobody maps does not count as used: the kernel drops it when the limit
 * is reached.
 */
final class ControlGroup {
  /** Stands for no limit. */
  static final long UNLIMITED = Long.MAX_VALUE;

  /** The names of the files and keys of one version. */
  private enum Version {
    V1(
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "total_inactive_file",
        "total_active_file",
        "total_dirty",
        "total_writeback",
        "total_mapped_file"),
    V2(
        "memory.max",
        "memory.current",
        "inactive_file",
        "active_file",
        "file_dirty",
        "file_writeback",
        "file_mapped");

    private final String limit;
    private final String usage;
    private final String inactive;
    private final String active;
    private final String dirty;
    private final String writeback;
    private final String mapped;

    Version(
        String limit,
        String usage,
        String inactive,
        String active,
        String dirty,
        String writeback,
        String mapped) {
      this.limit = limit;
      this.usage = usage;
      this.inactive = inactive;
      this.active = active;
      this.dirty = dirty;
      this.writeback = writeback;
      this.mapped = mapped;
    }
  }

  private record Level(Path directory, Version version) {}

  private final List<Level> levels;

  private ControlGroup(List<Level> levels) {
    this.levels = levels;
  }

  /**
   * Finds the groups of this process.
   *
   * @param proc where procfs is mounted
   * @param root where absolute paths begin
   */
  static ControlGroup find(Path proc, Path root) {
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
    return new ControlGroup(levels);
  }

  /** Returns the smallest limit of any level, in bytes, or {@link #UNLIMITED}. */
  long limitBytes() {
    long least = UNLIMITED;
    for (Level level : levels) {
      least = Math.min(least, limit(level));
    }
    return least;
  }

  /**
   * Returns how many bytes can be used until some level's limit is reached, or {@link #UNLIMITED}.
   */
  long spareBytes() {
    long least = UNLIMITED;
    for (Level level : levels) {
      long limit = limit(level);
      if (limit != UNLIMITED) {
        least = Math.min(least, limit - used(level));
      }
    }
    return least;
  }

  private static long limit(Level level) {
    long limit = KeyedText.of(level.directory.resolve(level.version.limit)).single();
    return limit < 0 ? UNLIMITED : limit;
  }

  private static long used(Level level) {
    Version version = level.version;
    long usage = KeyedText.of(level.directory.resolve(version.usage)).single();
    KeyedText stat = KeyedText.of(level.directory.resolve("memory.stat"));
    long cache = atLeast0(stat.bytes(version.inactive)) + atLeast0(stat.bytes(version.active));
    long busy =
        atLeast0(stat.bytes(version.dirty))
            + atLeast0(stat.bytes(version.writeback))
            + atLeast0(stat.bytes(version.mapped));
    return atLeast0(usage) - Math.max(0, cache - busy);
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
      if (Files.isReadable(directory.resolve(version.limit))) {
        levels.add(new Level(directory, version));
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
