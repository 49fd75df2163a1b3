/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.cdmalloc.NativeCallException;
import org.cdmalloc.numa.Capability.ResidencyCall;
import org.cdmalloc.numa.ScriptedKernel.Call;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.CommitResult.Outcome;
import org.cdmalloc.spi.Region;
import org.cdmalloc.spi.Residency;
import org.cdmalloc.spi.Stripe;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** How chunks of a striped region come and go, on a kernel that seems to have two nodes. */
final class StripedCommitTest {
  private static final long CHUNK = CommitProtocol.CHUNK_BYTES;
  private static final int ENODEV = 19;
  private static final int HERE = TwoNodeKernel.HERE;
  private static final int OTHER = TwoNodeKernel.OTHER;
  private static final Stripe EVEN = Stripe.even(NodeMask.of(HERE, OTHER));
  private static final Stripe WEIGHTED = Stripe.weighted(Map.of(HERE, 1, OTHER, 4));

  @TempDir private Path sysfs;

  private final ScriptedKernel kernel = new ScriptedKernel();
  private final MappingBudget budget = new MappingBudget(1000);
  private final long page = kernel.pageBytes();
  private LinuxSource source;

  @BeforeEach
  void openOnRoomyNodes() {
    TwoNodeKernel.writeFree(sysfs, TwoNodeKernel.NODE_BYTES, TwoNodeKernel.NODE_BYTES);
    source = source(ThisHost.capability(), Path.of("/proc"));
  }

  private LinuxSource source(Capability capability, Path proc) {
    return new LinuxSource(kernel, TwoNodeKernel.machine(), capability, budget, proc, sysfs);
  }

  private LinuxSource askedBy(ResidencyCall call) {
    return source(new Capability(true, true, call, List.of()), Path.of("/proc"));
  }

  private void assertPlaced(LinuxSource owner, Region region, long offset, long bytes) {
    Residency residency = owner.residency(region, offset, bytes);
    for (int i = 0; i < residency.pages(); i++) {
      assertEquals(region.stripe().node(offset / page + i), residency.node(i), "page=" + i);
    }
  }

  /** Nothing is there, nothing is counted, and the same commit works as soon as nothing fails. */
  private void assertGivenBackAndWorks(LinuxSource owner, LinuxRegion region, long bytes) {
    Residency residency = owner.residency(region, 0, bytes);
    assertTrue(residency.isAllOn(Residency.NOT_PRESENT), residency::toString);
    assertEquals(0, region.policyBind().coveredBytes(0, region.bytes()));
    assertEquals(region.mappings(), budget.used());
    kernel.recover();
    assertTrue(owner.commit(region, 0, bytes).isCommitted());
    assertPlaced(owner, region, 0, bytes);
    owner.release(region);
    budget.change(region.heldMappings(), 0);
  }

  @Test
  void eachNodeIsPreferredInTurnAndOnlyItsPagesArePopulated() {
    Region region = source.reserve(WEIGHTED, CHUNK);
    int preferred = kernel.calls(Call.PREFER);
    assertTrue(source.commit(region, 0, 20 * page).isCommitted());
    assertPlaced(source, region, 0, 20 * page);
    // The region prefers its first node already; four runs of one page, four of four, and the page
    // that was touched before the policy changed.
    assertEquals(preferred + 1, kernel.calls(Call.PREFER));
    assertEquals(1 + 4 + 4, kernel.calls(Call.POPULATE));
    assertEquals(1, kernel.calls(Call.BIND_STRICT));
    assertEquals(0, kernel.calls(Call.MOVE_PAGES));
    Residency rest = source.residency(region, 20 * page, CHUNK - 20 * page);
    assertTrue(rest.isAllOn(Residency.NOT_PRESENT), rest::toString);
    source.release(region);
  }

