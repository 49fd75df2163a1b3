/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** The page that people look at. */
final class HtmlReportTest {
  private static final Pattern TAG = Pattern.compile("<(/?)([a-zA-Z][a-zA-Z0-9]*)[^>]*?(/?)>");
  private static final Set<String> EMPTY = Set.of("meta", "br");

  private static void assertNested(String page) {
    Deque<String> open = new ArrayDeque<>();
    Matcher tags = TAG.matcher(page);
    while (tags.find()) {
      String name = tags.group(2);
      if (tags.group(1).isEmpty() && tags.group(3).isEmpty() && !EMPTY.contains(name)) {
        open.push(name);
      } else if (!tags.group(1).isEmpty()) {
        assertEquals(open.pop(), name, "closed in the wrong order at " + tags.start());
      }
    }
    assertTrue(open.isEmpty(), open.toString());
  }

  @Test
  void itNeedsNothingElseAndRunsNothing() {
    String page = HtmlReport.of(Reports.typical());
    assertNested(page);
    for (String word :
        new String[] {"<script", "<img", "<link", "http://", "https://", "url(", "@import"}) {
      assertFalse(page.contains(word), word);
    }
  }

  @Test
  void allTextIsQuoted() {
    String page = HtmlReport.of(Reports.typical());
    assertTrue(page.contains("A &lt;processor&gt; &amp; more"));
    assertFalse(page.contains("<processor>"));
    assertTrue(page.contains("too full: &lt;none&gt;"));
  }

  @Test
  void tablesAndPicturesAreReadByAScreenReader() {
    String page = HtmlReport.of(Reports.typical());
    assertTrue(page.contains("<html lang=\"en\">"));
    assertEquals(count(page, "<table"), count(page, "<caption>"));
    assertEquals(count(page, "<svg"), count(page, "role=\"img\""));
    assertEquals(count(page, "<svg"), count(page, "<desc "));
    assertTrue(page.contains("<th scope=\"row\">node 1</th>"));
  }

  @Test
  void marksAreExplainedWhereTheyStand() {
    String page = HtmlReport.of(Reports.typical());
    assertTrue(
        page.contains(
            "117<abbr title=\""
                + Html.text(Mark.DISTURBED.meaning)
                + "\" aria-hidden=\"true\">*</abbr><span class=\"unseen\">, disturbed</span>"));
  }

  @Test
  void whatIsWiderThanAScreenIsReachedByKeyboard() {
    String page = HtmlReport.of(Reports.typical());
    assertEquals(
        count(page, "<div class=\"scroll\""),
        count(page, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\""));
  }

  @Test
  void firmwareStandsBesideWhatWasMeasured() {
    String page = HtmlReport.of(Reports.typical());
    assertTrue(page.contains("<td>300</td><td>320</td>"), page);
  }

  @Test
  void allFiguresAreInIt() {
    Report report = Reports.typical();
    assertTrue(HtmlReport.of(report).contains(Html.text(ReportFile.json(report))));
  }

  @Test
  void aReportOfNothingIsAPageToo() {
    assertNested(HtmlReport.of(Reports.of(List.of())));
  }

  private static int count(String page, String word) {
    return page.split(Pattern.quote(word), -1).length - 1;
  }
}
