/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Supplier;
import org.cdmalloc.NativeCallException;
import org.cdmalloc.numa.FaultyKernel.Call;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.LockResult;
import org.cdmalloc.spi.Residency;
import org.cdmalloc.spi.Stripe;
import org.cdmalloc.topology.Machine;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestReporter;
import org.junit.jupiter.api.io.TempDir;

/**
 * The life of a region, each time with one system call that fails: every call, at every position,
 * with every errno of a list. What fails says so with that errno or as a value; nothing is left
 * behind, what was committed keeps its content, and the same request works when it is made again.
 */
final class KernelFaultTest {
  private static final List<Integer> ERRNOS =
      List.of(
          Errno.EPERM,
          Errno.ENOENT,
          Errno.EIO,
          11,
          Errno.ENOMEM,
          Errno.EACCES,
          Errno.EFAULT,
          16,
          19,
          Errno.EINVAL,
          Errno.ENOSYS);

  private static final long PAGE = ThisHost.KERNEL.pageBytes();

  /** Four ranges, each on both sides of a chunk's edge: two chunks are committed for each. */
  private static final int RANGES = 4;

  private static final long RANGE_BYTES = 4 * PAGE;

  private final MappingBudget budget = new MappingBudget(1000);
  private final Map<Call, Integer> runs = new TreeMap<>();
  private TestReporter reporter;

  @BeforeEach
  void report(TestReporter toReport) {
    reporter = toReport;
  }

  /** Pages of both nodes on both sides of each chunk's edge. */
  private static final Stripe STRIPE =
      Stripe.weighted(Map.of(TwoNodeKernel.HERE, 1, TwoNodeKernel.OTHER, 2));

  /** A host, or what is left of it, and a region's life on it. */
  private interface Life {
    LinuxSource source(FaultyKernel kernel);

    /** Where the region lies. */
    default Stripe stripe() {
      return Stripe.of(TwoNodeKernel.HERE);
    }

    /** Whether ranges are locked, which costs time in all lives and shows the same in each. */
    default boolean locks() {
      return false;
    }
  }

  /** A region's life on this host, with locks. */
  private record Locking(Capability capability, MappingBudget budget) implements Life {
    @Override
    public LinuxSource source(FaultyKernel kernel) {
      return new LinuxSource(
          kernel, Machine.fromSysfs(Machine.SYSFS), capability, budget, Path.of("/proc"));
    }

    @Override
    public boolean locks() {
      return true;
    }
  }

  /** A region's life on two nodes. */
  private record Striped(Capability capability, MappingBudget budget, Path proc, Path sysfs)
      implements Life {
    @Override
    public LinuxSource source(FaultyKernel kernel) {
      return new LinuxSource(kernel, TwoNodeKernel.machine(), capability, budget, proc, sysfs);
    }

    @Override
    public Stripe stripe() {
      return STRIPE;
    }
  }

  @Test
  void everyCallMayFailOnThisHost() {
    runAll(new Locking(ThisHost.capability(), budget));
    assertRuns(Call.MMAP, Call.MADVISE_DONTFORK, Call.MADVISE_POPULATE_WRITE, Call.MOVE_PAGES);
    assertRuns(Call.MLOCK, Call.MUNLOCK);
  }

  @Test
  void everyCallMayFailWithoutPopulateWriteAndMovePages() {
    Capability host = ThisHost.capability();
    Capability old =
        new Capability(true, false, Capability.ResidencyCall.GET_MEMPOLICY, host.findings());
    runAll(kernel -> source(kernel, old, Path.of("/proc")));
    assertRuns(Call.MBIND, Call.GET_MEMPOLICY);
  }

  @Test
  void everyCallMayFailWhereBindingIsRefused() {
    runAll(kernel -> source(kernel, ThisHost.unbound(), Path.of("/proc")));
    assertRuns(Call.MMAP, Call.MUNMAP, Call.MADVISE_POPULATE_WRITE, Call.MADVISE_DONTNEED);
  }

  @Test
  void everyCallMayFailOfAStripe(@TempDir Path sysfs) {
    TwoNodeKernel.writeFree(sysfs, TwoNodeKernel.NODE_BYTES, TwoNodeKernel.NODE_BYTES);
    runAll(new Striped(ThisHost.capability(), budget, Path.of("/proc"), sysfs));
    assertRuns(Call.MADVISE_NOHUGEPAGE, Call.MBIND, Call.MADVISE_POPULATE_WRITE, Call.MOVE_PAGES);
  }

  @Test
  void everyCallMayFailOfAStripeWithoutPopulateWriteAndMovePages(@TempDir Path sysfs) {
    TwoNodeKernel.writeFree(sysfs, TwoNodeKernel.NODE_BYTES, TwoNodeKernel.NODE_BYTES);
    Capability old = new Capability(true, false, Capability.ResidencyCall.GET_MEMPOLICY, List.of());
    runAll(new Striped(old, budget, Path.of("/proc"), sysfs));
    assertRuns(Call.MBIND, Call.GET_MEMPOLICY);
  }

