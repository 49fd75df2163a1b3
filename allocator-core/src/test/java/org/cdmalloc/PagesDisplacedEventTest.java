/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.cdmalloc.spi.AddressOnlySource;
import org.cdmalloc.spi.DisplacementCause;
import org.cdmalloc.spi.Explanation;
import org.cdmalloc.spi.Residency;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The event of the flight recorder, and runtime images without one. */
@Timeout(60)
final class PagesDisplacedEventTest {
  private static final String EVENT = "org.cdmalloc.PagesDisplaced";
  private static final long PAGE = 4096;
  private static final long UNIT = 2 << 20;

  private static NodeAllocator open(MovedPages pages) {
    return NodeAllocator.builder().source(pages.source()).purgeDelay(Duration.ZERO).open();
  }

  private static String line(RecordedEvent event) {
    return String.format(
        Locale.ROOT,
        "node=%d, foundOn=%d, bytes=%d, cause=%s, evidence=%s",
        event.getInt("node"),
        event.getInt("foundOn"),
        event.getLong("bytes"),
        event.getString("cause"),
        event.getString("evidence"));
  }

  @Test
  void whatIsNewInAWindowIsAnEvent(@TempDir Path folder) throws IOException {
    MovedPages pages = new MovedPages(AddressOnlySource.of(AuditTest.machine()));
    pages.explain(0, 1, new Explanation(DisplacementCause.LONG_TERM_PIN, "VmPin=8kB"));
    Path file = folder.resolve("events.jfr");
    try (Recording recording = new Recording();
        CapturedLog log = new CapturedLog();
        NodeAllocator memory = open(pages)) {
      recording.enable(EVENT);
      recording.start();
      long block = memory.allocate(UNIT, Placement.onNode(0));
      memory.audit();
      pages.move(block, 2 * PAGE, 1);
      memory.audit();
      // Known, then one page more, then one that is in swap.
      memory.audit();
      pages.move(block, 3 * PAGE, 1);
      memory.audit();
      pages.move(block, PAGE, Residency.NOT_PRESENT);
      pages.explain(
          0, Residency.NOT_PRESENT, new Explanation(DisplacementCause.SWAPPED_OUT, "VmSwap=4096"));
      memory.audit();
      // In place again, so it is news when it moves.
      pages.moveBack(block, UNIT);
      memory.audit();
      pages.move(block, PAGE, 1);
      memory.audit();
      assertEquals(2, log.lines("likely_cause").size());
      recording.stop();
      recording.dump(file);
    }
    List<RecordedEvent> events =
        RecordingFile.readAllEvents(file).stream()
            .filter(event -> event.getEventType().getName().equals(EVENT))
            .toList();
    String pinned = "node=0, foundOn=1, bytes=%d, cause=LONG_TERM_PIN, evidence=VmPin=8kB";
    assertEquals(
        List.of(
            String.format(Locale.ROOT, pinned, 2 * PAGE),
            String.format(Locale.ROOT, pinned, PAGE),
            "node=0, foundOn=-2, bytes=4096, cause=SWAPPED_OUT, evidence=VmSwap=4096",
            String.format(Locale.ROOT, pinned, PAGE)),
        events.stream().map(PagesDisplacedEventTest::line).toList());
    assertEquals(List.of("cdmalloc"), events.get(0).getEventType().getCategoryNames());
  }

  @Test
  void aRuntimeWithoutARecorderAuditsAllTheSame() throws Exception {
    String classes = location(NodeAllocator.class) + File.pathSeparator + location(getClass());
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--limit-modules",
                "java.base",
                "-cp",
                classes,
                WithoutRecorder.class.getName())
            .redirectErrorStream(true)
            .start();
    String output = new String(process.getInputStream().readAllBytes(), UTF_8);
    assertTrue(process.waitFor(30, TimeUnit.SECONDS), output);
    assertEquals(0, process.exitValue(), output);
    assertTrue(output.contains("recorder=false, displaced=4096"), output);
  }

  private static String location(Class<?> type) throws Exception {
    return Path.of(type.getProtectionDomain().getCodeSource().getLocation().toURI()).toString();
  }

  /** Audits memory with a page elsewhere, and says what it found. */
  static final class WithoutRecorder {
    private WithoutRecorder() {}

    public static void main(String[] arguments) {
      MovedPages pages = new MovedPages(AddressOnlySource.of(AuditTest.machine()));
      try (NodeAllocator memory = open(pages)) {
        long block = memory.allocate(PAGE);
        pages.move(block, PAGE, 1);
        System.getLogger("org.cdmalloc")
            .log(
                System.Logger.Level.WARNING,
                "recorder="
                    + ModuleLayer.boot().findModule("jdk.jfr").isPresent()
                    + ", displaced="
                    + memory.audit().displacedBytes());
        memory.free(block);
      }
    }
  }
}
