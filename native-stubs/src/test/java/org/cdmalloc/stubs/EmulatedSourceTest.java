/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Region;
import org.cdmalloc.spi.Stripe;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.junit.jupiter.api.Test;

/** What the emulated machine says beyond the contract of every source. */
final class EmulatedSourceTest {
  private static final long GIB = 1L << 30;
  private static final long MIB = 1L << 20;
  private static final int PAGE = 4096;

  private final EmulatedSource source = EmulatedSource.of(Machines.twoSocketsAndADevice());

  @Test
  void saysThatItIsEmulated() {
    assertEquals("emulated", source.name());
    assertFalse(source.isReal());
    assertTrue(source.diagnosis().findings().get(0).startsWith("emulated: "));
    Region region = source.reserve(0, PAGE);
    assertEquals("emulated", source.residency(region, 0, PAGE).askedBy());
    source.release(region);
  }

  @Test
  void limitIsTheSumOfTheNodes() {
    assertEquals((64 + 128 + 32) * MIB, source.limitBytes());
  }

  @Test
  void nodesAreSeparateAccounts() {
    Region region = source.reserve(4, 64 * MIB);
    assertTrue(source.commit(region, 0, 32 * MIB).isCommitted());
    assertEquals(0, source.freeBytes(4));
    assertEquals(64 * MIB, source.freeBytes(0));
    assertEquals(128 * MIB, source.freeBytes(1));
    source.release(region);
    assertEquals(32 * MIB, source.freeBytes(4));
  }

  @Test
  void fullNodeNamesItsFigures() {
    Region region = source.reserve(4, 64 * MIB);
    source.commit(region, 0, PAGE);
    assertEquals(
        new CommitResult(
            CommitResult.Outcome.NODE_FULL, "node=4, free_bytes=33550336, wanted_bytes=33554432"),
        source.commit(region, 0, 32 * MIB + PAGE));
    assertEquals(CommitResult.COMMITTED, source.commit(region, 0, 32 * MIB));
    source.release(region);
  }

  @Test
  void fullNodeOfAStripeNamesItsOwnFigures() {
    Region filler = source.reserve(4, 32 * MIB);
    source.commit(filler, 0, 32 * MIB - PAGE);
    Region region = source.reserve(Stripe.weighted(Map.of(0, 3, 4, 2)), 64 * MIB);
    assertEquals(
        new CommitResult(
            CommitResult.Outcome.NODE_FULL, "node=4, free_bytes=4096, wanted_bytes=8192"),
        source.commit(region, 0, 5 * PAGE));
    assertEquals(64 * MIB, source.freeBytes(0));
    assertEquals(PAGE, source.freeBytes(4));
    assertTrue(source.commit(region, 0, 4 * PAGE).isCommitted());
    assertEquals(64 * MIB - 3 * PAGE, source.freeBytes(0));
    assertEquals(0, source.freeBytes(4));
    // What is there already needs no more room.
    assertTrue(source.commit(region, PAGE, 3 * PAGE).isCommitted());
    source.release(filler);
    assertTrue(source.commit(region, 0, 10 * PAGE).isCommitted());
    source.release(region);
    assertEquals(64 * MIB, source.freeBytes(0));
    assertEquals(32 * MIB, source.freeBytes(4));
  }

  @Test
  void fullDirectoryIsALimit() {
    Path directory = Path.of(System.getProperty("java.io.tmpdir"));
    BackingFiles nearlyFull =
        new BackingFiles(directory) {
          @Override
          long usableBytes() {
            return MARGIN_BYTES + 2 * PAGE;
          }
        };
    EmulatedSource small = new EmulatedSource(Machines.oneNode(), PAGE, () -> 0, nearlyFull);
    Region region = small.reserve(0, 16 * PAGE);
    assertEquals(CommitResult.COMMITTED, small.commit(region, 0, 2 * PAGE));
    assertEquals(
        new CommitResult(
            CommitResult.Outcome.LIMIT_REACHED,
            "java.io.tmpdir="
                + directory
                + ", usable_bytes=67117056, margin_bytes=67108864, wanted_bytes=12288"),
        small.commit(region, PAGE, 4 * PAGE));
    assertEquals(256 * MIB - 2 * PAGE, small.freeBytes(0));
    assertEquals(CommitResult.COMMITTED, small.commit(region, 0, 4 * PAGE));
    small.release(region);
  }

  @Test
  void purgeReturnsNothingToTheHost() {
    Region region = source.reserve(0, PAGE);
    source.commit(region, 0, PAGE);
    assertEquals(0, source.purge(region, 0, PAGE));
    assertEquals(64 * MIB, source.freeBytes(0));
    source.release(region);
  }

  @Test
  void largestViewIsOneRoot() {
    Region region = source.reserve(0, 2 * GIB);
    assertEquals(GIB, source.view(region, 0, (int) GIB).capacity());
    assertEquals(GIB, source.view(region, GIB, (int) GIB).capacity());
    assertThrows(IllegalArgumentException.class, () -> source.view(region, 0, (int) GIB + 1));
    assertThrows(IllegalArgumentException.class, () -> source.view(region, 1, (int) GIB));
    source.release(region);
  }

  @Test
  void regionBeyondAllPageNumbersIsRefused() {
    long pages = Integer.MAX_VALUE + 1L;
    assertThrows(IllegalArgumentException.class, () -> source.reserve(0, pages * PAGE));
  }

