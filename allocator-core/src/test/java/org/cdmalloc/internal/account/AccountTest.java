/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.account;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import org.cdmalloc.NodeAccessException;
import org.junit.jupiter.api.Test;

final class AccountTest {
  private final AtomicLong clock = new AtomicLong(1000);
  private final Account root = Account.root(2, clock::get);

  @Test
  void idleHoldersAreTold() {
    Account cache = root.named("cache");
    Account other = root.named("other");
    clock.set(5000);
    assertNull(cache.charge(1));
    clock.set(6000);
    assertEquals(1000, cache.idleNanos());
    assertEquals(1000, root.idleNanos());
    assertEquals(5000, other.idleNanos());
    // To be turned away is to have asked.
    Account none = other.withQuota(0);
    clock.set(7000);
    assertSame(none, none.charge(1));
    assertEquals(0, none.idleNanos());
    clock.set(9000);
    new PaidBlock(cache).freed(1);
    assertEquals(0, cache.idleNanos());
    assertEquals(0, root.idleNanos());
    assertEquals(2000, none.idleNanos());
  }

  @Test
  void whatIsRefusedFurtherUpIsTakenBackBelow() {
    Account team = root.withQuota(10);
    Account member = team.withQuota(100);
    assertNull(member.charge(8));
    assertSame(team, member.charge(3));
    assertEquals(8, member.quota().usedBytes());
    assertEquals(8, team.quota().usedBytes());
    assertEquals(8, root.quota().usedBytes());
    assertNull(member.charge(2));
    member.credit(10);
    assertEquals(0, root.quota().usedBytes());
  }

  @Test
  void anAccountThatEndedIsChargedNothingAndCreditedStill() {
    Account team = root.named("team");
    Account member = team.named("member");
    assertNull(member.charge(8));
    team.end();
    NodeAccessException ended = assertThrows(NodeAccessException.class, () -> member.charge(1));
    assertEquals(
        "capability was revoked: node=2, holder=device2/team/member, revoked=device2/team;"
            + " ask whoever revoked it for another one",
        ended.getMessage());
    assertThrows(NodeAccessException.class, () -> member.charge(0));
    assertThrows(NodeAccessException.class, member::requireNotEnded);
    assertTrue(member.isEnded());
    assertFalse(root.isEnded());
    assertEquals(8, member.quota().usedBytes());
    assertEquals(8, root.quota().usedBytes());
    member.credit(8);
    assertEquals(0, team.quota().usedBytes());
    assertNull(root.charge(1));
  }

  @Test
  void spilledBytesGoBackOnceHoweverTheyGoBack() {
    Allowance wide = new Allowance(100);
    Allowance narrow = new Allowance(60);
    Account holder = root.spilling(wide).spilling(narrow);
    assertFalse(new PaidBlock(root).spill(1));
    assertNull(holder.charge(50));
    PaidBlock block = new PaidBlock(holder);
    assertTrue(block.spill(50));
    assertFalse(new PaidBlock(holder).spill(11));
    assertEquals(50, wide.usedBytes());
    assertEquals(50, holder.allSpilledBytes());
    block.arrived(50, 20);
    // Fewer than before: what went back is not taken again.
    block.arrived(50, 5);
    assertEquals(30, block.spilledBytes());
    assertEquals(30, narrow.usedBytes());
    block.freed(50);
    block.arrived(50, 50);
    block.cancelSpill();
    assertEquals(0, wide.usedBytes());
    assertEquals(0, narrow.usedBytes());
    assertEquals(0, root.allSpilledBytes());
    assertEquals(0, root.quota().usedBytes());
  }

  @Test
  void allThatSpillStayTogetherBelowTheCeiling() {
    root.ceiling().limit(100);
    Allowance shared = new Allowance(1000);
    Account one = root.named("one").spilling(shared);
    Account other = root.spilling(new Allowance(1000)).spilling(shared);
    assertSame(root.ceiling(), one.spills().get(0));
    assertEquals(3, other.spills().size());
    assertTrue(one.spill(60));
    assertTrue(other.spill(40));
    assertFalse(one.spill(1));
    assertFalse(other.spill(1));
    assertFalse(root.chargeCeiling(1));
    assertTrue(root.chargeCeiling(0));
    assertEquals(100, shared.usedBytes());
    one.unspill(60);
    // What nobody spilled counts too, and is of no budget.
    assertTrue(one.chargeCeiling(60));
    assertFalse(other.spill(1));
    assertEquals(40, shared.usedBytes());
    assertEquals(40, root.allSpilledBytes());
    other.creditCeiling(60);
    other.unspill(40);
    assertEquals(0, root.ceiling().usedBytes());
    assertEquals(0, shared.usedBytes());
    // A strict account takes nothing of it.
    assertFalse(root.spill(1));
    assertEquals(0, root.ceiling().usedBytes());
  }

