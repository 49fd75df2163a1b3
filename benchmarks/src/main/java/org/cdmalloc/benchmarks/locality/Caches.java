/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * The data caches of a CPU, as sysfs tells them. In a virtual machine they are what its host says,
 * and the last level may be shared with other machines.
 *
 * @param bytesByLevel the sizes, by level; empty where nothing is told
 */
record Caches(Map<Integer, Long> bytesByLevel) {
  private static final int MOST = 8;
  private static final Map<Character, Integer> UNITS = Map.of('K', 10, 'M', 20, 'G', 30);

  Caches {
    bytesByLevel = Map.copyOf(bytesByLevel);
  }

  /**
   * Reads them.
   *
   * @param sysfs the root of the tree
   * @param cpu the CPU
   */
  static Caches of(Path sysfs, int cpu) {
    Path folder = sysfs.resolve("devices/system/cpu/cpu" + cpu + "/cache");
    Map<Integer, Long> found = new TreeMap<>();
    for (int index = 0; index < MOST; index++) {
      Path cache = folder.resolve("index" + index);
      String level = text(cache.resolve("level"));
      String bytes = text(cache.resolve("size"));
      if (level.matches("[1-9]")
          && bytes.matches("\\d{1,9}[KMG]")
          && !text(cache.resolve("type")).equals("Instruction")) {
        int shift = UNITS.get(bytes.charAt(bytes.length() - 1));
        found.put(
            Integer.valueOf(level),
            Long.parseLong(bytes.substring(0, bytes.length() - 1)) << shift);
      }
    }
    return new Caches(found);
  }

  /**
   * Returns what the last levels of some CPUs hold together: each once, however many of the CPUs
   * share it.
   *
   * @param sysfs the root of the tree
   * @param cpus the CPUs
   * @return bytes, or 0 where it is not told
   */
  static long lastLevelBytes(Path sysfs, List<Integer> cpus) {
    Map<String, Long> distinct = new HashMap<>();
    for (int cpu : cpus) {
      Caches caches = of(sysfs, cpu);
      caches.bytesByLevel.keySet().stream()
          .max(Integer::compare)
          .ifPresent(
              level -> distinct.put(sharers(sysfs, cpu, level), caches.bytesByLevel.get(level)));
    }
    return distinct.values().stream().mapToLong(Long::longValue).sum();
  }

  /** Returns which CPUs share a cache; where that is not told, nothing: as if all did. */
  private static String sharers(Path sysfs, int cpu, int level) {
    Path folder = sysfs.resolve("devices/system/cpu/cpu" + cpu + "/cache");
    for (int index = 0; index < MOST; index++) {
      Path cache = folder.resolve("index" + index);
      if (text(cache.resolve("level")).equals(Integer.toString(level))
          && !text(cache.resolve("type")).equals("Instruction")) {
        return text(cache.resolve("shared_cpu_list"));
      }
    }
    return "";
  }

  private static String text(Path file) {
    try {
      return Files.readString(file).strip();
    } catch (IOException e) {
      return "";
    }
  }

  /** Returns the size of the largest level, or 0 where it is not told. */
  long lastLevelBytes() {
    return bytesByLevel.keySet().stream().max(Integer::compare).map(bytesByLevel::get).orElse(0L);
  }
}
