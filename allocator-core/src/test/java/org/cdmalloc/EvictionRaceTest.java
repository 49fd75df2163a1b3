/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.cdmalloc.spi.AddressOnlySource;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.MoveResult;
import org.cdmalloc.spi.Region;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.Timeout.ThreadMode;

/** What happens to blocks, and to memory, while it is on its way. */
@Timeout(value = 60, threadMode = ThreadMode.SEPARATE_THREAD)
final class EvictionRaceTest {
  private static final long MEBIBYTE = 1 << 20;
  private static final long UNIT = 2 * MEBIBYTE;
  private static final int DEVICE = 1;
  private static final int PAGE = 4096;
  private static final long DEVICE_BYTES = 8 * MEBIBYTE;
  private static final Placement NODE_0 = Placement.onNode(0);

  /** How long nothing happens that must not happen. */
  private static final long PATIENCE_MILLIS = 200;

  /** A source whose next move from the device stops half way, or does what a test says. */
  private static final class Stopping extends ForwardingSource {
    private final CountDownLatch reached = new CountDownLatch(1);
    private final CountDownLatch goOn = new CountDownLatch(1);

    /** Done in a move from the device; it is made after that. */
    private volatile Runnable inMove = () -> {};

    /** The offset in the device's region at which memory is not taken back; none if negative. */
    private volatile long refusedPurge = -1;

    /** Offsets. */
    private final List<Long> purges = new ArrayList<>();

    Stopping(MemorySource source) {
      super(source);
    }

    void stop() {
      inMove =
          () -> {
            inMove = () -> {};
            reached.countDown();
            try {
              goOn.await();
            } catch (InterruptedException e) {
              throw new IllegalStateException(e);
            }
          };
    }

    private static boolean isDevices(Region region) {
      return region.stripe().first() == DEVICE;
    }

    @Override
    public MoveResult move(Region region, long offset, long bytes, int node) {
      if (isDevices(region) && node == 0) {
        inMove.run();
      }
      return super.move(region, offset, bytes, node);
    }

    @Override
    public long purge(Region region, long offset, long bytes) {
      if (isDevices(region) && offset == refusedPurge) {
        throw new NativeCallException("madvise", 5, "EIO", "offset=" + offset);
      }
      if (isDevices(region)) {
        purges.add(offset);
      }
      return super.purge(region, offset, bytes);
    }
  }

  private final Stopping source =
      new Stopping(
          AddressOnlySource.of(
              Machine.builder()
                  .node(Node.of(0, "0", 64 * MEBIBYTE))
                  .node(Node.memoryOnly(DEVICE, 2 * DEVICE_BYTES))
                  .build()));

  private final ExecutorService threads = Executors.newCachedThreadPool();
  private final List<Long> blocks = new ArrayList<>();
  private NodeAllocator memory;
  private DeviceNode device;

  @BeforeEach
  void open() {
    memory =
        NodeAllocator.builder()
            .source(source)
            .capacity(DEVICE, DEVICE_BYTES)
            .magazineBytes(0)
            .open();
    device = memory.device(DEVICE);
  }

  @AfterEach
  void nothingIsLost() throws InterruptedException {
    source.refusedPurge = -1;
    blocks.forEach(memory::free);
    assertEquals(0, memory.report().node(DEVICE).usedBytes());
    assertEquals(0, memory.report().node(DEVICE).movedOutBytes());
    assertEquals(0, memory.report().node(0).movedInBytes());
    assertEquals(0, device.holders().get(0).usedBytes());
    memory.close();
    threads.shutdown();
    assertTrue(threads.awaitTermination(10, TimeUnit.SECONDS));
  }

  /** Fills the device, and lets a request begin to move the first block away. */
  private Future<Long> evictFirst() throws InterruptedException {
    evicting();
    source.stop();
    Future<Long> request = threads.submit(() -> device.tryAllocate(MEBIBYTE));
    assertTrue(source.reached.await(10, TimeUnit.SECONDS));
    return request;
  }

