/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.peers;

import java.util.ArrayList;
import java.util.DoubleSummaryStatistics;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.ToDoubleFunction;

/** Writes results as Markdown, and puts them into a page. */
final class ResultPage {
  /** Below this a pair makes no garbage of its own. */
  private static final double LEAST_GARBAGE_BYTES = 0.5;

  private static final double LARGE = 100;

  private ResultPage() {}

  /**
   * Returns a page with new results in the place of earlier ones.
   *
   * @param page the page
   * @param jdk whose results
   * @param section the new ones
   * @throws IllegalArgumentException if the page has no such place
   */
  static String replace(String page, int jdk, String section) {
    int begin = page.indexOf(begin(jdk));
    int end = page.indexOf(end(jdk));
    if (begin < 0 || end < begin) {
      throw new IllegalArgumentException(
          "the page has no place for results: wanted " + begin(jdk) + " and " + end(jdk));
    }
    return page.substring(0, begin) + begin(jdk) + "\n\n" + section + "\n" + page.substring(end);
  }

  private static String begin(int jdk) {
    return "<!-- results: JDK " + jdk + " -->";
  }

  private static String end(int jdk) {
    return "<!-- end of results: JDK " + jdk + " -->";
  }

  /**
   * Returns results as tables, one for each work and number of threads.
   *
   * @param results what was found
   * @param facts where
   * @param how in how many rounds and iterations, a sentence
   * @param picture the picture's place as the page sees it, or nothing
   */
  static String section(Results results, HostFacts facts, String how, String picture) {
    StringBuilder text = new StringBuilder();
    text.append(facts.text()).append(". ").append(how).append("\n");
    if (!picture.isEmpty()) {
      text.append("\n![Nanoseconds of a pair, by peer, on JDK ")
          .append(facts.jdk())
          .append("](")
          .append(picture)
          .append(")\n");
    }
    byTable(results).forEach((title, jobs) -> table(text, results, title, jobs));
    if (!results.leftOut().isEmpty()) {
      text.append("\nLeft out:\n\n");
      results
          .leftOut()
          .forEach(
              (what, why) -> text.append("- ").append(what).append(": ").append(why).append("\n"));
    }
    return text.toString();
  }

  private static Map<String, List<Job>> byTable(Results results) {
    Map<String, List<Job>> tables = new LinkedHashMap<>();
    for (Job job : results.jobs()) {
      String title = job.work().title + ", " + job.threadsLabel();
      tables.computeIfAbsent(title, key -> new ArrayList<>()).add(job);
    }
    return tables;
  }

  private static void table(StringBuilder text, Results results, String title, List<Job> jobs) {
    List<String> header = new ArrayList<>();
    for (Job job : jobs) {
      if (job.work().sampled()) {
        header.add(job.sizeLabel() + ", median");
        header.add(job.sizeLabel() + ", 99.9 %");
      } else {
        header.add(job.sizeLabel());
      }
    }
    text.append("\n").append(title).append(":\n\n");
    row(text, "ns", header);
    text.append("| --- |").append(" ---: |".repeat(header.size())).append("\n");
    for (String peer : results.peers(jobs)) {
      List<String> cells = new ArrayList<>();
      for (Job job : jobs) {
        cells.add(cell(results, job, peer, Sample::nanos));
        if (job.work().sampled()) {
          cells.add(cell(results, job, peer, Sample::tailNanos));
        }
      }
      row(text, peer, cells);
    }
    DoubleSummaryStatistics trips = results.roundTrips(jobs);
    if (trips.getCount() > 0) {
      text.append("\nA cache line went to the other processor and back in ")
          .append(number(trips.getMin()))
          .append(" to ")
          .append(number(trips.getMax()))
          .append(" ns, before or after, whichever was longer.\n");
    }
  }

  private static void row(StringBuilder text, String first, List<String> others) {
    text.append("| ").append(first).append(" | ").append(String.join(" | ", others));
    text.append(" |\n");
  }

  private static String cell(
      Results results, Job job, String peer, ToDoubleFunction<Sample> nanos) {
    return results
        .figure(job, peer, nanos)
        .map(
            time -> {
              String text = number(time.median());
              if (time.halfRange() > 0) {
                text += " ± " + number(time.halfRange());
              }
              double bytes = results.figure(job, peer, Sample::garbageBytes).orElseThrow().median();
              return bytes < LEAST_GARBAGE_BYTES ? text : text + ", " + number(bytes) + " B";
            })
        .orElse("–");
  }

  /** Returns a figure with no more digits than it deserves. */
  static String number(double value) {
    return String.format(Locale.ROOT, value < LARGE ? "%.1f" : "%,.0f", value);
  }
}
