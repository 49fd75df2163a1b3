/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.lang.reflect.Method;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.Future;
import java.util.concurrent.FutureTask;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.cdmalloc.spi.AddressOnlySource;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Blocks that threads keep ready, seen from outside. */
final class MagazineTest {
  private static final int DEVICE = 2;
  private static final long MEBIBYTE = 1 << 20;
  private static final long CAPACITY = 64 * MEBIBYTE;
  private static final int PAGE = 4096;

  private final AddressOnlySource source =
      AddressOnlySource.of(
          Machine.builder()
              .node(Node.of(0, "0", CAPACITY))
              .node(Node.of(1, "1", CAPACITY))
              .node(Node.memoryOnly(DEVICE, CAPACITY))
              .build());

  private final NodeAllocator memory = builder().open();

  private NodeAllocator.Builder builder() {
    return NodeAllocator.builder()
        .source(source)
        .capacity(0, CAPACITY)
        .capacity(1, CAPACITY)
        .purgeDelay(Duration.ZERO)
        .magazineBytes(8 * MEBIBYTE);
  }

  @AfterEach
  void close() {
    memory.close();
    assertEquals(CAPACITY, source.freeBytes(0));
    assertEquals(CAPACITY, source.freeBytes(1));
  }

  private NodeReport node(int node) {
    return memory.report().node(node);
  }

  @Test
  void smallBlocksShareAPageAndLargeOnesTakeWholePages() {
    long small = memory.allocate(100);
    assertEquals(112, memory.usableBytes(small));
    long other = memory.allocate(100);
    assertEquals(small / PAGE, other / PAGE);
    assertEquals(60 << 10, memory.usableBytes(memory.allocate((59 << 10) + 1)));
    assertEquals(72 << 10, memory.usableBytes(memory.allocate((64 << 10) + 1)));
    assertEquals(16 << 10, memory.usableBytes(memory.allocate(16 << 10)));
    assertEquals(20 << 10, memory.usableBytes(memory.allocate((16 << 10) + 1)));
    assertEquals(2 * MEBIBYTE, memory.usableBytes(memory.allocate(2 * MEBIBYTE)));
    assertEquals(16, memory.usableBytes(memory.allocate(0)));
    assertEquals(8, node(0).liveBlocks());
    long bytes = 2 * 112 + (60 << 10) + (72 << 10) + (16 << 10) + (20 << 10) + 2 * MEBIBYTE + 16;
    assertEquals(bytes, node(0).usedBytes());
  }

  @Test
  void everyAlignmentIsKept() {
    for (long alignment = 1; alignment <= 2 * MEBIBYTE; alignment *= 2) {
      for (long bytes : new long[] {0, 1, 17, 100, 1000, 4097, 16384, 20_000, 300_000}) {
        long address = memory.allocate(bytes, alignment);
        assertEquals(0, address % Math.max(16, alignment), bytes + " at " + alignment);
        assertTrue(memory.usableBytes(address) >= bytes);
        memory.free(address);
      }
    }
    assertThrows(IllegalArgumentException.class, () -> memory.allocate(1, 3));
    assertThrows(IllegalArgumentException.class, () -> memory.allocate(-1));
    assertThrows(IllegalArgumentException.class, () -> memory.allocate(-1, 4096));
  }

  @Test
  void misuseIsToldAsWithoutMagazines() {
    for (int bytes : new int[] {1, 48, 1000, 5000, 16384, 20_000, 1 << 20}) {
      long address = memory.allocate(bytes);
      memory.allocate(bytes);
      long usable = memory.usableBytes(address);
      for (long inside : new long[] {1, 8, usable / 2, usable - 1}) {
        assertThrows(IllegalArgumentException.class, () -> memory.free(address + inside));
        assertThrows(IllegalArgumentException.class, () -> memory.usableBytes(address + inside));
      }
      memory.free(address);
      assertThrows(MemoryCorruptionError.class, () -> memory.free(address), "bytes=" + bytes);
      assertThrows(MemoryCorruptionError.class, () -> memory.usableBytes(address));
      assertThrows(MemoryCorruptionError.class, () -> memory.buffer(address, 1));
    }
    assertThrows(IllegalArgumentException.class, () -> memory.free(8));
  }

