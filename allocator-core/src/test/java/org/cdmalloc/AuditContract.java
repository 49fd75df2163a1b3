/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** What {@link NodeAllocator#audit} promises where nobody moves a page. */
abstract class AuditContract extends OptionContract {
  private static final int THREADS = 3;
  private static final int STEPS = 300;

  /** What is on another node; a host under pressure may swap at any time. */
  private static List<Displacement> elsewhere(PlacementAudit audit) {
    return audit.displacements().stream()
        .filter(each -> each.foundOn() != Displacement.NOWHERE)
        .toList();
  }

  @Test
  void memoryIsWhereItWasCommitted() {
    try (NodeAllocator quiet =
        builder()
            .deviceArena(ARENA, 0, ARENA_BYTES)
            .purgeDelay(Duration.ZERO)
            .auditPeriod(Duration.ZERO)
            .open()) {
      assertEquals(new PlacementAudit(0, 0, 0, List.of()), quiet.audit());
      quiet.device(ARENA).online();
      quiet.allocate(3 * MEBIBYTE, NODE_0);
      quiet.free(quiet.allocate(MEBIBYTE));
      quiet.device(ARENA).allocate(PAGE);
      quiet.allocate(MEBIBYTE, Placement.interleave(quiet.source().machine().withMemory()));
      MemoryReport report = quiet.report();
      long committed =
          report.nodes().stream().mapToLong(NodeReport::committedBytes).sum()
              + report.stripes().stream().mapToLong(StripeReport::committedBytes).sum();
      PlacementAudit audit = quiet.audit();
      assertEquals(List.of(), elsewhere(audit));
      // "all memory that was committed, in blocks or not, and is bound to nodes"
      boolean binds = quiet.source().diagnosis().binds();
      assertEquals(binds ? committed : 0, audit.askedBytes());
      assertEquals(0, audit.unknownBytes());
      // "report() says the same until the next look"
      assertEquals(audit.displacements(), quiet.report().displacements());
    }
  }

  @Test
  void whoAuditsUnderALoadFindsNothingElsewhere() throws InterruptedException {
    AtomicInteger working = new AtomicInteger(THREADS);
    List<Callable<Void>> tasks = new ArrayList<>();
    for (int thread = 0; thread < THREADS; thread++) {
      SplittableRandom random = new SplittableRandom(thread);
      tasks.add(
          () -> {
            try {
              allocateAndTrim(random);
            } finally {
              working.decrementAndGet();
            }
            return null;
          });
    }
    tasks.add(
        () -> {
          do {
            assertEquals(List.of(), elsewhere(memory.audit()));
          } while (working.get() > 0);
          return null;
        });
    atOnce("", tasks);
    assertNothingTaken();
    assertTrue(elsewhere(memory.audit()).isEmpty());
  }

  private void allocateAndTrim(SplittableRandom random) {
    List<Long> blocks = new ArrayList<>();
    for (int step = 0; step < STEPS; step++) {
      long block = memory.tryAllocate(1 + random.nextLong(MEBIBYTE));
      if (block != 0) {
        blocks.add(block);
      }
      if (block == 0 || blocks.size() == 8) {
        blocks.forEach(memory::free);
        blocks.clear();
      }
      if (random.nextInt(16) == 0) {
        memory.trim();
      }
    }
    blocks.forEach(memory::free);
  }
}
