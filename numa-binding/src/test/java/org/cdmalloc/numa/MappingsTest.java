/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.cdmalloc.spi.CommitResult.Outcome;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Region;
import org.junit.jupiter.api.Test;

/** How many memory mappings regions cost, as the kernel counts them. */
final class MappingsTest {
  private static final int NODE = ThisHost.NODE;
  private static final int PAGES = 100_000;

  private final MemorySource source = ThisHost.source();
  private final long page = source.osPageBytes();

  @Test
  void aHundredThousandCommitsInAddressOrderLeaveAHandfulOfMappings() throws IOException {
    Region region = source.reserve(NODE, PAGES * page);
    commitAll(source, region);
    assertAtMost(8, region);
    source.purge(region, 0, region.bytes());
    assertAtMost(8, region);
    commitAll(source, region);
    assertAtMost(8, region);
    source.release(region);
    assertAtMost(8, region);
  }

  @Test
  void purgedHolesNeverPassTheBudgetAndCloseAgain() throws IOException {
    MappingBudget budget = new MappingBudget(500);
    LinuxSource limited = ThisHost.source(ThisHost.capability(), budget);
    Region region = limited.reserve(NODE, 6000 * page);
    limited.commit(region, 0, region.bytes());
    for (long at = 0; at < region.bytes(); at += 3 * page) {
      limited.purge(region, at, page);
    }
    assertTrue(budget.used() <= 500, () -> "used=" + budget.used());
    assertTrue(budget.used() > 400, () -> "used=" + budget.used());
    assertAtMost(500, region);
    for (long at = 0; at < region.bytes(); at += 3 * page) {
      // What was purged beyond the budget kept its policy and is absent all the same.
      assertFalse(limited.residency(region, at, page).isAllOn(NODE));
      assertTrue(limited.commit(region, at, page).isCommitted());
    }
    assertAtMost(8, region);
    assertTrue(limited.residency(region, 0, region.bytes()).isAllOn(NODE));
    limited.release(region);
    assertEquals(1, budget.used());
  }

  @Test
  void aCommitBeyondTheBudgetIsAValueAndChangesNothing() {
    MappingBudget budget = new MappingBudget(4);
    LinuxSource limited = ThisHost.source(ThisHost.capability(), budget);
    Region region = limited.reserve(NODE, 64 * page);
    assertTrue(limited.commit(region, page, page).isCommitted());
    assertEquals(3, budget.used());
    assertEquals(Outcome.LIMIT_REACHED, limited.commit(region, 8 * page, page).outcome());
    assertEquals(3, budget.used());
    assertEquals(1, limited.residency(region, 0, 64 * page).pagesByNode().get(NODE));
    assertTrue(limited.commit(region, 2 * page, page).isCommitted());
    limited.release(region);
  }

  @Test
  void whatOthersHoldIsCountedAndARestIsLeftAlone() {
    AtomicInteger others = new AtomicInteger(10_000);
    AtomicInteger held = new AtomicInteger();
    MappingBudget budget = new MappingBudget(8000, 16_000, () -> others.get() + held.get());
    assertTrue(budget.change(held, 5000));
    assertFalse(budget.change(held, 5001));
    assertEquals(5000, budget.used());
    String figures = "process_mappings=15000, vm.max_map_count=16000 (raise vm.max_map_count";
    assertTrue(budget.toString().contains(figures), budget::toString);
    // What others took since, and what they gave back, shows at the next count.
    assertTrue(budget.change(held, 4000));
    others.set(10_900);
    budget.recount();
    assertFalse(budget.change(held, 4101));
    assertTrue(budget.change(held, 4100));
    others.set(1000);
    budget.recount();
    assertTrue(budget.change(held, 8000));
    assertFalse(budget.change(held, 8001));
  }

  @Test
  void eachReservationCountsHoweverRecentTheLastCountIs() {
    AtomicInteger counts = new AtomicInteger();
    MappingBudget budget =
        new MappingBudget(
            1000,
            65_530,
            () -> {
              counts.incrementAndGet();
              // A count that takes long serves long.
              return IntStream.range(0, 100)
                  .map(i -> MappingBudget.countMappings())
                  .max()
                  .orElse(0);
            });
    LinuxSource counted = ThisHost.source(ThisHost.capability(), budget);
    counted.reserve(NODE, page);
    counted.reserve(NODE, page);
    assertEquals(2, counts.get());
  }

  @Test
  void thisProcessIsCounted() throws IOException {
    long lines = Files.readAllLines(Path.of("/proc/self/maps"), StandardCharsets.ISO_8859_1).size();
    int counted = MappingBudget.countMappings();
    assertTrue(Math.abs(lines - counted) < 50, () -> "counted=" + counted + ", lines=" + lines);
  }

  @Test
  void committedMemoryIsBoundAndTheRestPrefersItsNode() throws IOException {
    Region region = source.reserve(NODE, 64 * page);
    source.commit(region, 0, 32 * page);
    String start = Long.toHexString(region.address());
    String rest = Long.toHexString(region.address() + 32 * page);
    assertTrue(numaMaps().contains(start + " bind=static:" + NODE + " "), this::numaMapsOrError);
    assertTrue(numaMaps().contains(rest + " prefer=static:" + NODE), this::numaMapsOrError);
    // Purging gives the policy back with the memory.
    source.purge(region, 0, 16 * page);
    assertTrue(numaMaps().contains(start + " prefer=static:" + NODE), this::numaMapsOrError);
    source.release(region);
    assertTrue(numaMaps().contains(start + " prefer=static:" + NODE), this::numaMapsOrError);
  }

  private static void commitAll(MemorySource source, Region region) {
    long page = source.osPageBytes();
    for (long at = 0; at < region.bytes(); at += page) {
      assertTrue(source.commit(region, at, page).isCommitted());
    }
  }

  private static void assertAtMost(int mappings, Region region) throws IOException {
    long found = mappings(region);
    assertTrue(found > 0 && found <= mappings, () -> "mappings=" + found);
    // What is counted against the budget is never less than what the kernel has.
    assertTrue(found <= ((LinuxRegion) region).mappings(), () -> "mappings=" + found);
  }

  static long mappings(Region region) throws IOException {
    return mappings(region.address(), region.bytes());
  }

  static long mappings(long address, long bytes) throws IOException {
    return Files.readAllLines(Path.of("/proc/self/maps"), StandardCharsets.ISO_8859_1).stream()
        .filter(line -> overlaps(line, address, bytes))
        .count();
  }

  private static boolean overlaps(String line, long address, long bytes) {
    int dash = line.indexOf('-');
    long start = Long.parseUnsignedLong(line.substring(0, dash), 16);
    long end = Long.parseUnsignedLong(line.substring(dash + 1, line.indexOf(' ')), 16);
    return start < address + bytes && end > address;
  }

  static String numaMaps() throws IOException {
    return Files.readString(Path.of("/proc/self/numa_maps"), StandardCharsets.ISO_8859_1);
  }

  private String numaMapsOrError() {
    try {
      return numaMaps();
    } catch (IOException e) {
      return e.toString();
    }
  }
}