  @Test
  void aSecondFreeIsFoundAfterTheSlabIsGone() {
    long address = memory.allocate(1000);
    long run = memory.allocate(100_000);
    memory.free(address);
    memory.free(run);
    memory.trim();
    assertEquals(0, node(0).committedBytes());
    for (long freed : new long[] {address, run}) {
      assertThrows(MemoryCorruptionError.class, () -> memory.free(freed));
    }
  }

  @Test
  void oneAllocatorDoesNotFreeWhatIsAnothers() {
    try (NodeAllocator other = builder().capacity(0, 16 * MEBIBYTE).open()) {
      long own = memory.allocate(100);
      // The thread used the other allocator last.
      long others = other.allocate(100);
      assertThrows(IllegalArgumentException.class, () -> memory.free(others));
      assertEquals(112, other.usableBytes(others));
      memory.free(own);
      other.free(others);
      assertThrows(MemoryCorruptionError.class, () -> other.free(others));
      long again = other.allocate(100);
      memory.close();
      assertThrows(IllegalStateException.class, () -> memory.free(again));
      assertThrows(IllegalStateException.class, () -> memory.allocate(100));
      other.free(again);
      assertEquals(0, other.report().node(0).liveBlocks());
    }
  }

  /** Where threads are looked up by their numbers, these are in one place. */
  @Test
  void threadsThatAreTakenForEachOtherHaveBlocksOfTheirOwn() throws Exception {
    int places = 1 << 12;
    int pairs = 400_000;
    Set<Long> live = ConcurrentHashMap.newKeySet();
    CyclicBarrier start = new CyclicBarrier(2);
    Callable<Void> work =
        () -> {
          start.await();
          for (int i = 0; i < pairs; i++) {
            long address = memory.allocate(1 + i % 200);
            assertTrue(live.add(address), "given out twice");
            assertTrue(live.remove(address));
            memory.free(address);
          }
          return null;
        };
    FutureTask<Void> first = new FutureTask<>(work);
    FutureTask<Void> second = new FutureTask<>(work);
    Thread one = new Thread(first);
    Thread two = new Thread(second);
    while ((two.getId() - one.getId()) % places != 0) {
      two = new Thread(second);
    }
    one.start();
    two.start();
    first.get();
    second.get();
    assertEquals(0, node(0).liveBlocks());
    assertEquals(2L * pairs, node(0).counters().numaHit());
  }

  @Test
  void blocksOfASlabOfSeveralAreNotMovedAndOthersAre() {
    long small = memory.allocate(4096);
    String message =
        assertThrows(IllegalArgumentException.class, () -> memory.move(small, Placement.onNode(1)))
            .getMessage();
    String said =
        ", bytes=4096; allocate more than 16384 bytes, at an alignment above 4096, or in ";
    assertTrue(message.contains("block is one of several of a slab: address=0x"), message);
    assertTrue(message.endsWith(said + "an arena"), message);
    // Each of which helps.
    for (long alone : new long[] {memory.allocate(16_385), memory.allocate(4096, 8192)}) {
      assertTrue(memory.move(alone, Placement.onNode(1)).isComplete());
      memory.free(alone);
    }
    try (NodeArena arena = memory.arena(Placement.onNode(0))) {
      assertTrue(memory.move(arena.allocate(4096), Placement.onNode(1)).isComplete());
    }
    long large = memory.allocate(40_000);
    long used = node(0).usedBytes();
    assertEquals(40_960, memory.move(large, Placement.onNode(1)).movedBytes());
    assertEquals(2, node(0).liveBlocks());
    assertEquals(used, node(0).usedBytes() + node(0).movedOutBytes());
    assertEquals(40_960, memory.usableBytes(large));
    memory.free(large);
    assertThrows(MemoryCorruptionError.class, () -> memory.free(large));
    memory.free(small);
    assertEquals(0, node(0).liveBlocks());
    assertEquals(0, node(0).usedBytes() + node(0).movedOutBytes() + node(1).movedInBytes());
  }

