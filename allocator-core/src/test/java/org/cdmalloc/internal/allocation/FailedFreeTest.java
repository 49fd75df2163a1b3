/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.cdmalloc.Checks;
import org.cdmalloc.MemoryCorruptionError;
import org.cdmalloc.Placement;
import org.cdmalloc.Zeroing;
import org.cdmalloc.internal.account.Account;
import org.cdmalloc.internal.account.BlockOwner;
import org.cdmalloc.internal.account.PaidBlock;
import org.cdmalloc.spi.AddressOnlySource;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** A free that fails before the run is free leaves the block to be freed again. */
final class FailedFreeTest {
  private static final long MEBIBYTE = 1 << 20;

  private final Assembly parts =
      Assembly.of(
          AddressOnlySource.of(Machine.builder().node(Node.of(0, "0", 64 * MEBIBYTE)).build()),
          NodeMask.EMPTY,
          List.of(),
          new Assembly.Settings(
              Map.of(),
              Map.of(),
              Map.of(),
              Zeroing.ON_ALLOCATE,
              Checks.STANDARD,
              Duration.ZERO,
              Duration.ZERO,
              0));
  private final AllocationPath allocation = parts.allocation();
  private final Account account = Account.root(2, System::nanoTime);

  /** Asked for its account, it fails now and then, as writing zeros to the block may. */
  private boolean fails;

  private final class Payer implements BlockOwner {
    private final PaidBlock block = new PaidBlock(account);

    @Override
    public void handOver() {
      block.handOver();
    }

    @Override
    public boolean isLive() {
      return block.isLive();
    }

    @Override
    public boolean leave() {
      return block.leave();
    }

    @Override
    public void stay() {
      block.stay();
    }

    @Override
    public void freed(long bytes) {
      block.freed(bytes);
    }

    @Override
    public Account account() {
      if (fails) {
        throw new InternalError("of the test");
      }
      return block.account();
    }

    @Override
    public long spilledBytes() {
      return block.spilledBytes();
    }

    @Override
    public void arrived(long bytes, long there) {
      block.arrived(bytes, there);
    }

    @Override
    public void used() {
      block.used();
    }

    @Override
    public long usedNanos() {
      return block.usedNanos();
    }

    @Override
    public void cancelSpill() {
      block.cancelSpill();
    }
  }

  @AfterEach
  void close() {
    parts.close();
  }

  private long allocate(BlockOwner owner) {
    account.charge(4096);
    ZonePath path = parts.system().of(Placement.LOCAL).choose(1);
    return allocation.tryAllocate(path, 1, 1, owner);
  }

  @Test
  void aBlockThatCouldNotBeFreedIsFreedLater() {
    Payer owner = new Payer();
    long block = allocate(owner);
    owner.handOver();
    fails = true;
    assertThrows(InternalError.class, () -> allocation.free(block));
    assertTrue(owner.isLive());
    fails = false;
    allocation.free(block);
    assertEquals(0, account.quota().usedBytes());
    assertThrows(MemoryCorruptionError.class, () -> allocation.free(block));
  }

  @Test
  void aHeldBlockThatCouldNotBeFreedIsItsOwnersAgain() {
    Payer owner = new Payer();
    long block = allocate(owner);
    owner.handOver();
    HeldBlock held = new Holds(allocation).hold(block, HeldBlock.Use.LOAN);
    allocation.free(block);
    fails = true;
    assertThrows(InternalError.class, () -> held.end(HeldBlock.Use.LOAN));
    fails = false;
    assertTrue(owner.isLive());
    allocation.free(block);
    assertEquals(0, account.quota().usedBytes());
    assertEquals(0, allocation.zones().get(0).zone().liveRuns());
    assertThrows(MemoryCorruptionError.class, () -> allocation.free(block));
  }

  @Test
  void aBlockOfAScopeThatCouldNotBeFreedGoesWithTheNextClose() {
    Scope scope = new Scope(allocation);
    for (BlockOwner payer : new BlockOwner[] {null, new Payer(), null}) {
      Scope.Block block = scope.newBlock(payer);
      scope.enter(block, allocate(block));
    }
    fails = true;
    assertThrows(InternalError.class, scope::close);
    // One was freed before; one failed, and one was not tried.
    assertEquals(2, scope.liveBlocks());
    fails = false;
    scope.close();
    assertEquals(0, scope.liveBlocks());
    assertEquals(0, allocation.zones().get(0).zone().liveRuns());
  }
}
