/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.peers;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.YearMonth;
import java.time.ZoneOffset;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * Where and when figures were taken, without any name of the host.
 *
 * @param jdk its feature release
 * @param text the rest, a sentence
 */
record HostFacts(int jdk, String text) {
  private static final Path PROC = Path.of("/proc");

  /** Returns those of this host and this JVM. */
  static HostFacts read() {
    String cpu = line("cpuinfo", "model name").orElse(System.getProperty("os.arch"));
    String memory =
        line("meminfo", "MemTotal")
            .map(kilobytes -> Long.parseLong(kilobytes.replaceAll("\\D", "")) + (1 << 19))
            .map(kilobytes -> ", " + (kilobytes >> 20) + " GiB")
            .orElse("");
    String kernel = System.getProperty("os.version").replaceAll("^(\\d+\\.\\d+).*", "$1");
    return new HostFacts(
        Runtime.version().feature(),
        String.format(
            Locale.ROOT,
            "%s, %d CPUs%s, %s %s, JDK %s (%s), G1, %s",
            cpu,
            Runtime.getRuntime().availableProcessors(),
            memory,
            System.getProperty("os.name"),
            kernel,
            Runtime.version(),
            System.getProperty("java.vendor"),
            YearMonth.now(ZoneOffset.UTC)));
  }

  private static Optional<String> line(String file, String key) {
    try (Stream<String> lines = Files.lines(PROC.resolve(file))) {
      return lines
          .filter(line -> line.startsWith(key))
          .findFirst()
          .map(line -> line.substring(line.indexOf(':') + 1).strip());
    } catch (IOException | UncheckedIOException e) {
      return Optional.empty(); // a host without /proc
    }
  }
}