  @Test
  void chunksInAnyOrderLeaveOneMapping() throws IOException {
    for (Stripe stripe : List.of(EVEN, WEIGHTED)) {
      LinuxRegion region = (LinuxRegion) source.reserve(stripe, 32 * CHUNK);
      for (int first = 0; first < 2; first++) {
        for (int chunk = first; chunk < 32; chunk += 2) {
          assertTrue(source.commit(region, chunk * CHUNK, CHUNK).isCommitted());
          assertTrue(MappingsTest.mappings(region) <= region.mappings());
        }
      }
      assertEquals(1, region.mappings());
      assertEquals(1, MappingsTest.mappings(region));
      source.purge(region, 3 * CHUNK, CHUNK);
      source.purge(region, 7 * CHUNK, 2 * CHUNK);
      assertTrue(MappingsTest.mappings(region) <= region.mappings());
      assertTrue(source.commit(region, 0, region.bytes()).isCommitted());
      assertEquals(1, MappingsTest.mappings(region));
      assertPlaced(source, region, 0, region.bytes());
      source.release(region);
      assertEquals(1, MappingsTest.mappings(region));
    }
  }

  @Test
  void pagesOfTheSecondNodeAloneDoNotCutTheRegionForGood() throws IOException {
    LinuxRegion region = (LinuxRegion) source.reserve(EVEN, 4 * CHUNK);
    for (long at = CHUNK + page; at < 3 * CHUNK; at += 64 * page) {
      assertTrue(source.commit(region, at, page).isCommitted());
      assertPlaced(source, region, at, page);
    }
    // The page that was touched first, on the first node, did not have to be moved.
    assertEquals(0, kernel.calls(Call.MOVE_PAGES));
    assertTrue(source.commit(region, 0, region.bytes()).isCommitted());
    assertPlaced(source, region, 0, region.bytes());
    assertEquals(1, MappingsTest.mappings(region));
    source.release(region);
  }

  @Test
  void windowsOfARegionMergeTooWhereTheKernelCountsWhatIsWritable(@TempDir Path proc)
      throws IOException {
    for (String file : new String[] {"meminfo", "zoneinfo"}) {
      Files.copy(Path.of("/proc", file), proc.resolve(file));
    }
    Files.createDirectories(proc.resolve("sys/vm"));
    Files.writeString(proc.resolve("sys/vm/overcommit_memory"), "2\n");
    LinuxSource windowed = source(ThisHost.capability(), proc);
    long window = CommitProtocol.WINDOW_BYTES;
    LinuxRegion region = (LinuxRegion) windowed.reserve(EVEN, 3 * window);
    for (long start : new long[] {2 * window, 0}) {
      // First a page of the second node, for which the policy is cut at once.
      assertTrue(windowed.commit(region, start + CHUNK + page, page).isCommitted());
      for (int chunk : new int[] {5, 1, 3, 2, 4}) {
        assertTrue(windowed.commit(region, start + chunk * CHUNK + page, CHUNK).isCommitted());
        assertTrue(MappingsTest.mappings(region) <= region.mappings());
      }
      assertPlaced(windowed, region, start + CHUNK + page, 5 * CHUNK);
    }
    // Of each window what is committed, and the rest on both sides; and the one between.
    assertEquals(7, MappingsTest.mappings(region));
    windowed.release(region);
  }

  /** A kernel that starts a thread when memory is first populated, and lets it run into a lock. */
  private static final class Interrupting extends TwoNodeKernel {
    private Thread thread;

    @Override
    int advise(long address, long bytes, int advice) {
      if (advice == MADV_POPULATE_WRITE && thread.getState() == Thread.State.NEW) {
        thread.start();
        while (thread.isAlive() && thread.getState() != Thread.State.WAITING) {
          Thread.onSpinWait();
        }
        assertTrue(thread.isAlive(), "not kept out");
      }
      return super.advise(address, bytes, advice);
    }
  }

  @Test
  void aStripedCommitKeepsOthersOffAllOfItsNodes() throws InterruptedException {
    for (int node : new int[] {HERE, OTHER}) {
      Interrupting interrupting = new Interrupting();
      LinuxSource both =
          new LinuxSource(
              interrupting,
              TwoNodeKernel.machine(),
              ThisHost.capability(),
              budget,
              Path.of("/proc"),
              sysfs);
      Region plain = source.reserve(node, CHUNK);
      Region striped = both.reserve(EVEN, CHUNK);
      interrupting.thread = new Thread(() -> source.commit(plain, 0, CHUNK));
      assertTrue(both.commit(striped, 0, CHUNK).isCommitted());
      interrupting.thread.join();
      assertPlaced(source, plain, 0, CHUNK);
      both.release(striped);
      source.release(plain);
    }
  }

