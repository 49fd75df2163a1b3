/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks.locality;

import java.time.Clock;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import org.cdmalloc.numa.CpuAffinity;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.topology.CpuMask;
import org.cdmalloc.topology.Machine;

/** Measures a host, cell after cell. For one thread; another one may ask it to stop. */
final class Locality {
  /** With what begins and ends a run that is less than a minute. */
  private static final double QUICK_NANOS = 50e9;

  private static final double LEAST_HUGE = 0.9;
  private static final double MOST_BETWEEN_BATCHES = 0.15;

  private final MemorySource source;
  private final Request request;
  private final Stop stop;
  private final List<Figure> figures = Collections.synchronizedList(new ArrayList<>());
  private final List<Refused> refused = Collections.synchronizedList(new ArrayList<>());

  Locality(MemorySource source, Request request, Stop stop) {
    this.source = source;
    this.request = request;
    this.stop = stop;
  }

  /**
   * Measures all that was asked for, as far as it can be.
   *
   * @param progress told of each cell
   * @param version the program's
   * @return what was found, also where it was stopped
   */
  Report run(Progress progress, String version) {
    Machine machine = source.machine();
    CpuMask allowed = CpuAffinity.get();
    int cpu = allowed.stream().findFirst().orElseThrow();
    Caches caches = Caches.of(Machine.SYSFS, cpu);
    Plan plan =
        Plan.of(
            machine,
            request,
            cpus -> Caches.lastLevelBytes(Machine.SYSFS, cpus),
            // A control group's limit is for all nodes together, and one is used at a time.
            node -> Math.min(source.freeBytes(node), source.limitBytes()),
            allowed);
    refused.addAll(plan.refused());
    measure(plan, progress);
    progress.ends();
    Host host = Host.read(machine, cpu);
    return new Report(
        Report.SCHEMA,
        version,
        Instant.now(Clock.systemUTC()).truncatedTo(ChronoUnit.SECONDS).toString(),
        request.effort().name(),
        stop.isAsked(),
        host,
        figures,
        refused,
        Notes.of(host, source, caches));
  }

  private void measure(Plan plan, Progress progress) {
    List<Cell> cells = plan.cells();
    if (cells.isEmpty()) {
      return;
    }
    long began = System.nanoTime();
    try (MeasuredMemory memory = MeasuredMemory.open(source, plan.bytesByNode())) {
      Probes probes = new Probes(memory, request.effort(), stop);
      double work = cells.stream().mapToDouble(this::work).sum();
      double worked = 0;
      for (int i = 0; i < cells.size() && !stop.isAsked(); i++) {
        Cell cell = cells.get(i);
        double spent = System.nanoTime() - began;
        if (request.effort().equals(Effort.QUICK) && spent > QUICK_NANOS) {
          refused.add(
              new Refused(
                  (cells.size() - i) + " more, from: " + cell.words(),
                  "--quick ends after a minute; name fewer nodes, or leave it out"));
          break;
        }
        long left = worked == 0 ? -1 : (long) (spent / worked * (work - worked));
        progress.begins(cell, i, cells.size(), left);
        measure(cell, plan, probes, i);
        worked += work(cell);
      }
    }
  }

  /** Returns what a cell costs, in some unit: linking a ring takes as long as its lines. */
  private double work(Cell cell) {
    boolean isTeam = cell.measure().isBandwidth() && cell.cpus().size() > 1;
    double chunks = (isTeam ? 2e6 : 1e5) * request.effort().chunks();
    boolean hasRing = cell.measure() == Measure.LATENCY || cell.measure() == Measure.LOADED_LATENCY;
    double memory = cell.bytes() * (hasRing ? 6.0 : 0.5);
    return request.effort().batches() * (chunks + memory);
  }

  private void measure(Cell cell, Plan plan, Probes probes, int number) {
    try {
      List<Batch> batches = new ArrayList<>();
      for (int i = 0; i < request.effort().batches() && !stop.isAsked(); i++) {
        batches.add(undisturbed(cell, probes, number * 1000L + i));
      }
      // What was cut short is no figure.
      if (!stop.isAsked()) {
        figures.add(figure(cell, batches, plan));
      }
    } catch (Exception e) {
      // Whatever it is, it is of this cell: the others are measured all the same.
      if (!stop.isAsked()) {
        refused.add(new Refused(cell.words(), String.valueOf(e.getMessage())));
      }
    }
  }

  private Batch undisturbed(Cell cell, Probes probes, long seed) throws Exception {
    Batch best = probes.batch(cell, seed);
    for (int i = 0; best.isDisturbed() && i < request.effort().retries() && !stop.isAsked(); i++) {
      Batch again = probes.batch(cell, seed);
      boolean isBetter = !again.isDisturbed() || again.values().spread() < best.values().spread();
      best = isBetter ? again : best;
    }
    return best;
  }

  private static Figure figure(Cell cell, List<Batch> batches, Plan plan) {
    List<Double> medians = batches.stream().map(batch -> batch.values().median()).toList();
    Distribution all = distribution(medians);
    Set<Mark> marks = EnumSet.noneOf(Mark.class);
    boolean isUneven = (all.quantile(1) - all.quantile(0)) / all.median() > MOST_BETWEEN_BATCHES;
    if (isUneven || batches.stream().anyMatch(Batch::isDisturbed)) {
      marks.add(Mark.DISTURBED);
    }
    if (plan.mayHitCaches(cell)) {
      marks.add(Mark.MAY_HIT_CACHE);
    }
    long hugeBytes = batches.stream().mapToLong(Batch::hugeBytes).min().orElseThrow();
    if (cell.pages() == PageKind.HUGE && hugeBytes < LEAST_HUGE * cell.bytes()) {
      marks.add(Mark.FEWER_HUGE_PAGES);
    }
    return new Figure(
        cell.measure(),
        cell.cpuNode(),
        cell.cpuList(),
        cell.memoryNode(),
        cell.measure() == Measure.PING_PONG ? 1 : cell.cpus().size(),
        cell.pages(),
        hugeBytes,
        cell.bytes(),
        all.median(),
        distribution(batches.stream().map(batch -> batch.values().quantile(0.1)).toList()).median(),
        distribution(batches.stream().map(batch -> batch.values().quantile(0.9)).toList()).median(),
        medians,
        batches.get(0).values().count(),
        batches.stream().mapToDouble(Batch::cpuOverWall).min().orElseThrow(),
        distribution(batches.stream().map(Batch::traffic).toList()).median(),
        cell.restNanos(),
        marks);
  }

  private static Distribution distribution(List<Double> values) {
    return Distribution.of(values.stream().mapToDouble(Double::doubleValue).toArray());
  }
}
