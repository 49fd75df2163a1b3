/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Region;
import org.cdmalloc.spi.Residency;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestReporter;
import org.junit.jupiter.api.Timeout;

/**
 * What moves locked pages and what does not: in guests with devices whose memory can be taken
 * offline, and may not be pinned. Changes the whole machine, so it runs nowhere else.
 */
@Timeout(240)
final class LockedPagesTest {
  private static final Path DEMOTION_ENABLED = Path.of("/sys/kernel/mm/numa/demotion_enabled");
  private static final long MIB = 1L << 20;
  private static final int RAM = 0;

  private final MemorySource source = ThisHost.source();
  private final NodeMask devices = source.machine().memoryOnly();
  private final long before = ThisHost.lockedBytes();
  private int device;

  @BeforeEach
  void findDevice() {
    ThisHost.assumeGuest("it demotes pages and takes memory offline");
    assertFalse(devices.isEmpty(), "run it in a guest with a device");
    device = devices.first();
  }

  @AfterEach
  void nothingIsLocked() {
    assertEquals(before, ThisHost.lockedBytes());
  }

  private Region commit(int node, long bytes) {
    Region region = source.reserve(node, bytes);
    assertTrue(source.commit(region, 0, bytes).isCommitted());
    return region;
  }

  private void lock(Region region) {
    assertTrue(source.lock(region, 0, region.bytes()).isLocked());
    assertEquals(before + region.bytes(), ThisHost.lockedBytes());
  }

  private Residency residency(Region region) {
    return source.residency(region, 0, region.bytes());
  }

  @Test
  void lockedPagesAreNotDemoted(TestReporter reporter) throws IOException {
    Region locked = commit(RAM, 64 * MIB);
    Region other = commit(RAM, 64 * MIB);
    lock(locked);
    long bytes = 1024 * MIB;
    long pressure = ThisHost.KERNEL.map(bytes, Kernel.PROT_READ_WRITE);
    Files.writeString(DEMOTION_ENABLED, "1");
    try {
      assertEquals(0, ThisHost.KERNEL.confine(pressure, bytes, NodeMask.of(RAM), RAM));
      for (long at = 0; at < bytes && residency(other).isAllOn(RAM); at += 8 * MIB) {
        assertEquals(0, ThisHost.KERNEL.advise(pressure + at, 8 * MIB, Kernel.MADV_POPULATE_WRITE));
      }
      Map<Integer, Integer> demoted = residency(other).pagesByNode();
      reporter.publishEntry("pages of 64 MiB that are not locked", demoted.toString());
      assertFalse(residency(other).isAllOn(RAM), "nothing was demoted");
      // A page is nowhere while it is on its way: none of these is.
      assertTrue(residency(locked).isAllOn(RAM), () -> residency(locked).toString());
    } finally {
      Files.writeString(DEMOTION_ENABLED, "0");
      ThisHost.KERNEL.unmap(pressure, bytes);
      source.release(other);
      source.release(locked);
    }
  }

  @Test
  void aLongTermPinMovesLockedPagesOffTheDevice(TestReporter reporter) {
    Region region = commit(device, 8 * MIB);
    source.view(region, 0, 8).putLong(0, 42);
    lock(region);
    assertTrue(residency(region).isAllOn(device));
    List<String> hazards = source.lockHazards(device);
    reporter.publishEntry("hazards", hazards.toString());
    assertTrue(
        hazards.stream().anyMatch(hazard -> hazard.startsWith("input and output that pins")),
        hazards::toString);
    try (PinnedRange pin = new PinnedRange(region.address(), region.bytes())) {
      assertTrue(pin.isPinned());
      Residency found = residency(region);
      reporter.publishEntry("pinned", found.toString());
      assertTrue(
          found.pagesByNode().keySet().stream()
              .allMatch(node -> node >= 0 && !devices.contains(node)),
          found::toString);
      assertEquals(before + region.bytes(), ThisHost.lockedBytes());
    }
    assertEquals(42, source.view(region, 0, 8).getLong(0));
    source.release(region);
  }

  @Test
  void memoryThatGoesOfflineTakesNoHeedOfLocks(TestReporter reporter) throws IOException {
    Region region = commit(device, 8 * MIB);
    source.view(region, 0, 8).putLong(0, 42);
    lock(region);
    MemoryBlocks.of(device).offline();
    try {
      Residency found = residency(region);
      reporter.publishEntry("offline", found.toString());
      assertTrue(found.isAllPresent(), found::toString);
      assertFalse(found.pagesByNode().containsKey(device), found::toString);
      assertEquals(before + region.bytes(), ThisHost.lockedBytes());
      assertEquals(42, source.view(region, 0, 8).getLong(0));
    } finally {
      MemoryBlocks.of(device).online();
    }
    source.release(region);
  }

  @Test
  void ramIsNoHazardToPins() {
    List<String> hazards = source.lockHazards(RAM);
    assertTrue(
        hazards.stream().allMatch(hazard -> hazard.startsWith("compaction")), hazards::toString);
  }
}