  @Test
  void aStripedRegionHasNoHugePages() throws IOException {
    Region striped = source.reserve(EVEN, 4 * CHUNK);
    Region plain = source.reserve(HERE, 4 * CHUNK);
    assertTrue(flags(striped).contains(" nh"), flags(striped));
    assertFalse(flags(plain).contains(" nh"), flags(plain));
    source.release(striped);
    source.release(plain);
  }

  /** Returns what smaps says of a region's first mapping: proc(5), VmFlags. */
  private static String flags(Region region) throws IOException {
    List<String> lines = Files.readAllLines(Path.of("/proc/self/smaps"), ISO_8859_1);
    String start = Long.toHexString(region.address()) + "-";
    int at = 0;
    while (!lines.get(at).startsWith(start)) {
      at++;
    }
    while (!lines.get(at).startsWith("VmFlags:")) {
      at++;
    }
    return lines.get(at);
  }

  @Test
  void aKernelBuiltWithoutHugePagesNeedNotKnowTheAdvice() {
    kernel.failFrom(Call.NO_HUGE_PAGE, 1, Errno.EINVAL);
    Region region = source.reserve(EVEN, CHUNK);
    assertTrue(source.commit(region, 0, CHUNK).isCommitted());
    assertPlaced(source, region, 0, CHUNK);
    source.release(region);
    kernel.failFrom(Call.NO_HUGE_PAGE, 1, Errno.ENOMEM);
    NativeCallException failed =
        assertThrows(NativeCallException.class, () -> source.reserve(EVEN, CHUNK));
    assertEquals("madvise(MADV_NOHUGEPAGE)", failed.function());
    // A region of one node does not ask.
    source.release(source.reserve(HERE, CHUNK));
  }

  @Test
  void pagesOnTheWrongNodeAreMovedOnce() {
    for (int pages : new int[] {1, 7, 256}) {
      kernel.failFrom(Call.MOVE_PAGES, Integer.MAX_VALUE, 0);
      Region region = source.reserve(EVEN, CHUNK);
      kernel.overflow(pages);
      assertTrue(source.commit(region, 0, CHUNK).isCommitted());
      assertEquals(1, kernel.calls(Call.MOVE_PAGES));
      assertPlaced(source, region, 0, CHUNK);
      source.release(region);
    }
  }

  @Test
  void pagesThatStayOnTheWrongNodeAreGivenBack() {
    LinuxRegion region = (LinuxRegion) source.reserve(EVEN, 3 * CHUNK);
    // None of the second chunk's 256 gets there at first, nor do 6 of them when they are moved.
    assertTrue(source.commit(region, 2 * CHUNK, CHUNK).isCommitted());
    source.view(region, 2 * CHUNK, 8).putLong(0, 42);
    kernel.overflow(256 + 6);
    CommitResult refused = source.commit(region, 0, CHUNK);
    assertEquals(
        new CommitResult(
            Outcome.LOST_RACE,
            "node="
                + OTHER
                + ", found_on_node="
                + HERE
                + ", pages_elsewhere=6, move_pages=0, wanted_bytes="
                + CHUNK),
        refused);
    Residency residency = source.residency(region, 0, 2 * CHUNK);
    assertTrue(residency.isAllOn(Residency.NOT_PRESENT), residency::toString);
    assertPlaced(source, region, 2 * CHUNK, CHUNK);
    assertEquals(42, source.view(region, 2 * CHUNK, 8).getLong(0));
    source.purge(region, 2 * CHUNK, CHUNK);
    assertGivenBackAndWorks(source, region, 3 * CHUNK);
  }

