/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.spi;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * The port's text and its tests say the same: each {@link Clause} stands in the port, and each
 * sentence of {@link MemorySource} is checked by a test, word by word, or is listed here with the
 * reason why it needs none.
 */
final class ClausesTest {
  /** The classes whose tests quote the port. */
  private static final List<Class<?>> TESTS =
      List.of(
          MemorySourceContract.class,
          AddressOnlySourceTest.OfSmallPages.class,
          PortValuesTest.class);

  private static final String WARNS = "says what others may do, which no source can promise";

  /** Sentences that bind no source, and why. */
  private static final Map<String, String> STATE_NO_DUTY =
      Map.of(
          "All that a platform can do for the allocator: reserve address space on a node, back it"
              + " with that node's memory, give the memory back, and tell where pages are.",
          "sums up the methods",
          "Ranges of concurrent calls on one region do not overlap; the allocator sees to it.",
          "binds the caller",
          "Names the source.",
          "what the name is, its return value says",
          "Locked is not fixed: a platform may still put pages elsewhere.",
          WARNS,
          "Linux does so for compaction (on the same node; mlock(2), NOTES, and"
              + " vm.compact_unevictable_allowed), when memory goes offline, when I/O pins pages for"
              + " long that lie in ZONE_MOVABLE or in CMA, and when a process that may do so moves"
              + " them by move_pages(2), migrate_pages(2) or the memory nodes of a cpuset.",
          WARNS,
          "Whoever must know asks lockHazards before, and residency after.",
          "binds the caller",
          "From then on its pages may also be swapped out and demoted, besides all that may move"
              + " them while they are locked, see lock.",
          WARNS,
          "A figure that cannot be read names no hazard, and what other processes may do shows in"
              + " none.",
          WARNS,
          "Figures about an emulated machine's placement are no measurements, and reports say so.",
          "binds those who write reports");

  /** What may stand between two quotations of one sentence. */
  private static final Pattern JOINT = Pattern.compile("[\\s,;:.]*((and|or)\\b)?[\\s,;:.]*");

  private static final Pattern COMMENT = Pattern.compile("/\\*\\*(.*?)\\*/", Pattern.DOTALL);
  private static final Pattern LINK =
      Pattern.compile("\\{@link(?:plain)?\\s+([^\\s}(]+(?:\\([^)]*\\))?)(?:\\s+([^}]+))?}");
  private static final Pattern HEADING = Pattern.compile("<b>[^<]*</b>");

  /** A block tag; what follows a parameter or an exception begins with its name. */
  private static final Pattern BLOCK_TAG = Pattern.compile("\\s*@(param|return|throws)\\s+");

  private static final Pattern SENTENCE_END = Pattern.compile("(?<=[.?!]) (?=[A-Z])");

  private static Path port() {
    Path folder = Path.of("src/main/java/org/cdmalloc/spi");
    assertTrue(Files.isDirectory(folder), "run in allocator-core: " + folder.toAbsolutePath());
    return folder;
  }

  /** Returns the sentences of a source file's Javadoc in plain text. */
  private static Set<String> sentences(Path file) throws IOException {
    return sentences(Files.readString(file, UTF_8));
  }

  static Set<String> sentences(String source) {
    Set<String> sentences = new LinkedHashSet<>();
    Matcher comment = COMMENT.matcher(source);
    while (comment.find()) {
      String text = comment.group(1).replaceAll("(?m)^\\s*\\* ?", "").replaceAll("\\s+", " ");
      for (String block : BLOCK_TAG.split(text, -1)) {
        sentences.addAll(List.of(SENTENCE_END.split(plain(block), -1)));
      }
    }
    sentences.remove("");
    return sentences;
  }

  private static String plain(String javadoc) {
    String text = LINK.matcher(javadoc).replaceAll(ClausesTest::seen);
    return HEADING
        .matcher(text)
        .replaceAll("")
        .replaceAll("\\{@code ([^}]*)}", "$1")
        .replaceAll("<sup>", "^")
        .replaceAll("<[^>]+>", "")
        .replaceAll(" +", " ")
        .strip();
  }

  /** What a reader sees of a link: its label, or its target without package and parameters. */
  private static String seen(MatchResult link) {
    if (link.group(2) != null) {
      return link.group(2);
    }
    return link.group(1)
        .replaceFirst("^#", "")
        .replaceFirst("^([a-z]+\\.)+", "")
        .replace('#', '.')
        .replaceFirst("\\(.*", "()");
  }

