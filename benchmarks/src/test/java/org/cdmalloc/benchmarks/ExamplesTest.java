/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * The Java that pages show is cut from tests, from between a line {@code // docs: NAME} and a line
 * {@code // docs: end}, in the order in which the page has it. What an example leads to is asserted
 * outside of these lines.
 */
final class ExamplesTest {
  private static final Path ROOT = Path.of("..");
  private static final Path TESTS = Path.of("src/test/java/org/cdmalloc/benchmarks");

  /** From where each page's examples come. */
  private static final Map<String, String> SOURCES =
      Map.of("README.md", "ReadmeTest.java", "docs/devices.md", "DevicesExamples.java");

  private static final Pattern REGION =
      Pattern.compile("(?ms)^ *// docs: (?!end$)\\S+\n(.*?)^ *// docs: end$");
  private static final Pattern BLOCK = Pattern.compile("(?ms)^ *```java\n(.*?)^ *```$");
  private static final Pattern MARK = Pattern.compile("(?m)^ *// docs:");

  private static List<String> found(Pattern pattern, String text) {
    List<String> found = new ArrayList<>();
    Matcher matcher = pattern.matcher(text);
    while (matcher.find()) {
      found.add(matcher.group(1).stripTrailing().stripIndent());
    }
    return found;
  }

  private static String source(String page) throws IOException {
    return Files.readString(TESTS.resolve(SOURCES.get(page)));
  }

  private static List<String> pages() throws IOException {
    try (Stream<Path> all = Files.walk(ROOT.resolve("docs"))) {
      return Stream.concat(Stream.of(ROOT.resolve("README.md")), all)
          .filter(path -> path.toString().endsWith(".md"))
          .map(path -> ROOT.relativize(path).toString().replace('\\', '/'))
          .toList();
    }
  }

  @Test
  void whatPagesShowIsWhatRuns() throws IOException {
    for (String page : SOURCES.keySet()) {
      List<String> shown = found(BLOCK, Files.readString(ROOT.resolve(page)));
      assertFalse(shown.isEmpty(), page);
      assertEquals(
          String.join("\n\n", found(REGION, source(page))), String.join("\n\n", shown), page);
    }
  }

  @Test
  void noPageShowsJavaThatDoesNotRun() throws IOException {
    List<String> pages = pages();
    assertTrue(pages.containsAll(SOURCES.keySet()), () -> "pages=" + pages);
    for (String page : pages) {
      String text = Files.readString(ROOT.resolve(page));
      assertEquals(SOURCES.containsKey(page), text.contains("```java"), page);
    }
  }

  /** A region that is in no test compiles, and nobody knows what it does. */
  @Test
  void everyExampleIsInATest() throws IOException {
    for (String page : SOURCES.keySet()) {
      String source = source(page);
      Matcher region = REGION.matcher(source);
      long regions = 0;
      while (region.find()) {
        regions++;
        String before = source.substring(0, region.start());
        int test = before.lastIndexOf("\n  @Test\n");
        assertTrue(test >= 0 && !before.substring(test).contains("\n  }\n"), region.group());
      }
      assertEquals(
          2 * regions, MARK.matcher(source).results().count(), "lines of docs: in " + page);
    }
  }
}