  @Test
  void aNodeTooFullToMovePagesToIsAValueAndAnyOtherFailureAnException() {
    LinuxRegion region = (LinuxRegion) source.reserve(EVEN, CHUNK);
    kernel.overflow(3);
    kernel.failFrom(Call.MOVE_PAGES, 1, Errno.ENOMEM);
    CommitResult refused = source.commit(region, 0, CHUNK);
    assertEquals(Outcome.LOST_RACE, refused.outcome());
    assertTrue(refused.detail().contains("pages_elsewhere=3, move_pages=ENOMEM"), refused.detail());
    kernel.recover();
    kernel.overflow(3);
    kernel.failFrom(Call.MOVE_PAGES, 1, Errno.EPERM);
    NativeCallException failed =
        assertThrows(NativeCallException.class, () -> source.commit(region, 0, CHUNK));
    assertEquals("move_pages", failed.function());
    assertTrue(failed.getMessage().contains("node=" + OTHER + ", pages=3"), failed.getMessage());
    assertGivenBackAndWorks(source, region, CHUNK);
  }

  @Test
  void aNodeThatIsNotThereTakesNoPages() {
    Region region = source.reserve(HERE, CHUNK);
    assertTrue(source.commit(region, 0, 2 * page).isCommitted());
    long[] pages = {region.address(), region.address() + page};
    assertEquals(ENODEV, ThisHost.KERNEL.movePages(pages, new int[] {HERE, OTHER}, new int[2]));
    assertEquals(0, ThisHost.KERNEL.movePages(pages, new int[] {HERE, HERE}, new int[2]));
    source.release(region);
  }

  @Test
  void whereNothingMovesPagesTheyAreGivenBack() {
    LinuxSource asking = askedBy(ResidencyCall.GET_MEMPOLICY);
    LinuxRegion region = (LinuxRegion) asking.reserve(EVEN, CHUNK);
    kernel.overflow(1);
    CommitResult refused = asking.commit(region, 0, CHUNK);
    assertEquals(Outcome.LOST_RACE, refused.outcome());
    assertTrue(refused.detail().contains("pages_elsewhere=1, wanted"), refused.detail());
    assertEquals(0, kernel.calls(Call.MOVE_PAGES));
    assertGivenBackAndWorks(asking, region, CHUNK);
  }

  @Test
  void whereOnlyMappingsAreCountedTheBindingLooks() {
    LinuxSource counting = askedBy(ResidencyCall.NUMA_MAPS);
    LinuxRegion region = (LinuxRegion) counting.reserve(EVEN, CHUNK);
    kernel.failFrom(Call.BIND_STRICT, 1, Errno.EIO);
    assertEquals(Outcome.LOST_RACE, counting.commit(region, 0, CHUNK).outcome());
    // It would move pages to any node of the stripe.
    assertEquals(0, kernel.calls(Call.BIND_MOVE));
    kernel.recover();
    assertTrue(counting.commit(region, 0, CHUNK).isCommitted());
    int[] status = new int[(int) (CHUNK / page)];
    assertEquals(0, kernel.queryPages(region.address(), (int) page, status));
    for (int i = 0; i < status.length; i++) {
      assertEquals(EVEN.node(i), status[i], "page=" + i);
    }
    counting.release(region);
  }

  @Test
  void aFailureAtAnyRunGivesAllOfThemBack() {
    for (int run : new int[] {1, 2, 3, 200, 513, 514, 1025}) {
      for (int errno : new int[] {Errno.ENOMEM, Errno.EFAULT}) {
        LinuxRegion region = (LinuxRegion) source.reserve(EVEN, 2 * CHUNK);
        kernel.failFrom(Call.POPULATE, run, errno);
        if (errno == Errno.ENOMEM) {
          CommitResult refused = source.commit(region, 0, 2 * CHUNK);
          assertEquals(Outcome.NODE_FULL, refused.outcome());
          assertTrue(refused.detail().contains(", populate=ENOMEM, "), refused.detail());
        } else {
          assertThrows(NativeCallException.class, () -> source.commit(region, 0, 2 * CHUNK));
        }
        assertGivenBackAndWorks(source, region, 2 * CHUNK);
      }
    }
  }

