/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.cdmalloc.NativeCallException;
import org.cdmalloc.spi.LockResult;
import org.cdmalloc.spi.Region;
import org.cdmalloc.topology.Machine;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What locks cost, and what is left where one fails on its way; as this kernel counts it. */
final class PageLocksTest {
  private static final int NODE = ThisHost.NODE;
  private static final long PAGE = ThisHost.KERNEL.pageBytes();
  private static final int PAGES = 64;
  private static final int MOST_MAPPINGS = 1000;

  /** A kernel that fails in the middle of mlock(2), or does not unlock. */
  private static final class Failing extends Kernel {
    private int lockErrno;
    private int unlockErrno;
    private boolean isOld;
    private Runnable atLock = () -> {};

    Failing() {
      super(SystemCalls.of(System.getProperty("os.arch")).orElseThrow());
    }

    @Override
    int lock(long address, long bytes) {
      atLock.run();
      if (lockErrno == 0) {
        return super.lock(address, bytes);
      }
      assertEquals(0, super.lock(address, bytes / 2));
      return lockErrno;
    }

    /** Before Linux 5.18 one advice less is known. */
    @Override
    int advise(long address, long bytes, int advice) {
      return isOld && advice == MADV_DONTNEED_LOCKED
          ? Errno.EINVAL
          : super.advise(address, bytes, advice);
    }

    @Override
    int unlock(long address, long bytes) {
      return unlockErrno == 0 ? super.unlock(address, bytes) : unlockErrno;
    }
  }

  private static final long PATIENCE_NANOS = 5_000_000_000L;

  private final Failing kernel = new Failing();
  private final AtomicInteger others = new AtomicInteger();
  private final MappingBudget budget =
      new MappingBudget(MOST_MAPPINGS, 2 * MOST_MAPPINGS, others::get);
  private final long before = ThisHost.lockedBytes();
  private LinuxSource source = source(budget);
  private Region region;

  private LinuxSource source(MappingBudget toCharge) {
    return new LinuxSource(
        kernel,
        Machine.fromSysfs(Machine.SYSFS),
        ThisHost.capability(),
        toCharge,
        Path.of("/proc"));
  }

  private void commit() {
    region = source.reserve(NODE, PAGES * PAGE);
    assertTrue(source.commit(region, 0, region.bytes()).isCommitted());
  }

  @AfterEach
  void release() {
    kernel.unlockErrno = 0;
    source.release(region);
    assertLocked(0);
  }

  private LockResult lock(int page, int count) {
    return source.lock(region, page * PAGE, count * PAGE);
  }

  private void assertLocked(int pages) {
    assertEquals(before + pages * PAGE, ThisHost.lockedBytes());
  }

  @Test
  void whatFailsOnItsWayLeavesNothingLocked() throws IOException {
    commit();
    assertTrue(lock(10, 2).isLocked());
    int used = budget.used();
    for (int errno : new int[] {Errno.ENOMEM, Errno.EAGAIN}) {
      kernel.lockErrno = errno;
      LockResult refused = lock(4, 20);
      assertFalse(refused.isLocked());
      assertTrue(refused.detail().contains("wanted_bytes=" + 18 * PAGE), refused::toString);
      // What was locked before, is.
      assertLocked(2);
    }
    for (int errno : new int[] {Errno.EINVAL, Errno.EPERM}) {
      kernel.lockErrno = errno;
      NativeCallException failure = assertThrows(NativeCallException.class, () -> lock(4, 20));
      assertEquals("mlock", failure.function());
      assertEquals(errno, failure.errno());
      assertLocked(2);
    }
    assertEquals(used, budget.used());
    assertEquals(3, MappingsTest.mappings(region));
    kernel.lockErrno = 0;
    assertTrue(lock(4, 20).isLocked());
    assertLocked(20);
  }

  @Test
  void aLockForWhichThereIsNoMappingIsRefused() {
    source = source(new MappingBudget(2));
    commit();
    LockResult refused = lock(4, 2);
    assertTrue(refused.detail().startsWith("mappings=1, mapping_budget=2, "), refused::toString);
    assertLocked(0);
    source.release(region);

    // The kernel has one number for this and for the limit.
    source = source(budget);
    commit();
    kernel.lockErrno = Errno.ENOMEM;
    kernel.atLock = () -> others.set(2 * MOST_MAPPINGS);
    assertRefused("process_mappings=2000, vm.max_map_count=2000");
    others.set(0);
    kernel.atLock = () -> {};
    assertRefused("memlock_limit_bytes=");
    assertLocked(0);
    kernel.lockErrno = 0;
  }

  /** What a process has is counted again after a while: the longer, the slower it was counted. */
  private void assertRefused(String figures) {
    long deadline = System.nanoTime() + PATIENCE_NANOS;
    String detail = lock(4, 2).detail();
    while (!detail.contains(figures) && System.nanoTime() - deadline < 0) {
      LockSupport.parkNanos(1_000_000);
      detail = lock(4, 2).detail();
    }
    assertTrue(detail.contains(figures), detail);
  }

