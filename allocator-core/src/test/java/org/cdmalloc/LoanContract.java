/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.List;
import org.cdmalloc.DrainReport.Cause;
import org.junit.jupiter.api.Test;

/** What {@link DeviceNode#lend} promises. */
abstract class LoanContract extends PinContract {
  private static final long BLOCK = MEBIBYTE;

  @Test
  void aLentBlockIsTheDevicesUntilItCompletes() throws InterruptedException {
    DeviceNode device = device();
    DeviceNode holder = device.named("dma");
    long block = holder.allocate(BLOCK);
    DeviceLoan loan = device.lend(block);
    assertEquals(block, loan.address());
    assertEquals(BLOCK, loan.bytes());
    assertEquals(device.holder(), loan.holder());
    assertFalse(loan.isReturned());
    assertFalse(loan.await(Duration.ofMillis(1)));
    String refused =
        assertThrows(IllegalStateException.class, () -> memory.move(block, NODE_0)).getMessage();
    assertTrue(refused.contains("it is lent"), refused);
    DrainReport drained = device.offline();
    assertEquals(Cause.LENT, drained.blockers().get(0).cause());
    assertEquals(holder.holder(), drained.blockers().get(0).holder());
    device.online();
    assertTrue(loan.complete());
    assertFalse(loan.complete());
    assertTrue(loan.isReturned());
    assertTrue(loan.await());
    memory.move(block, NODE_0);
    memory.free(block);
    assertNothingTaken();
  }

  @Test
  void aFreeWaitsForTheDevice() {
    DeviceNode device = device();
    NodeArena arena = device.arena();
    for (Door door : List.of(Door.of("device", device), Door.of("arena", arena))) {
      long block = door.allocate(BLOCK);
      DeviceLoan loan = device.lend(block);
      DeviceLoan again = device.lend(block);
      memory.free(block);
      assertThrows(MemoryCorruptionError.class, () -> memory.free(block));
      assertEquals(BLOCK, used(device));
      assertTrue(loan.complete());
      assertEquals(BLOCK, report(ARENA).usedBytes());
      assertTrue(again.recall());
      assertFalse(again.complete());
      assertEquals(0, used(device));
      assertNothingTaken();
    }
    long scoped = arena.allocate(BLOCK);
    DeviceLoan loan = device.lend(scoped);
    arena.close();
    assertEquals(BLOCK, report(ARENA).usedBytes());
    assertTrue(loan.complete());
    assertNothingTaken();
  }

  @Test
  void aPinAndALoanOfOneBlockEndInAnyOrder() {
    DeviceNode device = device();
    for (boolean pinFirst : new boolean[] {true, false}) {
      for (boolean freed : new boolean[] {true, false}) {
        long block = device.allocate(BLOCK);
        DevicePin pin = device.pin(block);
        DeviceLoan loan = device.lend(block);
        if (freed) {
          memory.free(block);
        }
        if (pinFirst) {
          pin.close();
          loan.complete();
        } else {
          loan.complete();
          pin.close();
        }
        if (!freed) {
          memory.free(block);
        }
        assertNothingTaken();
      }
    }
  }

  @Test
  void whoseBlockItIsNotCannotLendIt() {
    DeviceNode device = device();
    DeviceNode holder = device.named("one");
    DeviceNode other = device.named("other");
    long block = holder.allocate(BLOCK);
    long ofSystem = memory.allocate(BLOCK, NODE_0);
    // "NodeAccessException if the block is not this holder's"
    assertThrows(NodeAccessException.class, () -> other.lend(block));
    assertThrows(NodeAccessException.class, () -> device.lend(ofSystem));
    assertThrows(IllegalArgumentException.class, () -> holder.lend(block + PAGE));
    assertThrows(IllegalArgumentException.class, () -> holder.lend(1));
    holder.revoke();
    assertThrows(NodeAccessException.class, () -> holder.lend(block));
    memory.free(block);
    assertThrows(MemoryCorruptionError.class, () -> device.lend(block));
    memory.free(ofSystem);
    assertNothingTaken();
  }

  @Test
  void aLostNodeEndsItsLoans() throws InterruptedException {
    DeviceNode device = device();
    long block = device.allocate(BLOCK);
    DeviceLoan loan = device.lend(block);
    DeviceLoan freed = device.lend(device.allocate(BLOCK));
    memory.free(freed.address());
    device.fail("fell off the bus");
    assertTrue(loan.isReturned());
    assertFalse(loan.await());
    assertFalse(loan.complete());
    assertFalse(freed.await());
    assertThrows(NodeFailedException.class, () -> device.lend(block));
    memory.free(block);
    assertNothingTaken();
  }
}