  private static List<Method> tests() {
    List<Method> tests = new ArrayList<>();
    for (Class<?> top : TESTS) {
      for (Class<?> type = top; type != Object.class; type = type.getSuperclass()) {
        Stream.of(type.getDeclaredMethods())
            .filter(method -> method.isAnnotationPresent(Test.class))
            .forEach(tests::add);
      }
    }
    assertTrue(tests.size() > 40, "tests=" + tests.size());
    return tests;
  }

  private static Set<String> clauses() {
    Set<String> clauses = new TreeSet<>();
    tests().stream()
        .map(test -> test.getAnnotation(Clause.class))
        .filter(clause -> clause != null)
        .forEach(clause -> clauses.addAll(Arrays.asList(clause.value())));
    return clauses;
  }

  /**
   * Returns what no clause quotes of a sentence; the words that join two quotations are no loss.
   */
  private static String unquoted(String sentence, Set<String> clauses) {
    BitSet quoted = new BitSet();
    for (String clause : clauses) {
      for (int at = sentence.indexOf(clause); at >= 0; at = sentence.indexOf(clause, at + 1)) {
        quoted.set(at, at + clause.length());
      }
    }
    StringBuilder rest = new StringBuilder();
    for (int at = quoted.nextClearBit(0); at < sentence.length(); ) {
      int next = quoted.nextSetBit(at);
      int end = next < 0 ? sentence.length() : next;
      String gap = sentence.substring(at, end);
      rest.append(JOINT.matcher(gap).matches() ? "" : gap + " … ");
      at = quoted.nextClearBit(end);
    }
    return rest.toString();
  }

  @Test
  void everyClauseStandsInThePort() throws IOException {
    Set<String> sentences = new LinkedHashSet<>();
    try (Stream<Path> files = Files.list(port())) {
      for (Path file : (Iterable<Path>) files::iterator) {
        sentences.addAll(sentences(file));
      }
    }
    List<String> missing =
        clauses().stream()
            .filter(clause -> sentences.stream().noneMatch(sentence -> sentence.contains(clause)))
            .toList();
    assertEquals(List.of(), missing, "quoted, but in no sentence of the port");
  }

  @Test
  void everySentenceOfThePortIsTestedOrStatesNoDuty() throws IOException {
    Set<String> clauses = clauses();
    List<String> untested = new ArrayList<>();
    Set<String> sentences = sentences(port().resolve("MemorySource.java"));
    for (String sentence : sentences) {
      String rest = unquoted(sentence, clauses);
      if (!rest.isEmpty() && !STATE_NO_DUTY.containsKey(sentence)) {
        untested.add(sentence + "  [not quoted: " + rest + "]");
      }
    }
    assertEquals(List.of(), untested, "write a test with a @Clause for");
    Set<String> gone = new TreeSet<>(STATE_NO_DUTY.keySet());
    gone.removeAll(sentences);
    assertEquals(Set.of(), gone, "listed as stating no duty, but not in the port");
  }

  @Test
  void everyTestOfThePortQuotesIt() {
    List<String> silent =
        tests().stream()
            .filter(test -> !test.isAnnotationPresent(Clause.class))
            .map(Method::toString)
            .toList();
    assertEquals(List.of(), silent);
  }

  @Test
  void aTestIsCalledByItsClauses() throws NoSuchMethodException {
    Method test = ReserveContract.class.getDeclaredMethod("reserveUsesNoMemory");
    ClauseNames names = new ClauseNames();
    assertEquals(
        "No memory is used yet.",
        names.generateDisplayNameForMethod(List.of(), AddressOnlySourceTest.class, test));
  }

  @Test
  void aSentenceIsReadAsItsReaderSeesIt() {
    String source =
        """
        /**
         * <b>Ranges.</b> After {@link
         * #release} see {@link Region#isBound()}, {@link CommitResult#COMMITTED} and
         * {@link MemorySource#commit commit}. Up to 2<sup>31</sup>.
         *
         * @param bytes the {@code size}; any
         * @throws IllegalStateException if {@link #osPageBytes()} fails
         * @see {@link Region#of(int, long)} and {@link Region#of(int, long) that one}
         */
        """;
    assertEquals(
        List.of(
            "After release see Region.isBound(), CommitResult.COMMITTED and commit.",
            "Up to 2^31.",
            "bytes the size; any",
            "IllegalStateException if osPageBytes() fails @see Region.of() and that one"),
        List.copyOf(sentences(source)));
    assertEquals("", unquoted("One, or two.", Set.of("One", "two.")));
    assertEquals("One,  … ", unquoted("One, or two.", Set.of("or two.")));
  }
}
