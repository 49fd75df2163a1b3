/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.cdmalloc.topology.Node;
import org.junit.jupiter.api.Test;

final class NodeAccountTest {
  private static final int THREADS = 4;

  @Test
  void takesAllOrNothing() {
    NodeAccount account = new NodeAccount(Node.of(0, "0", 10));
    assertTrue(account.tryTake(6));
    assertFalse(account.tryTake(5));
    assertEquals(4, account.freeBytes());
    assertTrue(account.tryTake(4));
    assertTrue(account.tryTake(0));
    assertFalse(account.tryTake(1));
    account.give(10);
    assertEquals(10, account.freeBytes());
  }

  @Test
  void threadsTakeEachByteOnce() throws Exception {
    int bytes = 400_000;
    NodeAccount account = new NodeAccount(Node.of(0, "0", bytes));
    CyclicBarrier start = new CyclicBarrier(THREADS);
    ExecutorService pool = Executors.newFixedThreadPool(THREADS);
    try {
      List<Future<Integer>> taken = new ArrayList<>();
      for (int thread = 0; thread < THREADS; thread++) {
        taken.add(
            pool.submit(
                () -> {
                  start.await();
                  int mine = 0;
                  while (account.tryTake(1)) {
                    mine++;
                  }
                  return mine;
                }));
      }
      int total = 0;
      for (Future<Integer> mine : taken) {
        total += mine.get();
      }
      assertEquals(bytes, total);
      assertEquals(0, account.freeBytes());
    } finally {
      pool.shutdownNow();
    }
  }
}
