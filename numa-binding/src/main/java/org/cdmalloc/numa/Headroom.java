/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.CommitResult.Outcome;

/**
 * Whether memory can be asked for without the kernel having to kill or to place it elsewhere: a
 * bound node that is full, a control group's limit and a host without memory all end in the OOM
 * killer, never in an error. So figures are read first, and what is short is a value.
 *
 * <p>A reading serves for a millisecond and while what was asked for since is small against what it
 * showed; near the edge every request reads anew. What other processes take in between is the race
 * that remains: at most {@link #REREAD_FRACTION} of what was free.
 */
final class Headroom {
  /** What is left free below a control group's limit and on the host. */
  static final long MARGIN_BYTES = 64L << 20;

  /** Which part of a reading's spare bytes may be used before it is read again. */
  private static final int REREAD_FRACTION = 16;

  private static final long READING_NANOS = 1_000_000;

  private record Reading(long nanos, long nodeSpare, long hostSpare, long groupSpare) {}

  private final Path proc;
  private final Path nodeDirectory;
  private final ControlGroup group;
  private final Map<Integer, Long> lowMarkBytes;
  private final Map<Integer, Reading> readings = new ConcurrentHashMap<>();
  private final Map<Integer, Long> askedSince = new ConcurrentHashMap<>();

  /**
   * Prepares the checks.
   *
   * @param proc where procfs is mounted
   * @param sysfs where sysfs is mounted; a host without nodes there counts as one node
   * @param group the control groups of this process
   * @param pageBytes the size of an OS page, in which procfs counts
   */
  Headroom(Path proc, Path sysfs, ControlGroup group, int pageBytes) {
    this.proc = proc;
    this.nodeDirectory = sysfs.resolve("devices/system/node");
    this.group = group;
    this.lowMarkBytes = lowMarks(proc.resolve("zoneinfo"), pageBytes);
  }

  /**
   * Checks that memory can be asked for. One caller per node at a time.
   *
   * @param node where it shall come from
   * @param bytes how much
   * @return committed if so, else what is short
   */
  CommitResult check(int node, long bytes) {
    Reading reading = readings.get(node);
    long asked = askedSince.getOrDefault(node, 0L) + bytes;
    if (reading == null || !serves(reading, asked)) {
      reading = read(node);
      asked = bytes;
    }
    readings.put(node, reading);
    askedSince.put(node, asked);
    if (reading.nodeSpare < asked) {
      return new CommitResult(
          Outcome.NODE_FULL,
          "node="
              + node
              + ", node_spare_bytes="
              + Math.max(0, reading.nodeSpare)
              + ", low_mark_bytes="
              + lowMark(node)
              + ", wanted_bytes="
              + bytes);
    }
    if (reading.hostSpare < asked || reading.groupSpare < asked) {
      boolean host = reading.hostSpare < reading.groupSpare;
      return new CommitResult(
          Outcome.LIMIT_REACHED,
          (host ? "host_spare_bytes=" : "cgroup_spare_bytes=")
              + Math.max(0, host ? reading.hostSpare : reading.groupSpare)
              + ", margin_bytes="
              + MARGIN_BYTES
              + ", wanted_bytes="
              + bytes);
    }
    return CommitResult.COMMITTED;
  }

  private static boolean serves(Reading reading, long asked) {
    long spare = Math.min(reading.nodeSpare, Math.min(reading.hostSpare, reading.groupSpare));
    return asked <= spare / REREAD_FRACTION && System.nanoTime() - reading.nanos < READING_NANOS;
  }

  private Reading read(int node) {
    long groupSpare = group.spareBytes();
    return new Reading(
        System.nanoTime(),
        freeBytes(node) - lowMark(node),
        KeyedText.of(proc.resolve("meminfo")).bytes("MemAvailable:") - MARGIN_BYTES,
        groupSpare == ControlGroup.UNLIMITED ? groupSpare : groupSpare - MARGIN_BYTES);
  }

  /** Returns the free memory of a node, in bytes. */
  long freeBytes(int node) {
    KeyedText text = KeyedText.of(nodeDirectory.resolve("node" + node + "/meminfo"));
    if (text.isEmpty()) {
      text = KeyedText.of(proc.resolve("meminfo"));
    }
    return Math.max(0, text.bytes("MemFree:"));
  }

  private long lowMark(int node) {
    return lowMarkBytes.getOrDefault(node, 0L);
  }

  /** Adds up the low marks of each node's zones, as proc(5) zoneinfo gives them. */
  private static Map<Integer, Long> lowMarks(Path zoneinfo, int pageBytes) {
    Map<Integer, Long> marks = new HashMap<>();
    int node = 0;
    for (String line : lines(zoneinfo)) {
      String text = line.strip();
      if (text.startsWith("Node ") && text.indexOf(',') > 0) {
        node = Integer.parseInt(text.substring(5, text.indexOf(',')).strip());
      } else if (text.startsWith("low ")) {
        marks.merge(node, Long.parseLong(text.substring(4).strip()) * pageBytes, Long::sum);
      }
    }
    return marks;
  }

  private static List<String> lines(Path file) {
    try {
      return Files.readAllLines(file, StandardCharsets.ISO_8859_1);
    } catch (IOException e) {
      return List.of();
    }
  }
}
