/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.cdmalloc.CapturedLog;
import org.cdmalloc.Checks;
import org.cdmalloc.Displacement;
import org.cdmalloc.MovedPages;
import org.cdmalloc.NativeCallException;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.Placement;
import org.cdmalloc.Zeroing;
import org.cdmalloc.spi.AddressOnlySource;
import org.cdmalloc.spi.DisplacementCause;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What the sampler looks at, when, and what it costs. */
@Timeout(60)
final class SamplerTest {
  private static final long MEBIBYTE = 1 << 20;
  private static final long WINDOW = 64 * MEBIBYTE;
  private static final long MILLISECOND = 1_000_000;
  private static final long PERIOD = 1000 * MILLISECOND;

  private final MovedPages pages = machine();

  private static MovedPages machine() {
    return new MovedPages(
        AddressOnlySource.of(
            Machine.builder()
                .node(Node.of(0, "0", 1024 * MEBIBYTE))
                .node(Node.of(1, "1", 1024 * MEBIBYTE))
                .build()));
  }

  /** The clock of a sampler, which stands still but for what the test says. */
  private long nanoTime;

  private Assembly open() {
    return Assembly.of(
        pages.source(),
        NodeMask.EMPTY,
        List.of(),
        new Assembly.Settings(
            Map.of(0, 1024 * MEBIBYTE, 1, 1024 * MEBIBYTE),
            Map.of(),
            Map.of(),
            Zeroing.ON_ALLOCATE,
            Checks.STANDARD,
            Duration.ZERO,
            Duration.ZERO,
            0));
  }

  private static long allocate(Assembly parts, long bytes, int node) {
    Placement placement = Placement.onNode(node);
    return new SystemRequests(parts.allocation(), placement, parts.system().of(placement))
        .tryAllocate(bytes, 1);
  }

  private Sampler sampler(Assembly parts) {
    Audit audit = new Audit(pages.source(), parts.allocation());
    return new Sampler(audit, parts.allocation(), PERIOD, () -> nanoTime);
  }

  @Test
  void stepsTakeAtMostAHundredthOfTheTime() {
    SplittableRandom random = new SplittableRandom(20161024);
    Assembly parts = open();
    allocate(parts, 8 * WINDOW, 0);
    pages.watch((address, bytes) -> nanoTime += random.nextLong(100 * MILLISECOND));
    Sampler sampler = sampler(parts);
    long asleep = 0;
    long slowest = 0;
    for (int step = 0; step < 1000; step++) {
      long began = nanoTime;
      long rest = sampler.step();
      long took = nanoTime - began;
      assertTrue(rest >= PERIOD, "rest=" + rest);
      assertTrue(took * 100 <= took + rest, "took=" + took + ", rest=" + rest);
      slowest = Math.max(slowest, rest);
      asleep += rest;
    }
    assertTrue(nanoTime * 100 <= nanoTime + asleep, "work=" + nanoTime + ", rest=" + asleep);
    // Both bounds were met.
    assertTrue(slowest > 5 * PERIOD, "rest=" + slowest);
    parts.close();
  }

  @Test
  void aRestIsBoundedBelowByThePeriodAndTheStep() {
    assertEquals(PERIOD, Sampler.restNanos(0, PERIOD));
    assertEquals(PERIOD, Sampler.restNanos(PERIOD / 99, PERIOD));
    assertEquals(99 * PERIOD, Sampler.restNanos(PERIOD, PERIOD));
    // A clock that went backwards, and a step that took an age.
    assertEquals(PERIOD, Sampler.restNanos(-1, PERIOD));
    assertTrue(Sampler.restNanos(Long.MAX_VALUE, PERIOD) > Long.MAX_VALUE / 2);
  }