  private void evicting() {
    device.setAttributes(
        NodeAttributes.COHERENT_DEVICE.withReclaim(true).withDemotionTarget(0).withEvict(true));
    device.online();
    for (long at = 0; at < DEVICE_BYTES; at += MEBIBYTE) {
      blocks.add(device.allocate(MEBIBYTE));
    }
  }

  private <T> T afterTheMove(Callable<T> use) throws Exception {
    Future<T> future = threads.submit(use);
    assertThrows(TimeoutException.class, () -> future.get(PATIENCE_MILLIS, TimeUnit.MILLISECONDS));
    source.goOn.countDown();
    return future.get(10, TimeUnit.SECONDS);
  }

  private boolean isAt(int node, long block) {
    return memory.residency(block).isAllOn(node);
  }

  @Test
  void aPinWaitsForTheMoveThatBeganBefore() throws Exception {
    Future<Long> request = evictFirst();
    try (DevicePin pin = afterTheMove(() -> device.pin(blocks.get(0)))) {
      assertTrue(pin.isInPlace());
      assertTrue(isAt(DEVICE, blocks.get(0)));
      blocks.add(request.get());
      assertTrue(isAt(DEVICE, blocks.get(0)));
    }
  }

  @Test
  void aLoanWaitsForTheMoveThatBeganBefore() throws Exception {
    Future<Long> request = evictFirst();
    DeviceLoan loan = afterTheMove(() -> device.lend(blocks.get(0)));
    int node = isAt(0, blocks.get(0)) ? 0 : DEVICE;
    blocks.add(request.get());
    assertTrue(isAt(node, blocks.get(0)), "it stays where it was lent");
    assertTrue(loan.complete());
  }

  @Test
  void nothingGivesWayOnANodeThatWasLost() throws Exception {
    Future<Long> request = evictFirst();
    device.fail("broken");
    source.goOn.countDown();
    assertEquals(0, request.get());
    assertEquals(MEBIBYTE, memory.report().node(DEVICE).demotedBytes(), "only what was on its way");
    assertThrows(NodeFailedException.class, () -> device.lend(blocks.get(1)));
  }

  @Test
  void aBlockThatCannotGiveWayFailsNobodyElsesRequestByAnError() {
    evicting();
    source.inMove =
        () -> {
          throw new NativeCallException("move_pages", 5, "EIO", "pages=256");
        };
    assertEquals(0, device.tryAllocate(1));
    String full =
        assertThrows(NodeMemoryExhaustedException.class, () -> device.allocate(1)).getMessage();
    assertTrue(full.contains("evicted_bytes=0"), full);
    assertTrue(full.contains("move_pages failed: errno=EIO"), full);
    source.inMove = () -> {};
    blocks.add(device.allocate(1));
  }

  /**
   * Takes a unit four times and frees all but the second: memory of the third went back, that of
   * the first was not taken back, and that of the fourth is idle.
   *
   * @return the second
   */
  private long holes(long lentBytes) {
    device.online();
    long[] units = new long[4];
    for (int i = 0; i < units.length; i++) {
      units[i] = device.allocate(UNIT);
    }
    source.refusedPurge = 0;
    memory.free(units[0]);
    assertThrows(NativeCallException.class, memory::trim);
    memory.free(units[2]);
    assertThrows(NativeCallException.class, memory::trim);
    memory.free(units[3]);
    blocks.add(memory.allocate(lentBytes, NODE_0));
    memory.move(blocks.get(0), device.placement());
    source.purges.clear();
    return units[1];
  }

  @Test
  void memoryThatWasNotTakenBackIsKeptOnceItIsInUseAgain() {
    memory.free(holes(PAGE));
    source.refusedPurge = -1;
    // Memory comes for its first unit; then the fourth's goes to make room for its third.
    blocks.add(device.allocate(3 * UNIT));
    assertEquals(List.of(3 * UNIT), source.purges, "offsets");
  }

  @Test
  void memoryThatIsNeverTakenBackStopsNobodyWhoNeedsOther() {
    blocks.add(holes(UNIT + PAGE));
    blocks.add(device.allocate(UNIT));
    assertEquals(List.of(3 * UNIT), source.purges, "offsets");
  }
}
