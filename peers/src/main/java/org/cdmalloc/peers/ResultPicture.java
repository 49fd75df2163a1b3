/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.peers;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/**
 * Draws results as bars, a panel for each work and size. A step to the right is a factor: a linear
 * scale that holds the slowest peer would show nothing of the others.
 */
final class ResultPicture {
  private static final List<Work> WORKS =
      List.of(Work.PAIR, Work.BATCH_RANDOM, Work.HAND_OVER, Work.CHURN);

  /** The width of the picture, which the titles need too where there are fewer panels. */
  private static final int COLUMNS = 4;

  private static final List<String> FIRST_CHOICE = List.of("256", "4096", "65536", Sizes.MIX);

  private static final int NAME_WIDTH = 120;
  private static final int PANEL_WIDTH = 210;
  private static final int BAR_SPAN = 150;
  private static final int LINE = 15;
  private static final int BAR = 10;
  private static final int HEAD = 44;
  private static final int FOOT = 30;

  private static final String STYLE =
      """
      <style>
        text { font: 11px system-ui, sans-serif; fill: #1f2328; }
        .paper { fill: #ffffff; }
        .title { font-weight: 600; font-size: 12px; }
        .quiet { fill: #59636e; }
        .ours { fill: #0969da; }
        .theirs { fill: #8c959f; }
        line { stroke: #d1d9e0; stroke-width: 1; }
        @media (prefers-color-scheme: dark) {
          .paper { fill: #0d1117; }
          text { fill: #f0f6fc; }
          .quiet { fill: #9198a1; }
          .ours { fill: #4493f8; }
          .theirs { fill: #656c76; }
          line { stroke: #3d444d; }
        }
      </style>
      """;

  private final Results results;
  private final StringBuilder body = new StringBuilder();

  private ResultPicture(Results results) {
    this.results = results;
  }

  /**
   * Returns a picture.
   *
   * @param results what was found
   * @param facts where
   */
  static String of(Results results, HostFacts facts) {
    return new ResultPicture(results).draw(facts);
  }

  private String draw(HostFacts facts) {
    Map<String, List<Job>> rows = rows();
    int y = 0;
    for (Map.Entry<String, List<Job>> row : rows.entrySet()) {
      y = row(row.getKey(), row.getValue(), y);
    }
    text(
        0,
        y + LINE,
        "quiet",
        "JDK "
            + facts.jdk()
            + ", ns of an allocation and a free; each line is ten times the one before, from 1 ns");
    int width = NAME_WIDTH + COLUMNS * PANEL_WIDTH;
    int height = y + FOOT;
    return String.format(
            Locale.ROOT,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\""
                + " height=\"%d\">%n",
            width,
            height,
            width,
            height)
        + STYLE
        + "<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n"
        + body
        + "</svg>\n";
  }

  private Map<String, List<Job>> rows() {
    Map<String, List<Job>> rows = new LinkedHashMap<>();
    for (Work work : WORKS) {
      for (int threads : work.threads()) {
        List<Job> jobs =
            results.jobs().stream()
                .filter(job -> job.work() == work && job.threads() == threads)
                .toList();
        List<Job> chosen = new ArrayList<>(jobs);
        if (chosen.size() > COLUMNS) {
          chosen.removeIf(job -> !FIRST_CHOICE.contains(job.size()));
        }
        if (!chosen.isEmpty()) {
          String what = work.sampled() ? ": what one step in a thousand exceeds" : "";
          rows.put(work.title + ", " + chosen.get(0).threadsLabel() + what, chosen);
        }
      }
    }
    return rows;
  }

  /** Returns how many powers of ten all bars of a row fit in. */
  private int decades(List<Job> jobs, List<String> peers) {
    double most =
        jobs.stream()
            .flatMap(job -> peers.stream().flatMap(peer -> nanos(job, peer).stream()))
            .mapToDouble(Double::doubleValue)
            .max()
            .orElse(1);
    return Math.max(1, (int) Math.ceil(Math.log10(most)));
  }

  private int row(String title, List<Job> jobs, int top) {
    List<String> peers = results.peers(jobs);
    int decades = decades(jobs, peers);
    text(0, top + LINE, "title", title);
    int height = peers.size() * LINE;
    for (int column = 0; column < jobs.size(); column++) {
      int left = NAME_WIDTH + column * PANEL_WIDTH;
      text(left, top + 2 * LINE, "quiet", jobs.get(column).sizeLabel());
      for (int decade = 0; decade <= decades; decade++) {
        int x = left + decade * BAR_SPAN / decades;
        body.append(
            String.format(
                Locale.ROOT,
                "<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>%n",
                x,
                top + HEAD - 8,
                x,
                top + HEAD + height));
      }
    }
    for (int i = 0; i < peers.size(); i++) {
      int y = top + HEAD + i * LINE;
      text(0, y + BAR, peers.get(i).startsWith("cdmalloc") ? "ours" : "", peers.get(i));
      for (int column = 0; column < jobs.size(); column++) {
        int left = NAME_WIDTH + column * PANEL_WIDTH;
        bar(left, y, jobs.get(column), peers.get(i), BAR_SPAN / (double) decades);
      }
    }
    return top + HEAD + height + LINE;
  }

  private void bar(int left, int y, Job job, String peer, double decadeWidth) {
    Optional<Double> nanos = nanos(job, peer);
    if (nanos.isEmpty()) {
      return;
    }
    double length = Math.log10(Math.max(1, nanos.get())) * decadeWidth;
    body.append(
        String.format(
            Locale.ROOT,
            "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>%n",
            peer.startsWith("cdmalloc") ? "ours" : "theirs",
            left,
            y,
            Math.max(1, length),
            BAR));
    text((int) (left + length) + 4, y + BAR, "", number(nanos.get()));
  }

  private Optional<Double> nanos(Job job, String peer) {
    return results
        .figure(job, peer, job.work().sampled() ? Sample::tailNanos : Sample::nanos)
        .map(Results.Figure::median);
  }

  private static String number(double nanos) {
    return ResultPage.number(nanos);
  }

  private void text(int x, int y, String style, String text) {
    body.append(
        String.format(
            Locale.ROOT,
            "<text x=\"%d\" y=\"%d\"%s>%s</text>%n",
            x,
            y,
            style.isEmpty() ? "" : " class=\"" + style + "\"",
            text));
  }
}