  @Test
  void noMappingForAPolicyIsAValue() {
    for (int chunk = 1; chunk <= 3; chunk++) {
      LinuxRegion region = (LinuxRegion) source.reserve(EVEN, 3 * CHUNK);
      kernel.failFrom(Call.PREFER, chunk, Errno.ENOMEM);
      assertEquals(Outcome.LIMIT_REACHED, source.commit(region, 0, 3 * CHUNK).outcome());
      Residency residency = source.residency(region, 0, 3 * CHUNK);
      assertTrue(residency.isAllOn(Residency.NOT_PRESENT), residency::toString);
      assertEquals(region.mappings(), budget.used());
      kernel.recover();
      assertTrue(source.commit(region, 0, 3 * CHUNK).isCommitted());
      assertPlaced(source, region, 0, 3 * CHUNK);
      source.release(region);
      budget.change(region.heldMappings(), 0);
    }
  }

  @Test
  void eachNodeMustHaveRoomForItsShare() {
    LinuxRegion region = (LinuxRegion) source.reserve(WEIGHTED, 64 * CHUNK);
    TwoNodeKernel.writeFree(sysfs, TwoNodeKernel.NODE_BYTES, 4 * page);
    LinuxSource full = source(ThisHost.capability(), Path.of("/proc"));
    LinuxRegion other = (LinuxRegion) full.reserve(WEIGHTED, 64 * CHUNK);
    int populated = kernel.calls(Call.POPULATE);
    for (long bytes : new long[] {10 * page, CHUNK, 64 * CHUNK}) {
      CommitResult refused = full.commit(other, 0, bytes);
      assertEquals(Outcome.NODE_FULL, refused.outcome());
      String figures = "wanted_bytes=" + WEIGHTED.pages(OTHER, 0, bytes / page) * page;
      assertTrue(refused.detail().startsWith("node=" + OTHER + ", "), refused.detail());
      assertTrue(refused.detail().endsWith(figures), refused.detail());
    }
    // Nothing was touched, and what needs less of that node goes through.
    assertEquals(populated, kernel.calls(Call.POPULATE));
    assertTrue(full.commit(other, 0, 5 * page).isCommitted());
    assertPlaced(full, other, 0, 5 * page);
    source.release(region);
    full.release(other);
  }

  @Test
  void throughCacheEachNodesShareIsConfinedAndMoved() throws IOException {
    TwoNodeKernel.writeCache(sysfs);
    LinuxRegion region = (LinuxRegion) source.reserve(EVEN, 8 * CHUNK);
    for (int first = 0; first < 2; first++) {
      for (int chunk = first; chunk < 8; chunk += 2) {
        assertTrue(source.commit(region, chunk * CHUNK, CHUNK).isCommitted());
      }
    }
    assertEquals(2 * 8, kernel.calls(Call.CONFINE));
    assertEquals(8, kernel.calls(Call.MOVE_PAGES));
    assertPlaced(source, region, 0, region.bytes());
    assertEquals(1, MappingsTest.mappings(region));
    source.purge(region, 0, CHUNK);
    kernel.failFrom(Call.CONFINE, 2, Errno.ENOMEM);
    assertEquals(Outcome.LIMIT_REACHED, source.commit(region, 0, CHUNK).outcome());
    kernel.recover();
    assertTrue(source.commit(region, 0, CHUNK).isCommitted());
    source.release(region);
  }

  @Test
  void whereBindingIsRefusedAStripedRegionIsUnboundLikeAnyOther() throws IOException {
    LinuxSource unbound = source(ThisHost.unbound(), Path.of("/proc"));
    Region region = unbound.reserve(EVEN, 2 * CHUNK);
    assertFalse(region.isBound());
    assertEquals(EVEN, region.stripe());
    assertFalse(flags(region).contains(" nh"), flags(region));
    assertTrue(unbound.commit(region, 0, 2 * CHUNK).isCommitted());
    unbound.view(region, CHUNK, 8).putLong(0, 42);
    unbound.purge(region, CHUNK, CHUNK);
    assertEquals(0, unbound.view(region, CHUNK, 8).getLong(0));
    unbound.release(region);
    assertEquals(0, kernel.calls(Call.PREFER));
    assertEquals(0, kernel.calls(Call.BIND_STRICT));
    assertEquals(0, kernel.calls(Call.NO_HUGE_PAGE));
  }
}
