/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * What changed between two reports beyond noise. A figure changed if its batches and those of the
 * other one do not overlap, though each is taken 3 % longer than it is, and the medians differ by 5
 * % or more: what the same host shows from one process to the next (docs/locality.md).
 */
final class Comparison {
  private static final double LEAST_CHANGE = 0.05;
  private static final double MARGIN = 0.03;
  private static final double PERCENT = 100;

  private final List<String> conditions = new ArrayList<>();
  private final List<String> changed = new ArrayList<>();
  private int same;
  private int disturbed;
  private int single;

  private Comparison() {}

  /** Compares a report with a later one. */
  static Comparison of(Report before, Report after) {
    Comparison comparison = new Comparison();
    comparison.conditions(before, after);
    Map<List<Object>, Figure> earlier = new HashMap<>();
    before.figures().forEach(figure -> earlier.put(key(figure), figure));
    for (Figure now : after.figures()) {
      Figure then = earlier.remove(key(now));
      if (then == null) {
        comparison.single++;
      } else {
        comparison.compare(then, now);
      }
    }
    comparison.single += earlier.size();
    return comparison;
  }

  /** What else is different may be why figures are. */
  private void conditions(Report before, Report after) {
    Host then = before.host();
    Host now = after.host();
    condition("processor", then.processor(), now.processor());
    condition("kernel", then.kernel(), now.kernel());
    condition("JDK", then.jdk(), now.jdk());
    condition("access", then.form(), now.form());
    condition("transparent huge pages", then.hugePages(), now.hugePages());
    condition("caches", then.caches(), now.caches());
    condition("nodes", nodes(then), nodes(now));
    condition("NUMA balancing", then.balancing(), now.balancing());
    condition("effort", before.effort(), after.effort());
    condition("version", before.version(), after.version());
  }

  private static List<String> nodes(Host host) {
    return host.nodes().stream()
        .map(node -> node.id() + ": CPUs " + node.cpus() + ", " + Quantities.binary(node.bytes()))
        .toList();
  }

  private void condition(String what, Object then, Object now) {
    if (!then.equals(now)) {
      conditions.add("different " + what + ": " + then + " -> " + now);
    }
  }

  private static List<Object> key(Figure figure) {
    return List.of(
        figure.measure(),
        figure.cpuNode(),
        figure.memoryNode(),
        figure.threads(),
        figure.pages(),
        figure.bytes(),
        figure.restNanos());
  }

  private void compare(Figure then, Figure now) {
    double change = now.median() / then.median() - 1;
    boolean isApart =
        least(now) > most(then) * (1 + MARGIN) || least(then) > most(now) * (1 + MARGIN);
    if (Math.abs(change) < LEAST_CHANGE || !isApart) {
      same++;
    } else if (then.has(Mark.DISTURBED) || now.has(Mark.DISTURBED)) {
      disturbed++;
    } else {
      changed.add(words(then, now, change));
    }
  }

  private static double least(Figure figure) {
    return figure.batches().stream().mapToDouble(Double::doubleValue).min().orElseThrow();
  }

  private static double most(Figure figure) {
    return figure.batches().stream().mapToDouble(Double::doubleValue).max().orElseThrow();
  }

  private static String words(Figure then, Figure now, double change) {
    boolean isBetter = change > 0 == now.measure().isBandwidth();
    return String.format(
        Locale.ROOT,
        "%s: %s, CPUs of node %d, memory of node %d%s, %d thread%s, %s pages%s: %s -> %s %s (%+.0f %%)",
        isBetter ? "better" : "worse",
        now.measure().title,
        now.cpuNode(),
        now.memoryNode(),
        now.bytes() > 0 ? ", " + Quantities.binary(now.bytes()) : "",
        now.threads(),
        now.threads() == 1 ? "" : "s",
        now.pages().title,
        differences(then, now),
        Quantities.three(then.median()),
        Quantities.three(now.median()),
        now.measure().unit,
        change * PERCENT);
  }

  /** What else is to be known of two figures of the same place. */
  private static String differences(Figure then, Figure now) {
    String traffic =
        then.traffic() == 0 && now.traffic() == 0
            ? ""
            : String.format(
                Locale.ROOT,
                ", beside %s -> %s GB/s",
                Quantities.three(then.traffic()),
                Quantities.three(now.traffic()));
    return then.marks().equals(now.marks())
        ? traffic
        : traffic + ", marked '" + signs(then) + "' -> '" + signs(now) + "'";
  }

  private static String signs(Figure figure) {
    return figure.marks().stream().sorted().map(mark -> mark.sign).collect(Collectors.joining());
  }

  /** Tells whether any figure changed. */
  boolean hasChanges() {
    return !changed.isEmpty();
  }

  @Override
  public String toString() {
    StringBuilder text = new StringBuilder();
    conditions.forEach(line -> text.append(line).append('\n'));
    changed.forEach(line -> text.append(line).append('\n'));
    text.append(
        String.format(
            Locale.ROOT,
            "%d changed, %d the same within noise, %d differ but were disturbed, %d in one report"
                + " only%n",
            changed.size(),
            same,
            disturbed,
            single));
    return text.toString();
  }
}