  @Test
  void mappingsAreCountedAndComeBack() throws IOException {
    long seed = Long.getLong("seed", 20261126L);
    SplittableRandom random = new SplittableRandom(seed);
    commit();
    BitSet locked = new BitSet();
    BitSet absent = new BitSet();
    for (int step = 0; step < 400; step++) {
      String at = "step=" + step + "; replay with -Dseed=" + seed;
      int from = random.nextInt(PAGES);
      int to = from + 1 + random.nextInt(Math.min(12, PAGES - from));
      int count = to - from;
      switch (random.nextInt(5)) {
        case 0, 1 -> {
          if (absent.get(from, to).isEmpty()) {
            assertTrue(lock(from, count).isLocked(), at);
            locked.set(from, to);
          } else {
            assertThrows(IllegalArgumentException.class, () -> lock(from, count), at);
          }
        }
        case 2 -> {
          source.unlock(region, from * PAGE, count * PAGE);
          locked.clear(from, to);
        }
        case 3 -> {
          source.purge(region, from * PAGE, count * PAGE);
          locked.clear(from, to);
          absent.set(from, to);
        }
        default -> {
          assertTrue(source.commit(region, from * PAGE, count * PAGE).isCommitted(), at);
          absent.clear(from, to);
        }
      }
      assertEquals(before + locked.cardinality() * PAGE, ThisHost.lockedBytes(), at);
      long found = MappingsTest.mappings(region);
      assertTrue(found <= budget.used(), () -> "mappings=" + found + ", " + budget + ", " + at);
    }
    source.unlock(region, 0, region.bytes());
    assertTrue(source.commit(region, 0, region.bytes()).isCommitted());
    assertEquals(1, MappingsTest.mappings(region));
    assertEquals(1, budget.used());
  }

  @Test
  void memoryThatCannotBeUnlockedGoesBackAllTheSame() {
    commit();
    assertTrue(lock(4, 8).isLocked());
    kernel.unlockErrno = Errno.ENOMEM;
    assertThrows(NativeCallException.class, () -> source.unlock(region, 0, region.bytes()));
    assertLocked(8);
    assertEquals(2 * PAGE, source.purge(region, 4 * PAGE, 2 * PAGE));
    assertFalse(source.residency(region, 4 * PAGE, 2 * PAGE).isAllOn(NODE));
    assertFalse(source.commit(region, 4 * PAGE, 2 * PAGE).isCommitted());
    kernel.unlockErrno = 0;
    // Committed again it is not locked.
    assertTrue(source.commit(region, 4 * PAGE, 2 * PAGE).isCommitted());
    assertLocked(6);
    // A release is made again.
    kernel.unlockErrno = Errno.EINVAL;
    assertThrows(NativeCallException.class, () -> source.release(region));
    assertLocked(6);
  }

  @Test
  void whatOthersLockedIsGivenBackWithoutTheLocksOfTheRest() {
    commit();
    kernel.isOld = true;
    assertTrue(lock(4, 2).isLocked());
    assertEquals(0, ThisHost.KERNEL.lock(region.address() + 8 * PAGE, 4 * PAGE));
    assertLocked(6);
    assertEquals(4 * PAGE, source.purge(region, 8 * PAGE, 4 * PAGE));
    assertFalse(source.residency(region, 8 * PAGE, 4 * PAGE).isAllOn(NODE));
    assertLocked(2);
  }

  @Test
  void whatIsAbsentIsBroughtInWhereThereIsRoom(@TempDir Path sysfs) throws IOException {
    commit();
    ThisHost.KERNEL.adviseOrThrow(region.address() + 8 * PAGE, 4 * PAGE, Kernel.MADV_DONTNEED);
    assertTrue(lock(4, 8).isLocked());
    assertTrue(source.residency(region, 0, region.bytes()).isAllOn(NODE));
    source.release(region);

    Path meminfo = sysfs.resolve("devices/system/node/node" + NODE + "/meminfo");
    Files.createDirectories(meminfo.getParent());
    Path real = Machine.SYSFS.resolve("devices/system/node/node" + NODE + "/meminfo");
    Files.copy(real, meminfo);
    source =
        new LinuxSource(
            kernel,
            Machine.fromSysfs(Machine.SYSFS),
            ThisHost.capability(),
            budget,
            Path.of("/proc"),
            sysfs);
    commit();
    Files.writeString(meminfo, "Node " + NODE + " MemFree: 1 kB\n");
    // Nothing is absent, so nothing has to find room.
    assertTrue(lock(0, 4).isLocked());
    ThisHost.KERNEL.adviseOrThrow(region.address() + 8 * PAGE, 4 * PAGE, Kernel.MADV_DONTNEED);
    LockResult refused = lock(4, 8);
    assertTrue(refused.detail().startsWith("node=" + NODE + ", "), refused::toString);
    assertTrue(refused.detail().contains("wanted_bytes=" + 4 * PAGE), refused::toString);
    assertLocked(4);
    assertEquals(List.of(4), absentPages());
  }

  private List<Integer> absentPages() {
    return List.of(
        PAGES - source.residency(region, 0, region.bytes()).pagesByNode().getOrDefault(NODE, 0));
  }
}