  @Test
  void everyCallMayFailOfAStripeWherePageCacheIsInTheWay(@TempDir Path sysfs) {
    TwoNodeKernel.writeCache(sysfs);
    runAll(new Striped(ThisHost.capability(), budget, Path.of("/proc"), sysfs));
    assertRuns(Call.MBIND, Call.HOME_NODE, Call.MOVE_PAGES, Call.MOVE_PAGES_TO_TARGETS);
  }

  @Test
  void everyCallMayFailOfAStripeWhereTheKernelCountsWhatIsWritable(
      @TempDir Path proc, @TempDir Path sysfs) throws IOException {
    TwoNodeKernel.writeFree(sysfs, TwoNodeKernel.NODE_BYTES, TwoNodeKernel.NODE_BYTES);
    ThisHost.procThatCountsWhatIsWritable(proc);
    runAll(new Striped(ThisHost.capability(), budget, proc, sysfs));
    assertRuns(Call.MPROTECT, Call.MBIND);
  }

  @Test
  void everyCallMayFailWhereTheKernelCountsWhatIsWritable(@TempDir Path proc) throws IOException {
    ThisHost.procThatCountsWhatIsWritable(proc);
    runAll(kernel -> source(kernel, ThisHost.capability(), proc));
    assertRuns(Call.MPROTECT, Call.MBIND);
  }

  @Test
  void everyCallMayFailWherePageCacheIsInTheWay(@TempDir Path sysfs) throws IOException {
    int node = ThisHost.source().machine().withMemory().first();
    Path meminfo = sysfs.resolve("devices/system/node/node" + node + "/meminfo");
    Files.createDirectories(meminfo.getParent());
    Files.writeString(
        meminfo,
        "Node 0 MemFree: 1 kB\nNode 0 Active(file): 999999 kB\nNode 0 Inactive(file): 1 kB\n");
    runAll(
        kernel ->
            new LinuxSource(
                kernel,
                Machine.fromSysfs(Machine.SYSFS),
                ThisHost.capability(),
                budget,
                Path.of("/proc"),
                sysfs));
    assertRuns(Call.MBIND);
  }

  private LinuxSource source(FaultyKernel kernel, Capability capability, Path proc) {
    return new LinuxSource(kernel, Machine.fromSysfs(Machine.SYSFS), capability, budget, proc);
  }

  private void assertRuns(Call... calls) {
    reporter.publishEntry("runs", runs + ", errors=" + ERRNOS.size());
    for (Call call : calls) {
      assertTrue(runs.getOrDefault(call, 0) >= ERRNOS.size(), () -> call + ", runs=" + runs);
    }
  }

  private void runAll(Life life) {
    Run whole = new Run(life, Call.MMAP, 0, 0);
    whole.live();
    for (Map.Entry<Call, Integer> calls : whole.kernel.calls().entrySet()) {
      for (int nth = 1; nth <= calls.getValue(); nth++) {
        for (int errno : ERRNOS) {
          Run run = new Run(life, calls.getKey(), nth, errno);
          run.live();
          assertTrue(run.kernel.hasFailed(), run::toString);
          runs.merge(calls.getKey(), 1, Integer::sum);
        }
      }
    }
  }

  /** One life with one fault. */
  private final class Run {
    private final FaultyKernel kernel = new FaultyKernel();
    private final LinuxSource source;
    private final Stripe stripe;
    private final String fault;
    private final int errno;
    private final int[] content = new int[RANGES];
    private final boolean locks;
    private final long locked = ThisHost.lockedBytes();
    private LinuxRegion region;
    private int failures;

    Run(Life life, Call call, int nth, int errno) {
      this.source = life.source(kernel);
      this.stripe = life.stripe();
      this.locks = life.locks();
      this.errno = errno;
      this.fault = call + " " + nth + " fails with " + Errno.name(errno);
      kernel.failAt(call, nth, errno);
    }

    void live() {
      long before = kernel.mappedBytes();
      region =
          (LinuxRegion)
              twice(
                  () -> source.reserve(stripe, bytes()),
                  () -> assertEquals(before, kernel.mappedBytes(), this::toString));
      assertEquals(before + bytes(), kernel.mappedBytes(), this::toString);
      // A huge page would bring in more than is committed.
      ThisHost.KERNEL.advise(region.address(), bytes(), Kernel.MADV_NOHUGEPAGE);
      commit(0, 2);
      commit(2, 2);
      lock(1);
      purge(1, 1);
      commit(0, 3);
      assertEquals(locked, ThisHost.lockedBytes(), this::toString);
      lock(0);
      unlock(0);
      residency();
      purge(0, 4);
      commit(3, 1);
      lock(3);
      twice(
          () -> {
            source.release(region);
            return region;
          },
          () -> {});
      assertEquals(locked, ThisHost.lockedBytes(), this::toString);
      assertAbsent(0, bytes());
      assertTrue(failures <= 1, this::toString);
    }

