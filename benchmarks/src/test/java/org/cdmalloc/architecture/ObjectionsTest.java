/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.architecture;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/**
 * Holds {@code docs/objections.md}: every objection to the coherent-device-memory patches has one
 * row, and a row names tests that exist or says that it is open. Whether a test shows what its row
 * says is for readers; where links lead is {@link RepositoryTest}'s.
 */
final class ObjectionsTest {
  private static final Path ROOT = Path.of("..");

  /** Those of Gorman, Hubbard, Hansen, Babka, Hocko, Glisse, Singh, Lameter, Herrenschmidt. */
  private static final List<String> IDS =
      Stream.of(
              numbered("G", 11),
              numbered("H", 6),
              numbered("D", 7),
              numbered("V", 3),
              numbered("O", 4),
              numbered("J", 3),
              Stream.of("B1", "C1", "BH"))
          .flatMap(ids -> ids)
          .toList();

  private static final Pattern ROW = Pattern.compile("\\| *([A-Z]+[0-9]*) *\\|.*");
  private static final Pattern TEST = Pattern.compile("`(\\w*)#([^`]*)`");
  private static final int CELLS = 5;
  private static final String OPEN = "**open**";

  private static TestSources sources;

  private static Stream<String> numbered(String letter, int last) {
    return IntStream.rangeClosed(1, last).mapToObj(number -> letter + number);
  }

  @BeforeAll
  static void findTheTests() throws IOException {
    sources = TestSources.below(ROOT);
  }

  /** What is wrong with a page, a line each. */
  private static List<String> faults(String page) {
    List<String> faults = new ArrayList<>();
    List<String> missing = new ArrayList<>(IDS);
    for (String line : page.lines().toList()) {
      Matcher row = ROW.matcher(line);
      if (row.matches()) {
        String id = row.group(1);
        if (!missing.remove(id)) {
          faults.add(id + ": unknown, or there before");
        }
        faultsOfRow(line).forEach(fault -> faults.add(id + ": " + fault));
      }
    }
    missing.forEach(id -> faults.add(id + ": missing"));
    return faults;
  }

  private static List<String> faultsOfRow(String row) {
    List<String> faults = new ArrayList<>();
    List<String> parts = Arrays.asList(row.split("\\|", -1));
    // What stands before the first bar and after the last one is no cell.
    List<String> cells = parts.subList(1, parts.size() - 1);
    if (cells.size() != CELLS || cells.stream().anyMatch(String::isBlank)) {
      faults.add("cells=" + cells.size() + ", wanted=" + CELLS + ", none of them blank");
    }
    Matcher test = TEST.matcher(row);
    int tests = 0;
    while (test.find()) {
      tests++;
      if (!sources.hasTest(test.group(1), test.group(2))) {
        faults.add("no such test: " + test.group(1) + "#" + test.group(2));
      }
    }
    if (tests == 0 && !row.contains(OPEN)) {
      faults.add("names no test and is not " + OPEN);
    }
    return faults;
  }

  private static void assertNone(List<String> faults) {
    assertEquals("", String.join("\n", faults));
  }

  @Test
  void everyObjectionHasOneRowThatNamesTestsOrIsOpen() throws IOException {
    assertNone(faults(Files.readString(ROOT.resolve("docs/objections.md"))));
  }

  /** What is wrong with a page that was right, after a change of H1's row. */
  private static List<String> faultsWith(UnaryOperator<String> change) {
    return faults(
        IDS.stream()
            .map(id -> "| " + id + " | who | what | answer | `RepositoryTest#filesAreSmall` |\n")
            .map(row -> row.startsWith("| H1 ") ? change.apply(row) : row)
            .collect(Collectors.joining("", "# Title\n\n| id | who |\n| --- | --- |\n", "")));
  }

  private static List<String> faultsNaming(String test) {
    return faultsWith(row -> row.replace("RepositoryTest#filesAreSmall", test));
  }

  @Test
  void aPageWithoutAFaultHasNone() {
    assertNone(faultsWith(row -> row));
    assertNone(faultsWith(row -> row.replace("`RepositoryTest#filesAreSmall`", "**open**")));
    // Ten classes up, and in another module.
    assertNone(faultsNaming("LinuxAllocatorTest#aFullDeviceNeverFallsBackToSystemMemory"));
    assertNone(faultsNaming("DeviceContract#aFullDeviceNeverFallsBackToSystemMemory"));
    assertNone(faultsNaming("ExhaustionTest#aFullNodeIsAnExceptionForTwoAtOnce"));
  }

  @Test
  void anObjectionHasOneRow() {
    assertEquals(List.of("H1: missing"), faultsWith(row -> ""));
    assertEquals(List.of("H1: unknown, or there before"), faultsWith(row -> row + row));
    assertEquals(
        List.of("H7: unknown, or there before", "H1: missing"),
        faultsWith(row -> row.replace("H1", "H7")));
  }

  @Test
  void aRowHasAllOfItsCells() {
    assertEquals(
        List.of("H1: cells=5, wanted=5, none of them blank"),
        faultsWith(row -> row.replace("| answer |", "| |")));
    assertEquals(
        List.of("H1: cells=4, wanted=5, none of them blank"),
        faultsWith(row -> row.replace("| answer |", "|")));
  }

  @Test
  void aRowNamesTestsThatExistOrIsOpen() {
    assertEquals(
        List.of("H1: names no test and is not **open**"),
        faultsWith(row -> row.replace("`RepositoryTest#filesAreSmall`", "tests")));
    for (String test :
        List.of(
            "RepositoryTest#filesAreLarge",
            "RepositoryTest#",
            // A method, and no test.
            "RepositoryTest#assertNone",
            // A test of a class below.
            "DeviceContract#whereBindingIsRefusedOnlyRequestsThatNameANodeFail",
            "NoTest#filesAreSmall",
            "#filesAreSmall")) {
      assertEquals(List.of("H1: no such test: " + test), faultsNaming(test));
    }
  }
}