  @Test
  void aLowerCeilingTakesNothingBack() {
    Account holder = root.spilling(new Allowance(100));
    assertTrue(holder.spill(50));
    root.ceiling().limit(20);
    assertEquals(50, root.ceiling().usedBytes());
    assertFalse(holder.spill(1));
    holder.unspill(31);
    assertFalse(holder.spill(2));
    assertTrue(holder.spill(1));
    root.ceiling().limit(Allowance.UNLIMITED);
    assertTrue(holder.spill(80));
    holder.unspill(100);
    assertEquals(0, root.ceiling().usedBytes());
  }

  @Test
  void aBlockIsFreedByOneAndOnlyOnceItWasHandedOver() {
    PaidBlock block = new PaidBlock(root);
    assertFalse(block.isLive());
    assertFalse(block.leave());
    block.handOver();
    assertTrue(block.isLive());
    assertTrue(block.leave());
    assertFalse(block.isLive());
    assertFalse(block.leave());
  }

  @Test
  void whoHasSpilledAllItMayTakesNothingOfWhatItShares() throws Exception {
    Allowance shared = new Allowance(10);
    Account team = root.spilling(shared);
    Account broke = team.spilling(new Allowance(0));
    try (Threads threads = new Threads(1_000_000)) {
      threads.run(
          () -> {
            assertFalse(broke.spill(10));
            return null;
          },
          () -> {
            assertTrue(team.spill(10));
            team.unspill(10);
            return null;
          });
    }
    assertEquals(0, shared.usedBytes());
  }

  @Test
  void aLongChainIsWalked() {
    Account last = root;
    for (int i = 0; i < 20_000; i++) {
      last = last.withQuota(100);
    }
    assertNull(last.charge(1));
    assertEquals(20_001, root.all().size());
    assertTrue(last.isWithin(root));
    assertFalse(last.isEnded());
    assertSame(root, last.root());
    last.credit(1);
    assertEquals(0, root.quota().usedBytes());
  }

  @Test
  void whatCanNeverFitKeepsNothingOut() throws Exception {
    Account holder = root.withQuota(10);
    try (Threads threads = new Threads(2_000_000)) {
      threads.run(
          () -> {
            assertSame(holder, holder.charge(11));
            return null;
          },
          () -> {
            assertNull(holder.charge(10));
            holder.credit(10);
            return null;
          });
    }
    assertEquals(0, root.quota().usedBytes());
  }

  @Test
  void afterAnEndNothingIsAdded() throws Exception {
    for (int round = 0; round < 500; round++) {
      Account team = root.named("team");
      Account member = team.named("member");
      AtomicLong charged = new AtomicLong();
      try (Threads threads = new Threads(8)) {
        threads.run(
            () -> {
              try {
                member.charge(1);
                charged.incrementAndGet();
              } catch (NodeAccessException e) {
                // Ended.
              }
              return null;
            },
            () -> {
              team.end();
              long used = team.quota().usedBytes();
              Thread.onSpinWait();
              assertTrue(team.quota().usedBytes() <= used);
              return null;
            });
      }
      assertEquals(charged.get(), member.quota().usedBytes());
      assertEquals(charged.get(), team.quota().usedBytes());
      member.credit(charged.get());
    }
    assertEquals(0, root.quota().usedBytes());
  }

  /** Two threads that repeat a step each at the same time. */
  private static final class Threads implements AutoCloseable {
    private final ExecutorService pool = Executors.newFixedThreadPool(2);
    private final int steps;

    Threads(int steps) {
      this.steps = steps;
    }

    @SafeVarargs
    final void run(Callable<Void>... tasks) throws Exception {
      CyclicBarrier start = new CyclicBarrier(tasks.length);
      List<Future<Void>> done = new ArrayList<>();
      for (Callable<Void> task : tasks) {
        done.add(
            pool.submit(
                () -> {
                  start.await();
                  for (int i = 0; i < steps; i++) {
                    task.call();
                  }
                  return null;
                }));
      }
      for (Future<Void> one : done) {
        one.get();
      }
    }

    @Override
    public void close() {
      pool.shutdownNow();
    }
  }
}
