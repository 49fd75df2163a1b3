/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Region;
import org.junit.jupiter.api.Test;

/** What the source says of this host, against the kernel's own files. */
final class HostFiguresTest {
  private static final int NODE = ThisHost.NODE;
  private static final long GIB = 1L << 30;

  private final MemorySource source = ThisHost.source();

  private static long figure(Path file, String key) throws IOException {
    for (String line : Files.readAllLines(file)) {
      if (line.contains(key)) {
        String digits = line.substring(line.indexOf(key)).replaceAll("[^0-9]", "");
        return Long.parseLong(digits) * 1024;
      }
    }
    throw new AssertionError(file + " has no " + key);
  }

  @Test
  void freeBytesAreThoseOfTheNodesMeminfo() throws IOException {
    Path meminfo = Path.of("/sys/devices/system/node/node" + NODE + "/meminfo");
    long kernels = figure(meminfo, "MemFree:");
    // Others allocate and free between the two readings.
    assertTrue(Math.abs(source.freeBytes(NODE) - kernels) < GIB, () -> "kernel=" + kernels);
    assertThrows(IllegalArgumentException.class, () -> source.freeBytes(1023));
  }

  @Test
  void theLimitIsAtMostTheHostsMemory() throws IOException {
    assertTrue(source.limitBytes() <= figure(Path.of("/proc/meminfo"), "MemTotal:"));
    assertTrue(source.limitBytes() > 0);
  }

  @Test
  void theCurrentNodeHasCpus() {
    assertTrue(source.machine().withCpus().contains(source.currentNode()));
  }

  @Test
  void aViewLiesInItsRegion() {
    Region region = source.reserve(NODE, 4 << 20);
    assertEquals(0, region.address() % (2 << 20));
    assertEquals(region.address() + 12345, source.addressOf(source.view(region, 12345, 10)));
    source.release(region);
  }

  @Test
  void blocksOfMoreThanOneRootAreViewedWhole() {
    Region region = source.reserve(NODE, 5 * GIB);
    long second = 2 * GIB;
    assertEquals(Integer.MAX_VALUE, source.view(region, second, Integer.MAX_VALUE).capacity());
    assertEquals(
        region.address() + second,
        source.addressOf(source.view(region, second, Integer.MAX_VALUE)));
    assertEquals(1, source.view(region, 5 * GIB - 1, 1).capacity());
    assertThrows(
        IllegalArgumentException.class, () -> source.view(region, GIB + 1, Integer.MAX_VALUE));
    source.release(region);
  }
}
