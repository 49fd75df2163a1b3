/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.cdmalloc.topology.Machine;
import org.junit.jupiter.api.Test;

/** What the README shows compiles, runs, and does what it says. */
final class ReadmeTest {
  private static final Path ROOT = Path.of("..");
  private static final Path NODES = Machine.SYSFS.resolve("devices/system/node");
  private static final String JAR = "java -jar benchmarks/target/cdmalloc.jar ";

  private static String between(String text, String begin, String end) {
    int from = text.indexOf(begin) + begin.length();
    assertTrue(from >= begin.length() && text.indexOf(end, from) > from, begin);
    return text.substring(from, text.indexOf(end, from)).stripTrailing().stripIndent();
  }

  @Test
  void theExampleIsTheOneThatRuns() throws IOException {
    String readme = Files.readString(ROOT.resolve("README.md"));
    String source =
        Files.readString(Path.of("src/test/java/org/cdmalloc/benchmarks/ReadmeExample.java"));
    assertEquals(
        between(source, "// README begins\n", "    // README ends"),
        between(readme, "```java\n", "```"));
  }

  @Test
  void theExampleDoesWhatItSays() {
    ReadmeExample.run();
    ReadmeExample.check();
  }

  @Test
  void theCommandLinesSucceedWhereTheRepositoryIs() throws IOException {
    String readme = Files.readString(ROOT.resolve("README.md")).replaceAll("\\\\\n\\s*", "");
    List<String> lines = readme.lines().filter(line -> line.startsWith(JAR)).toList();
    assertTrue(lines.size() >= 2, () -> "lines=" + lines);
    for (String line : lines) {
      String[] arguments = line.substring(JAR.length()).split(" ", -1);
      for (int i = 0; i < arguments.length; i++) {
        // The reader stands at the root of the repository, this test in its module.
        Path file = ROOT.resolve(arguments[i]);
        arguments[i] = Files.isRegularFile(file) ? file.toString() : arguments[i];
      }
      if (line.contains("--numactl") || Files.isDirectory(NODES)) {
        assertTrue(CommandRun.of(arguments).succeeded().contains("0"), line);
      }
    }
  }

  @Test
  void theReadmeIsShort() throws IOException {
    assertTrue(Files.readAllLines(ROOT.resolve("README.md")).size() <= 150);
  }
}
