/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.CommitResult.Outcome;
import org.cdmalloc.spi.Region;
import org.cdmalloc.spi.Residency;
import org.cdmalloc.spi.Stripe;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.junit.jupiter.api.Test;

/** What the source asks of the kernel, and what it does when another process is faster. */
final class LostRaceTest {
  private static final int PAGE = 4096;
  private static final int PAGES = 8;
  private static final int PREFERRED_STATIC = 1 | 1 << 15;
  private static final int BIND_STATIC = 2 | 1 << 15;

  /** A system node and a device, each with room for 8 pages. */
  private static final Machine MACHINE =
      Machine.builder()
          .node(Node.of(0, "0", PAGES * PAGE))
          .node(Node.memoryOnly(1, PAGES * PAGE))
          .build();

  /** Two pages of node 0, then one of node 1. */
  private static final Stripe STRIPE = Stripe.weighted(Map.of(0, 2, 1, 1));

  /** Lets another process take pages of node 0 between the look at the account and the touch. */
  private static final class Contended extends EmulatedKernel {
    private final List<String> calls = new ArrayList<>();
    private int pagesToTake;
    private long neighbour;
    private long region;

    Contended() {
      super(MACHINE, PAGE, () -> 0);
    }

    void takeBeforeTheNextTouch(int pages) {
      pagesToTake = pages;
    }

    int policyOfPage(int page) {
      int[] value = {-1};
      assertEquals(0, getMempolicy(value, null, 0, region + (long) page * PAGE, Uapi.MPOL_F_ADDR));
      return value[0];
    }

    void giveBack() {
      super.unmap(neighbour, PAGES * PAGE);
    }

    @Override
    int mbind(long address, long bytes, int mode, long[] mask, long maxnode, int flags) {
      region = calls.isEmpty() ? address : region;
      int result = super.mbind(address, bytes, mode, mask, maxnode, flags);
      calls.add("mbind " + mode + " " + flags + " " + bytes / PAGE + " = " + result);
      return result;
    }

    @Override
    int advise(long address, long bytes, int advice) {
      if (advice == Uapi.MADV_POPULATE_WRITE && pagesToTake > 0) {
        neighbour = map(PAGES * PAGE);
        super.advise(neighbour, (long) pagesToTake * PAGE, advice);
        pagesToTake = 0;
      }
      calls.add("madvise " + advice + " " + bytes / PAGE);
      return super.advise(address, bytes, advice);
    }
  }

  private final Contended kernel = new Contended();
  private final EmulatedSource source =
      new EmulatedSource(MACHINE, PAGE, () -> 0, BackingFiles.inTemporaryDirectory(), kernel);

  @Test
  void theCallsAreThoseOfTheProtocol() {
    Region region = source.reserve(0, PAGES * PAGE);
    source.commit(region, 0, 2 * PAGE);
    source.commit(region, 0, 3 * PAGE);
    source.purge(region, PAGE, PAGE);
    assertEquals(
        List.of(
            "mbind " + PREFERRED_STATIC + " 0 8 = 0",
            "madvise 23 2",
            "mbind " + BIND_STATIC + " 1 2 = 0",
            "madvise 23 1",
            "mbind " + BIND_STATIC + " 1 1 = 0",
            "mbind " + PREFERRED_STATIC + " 0 1 = 0",
            "madvise 4 1"),
        kernel.calls);
    source.release(region);
    assertEquals(0, kernel.mappings());
  }

  @Test
  void pagesThatFellOnADeviceAreGivenBackAndTheRestStays() {
    Region region = source.reserve(0, PAGES * PAGE);
    assertTrue(source.commit(region, 2 * PAGE, PAGE).isCommitted());
    kernel.takeBeforeTheNextTouch(5);
    CommitResult result = source.commit(region, 0, 6 * PAGE);
    assertEquals(
        new CommitResult(Outcome.LOST_RACE, "node=0, mbind_strict=EIO, wanted_bytes=20480"),
        result);
    assertArrayEquals(new int[] {2, 8}, freePages());
    int absent = Residency.NOT_PRESENT;
    assertResident(region, absent, absent, 0, absent, absent, absent, absent, absent);
    // What was committed before is bound still, what is not prefers its node.
    assertEquals(PREFERRED_STATIC, kernel.policyOfPage(1));
    assertEquals(BIND_STATIC, kernel.policyOfPage(2));
    kernel.giveBack();
    assertTrue(source.commit(region, 0, PAGES * PAGE).isCommitted());
    assertResident(region, 0, 0, 0, 0, 0, 0, 0, 0);
    source.release(region);
    assertArrayEquals(new int[] {8, 8}, freePages());
  }

  @Test
  void aStripeIsPopulatedNodeByNodeAndThenBound() {
    Region region = source.reserve(STRIPE, PAGES * PAGE);
    source.commit(region, 2 * PAGE, PAGE);
    kernel.calls.clear();
    assertTrue(source.commit(region, PAGE, 5 * PAGE).isCommitted());
    // Page 2, which is there, keeps its policy and is not touched.
    assertEquals(
        List.of(
            "mbind " + PREFERRED_STATIC + " 0 1 = 0",
            "madvise 23 1",
            "mbind " + PREFERRED_STATIC + " 0 3 = 0",
            "madvise 23 2",
            "mbind " + PREFERRED_STATIC + " 0 3 = 0",
            "madvise 23 1",
            "mbind " + BIND_STATIC + " 1 1 = 0",
            "mbind " + BIND_STATIC + " 1 3 = 0"),
        kernel.calls);
    int absent = Residency.NOT_PRESENT;
    assertResident(region, absent, 0, 1, 0, 0, 1, absent, absent);
    assertArrayEquals(new int[] {5, 6}, freePages());
    source.release(region);
    assertEquals(0, kernel.mappings());
    assertArrayEquals(new int[] {8, 8}, freePages());
  }

  @Test
  void pagesOfAStripeThatFellOnAnotherOfItsNodesAreGivenBack() {
    Region region = source.reserve(STRIPE, PAGES * PAGE);
    assertTrue(source.commit(region, PAGE, 2 * PAGE).isCommitted());
    // Node 0 has 7 pages left and is wanted for 4 more.
    kernel.takeBeforeTheNextTouch(5);
    CommitResult result = source.commit(region, 0, 7 * PAGE);
    assertEquals(
        new CommitResult(Outcome.LOST_RACE, "node=0, found_on_node=1, wanted_bytes=" + 5 * PAGE),
        result);
    assertArrayEquals(new int[] {2, 7}, freePages());
    int absent = Residency.NOT_PRESENT;
    assertResident(region, absent, 0, 1, absent, absent, absent, absent, absent);
    assertEquals(PREFERRED_STATIC, kernel.policyOfPage(0));
    assertEquals(BIND_STATIC, kernel.policyOfPage(1));
    assertEquals(PREFERRED_STATIC, kernel.policyOfPage(6));
    kernel.giveBack();
    assertTrue(source.commit(region, 0, PAGES * PAGE).isCommitted());
    assertResident(region, 0, 0, 1, 0, 0, 1, 0, 0);
    source.release(region);
    assertArrayEquals(new int[] {8, 8}, freePages());
  }

  private int[] freePages() {
    return new int[] {(int) source.freeBytes(0) / PAGE, (int) source.freeBytes(1) / PAGE};
  }

  private void assertResident(Region region, int... nodes) {
    Residency residency = source.residency(region, 0, PAGES * PAGE);
    for (int page = 0; page < PAGES; page++) {
      assertEquals(nodes[page], residency.node(page), "page=" + page);
    }
  }
}
