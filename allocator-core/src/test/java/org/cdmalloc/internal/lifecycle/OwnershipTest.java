/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.lifecycle;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Predicate;
import org.cdmalloc.MemoryCorruptionError;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
final class OwnershipTest {
  private static final long FOREVER = Long.MAX_VALUE;
  private static final List<Predicate<Ownership>> ENDS =
      List.of(Ownership::complete, Ownership::recall, Ownership::fail);

  private final ExecutorService threads = Executors.newCachedThreadPool();
  private final AtomicInteger waysBack = new AtomicInteger();
  private final Ownership lent = new Ownership(waysBack::incrementAndGet);

  @AfterEach
  void endThreads() throws InterruptedException {
    threads.shutdownNow();
    assertTrue(threads.awaitTermination(1, TimeUnit.MINUTES));
  }

  @Test
  void aLentBlockIsTheDevices() throws InterruptedException {
    assertTrue(lent.isLent());
    assertFalse(lent.isReturned());
    assertFalse(lent.await(0));
    assertFalse(lent.await(-1));
    assertEquals(0, waysBack.get());
    assertEquals("lent", lent.toString());
  }

  @Test
  void theFirstEndCountsAndNoOther() throws InterruptedException {
    for (Predicate<Ownership> first : ENDS) {
      for (Predicate<Ownership> second : ENDS) {
        AtomicInteger times = new AtomicInteger();
        Ownership ownership = new Ownership(times::incrementAndGet);
        assertTrue(first.test(ownership));
        String how = ownership.toString();
        assertFalse(second.test(ownership));
        assertEquals(how, ownership.toString());
        assertEquals(1, times.get());
        assertFalse(ownership.isLent());
        assertTrue(ownership.isReturned());
        assertEquals(how.equals("completed"), ownership.await(0));
      }
    }
  }

  @Test
  void endsAreToldApart() {
    assertTrue(lent.complete());
    assertEquals("completed", lent.toString());
    Ownership recalled = new Ownership(() -> {});
    assertTrue(recalled.recall());
    assertEquals("recalled", recalled.toString());
    Ownership failed = new Ownership(() -> {});
    assertTrue(failed.fail());
    assertEquals("failed", failed.toString());
  }

  @Test
  void everyWaiterIsWoken() throws Exception {
    for (Predicate<Ownership> end : ENDS) {
      Ownership ownership = new Ownership(() -> {});
      List<Future<Boolean>> waiting = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        waiting.add(threads.submit(() -> ownership.await(FOREVER)));
      }
      assertTrue(end.test(ownership));
      for (Future<Boolean> waiter : waiting) {
        assertEquals(ownership.toString().equals("completed"), waiter.get());
      }
    }
  }

  @Test
  void aWaitThatIsInterruptedChangesNothing() throws Exception {
    Thread.currentThread().interrupt();
    assertThrows(InterruptedException.class, () -> lent.await(FOREVER));
    Future<Boolean> waiting = threads.submit(() -> lent.await(FOREVER));
    threads.shutdownNow();
    assertTrue(
        assertThrows(ExecutionException.class, waiting::get).getCause()
            instanceof InterruptedException);
    assertTrue(lent.isLent());
    assertTrue(lent.complete());
    assertTrue(lent.await(FOREVER));
  }

  @Test
  void theTimeIsOverBeforeTheLoanIs() throws InterruptedException {
    assertFalse(lent.await(1));
    assertTrue(lent.isLent());
    assertTrue(lent.complete());
    assertTrue(lent.await(1));
  }

  @Test
  void nobodyIsToldBeforeTheBlockIsBack() throws InterruptedException {
    List<String> seen = new ArrayList<>();
    Ownership[] self = new Ownership[1];
    self[0] =
        new Ownership(
            () -> {
              seen.add(self[0].toString());
              assertFalse(self[0].isLent());
              assertFalse(self[0].isReturned());
              assertFalse(self[0].recall());
            });
    assertTrue(self[0].complete());
    assertEquals(List.of("returning"), seen);
    assertTrue(self[0].await(0));
  }

  @Test
  void whatTheWayBackFoundIsThrownToAllWhoAsk() throws Exception {
    MemoryCorruptionError found = new MemoryCorruptionError("found");
    Ownership ownership =
        new Ownership(
            () -> {
              throw found;
            });
    Future<Boolean> waiting = threads.submit(() -> ownership.await(FOREVER));
    assertSame(found, assertThrows(MemoryCorruptionError.class, ownership::complete));
    assertSame(found, assertThrows(ExecutionException.class, waiting::get).getCause());
    assertTrue(ownership.isReturned());
    assertSame(found, assertThrows(MemoryCorruptionError.class, () -> ownership.await(0)));
    assertFalse(ownership.complete());
  }

  @Test
  void aWayBackThatFailsEndsTheLoan() throws InterruptedException {
    Ownership ownership =
        new Ownership(
            () -> {
              throw new IllegalStateException("not freed");
            });
    assertThrows(IllegalStateException.class, ownership::complete);
    assertTrue(ownership.isReturned());
    assertTrue(ownership.await(FOREVER));
  }

  @Test
  void ofThreeEndsAtOnceOneCounts() throws Exception {
    CyclicBarrier start = new CyclicBarrier(ENDS.size());
    for (int round = 0; round < 500; round++) {
      AtomicInteger times = new AtomicInteger();
      Ownership ownership = new Ownership(times::incrementAndGet);
      List<Callable<Boolean>> calls = new ArrayList<>();
      for (Predicate<Ownership> end : ENDS) {
        calls.add(
            () -> {
              start.await();
              return end.test(ownership);
            });
      }
      int won = 0;
      for (Future<Boolean> call : threads.invokeAll(calls)) {
        won += call.get() ? 1 : 0;
      }
      assertEquals(1, won);
      assertEquals(1, times.get());
    }
  }
}