  @Test
  void aThreadWhoseLocalsAreClearedHasItsMagazinesAgain() throws Exception {
    assumeTrue(Runtime.version().feature() >= 21, "the common pool clears no locals");
    long most = 0;
    for (int round = 0; round < 200; round++) {
      ForkJoinPool.commonPool()
          .submit(
              () -> {
                List<Long> blocks = new ArrayList<>();
                for (int i = 0; i < 200; i++) {
                  blocks.add(memory.allocate(3000));
                }
                blocks.forEach(memory::free);
              })
          .get();
      most = Math.max(most, node(0).magazines().threadBytes());
    }
    int threads = ForkJoinPool.commonPool().getParallelism() + 1;
    assertTrue(most <= threads * MEBIBYTE, "kept=" + most + ", threads=" + threads);
  }

  @Test
  void aBlockThatIsMovedIsUsedMeanwhile() throws Exception {
    ExecutorService other = Executors.newSingleThreadExecutor();
    try {
      for (int round = 0; round < 2000; round++) {
        long block = memory.allocate(20_000);
        CountDownLatch start = new CountDownLatch(2);
        Future<?> moved =
            other.submit(
                () -> {
                  start.countDown();
                  start.await();
                  return memory.move(block, Placement.onNode(1));
                });
        start.countDown();
        start.await();
        assertEquals(20_480, memory.usableBytes(block));
        assertEquals(5, memory.residency(block).pages());
        memory.move(block, Placement.onNode(0));
        moved.get();
        memory.free(block);
      }
      assertEquals(0, node(0).liveBlocks());
    } finally {
      other.shutdownNow();
    }
  }

  @Test
  void aReportAfterTheCloseTellsWhatWasLeft() throws InterruptedException {
    NodeAllocator other = builder().open();
    Thread thread = new Thread(() -> other.free(other.allocate(100)));
    thread.start();
    thread.join();
    other.allocate(100);
    other.free(other.allocate(50_000));
    other.close();
    assertEquals(1, other.report().node(0).liveBlocks());
    assertEquals(3, other.report().node(0).counters().numaHit());
  }

  @Test
  void arenasAndDevicesKeepNothingReady() {
    DeviceNode device = memory.device(DEVICE);
    device.online();
    long onDevice = device.allocate(100);
    assertEquals(PAGE, memory.usableBytes(onDevice));
    memory.free(onDevice);
    assertEquals(0, node(DEVICE).usedBytes());
    try (NodeArena arena = memory.arena(Placement.LOCAL)) {
      assertEquals(PAGE, memory.usableBytes(arena.allocate(100)));
    }
    assertEquals(0, node(0).usedBytes());
  }

  @Test
  void whatThisThreadKeepsServesOtherSizes() {
    List<Long> blocks = exhaust(512);
    assertEquals(0, node(0).freeBytes() / MEBIBYTE);
    blocks.forEach(memory::free);
    // Everything is in magazines, the depot and slabs now, and no request for it was made.
    assertEquals(CAPACITY, node(0).freeBytes());
    List<Long> large = exhaust(8 * MEBIBYTE);
    assertEquals(14, large.size());
    large.forEach(memory::free);
  }

  @Test
  void whatADeadThreadKeptServesOthers() throws InterruptedException {
    Thread thread = new Thread(() -> exhaust(3000).forEach(memory::free));
    thread.start();
    thread.join();
    exhaust(8 * MEBIBYTE).forEach(memory::free);
    thread = new Thread(() -> exhaust(700_000).forEach(memory::free));
    thread.start();
    thread.join();
    memory.purgeIdle();
    memory.trim();
    assertEquals(0, node(0).committedBytes() + node(1).committedBytes());
  }