  @Test
  void regionOfAnotherSourceIsRefused() {
    EmulatedSource other = EmulatedSource.of(Machines.twoSocketsAndADevice());
    Region region = other.reserve(0, PAGE);
    assertThrows(IllegalArgumentException.class, () -> source.commit(region, 0, PAGE));
    assertThrows(IllegalArgumentException.class, () -> source.purge(region, 0, PAGE));
    assertThrows(IllegalArgumentException.class, () -> source.view(region, 0, PAGE));
    assertThrows(IllegalArgumentException.class, () -> source.residency(region, 0, PAGE));
    assertThrows(IllegalArgumentException.class, () -> source.release(region));
    other.release(region);
  }

  @Test
  void onlyPageSizesOfKernelsAreTaken() {
    Machine machine = Machines.oneNode();
    for (int bytes : new int[] {4096, 16384, 65536}) {
      assertEquals(bytes, EmulatedSource.of(machine, bytes).osPageBytes());
    }
    for (int bytes : new int[] {-4096, 0, 1, 2048, 4095, 8192, 131072}) {
      assertThrows(IllegalArgumentException.class, () -> EmulatedSource.of(machine, bytes));
    }
  }

  @Test
  void machineWithoutMemoryIsRefused() {
    Machine empty = Machine.builder().node(Node.of(0, "0", 0)).build();
    assertThrows(IllegalArgumentException.class, () -> EmulatedSource.of(empty));
  }

  @Test
  void threadsAreSpreadOverNodesWithCpusAndStay() {
    int[] withCpus = {0, 1, 2};
    int[] threads = new int[3];
    for (int i = 0; i < 12; i++) {
      AtomicInteger seen = new AtomicInteger();
      Thread thread =
          new Thread(
              () -> {
                seen.set(source.currentNode());
                assertEquals(seen.get(), source.currentNode());
              });
      join(thread);
      assertEquals(withCpus[(int) (thread.getId() % 3)], seen.get());
      threads[seen.get()]++;
    }
    assertTrue(threads[0] > 0 && threads[1] > 0 && threads[2] > 0);
  }

  @Test
  void threadsOfAMachineWithoutCpusAreOnItsFirstNode() {
    Machine machine =
        Machine.builder().node(Node.memoryOnly(3, GIB)).node(Node.memoryOnly(5, GIB)).build();
    assertEquals(3, EmulatedSource.of(machine).currentNode());
  }

  @Test
  void callerMaySayWhereThreadsRun() {
    AtomicInteger node = new AtomicInteger(4);
    MemorySource steered = EmulatedSource.of(Machines.twoSocketsAndADevice(), PAGE, node::get);
    assertEquals(4, steered.currentNode());
    node.set(1);
    assertEquals(1, steered.currentNode());
    node.set(3);
    assertThrows(IllegalArgumentException.class, steered::currentNode);
  }

  @Test
  void addressIsNotKnown() {
    ByteBuffer buffer = ByteBuffer.allocateDirect(8);
    assertThrows(UnsupportedOperationException.class, () -> source.addressOf(buffer));
  }

  @Test
  void threadsOnNeighbouringPagesKeepTheAccountRight() throws Exception {
    int threads = 4;
    Region region = source.reserve(0, 64 * PAGE);
    ExecutorService pool = Executors.newFixedThreadPool(threads);
    try {
      List<Future<?>> done = new ArrayList<>();
      for (int thread = 0; thread < threads; thread++) {
        long first = (long) thread * PAGE;
        done.add(pool.submit(() -> commitAndPurge(region, first, (long) threads * PAGE)));
      }
      for (Future<?> thread : done) {
        thread.get();
      }
    } finally {
      pool.shutdownNow();
    }
    assertTrue(source.residency(region, 0, region.bytes()).isAllOn(0));
    assertEquals(64 * MIB - region.bytes(), source.freeBytes(0));
    source.release(region);
  }

  private void commitAndPurge(Region region, long first, long stride) {
    for (int round = 0; round < 1000; round++) {
      for (long offset = first; offset < region.bytes(); offset += stride) {
        source.purge(region, offset, PAGE);
        assertTrue(source.commit(region, offset, PAGE).isCommitted());
      }
    }
  }

  @Test
  void releaseDuringAPurgeKeepsTheAccountRight() throws Exception {
    ExecutorService purger = Executors.newSingleThreadExecutor();
    try {
      for (int round = 0; round < 20; round++) {
        Region region = source.reserve(0, 4 * MIB);
        source.commit(region, 0, 4 * MIB);
        CountDownLatch aboutToPurge = new CountDownLatch(1);
        Future<?> purge = purger.submit(() -> purgeUnlessReleased(region, aboutToPurge));
        aboutToPurge.await();
        source.release(region);
        purge.get();
        assertEquals(64 * MIB, source.freeBytes(0), "round=" + round);
      }
    } finally {
      purger.shutdownNow();
    }
  }

  private void purgeUnlessReleased(Region region, CountDownLatch aboutToPurge) {
    aboutToPurge.countDown();
    try {
      source.purge(region, 0, region.bytes());
    } catch (IllegalStateException e) {
      // The release came first.
    }
  }

  private static void join(Thread thread) {
    thread.start();
    try {
      thread.join();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }
}
