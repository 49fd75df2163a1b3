/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zone;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a zone costs on the Java heap, and when. */
class ZoneMetadataTest {
  private static final int GIB_PAGES = 1 << 18;
  private static final Watermarks NO_MARKS = new Watermarks(0, 0, 0);

  /** 0.04 % of the memory described. */
  private static long budgetBytes(long pages) {
    return pages * Zone.PAGE_BYTES * 4 / 10_000;
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 64})
  void aFullyUsedZoneStaysInTheBudget(int gibibytes) {
    int pages = gibibytes * GIB_PAGES;
    Zone zone = new Zone(pages, 18, 512, NO_MARKS);
    zone.markCommitted(0, pages);
    while (zone.take(1, 0) >= 0) {
      // Page by page: the most expensive way to use a zone.
    }
    assertEquals(0, zone.freePages());
    for (int page = 0; page < pages; page += 2) {
      zone.free(page);
    }
    zone.validate();
    long bytes = zone.metadataBytes();
    assertTrue(bytes <= budgetBytes(pages), bytes + " bytes");
  }

  @Test
  void aZoneThatWasLittleUsedCostsLittle() {
    Zone zone = new Zone(64 * GIB_PAGES, 18, 512, NO_MARKS);
    assertTrue(zone.metadataBytes() < 6 << 10, zone.metadataBytes() + " bytes when new");
    for (int page = 0; page < 2560; page++) {
      zone.take(1, 0);
    }
    zone.markCommitted(0, 2560);
    assertTrue(zone.metadataBytes() < 20 << 10, zone.metadataBytes() + " bytes after 10 MiB");
  }

  @Test
  void aZoneOfAwkwardSizeCostsLittleThoughItsSmallBlocksLieAtItsEnd() {
    Zone zone = new Zone(64 * GIB_PAGES - 1, 18, 512, NO_MARKS);
    for (int page = 0; page < 2560; page++) {
      zone.take(1, 0);
    }
    assertTrue(zone.metadataBytes() < 200 << 10, zone.metadataBytes() + " bytes");
  }

  @Test
  void largeRunsCostNoMoreThanSmallOnes() {
    Zone zone = new Zone(64 * GIB_PAGES, 18, 512, NO_MARKS);
    while (zone.take(GIB_PAGES - 1, 0) >= 0) {
      // Each of them is 18 pieces.
    }
    zone.validate();
    assertTrue(zone.metadataBytes() < budgetBytes(64L * GIB_PAGES) / 4);
  }

  @Test
  void aPairOfTakeAndFreeLeavesNoGarbage() {
    assumeTrue(
        ManagementFactory.getThreadMXBean() instanceof com.sun.management.ThreadMXBean,
        "this JVM does not count allocated bytes");
    var threads = (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
    Zone zone = new Zone(GIB_PAGES, 18, 512, NO_MARKS);
    zone.markCommitted(0, 512);
    int pairs = 20_000;
    takeAndFree(zone, pairs);
    long self = Thread.currentThread().getId();
    long before = threads.getThreadAllocatedBytes(self);
    takeAndFree(zone, pairs);
    long bytes = threads.getThreadAllocatedBytes(self) - before;
    assertTrue(bytes < pairs, bytes + " bytes for " + pairs + " pairs");
  }

  private static void takeAndFree(Zone zone, int pairs) {
    for (int pair = 0; pair < pairs; pair++) {
      int single = Zone.page(zone.take(1, 0));
      int run = Zone.page(zone.take(1 + pair % 500, 0));
      int committed = Zone.page(zone.takeCommitted(1, 0));
      zone.free(single);
      zone.free(run);
      zone.free(committed);
    }
  }

  /** In a JVM of its own, whose heap is too small for the zone's metadata. */
  @Test
  void anExhaustedJavaHeapLeavesTheZoneAsItWas() throws Exception {
    String classes = location(Zone.class) + File.pathSeparator + location(ExhaustedHeap.class);
    Process process =
        new ProcessBuilder(
                List.of(
                    Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                    "-ea",
                    "-Xmx12m",
                    "-XX:+UseSerialGC",
                    "-cp",
                    classes,
                    ExhaustedHeap.class.getName()))
            .redirectErrorStream(true)
            .start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), output);
    assertEquals("", output);
  }

  private static String location(Class<?> type) throws Exception {
    return Path.of(type.getProtectionDomain().getCodeSource().getLocation().toURI()).toString();
  }
}