  @Test
  void whatALivingThreadKeepsIsNamedAndComesBackWhenItNextAllocates() throws Exception {
    ExecutorService other = Executors.newSingleThreadExecutor();
    try {
      other.submit(() -> exhaust(3000).forEach(memory::free)).get();
      List<Long> blocks = exhaust(PAGE);
      String message =
          assertThrows(NodeMemoryExhaustedException.class, () -> memory.allocate(20_000))
              .getMessage();
      assertTrue(message.contains("kept_by_threads_bytes="), message);
      assertFalse(message.contains("kept_by_threads_bytes=0, "), message);
      // A hit, but for what this thread asked.
      other.submit(() -> memory.free(memory.allocate(3000))).get();
      assertNotEquals(0, memory.allocate(20_000));
      blocks.forEach(memory::free);
    } finally {
      other.shutdownNow();
    }
  }

  /** Takes until nothing is left above the low marks. */
  private List<Long> exhaust(long bytes) {
    List<Long> blocks = new ArrayList<>();
    for (long block = memory.tryAllocate(bytes); block != 0; block = memory.tryAllocate(bytes)) {
      blocks.add(block);
    }
    return blocks;
  }

  @Test
  void aThreadKeepsNoMoreThanItMay() {
    for (int bytes : new int[] {16, 3000, 70_000, 128 << 10}) {
      List<Long> blocks = new ArrayList<>();
      for (long all = 0; all < 16 * MEBIBYTE; all += bytes) {
        blocks.add(memory.allocate(bytes));
      }
      blocks.forEach(memory::free);
    }
    memory.trim();
    assertEquals(0, node(0).committedBytes());
    assertEquals(0, node(0).liveBlocks());
  }

  @Test
  void countersSayWhatWasServedWhere() {
    for (int i = 0; i < 1000; i++) {
      memory.free(memory.allocate(i));
      memory.allocate(i, Placement.onNode(1));
      memory.allocate(i, Placement.preferred(1));
    }
    NumaCounters zero = node(0).counters();
    NumaCounters one = node(1).counters();
    assertEquals(1000, zero.numaHit());
    assertEquals(1000, zero.localNode());
    assertEquals(2000, one.numaHit());
    assertEquals(2000, one.otherNode());
    assertEquals(2000, node(1).liveBlocks());
    CounterInvariants.assertHold(memory.report());
  }

  @Test
  void aFullNodeFallsBackAndCountsIt() {
    long bytes = 1000;
    while (node(1).usedBytes() == 0) {
      for (int i = 0; i < 5000; i++) {
        assertNotEquals(0, memory.tryAllocate(bytes, Placement.preferred(0)));
      }
    }
    NumaCounters one = node(1).counters();
    assertTrue(one.numaMiss() > 0);
    assertEquals(one.numaMiss(), node(0).counters().numaForeign());
    assertEquals(one.numaMiss(), one.otherNode());
    CounterInvariants.assertHold(memory.report());
  }

  @Test
  void aThreadThatMovesIsServedByItsNewNodeSoon() {
    AtomicInteger caller = new AtomicInteger();
    AddressOnlySource moving = AddressOnlySource.of(source.machine(), PAGE, caller::get);
    try (NodeAllocator other = builder().source(moving).open()) {
      for (int i = 0; i < 3000; i++) {
        other.free(other.allocate(100));
      }
      assertEquals(3000, other.report().node(0).counters().localNode());
      caller.set(1);
      for (int i = 0; i < 3000; i++) {
        other.free(other.allocate(100));
      }
      long there = other.report().node(1).counters().localNode();
      assertTrue(there >= 3000 - 1024 && there <= 3000, "there=" + there);
      assertEquals(3000, there + other.report().node(0).counters().localNode() - 3000);
      // What is asked for by name does not wait.
      assertEquals(0, other.report().node(0).counters().otherNode());
      other.free(other.allocate(100, Placement.onNode(0)));
      assertEquals(1, other.report().node(0).counters().otherNode());
    }
  }

