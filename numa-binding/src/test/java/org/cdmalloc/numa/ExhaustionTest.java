/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.TestReporter;

/**
 * Nodes are filled by two processes at once until the kernel has no more, again and again: every
 * attempt ends in an exception, nobody is killed, no page is left on another node, and requests
 * that name no node leave the kernel's own counters of device nodes where they were. It fills all
 * memory and changes settings of the kernel, so that it runs in guests only; in one with swap it is
 * the same test with swap. {@code -Dexhaustion.attempts} makes more of it.
 */
final class ExhaustionTest {
  private static final int ATTEMPTS = Integer.getInteger("exhaustion.attempts", 4);
  private static final int KILLED = 128 + 9;
  private static final long MIB = 1L << 20;
  private static final int PAGES_PER_CHUNK =
      (int) (CommitProtocol.CHUNK_BYTES / ThisHost.KERNEL.pageBytes());

  /** What of a node a pool of huge pages leaves for ordinary ones. */
  private static final long LEFT_BY_POOL_BYTES = 96 * MIB;

  private static final Path HUGE = Path.of("/sys/kernel/mm/transparent_hugepage");
  private static final Pattern FIGURES =
      Pattern.compile("blocks=\\d+, pages_elsewhere=(\\d+), pages_absent=(\\d+), races=(\\d+), .*");

  private final Machine machine = Machine.fromSysfs(Machine.SYSFS);
  private final NodeMask devices = machine.memoryOnly();
  private final NodeMask system = machine.withMemory().without(devices);
  private final boolean hasSwap = KeyedText.lines(Path.of("/proc/swaps")).size() > 1;
  private final Headroom kernelFigures =
      new Headroom(
          Path.of("/proc"),
          Machine.SYSFS,
          ControlGroup.find(Path.of("/proc"), Path.of("/")),
          ThisHost.KERNEL.pageBytes());
  private OffDevices offDevices;
  private List<ProbeProcess> children = List.of();

  /** What the kernel does with huge pages while nodes are filled. */
  private enum Setting {
    HUGE_PAGES("always", "madvise"),
    HUGE_PAGES_COMPACTED("always", "always"),
    SMALL_PAGES("never", "madvise"),
    POOL("always", "madvise");

    private final String enabled;
    private final String defrag;

    Setting(String enabled, String defrag) {
      this.enabled = enabled;
      this.defrag = defrag;
    }
  }

  /** What some processes did at once. Pages are counted by the kernel, as it placed them. */
  private record Run(
      int attempts,
      int kills,
      long pagesElsewhere,
      long pagesAbsent,
      long races,
      long devicePages,
      long deviceBytes,
      String said) {
    @Override
    public String toString() {
      return "attempts="
          + attempts
          + ", kills="
          + kills
          + ", pages_elsewhere="
          + pagesElsewhere
          + ", pages_absent="
          + pagesAbsent
          + ", races="
          + races
          + ", device_pages="
          + devicePages
          + ", device_bytes="
          + deviceBytes;
    }
  }

  @BeforeEach
  void keepOffDevices() throws IOException {
    ThisHost.assumeGuest("it fills all memory of the host");
    assertTrue(system.size() > 1 && !devices.isEmpty(), "not nodes of both kinds: " + machine);
    offDevices = new OffDevices(system);
  }

  @AfterEach
  void restore() throws IOException {
    if (offDevices != null) {
      offDevices.close();
      set(Setting.HUGE_PAGES, machine.withMemory());
    }
  }

  private void set(Setting setting, NodeMask nodes) throws IOException {
    Files.writeString(HUGE.resolve("enabled"), setting.enabled);
    Files.writeString(HUGE.resolve("defrag"), setting.defrag);
    for (int node : nodes.stream().toArray()) {
      long spare = Math.max(0, kernelFigures.freeBytes(node) - LEFT_BY_POOL_BYTES);
      Files.writeString(
          Machine.SYSFS.resolve(
              "devices/system/node/node" + node + "/hugepages/hugepages-2048kB/nr_hugepages"),
          Long.toString(setting == Setting.POOL ? spare / (2 * MIB) : 0));
    }
  }

  private void start(int processes, NodeMask own, String... arguments) throws Exception {
    children = offDevices.start(processes, ExhaustionProbe.class, own, arguments);
  }

  private static long kills() {
    return KeyedText.of(Path.of("/proc/vmstat")).bytes("oom_kill");
  }

  private long deviceFreeBytes() {
    return devices.stream().mapToLong(kernelFigures::freeBytes).sum();
  }