    private long bytes() {
      return (RANGES + 1) * CommitProtocol.CHUNK_BYTES;
    }

    private long offset(int range) {
      return (range + 1) * CommitProtocol.CHUNK_BYTES - RANGE_BYTES / 2;
    }

    private void commit(int first, int count) {
      for (int range = first; range < first + count; range++) {
        int at = range;
        twice(
            () -> {
              CommitResult result = source.commit(region, offset(at), RANGE_BYTES);
              return result.isCommitted() ? result : null;
            },
            this::assertState);
        if (content[range] == 0) {
          content[range] = range + 1;
          fill(range);
        }
        assertState();
      }
    }

    private void purge(int first, int count) {
      for (int range = first; range < first + count; range++) {
        int at = range;
        content[range] = 0;
        twice(
            () -> source.purge(region, offset(at), RANGE_BYTES),
            () -> {
              // Whether the range is still there is not said; the others are as they were.
              content[at] = -1;
              assertState();
              // Committed again it is zeroed, whatever the failed purge left there.
              assertTrue(source.commit(region, offset(at), RANGE_BYTES).isCommitted());
              ByteBuffer view = source.view(region, offset(at), (int) RANGE_BYTES);
              assertEquals(-1, view.mismatch(ByteBuffer.allocate(view.capacity())), fault);
            });
        content[range] = 0;
        assertState();
      }
    }

    private void lock(int range) {
      if (!locks) {
        return;
      }
      twice(
          () -> {
            LockResult result = source.lock(region, offset(range), RANGE_BYTES);
            return result.isLocked() ? result : null;
          },
          () -> assertEquals(locked, ThisHost.lockedBytes(), this::toString));
      assertEquals(locked + RANGE_BYTES, ThisHost.lockedBytes(), this::toString);
      assertState();
    }

    private void unlock(int range) {
      if (!locks) {
        return;
      }
      twice(
          () -> {
            source.unlock(region, offset(range), RANGE_BYTES);
            return region;
          },
          () -> assertEquals(locked + RANGE_BYTES, ThisHost.lockedBytes(), this::toString));
      assertEquals(locked, ThisHost.lockedBytes(), this::toString);
      assertState();
    }

    private void residency() {
      Residency residency =
          twice(() -> source.residency(region, offset(0), RANGE_BYTES), this::assertState);
      assertTrue(residency.node(0) != Residency.NOT_PRESENT, this::toString);
    }

    /** Makes a request that may fail once; then it must work, and what it left is looked at. */
    private <T> T twice(Supplier<T> request, Runnable afterFailure) {
      T result = null;
      try {
        result = request.get();
      } catch (NativeCallException e) {
        expect(e);
      }
      if (result != null) {
        return result;
      }
      assertTrue(kernel.hasFailed(), this::toString);
      failures++;
      afterFailure.run();
      result = request.get();
      assertNotNull(result, this::toString);
      return result;
    }

    private void expect(NativeCallException e) {
      assertTrue(kernel.hasFailed(), () -> this + ": " + e);
      assertEquals(errno, e.errno(), () -> this + ": " + e);
    }

    private void fill(int range) {
      ByteBuffer view = source.view(region, offset(range), (int) RANGE_BYTES);
      byte[] bytes = new byte[view.capacity()];
      Arrays.fill(bytes, (byte) content[range]);
      view.put(0, bytes);
    }

    /** What is committed has its content and lies on its node; nothing else is there. */
    private void assertState() {
      for (int range = 0; range < RANGES; range++) {
        if (content[range] == 0) {
          assertAbsent(offset(range), RANGE_BYTES);
        } else if (content[range] > 0) {
          ByteBuffer view = source.view(region, offset(range), (int) RANGE_BYTES);
          byte[] bytes = new byte[view.capacity()];
          Arrays.fill(bytes, (byte) content[range]);
          assertEquals(-1, view.mismatch(ByteBuffer.wrap(bytes)), this::toString);
          int[] statuses = statuses(offset(range), RANGE_BYTES);
          for (int page = 0; page < statuses.length; page++) {
            int node = stripe.node(offset(range) / PAGE + page);
            int status = statuses[page];
            assertTrue(region.isBound() ? status == node : status >= 0, this::toString);
          }
        }
      }
    }

    private void assertAbsent(long offset, long bytes) {
      for (int status : statuses(offset, bytes)) {
        // −EFAULT is the page of zeros, which a read of what was purged leaves.
        assertTrue(status < 0, () -> this + ": status=" + status);
      }
    }

    /** Asks without a fault. */
    private int[] statuses(long offset, long bytes) {
      int[] statuses = new int[(int) (bytes / PAGE)];
      int failed = kernel.lookAtPages(region.address() + offset, (int) PAGE, statuses);
      assertEquals(0, failed, this::toString);
      return statuses;
    }

    @Override
    public String toString() {
      return fault;
    }
  }
}