  @Test
  void aHitMakesNoGarbage() {
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    long thread = Thread.currentThread().getId();
    long[] addresses = new long[300];
    long least = Long.MAX_VALUE;
    for (int round = 0; round < 50; round++) {
      long before = threads.getThreadAllocatedBytes(thread);
      for (int bytes = 0; bytes < 20_000; bytes += 100) {
        addresses[bytes / 100] = memory.allocate(bytes);
      }
      for (int bytes = 0; bytes < 20_000; bytes += 100) {
        memory.free(addresses[bytes / 100]);
      }
      least = Math.min(least, threads.getThreadAllocatedBytes(thread) - before);
    }
    assertEquals(0, least);
  }

  @Test
  void aClosedAllocatorServesNobody() {
    NodeAllocator other = builder().open();
    long address = other.allocate(100);
    other.free(other.allocate(100));
    other.close();
    assertThrows(IllegalStateException.class, () -> other.allocate(100));
    assertThrows(IllegalStateException.class, () -> other.tryAllocate(100));
    assertThrows(IllegalStateException.class, () -> other.free(address));
    assertThrows(IllegalStateException.class, () -> other.usableBytes(address));
    assertEquals(0, other.trim());
    other.close();
  }

  @Test
  void aReportTellsWhatIsKeptReadyAndHowOftenThreadsMet() {
    assertEquals(0, node(0).magazines().threadBytes() + node(0).magazines().idleBytes());
    memory.free(memory.allocate(1000));
    // A slab of 64 KiB, of which half a magazine is here.
    long objects = (64 << 10) / 1024;
    MagazineReport first = node(0).magazines();
    assertEquals(objects * 1024, first.threadBytes() + first.idleBytes());
    assertTrue(first.threadBytes() > 0 && first.threadBytes() <= MEBIBYTE);
    assertEquals(first.threadBytes() + first.idleBytes(), node(0).capacityBytes() - freeInZone());
    for (int i = 0; i < 1000; i++) {
      memory.free(memory.allocate(1000));
    }
    assertEquals(first.lockings(), node(0).magazines().lockings());
    assertEquals(MagazineReport.NONE, node(DEVICE).magazines());
    memory.trim();
    assertEquals(0, node(0).magazines().threadBytes() + node(0).magazines().idleBytes());
  }

  private long freeInZone() {
    long pages = 0;
    List<Integer> free = node(0).freeBlocksPerOrder();
    for (int order = 0; order < free.size(); order++) {
      pages += (long) free.get(order) << order;
    }
    return pages * PAGE;
  }

  @Test
  void aThreadKeeps16MebibytesWhereNothingIsSaid() {
    long nodeBytes = 1024 * MEBIBYTE;
    AddressOnlySource large =
        AddressOnlySource.of(Machine.builder().node(Node.of(0, "0", nodeBytes)).build());
    try (NodeAllocator told = NodeAllocator.builder().source(large).capacity(0, nodeBytes).open()) {
      assertEquals(16, told.usableBytes(told.allocate(1)));
      // A thread learns from round to round how many blocks of a size it has use for.
      for (int round = 0; round < 20; round++) {
        allocateAndFree(told, 16);
      }
      assertEquals(16 * MEBIBYTE, told.report().node(0).magazines().threadBytes());
      long before = told.report().node(0).magazines().lockings();
      allocateAndFree(told, 16);
      assertEquals(before, told.report().node(0).magazines().lockings());
      // What is more than it may keep goes to and fro; that makes no garbage either.
      ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
      long[] addresses = new long[100];
      long least = Long.MAX_VALUE;
      for (int round = 0; round < 50; round++) {
        long bytes = threads.getThreadAllocatedBytes(Thread.currentThread().getId());
        for (int i = 0; i < addresses.length; i++) {
          addresses[i] = told.allocate(MEBIBYTE);
        }
        for (long address : addresses) {
          told.free(address);
        }
        bytes = threads.getThreadAllocatedBytes(Thread.currentThread().getId()) - bytes;
        least = Math.min(least, bytes);
      }
      assertEquals(0, least);
      allocateAndFree(told, 17);
      assertTrue(told.report().node(0).magazines().threadBytes() < 16 * MEBIBYTE);
    }
  }

