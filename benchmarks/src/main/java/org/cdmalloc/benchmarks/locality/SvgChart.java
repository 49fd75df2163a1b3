/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.function.DoubleFunction;

/**
 * A line chart as inline SVG: ticks where something was measured, names at the ends of lines, each
 * line dashed in its own way so that colour alone tells nothing.
 */
final class SvgChart {
  /**
   * A line.
   *
   * @param name what it is
   * @param points where it goes, in any order
   */
  record Line(String name, List<Point> points) {}

  /**
   * A point.
   *
   * @param x positive where the axis is logarithmic
   * @param y 0 or more
   */
  record Point(double x, double y) {}

  private static final int WIDTH = 640;
  private static final int HEIGHT = 300;
  private static final int LEFT = 56;
  private static final int RIGHT = 120;
  private static final int TOP = 16;
  private static final int BOTTOM = 46;
  private static final int ROWS = 5;
  private static final int STYLES = 6;
  private static final int TEXT_HEIGHT = 13;
  private static final int LEAST_TICK_GAP = 44;

  private final String title;
  private final String xTitle;
  private final String yTitle;
  private final boolean logarithmic;
  private final DoubleFunction<String> xLabel;
  private final List<Line> lines = new ArrayList<>();

  SvgChart(
      String title,
      String xTitle,
      String yTitle,
      boolean logarithmic,
      DoubleFunction<String> xLabel) {
    this.title = title;
    this.xTitle = xTitle;
    this.yTitle = yTitle;
    this.logarithmic = logarithmic;
    this.xLabel = xLabel;
  }

  void add(Line line) {
    lines.add(line);
  }

  boolean isEmpty() {
    return lines.isEmpty();
  }

  /** Prints the element. */
  String svg(int id) {
    double mostY =
        lines.stream().flatMap(l -> l.points().stream()).mapToDouble(Point::y).max().orElse(1);
    double step = step(mostY / ROWS);
    double top = Math.max(step, Math.ceil(mostY / step) * step);
    double leastX = scaled(xs().first());
    double mostX = scaled(xs().last());
    StringBuilder svg = new StringBuilder();
    svg.append(
        String.format(
            Locale.ROOT,
            "<svg class=\"chart\" role=\"img\" aria-labelledby=\"t%d d%d\" viewBox=\"0 0 %d %d\">%n"
                + "<title id=\"t%d\">%s</title><desc id=\"d%d\">%s</desc>%n",
            id,
            id,
            WIDTH,
            HEIGHT,
            id,
            Html.text(title),
            id,
            Html.text(description())));
    for (double y = 0; y <= top + step / 2; y += step) {
      double at = y(y, top);
      svg.append(
          String.format(
              Locale.ROOT,
              "<line class=\"grid\" x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\"/>"
                  + "<text class=\"y\" x=\"%d\" y=\"%.1f\">%s</text>%n",
              LEFT,
              at,
              WIDTH - RIGHT,
              at,
              LEFT - 6,
              at + 4,
              number(y)));
    }
    double last = -LEAST_TICK_GAP;
    for (double x : xs()) {
      double at = x(scaled(x), leastX, mostX);
      if (at - last >= LEAST_TICK_GAP) {
        svg.append(
            String.format(
                Locale.ROOT,
                "<text class=\"x\" x=\"%.1f\" y=\"%d\">%s</text>%n",
                at,
                HEIGHT - BOTTOM + 18,
                Html.text(xLabel.apply(x))));
        last = at;
      }
    }
    svg.append(
        String.format(
            Locale.ROOT,
            "<text class=\"x axis\" x=\"%d\" y=\"%d\">%s</text><text class=\"axis\" x=\"4\" y=\"11\">%s</text>%n",
            (LEFT + WIDTH - RIGHT) / 2,
            HEIGHT - 8,
            Html.text(xTitle),
            Html.text(yTitle)));
    List<Double> taken = new ArrayList<>();
    for (int i = 0; i < lines.size(); i++) {
      draw(svg, lines.get(i), i, top, leastX, mostX, taken);
    }
    return svg.append("</svg>\n").toString();
  }

  private void draw(
      StringBuilder svg,
      Line line,
      int index,
      double top,
      double leastX,
      double mostX,
      List<Double> taken) {
    List<Point> points =
        line.points().stream().sorted(Comparator.comparingDouble(Point::x)).toList();
    StringBuilder path = new StringBuilder();
    for (Point point : points) {
      path.append(
          String.format(
              Locale.ROOT, "%.1f,%.1f ", x(scaled(point.x()), leastX, mostX), y(point.y(), top)));
    }
    svg.append(
        String.format(
            Locale.ROOT,
            "<g class=\"s%d\"><polyline points=\"%s\"/>%n",
            index % STYLES,
            path.toString().strip()));
    for (Point point : points) {
      svg.append(
          String.format(
              Locale.ROOT,
              "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\"><title>%s: %s, %s</title></circle>%n",
              x(scaled(point.x()), leastX, mostX),
              y(point.y(), top),
              Html.text(line.name()),
              Html.text(xLabel.apply(point.x())),
              number(point.y())));
    }
    Point end = points.get(points.size() - 1);
    double at = free(y(end.y(), top) + 4, taken);
    svg.append(
        String.format(
            Locale.ROOT,
            "<text x=\"%.1f\" y=\"%.1f\">%s</text></g>%n",
            x(scaled(end.x()), leastX, mostX) + 8,
            at,
            Html.text(line.name())));
  }

  /** Returns a height at which no name stands yet. */
  private static double free(double wanted, List<Double> taken) {
    double at = wanted;
    boolean moved = true;
    while (moved) {
      moved = false;
      for (double other : taken) {
        // A little less: a sum that was rounded down would be moved to where it is, for ever.
        if (Math.abs(other - at) < TEXT_HEIGHT - 0.5) {
          at = other + TEXT_HEIGHT;
          moved = true;
        }
      }
    }
    taken.add(at);
    return at;
  }

  private SortedSet<Double> xs() {
    SortedSet<Double> xs = new TreeSet<>();
    lines.forEach(line -> line.points().forEach(point -> xs.add(point.x())));
    return xs;
  }

  private double scaled(double x) {
    return logarithmic ? Math.log(x) : x;
  }

  private static double x(double scaled, double least, double most) {
    double part = most == least ? 0 : (scaled - least) / (most - least);
    return LEFT + part * (WIDTH - LEFT - RIGHT);
  }

  private static double y(double value, double top) {
    return HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM);
  }

  /** Returns 1, 2 or 5 times a power of ten, at least so much. */
  private static double step(double least) {
    double power = Math.pow(10, Math.floor(Math.log10(Math.max(1e-9, least))));
    for (int factor : new int[] {1, 2, 5}) {
      if (factor * power >= least) {
        return factor * power;
      }
    }
    return 10 * power;
  }

  private static String number(double value) {
    return value == Math.rint(value)
        ? String.format(Locale.ROOT, "%.0f", value)
        : Quantities.three(value);
  }

  /** All of it in words, for those who do not see it. */
  private String description() {
    StringBuilder words = new StringBuilder(yTitle + " by " + xTitle + ". ");
    for (Line line : lines) {
      words.append(line.name()).append(": ");
      line.points().stream()
          .sorted(Comparator.comparingDouble(Point::x))
          .forEach(
              point ->
                  words
                      .append(xLabel.apply(point.x()))
                      .append(" ")
                      .append(number(point.y()))
                      .append("; "));
    }
    return words.toString().strip();
  }
}