  /** Lets the first so many children do something at once. */
  private Run run(int processes, String what) throws Exception {
    long kills = kills();
    long placed = kernelFigures.placedPages(devices);
    long free = deviceFreeBytes();
    List<ProbeProcess> some = children.subList(0, processes);
    List<Integer> said = some.stream().map(child -> child.lines().size()).toList();
    for (ProbeProcess child : some) {
      child.write(what);
    }
    List<String> lines = new ArrayList<>();
    for (int i = 0; i < processes; i++) {
      some.get(i).awaitLine("done: " + what, said.get(i));
      List<String> all = some.get(i).lines();
      lines.addAll(all.subList(said.get(i), all.size()));
    }
    int attempts = 0;
    long[] figures = new long[FIGURES.matcher("").groupCount()];
    for (String line : lines) {
      boolean isAttempt = line.startsWith("attempt=");
      attempts += isAttempt ? 1 : 0;
      // With swap there may be room for all of the capacity.
      assertTrue(!isAttempt || hasSwap || line.contains(": memory refused: "), line);
      Matcher matcher = FIGURES.matcher(line);
      for (int i = 0; matcher.matches() && i < figures.length; i++) {
        figures[i] += Long.parseLong(matcher.group(i + 1));
      }
    }
    return new Run(
        attempts,
        (int) (kills() - kills),
        figures[0],
        figures[1],
        figures[2],
        kernelFigures.placedPages(devices) - placed,
        free - deviceFreeBytes(),
        String.join("\n", lines));
  }

  @TestFactory
  Stream<DynamicTest> aFullNodeIsAnExceptionForTwoAtOnce(TestReporter reporter) throws Exception {
    start(2, system);
    return Stream.of("node " + system.stream().max().orElseThrow(), "device " + devices.first())
        .flatMap(which -> tests(which, 2, reporter));
  }

  @TestFactory
  Stream<DynamicTest> implicitRequestsOfOneProcessLeaveDevicesAlone(TestReporter reporter)
      throws Exception {
    start(1, system);
    return tests("implicit 0", 1, reporter);
  }

  @TestFactory
  Stream<DynamicTest> implicitRequestsOfTwoReachDevicesByRacesOnly(TestReporter reporter)
      throws Exception {
    start(2, system);
    return tests("implicit 0", 2, reporter);
  }

  private Stream<DynamicTest> tests(String which, int processes, TestReporter reporter) {
    return Stream.of(Setting.values())
        .map(
            setting ->
                DynamicTest.dynamicTest(
                    which + ", " + setting, () -> fill(which, processes, setting, reporter)));
  }

  private void fill(String which, int processes, Setting setting, TestReporter reporter)
      throws Exception {
    boolean isImplicit = which.startsWith("implicit");
    set(Setting.HUGE_PAGES, machine.withMemory());
    set(setting, isImplicit ? system : NodeMask.of(Integer.parseInt(which.split(" ", -1)[1])));
    int each = (ATTEMPTS + processes - 1) / processes;
    Run run = run(processes, which + " " + each);
    reporter.publishEntry(which + ", processes=" + processes + ", " + setting, run.toString());
    assertEquals(0, run.kills(), run::said);
    assertEquals(each * processes, run.attempts(), run::said);
    assertEquals(0, run.pagesElsewhere(), run::said);
    // Swapping out is the kernel's right.
    assertTrue(run.pagesAbsent() == 0 || hasSwap, run::said);
    if (isImplicit) {
      assertTrue(run.devicePages() <= run.races() * PAGES_PER_CHUNK, () -> run + "\n" + run.said());
      assertTrue(processes > 1 || run.devicePages() == 0, () -> run + "\n" + run.said());
      assertTrue(processes > 1 || run.deviceBytes() <= 0, () -> run + "\n" + run.said());
    }
  }

  /** What the tests look for is there where the protocol is not followed: they can fail. */
  @Test
  void touchingAFullNodeThatIsBoundIsAKill() throws Exception {
    // The kernel's killer passes over those whose own policy does not allow the node.
    start(1, machine.withMemory());
    Run run = run(1, "touch " + devices.first());
    // With swap the node's own pages are driven out instead.
    assertEquals(hasSwap ? 0 : 1, run.kills(), run::said);
    assertTrue(hasSwap || children.get(0).await() == KILLED, run::said);
  }

  /** The same of the counters. */
  @Test
  void withoutHeadroomImplicitRequestsReachDevices() throws Exception {
    start(1, machine.withMemory(), "without-headroom");
    set(Setting.POOL, system);
    assertTrue(run(1, "implicit 0 1").devicePages() > 0);
  }
}
