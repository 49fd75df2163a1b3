/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What sysfs tells of caches. */
final class CachesTest {
  @TempDir private Path sysfs;

  private void cache(int cpu, int index, String level, String type, String size, String sharers)
      throws IOException {
    Path folder =
        Files.createDirectories(
            sysfs.resolve("devices/system/cpu/cpu" + cpu + "/cache/index" + index));
    Files.writeString(folder.resolve("level"), level + "\n");
    Files.writeString(folder.resolve("type"), type + "\n");
    Files.writeString(folder.resolve("size"), size + "\n");
    if (!sharers.isEmpty()) {
      Files.writeString(folder.resolve("shared_cpu_list"), sharers + "\n");
    }
  }

  @Test
  void instructionsDoNotCount() throws IOException {
    cache(0, 0, "1", "Data", "32K", "0");
    cache(0, 1, "1", "Instruction", "64K", "0");
    cache(0, 2, "2", "Unified", "1M", "0");
    assertEquals(Map.of(1, 32L << 10, 2, 1L << 20), Caches.of(sysfs, 0).bytesByLevel());
    assertEquals(1 << 20, Caches.lastLevelBytes(sysfs, List.of(0)));
  }

  @Test
  void aCacheThatCpusShareCountsOnce() throws IOException {
    for (int cpu = 0; cpu < 8; cpu++) {
      cache(cpu, 2, "2", "Unified", "1M", Integer.toString(cpu));
      cache(cpu, 3, "3", "Unified", "32M", cpu < 4 ? "0-3" : "4-7");
    }
    assertEquals(32 << 20, Caches.lastLevelBytes(sysfs, List.of(2)));
    assertEquals(32 << 20, Caches.lastLevelBytes(sysfs, List.of(0, 1, 2, 3)));
    assertEquals(64 << 20, Caches.lastLevelBytes(sysfs, List.of(0, 7)));
  }

  @Test
  void whereSharersAreNotToldAllShare() throws IOException {
    cache(0, 3, "3", "Unified", "32M", "");
    cache(1, 3, "3", "Unified", "32M", "");
    assertEquals(32 << 20, Caches.lastLevelBytes(sysfs, List.of(0, 1)));
    assertEquals(0, Caches.lastLevelBytes(sysfs, List.of(2)));
  }
}