  private static void allocateAndFree(NodeAllocator told, int mebibytes) {
    List<Long> blocks = new ArrayList<>();
    for (int i = 0; i < mebibytes; i++) {
      blocks.add(told.allocate(MEBIBYTE));
    }
    blocks.forEach(told::free);
  }

  @Test
  void magazinesAreNothingOrLargeEnough() {
    NodeAllocator.Builder builder = NodeAllocator.builder();
    for (long bytes : new long[] {-1, 1, (128 << 10) - 1}) {
      String message =
          assertThrows(IllegalArgumentException.class, () -> builder.magazineBytes(bytes))
              .getMessage();
      assertTrue(message.contains("bytes=" + bytes), message);
    }
    builder.magazineBytes(128 << 10).magazineBytes(0);
  }

  @Test
  void ofTwoThreadsThatFreeOneBlockOneIsToldWhereChecksAreParanoid() throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(2);
    try (NodeAllocator checked = builder().checks(Checks.PARANOID).open()) {
      for (int round = 0; round < 2000; round++) {
        long address = checked.allocate(64);
        CountDownLatch start = new CountDownLatch(2);
        List<Future<Boolean>> frees = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
          frees.add(
              threads.submit(
                  () -> {
                    start.countDown();
                    start.await();
                    try {
                      checked.free(address);
                      return true;
                    } catch (MemoryCorruptionError e) {
                      return false;
                    }
                  }));
        }
        assertNotEquals(frees.get(0).get(), frees.get(1).get(), "round=" + round);
      }
      assertEquals(0, checked.report().node(0).liveBlocks());
    } finally {
      threads.shutdownNow();
    }
  }

  @Test
  void oneThreadsBlocksAreFreedByAnotherWithoutEnd() throws Exception {
    ExecutorService other = Executors.newSingleThreadExecutor();
    try {
      long committed = 0;
      for (int round = 0; round < 200; round++) {
        List<Long> blocks = new ArrayList<>();
        for (int i = 0; i < 1000; i++) {
          blocks.add(memory.allocate(1000));
        }
        other.submit(() -> blocks.forEach(memory::free)).get();
        if (round == 20) {
          committed = node(0).committedBytes();
        }
      }
      // What comes back to the other thread comes to this one again: nothing grows.
      assertEquals(committed, node(0).committedBytes());
      assertEquals(0, node(0).liveBlocks());
    } finally {
      other.shutdownNow();
    }
  }

  /** Only where the JDK has virtual threads. */
  @Test
  void aHundredThousandVirtualThreadsShareAFewMagazines() throws Exception {
    assumeTrue(Runtime.version().feature() >= 21, "no virtual threads");
    Method start = Thread.class.getMethod("startVirtualThread", Runnable.class);
    CountDownLatch done = new CountDownLatch(100_000);
    AtomicReference<Throwable> failure = new AtomicReference<>();
    for (long i = done.getCount(); i > 0; i--) {
      int bytes = (int) (i % 400);
      start.invoke(
          null,
          (Runnable)
              () -> {
                try {
                  long first = memory.allocate(bytes);
                  long second = memory.allocate(bytes);
                  LockSupport.parkNanos(1);
                  memory.free(first);
                  memory.free(second);
                } catch (Throwable e) {
                  failure.set(e);
                } finally {
                  done.countDown();
                }
              });
    }
    done.await();
    assertNull(failure.get());
    assertEquals(0, node(0).liveBlocks());
    assertEquals(0, node(0).usedBytes());
    CounterInvariants.assertHold(memory.report());
    // Sets are shared, so what they keep comes back at once.
    memory.trim();
    assertEquals(0, node(0).committedBytes());
  }

  @Test
  void whatAShrinkerFreesServesTheRequestThatLackedIt() {
    Placement there = Placement.onNode(0);
    Deque<Long> cache = new ConcurrentLinkedDeque<>();
    for (long block = memory.tryAllocate(PAGE, there);
        block != 0;
        block = memory.tryAllocate(PAGE, there)) {
      cache.addLast(block);
    }
    List<Long> kept = new ArrayList<>();
    while (cache.size() > 64) {
      kept.add(cache.removeFirst());
    }
    Shrinker shrinker =
        bytes -> {
          long freed = 0;
          for (Long block = cache.pollFirst(); block != null; block = cache.pollFirst()) {
            memory.free(block);
            freed += PAGE;
          }
          return freed;
        };
    Registration registration = memory.shrinker(0, shrinker);
    // All that the shrinker frees has a place in its thread's magazines, and it frees once.
    long block = 0;
    for (int tries = 0; block == 0 && tries < 50; tries++) {
      // Requests wait for shrinkers for a bounded time, and a busy host may take longer.
      block = memory.tryAllocate(60_000, there);
    }
    assertNotEquals(0, block);
    registration.close();
    kept.forEach(memory::free);
  }

  @Test
  void aRequestThatIsTooLargeLeavesMagazinesAsTheyAre() {
    Placement there = Placement.onNode(0);
    memory.free(memory.allocate(3000, there));
    MagazineReport before = node(0).magazines();
    assertTrue(before.threadBytes() > 0);
    assertEquals(0, memory.tryAllocate(CAPACITY + 1, there));
    assertEquals(before.threadBytes(), node(0).magazines().threadBytes());
    assertEquals(before.idleBytes(), node(0).magazines().idleBytes());
    // One that can have all of it gets all of it.
    assertNotEquals(0, memory.tryAllocate(CAPACITY, there));
  }

  @Test
  void blocksAboveAnEighthOfTheLimitAreNotKeptReady() {
    // A thread keeps a 64th of the node: 1 MiB.
    memory.free(memory.allocate(128 << 10));
    long keptBytes = node(0).magazines().threadBytes();
    assertEquals(128 << 10, keptBytes);
    memory.free(memory.allocate((128 << 10) + 1));
    memory.free(memory.allocate(MEBIBYTE));
    assertEquals(keptBytes, node(0).magazines().threadBytes());
    assertEquals(keptBytes, node(0).capacityBytes() - freeInZone());
  }

  @Test
  void nodesMayHaveAnyNumbers() {
    AddressOnlySource sparse =
        AddressOnlySource.of(
            Machine.builder()
                .node(Node.of(7, "0", CAPACITY))
                .node(Node.of(1000, "1", CAPACITY))
                .build());
    try (NodeAllocator far = NodeAllocator.builder().source(sparse).open()) {
      for (int node : new int[] {1000, 7, 1000}) {
        long block = far.allocate(100, Placement.onNode(node));
        far.free(block);
        assertEquals(block, far.allocate(100, Placement.onNode(node)));
        far.free(block);
      }
      assertTrue(far.report().node(7).magazines().threadBytes() > 0);
      assertTrue(far.report().node(1000).magazines().threadBytes() > 0);
    }
  }

  @Test
  void noBlockIsGivenOutTwiceThoughSlabsComeAndGo() {
    Set<Long> live = new HashSet<>();
    for (int round = 0; round < 20; round++) {
      for (int bytes = 16; bytes < 40_000; bytes += 97) {
        assertTrue(live.add(memory.allocate(bytes)));
      }
      Set<Long> half = new HashSet<>();
      live.forEach(address -> (address % 3 == 0 ? half : new HashSet<Long>()).add(address));
      half.forEach(memory::free);
      live.removeAll(half);
      memory.trim();
      assertEquals(live.size(), node(0).liveBlocks());
    }
    live.forEach(memory::free);
  }
}