  @Test
  void windowsAreLookedAtInTurn() {
    Assembly parts = open();
    List<Long> asked = new ArrayList<>();
    pages.watch((address, bytes) -> asked.add(address));
    Sampler sampler = sampler(parts);
    sampler.step();
    assertEquals(List.of(), asked, "nothing is committed");
    long first = allocate(parts, WINDOW, 0);
    long hole = allocate(parts, 2 * WINDOW, 0);
    long last = allocate(parts, MEBIBYTE, 0);
    long other = allocate(parts, MEBIBYTE, 1);
    parts.allocation().free(hole);
    parts.allocation().trim(false);
    for (int step = 0; step < 7; step++) {
      sampler.step();
    }
    // The step that found nothing went round and on to the second zone.
    assertEquals(List.of(other, first, last, other, first, last, other), asked);
    parts.close();
  }

  @Test
  void aFailureIsLoggedOnceAndTheNextWindowsAreLookedAt() {
    Assembly parts = open();
    long first = allocate(parts, 2 * WINDOW, 0);
    List<Long> asked = new ArrayList<>();
    pages.watch(
        (address, bytes) -> {
          asked.add(address);
          throw new NativeCallException("move_pages", 14, "EFAULT", "test=true");
        });
    Sampler sampler = sampler(parts);
    try (CapturedLog log = new CapturedLog()) {
      for (int step = 0; step < 3; step++) {
        assertEquals(PERIOD, sampler.step());
      }
      assertEquals(
          List.of("the kernel does not tell where memory lies; said once, sampling goes on"),
          log.lines(""));
    }
    assertEquals(List.of(first, first + WINDOW, first), asked);
    parts.close();
  }

  private NodeAllocator openFor(Duration period) {
    return NodeAllocator.builder()
        .source(pages.source())
        .purgeDelay(Duration.ZERO)
        .auditPeriod(period)
        .open();
  }

  @Test
  void aRealMachineIsSampledThoughNobodyAsks() throws InterruptedException {
    pages.pretendToBeReal();
    CountDownLatch looks = new CountDownLatch(3);
    AtomicReference<Thread> thread = new AtomicReference<>();
    try (NodeAllocator memory = openFor(Duration.ofMillis(10));
        CapturedLog log = new CapturedLog()) {
      pages.move(memory.allocate(MEBIBYTE, Placement.onNode(0)), 4096, 1);
      pages.watch(
          (address, bytes) -> {
            thread.set(Thread.currentThread());
            looks.countDown();
          });
      assertTrue(looks.await(30, TimeUnit.SECONDS));
      assertEquals("cdmalloc-upkeep", thread.get().getName());
      // The look that was seen last may be under way, the one before it is over.
      assertEquals(
          List.of(new Displacement(0, 1, 4096, DisplacementCause.UNKNOWN, "")),
          memory.report().displacements());
      assertEquals(1, log.lines("found_on=1").size());
    }
  }

  @Test
  void anEmulatedMachineIsNotSampledNorOneThatBindsNothing() throws InterruptedException {
    AtomicInteger looks = new AtomicInteger();
    pages.watch((address, bytes) -> looks.incrementAndGet());
    CountDownLatch sampled = new CountDownLatch(5);
    MovedPages other = machine();
    other.pretendToBeReal();
    other.watch((address, bytes) -> sampled.countDown());
    for (boolean unbound : new boolean[] {false, true}) {
      if (unbound) {
        pages.pretendToBeReal();
        pages.refuseToBind();
      }
      try (NodeAllocator emulated = openFor(Duration.ofMillis(10));
          CapturedLog log = new CapturedLog()) {
        emulated.allocate(MEBIBYTE);
        // Another allocator's sampler on the same thread tells that time has passed.
        try (NodeAllocator real =
            NodeAllocator.builder()
                .source(other.source())
                .purgeDelay(Duration.ZERO)
                .auditPeriod(Duration.ofMillis(10))
                .open()) {
          real.allocate(MEBIBYTE, Placement.LOCAL);
          assertTrue(sampled.await(30, TimeUnit.SECONDS));
        }
        assertEquals(List.of(), log.lines("found_on"));
      }
    }
    assertEquals(0, looks.get());
  }
}
