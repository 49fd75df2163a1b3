/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.spi.MemorySource;
import org.junit.jupiter.api.Test;

/** The tour, on this host and where there is no native code. */
final class TourCommandTest {
  private static void assertHolds(String tour, String part) {
    assertTrue(tour.contains(part), () -> "no \"" + part + "\" in: " + tour);
  }

  private static void assertTellsItsStory(String tour) {
    // An implicit request is refused on exhaustion while the device stays empty.
    assertHolds(tour, "implicit requests took 63 blocks of 1 MiB, then:");
    assertHolds(tour, "would fall below its low mark");
    assertHolds(tour, "meanwhile: 0 MiB used, 0 MiB committed of 32 MiB");
    assertHolds(tour, "now: 1 MiB used, 2 MiB committed of 32 MiB");
    // A device node is reached by name only.
    assertHolds(tour, "refused: placement names a device node");
    // The machine of the mails, labelled.
    assertHolds(tour, "EMULATED: nothing below is a measurement.");
    assertHolds(tour, "(2) (node 1) (Normal  1)");
  }

  @Test
  void onThisHostTheKernelSaysWhereMemoryLies() {
    MemorySource source;
    try (NodeAllocator memory = NodeAllocator.open()) {
      source = memory.source();
    }
    String tour = CommandRun.of("tour").succeeded();
    assertHolds(tour, "memory source: " + source.name());
    assertHolds(tour, source.isReal() ? "16 pages on node 0 (move_pages)" : "(emulated)");
    if (source.machine().withMemory().size() == 1) {
      assertTellsItsStory(tour);
    }
  }

  @Test
  void withoutNativeCodeItIsEmulatedAndSaysSo() throws Exception {
    List<String> classPath =
        Arrays.stream(
                System.getProperty(
                        "surefire.test.class.path", System.getProperty("java.class.path"))
                    .split(File.pathSeparator, -1))
            .filter(entry -> !isNative(Path.of(entry)))
            .collect(Collectors.toList());
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx64m",
                "-cp",
                String.join(File.pathSeparator, classPath),
                CommandLineMain.class.getName())
            .redirectErrorStream(true)
            .start();
    String tour = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), tour);
    assertHolds(tour, "This host, EMULATED: no kernel was asked where memory lies.");
    assertFalse(tour.contains("move_pages"), tour);
    assertTellsItsStory(tour);
  }

  /** Tells whether a class path entry is numa-binding, as classes or as a jar, or JNA. */
  private static boolean isNative(Path entry) {
    String name = entry.getFileName().toString();
    return name.startsWith("jna-")
        || name.startsWith("numa-binding")
        || entry.endsWith(Path.of("numa-binding", "target", "classes"));
  }
}
