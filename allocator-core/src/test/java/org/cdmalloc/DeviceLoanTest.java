/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.concurrent.FutureTask;
import org.cdmalloc.internal.lifecycle.Ownership;
import org.junit.jupiter.api.Test;

final class DeviceLoanTest {
  private final ByteBuffer memory = ByteBuffer.allocateDirect(4096);
  private final Ownership ownership = new Ownership(() -> {});
  private final DeviceLoan loan =
      new DeviceLoan(0x7f000, 4096, "device2/cache", () -> memory, ownership);

  @Test
  void itTellsWhatIsLentToWhom() {
    assertEquals(0x7f000, loan.address());
    assertEquals(4096, loan.bytes());
    assertEquals("device2/cache", loan.holder());
    assertEquals(
        "DeviceLoan[lent, holder=device2/cache, address=0x7f000, bytes=4096]", loan.toString());
  }

  @Test
  void theDeviceSideSeesTheMemoryUntilTheLoanEnds() {
    assertSame(memory, loan.buffer());
    assertTrue(loan.complete());
    assertTrue(
        assertThrows(IllegalStateException.class, loan::buffer)
            .getMessage()
            .contains("DeviceLoan[completed, holder=device2/cache"));
  }

  @Test
  void aBlockBeyondABufferIsNotShownInPart() {
    DeviceLoan large = new DeviceLoan(4096, 1L << 31, "device2", () -> memory, ownership);
    assertTrue(
        assertThrows(UnsupportedOperationException.class, large::buffer)
            .getMessage()
            .contains("bytes=2147483648"));
  }

  @Test
  void aRecallIsNoCompletion() throws InterruptedException {
    assertFalse(loan.await(Duration.ofNanos(1)));
    assertFalse(loan.isReturned());
    assertTrue(loan.recall());
    assertTrue(loan.isReturned());
    assertFalse(loan.complete());
    assertFalse(loan.await());
    assertFalse(loan.await(Duration.ofDays(1)));
  }

  @Test
  void timesBeyondTheClockAreForeverOrNothing() throws Exception {
    assertFalse(loan.await(Duration.ofSeconds(Long.MIN_VALUE)));
    assertFalse(loan.await(Duration.ZERO));
    FutureTask<Boolean> waiting =
        new FutureTask<>(() -> loan.await(Duration.ofSeconds(Long.MAX_VALUE)));
    Thread thread = new Thread(waiting);
    thread.start();
    while (thread.getState() != Thread.State.TIMED_WAITING && !waiting.isDone()) {
      Thread.onSpinWait();
    }
    assertFalse(waiting.isDone());
    assertTrue(loan.complete());
    assertTrue(waiting.get());
    assertTrue(loan.await(Duration.ofSeconds(Long.MIN_VALUE)));
    assertTrue(loan.await());
  }
}
