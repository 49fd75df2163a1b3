/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks;

import static java.nio.file.StandardOpenOption.CREATE;
import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.cdmalloc.Checks;
import org.cdmalloc.DeviceBlock;
import org.cdmalloc.DeviceLoan;
import org.cdmalloc.DeviceNode;
import org.cdmalloc.DevicePin;
import org.cdmalloc.DrainReport;
import org.cdmalloc.HolderReport;
import org.cdmalloc.MemoryCorruptionError;
import org.cdmalloc.NodeAccessException;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.NodeAttributes;
import org.cdmalloc.NodeReport;
import org.cdmalloc.NodeState;
import org.cdmalloc.Placement;
import org.cdmalloc.Registration;
import org.cdmalloc.SpillBudget;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The examples of docs/devices.md, on one memory source. */
abstract class DevicesExamples {
  private static final long MEBIBYTE = 1 << 20;

  NodeAllocator memory;
  private DeviceNode device;

  @BeforeEach
  final void open() {
    memory = NodeAllocator.builder().deviceArena(9, 0, 8 << 20).open();
    device = memory.device(9);
    device.online();
  }

  @AfterEach
  final void close() {
    long used = memory.report().device().usedBytes() + memory.report().system().usedBytes();
    memory.close();
    assertEquals(0, used, "bytes of blocks that an example left");
  }

  @Test
  void aDeviceIsBroughtOnline() {
    // docs: open
    NodeAllocator memory = NodeAllocator.builder().deviceArena(9, 0, 8 << 20).open();
    DeviceNode device = memory.device(9); // the node's root capability
    device.online();
    // docs: end
    try (memory) {
      device.free(device.allocate(8 * MEBIBYTE));
    }
  }

  @Test
  void aQuotaBoundsAHolder() {
    // docs: quota
    DeviceNode cache = device.withQuota(4 << 20).named("cache");
    long block = cache.allocate(3 << 20);
    long none = cache.tryAllocate(2 << 20); // 0: the quota has one more MiB
    cache.free(block);
    // docs: end
    assertEquals("device9/1/cache", cache.holder());
    assertEquals(0, none);
  }

  @Test
  void aBudgetBoundsWhatIsSpilled() {
    // docs: spill
    SpillBudget budget = SpillBudget.ofBytes(2 << 20);
    DeviceNode spilling = device.spilling(budget);
    long all = device.allocate(8 << 20); // the device is full
    long spilled = spilling.allocate(2 << 20); // so this is system memory
    long none = spilling.tryAllocate(4096); // 0: the budget is used up
    // docs: end
    assertEquals(0, none);
    assertEquals(2 * MEBIBYTE, budget.spilledBytes());
    assertEquals(2 * MEBIBYTE, memory.report().system().usedBytes());
    // docs: move-back
    device.free(all);
    memory.move(spilled, spilling.placement()); // same address; the budget has its bytes again
    spilling.free(spilled);
    // docs: end
    assertEquals(0, budget.spilledBytes());
  }

  @Test
  void idleHoldersAreFound() {
    long block = device.named("tenant").allocate(MEBIBYTE);
    // docs: holders
    List<String> idle = new ArrayList<>();
    for (HolderReport holder : device.holders()) {
      if (holder.usedBytes() > 0 && holder.idleNanos() > TimeUnit.HOURS.toNanos(1)) {
        idle.add(holder.holder());
      }
    }
    // docs: end
    memory.free(block);
    assertEquals(List.of(), idle);
  }

  @Test
  void whatAHolderLeftBehindIsFreed() {
    // docs: revoke
    DeviceNode tenant = device.named("tenant");
    tenant.allocate(1 << 20); // and forgotten
    tenant.revoke(); // its requests fail from now on, its blocks live on
    for (DeviceBlock left : tenant.outstanding()) {
      memory.free(left.address());
    }
    // docs: end
    assertThrows(NodeAccessException.class, () -> tenant.allocate(1));
    assertTrue(tenant.outstanding().isEmpty());
  }

  @Test
  void aDeviceIsDrained() {
    long block = device.named("cache").allocate(MEBIBYTE);
    // docs: drain
    DrainReport report = device.offline(); // gives nothing out any more
    for (DrainReport.Blocker blocker : report.blockers()) {
      memory.move(blocker.address(), Placement.onNode(0)); // or have its holder free it
    }
    report = device.offline();
    // docs: end
    assertTrue(report.isOffline(), report::toString);
    assertEquals(NodeState.OFFLINE, device.state());
    assertTrue(memory.residency(block).isAllOn(0));
    memory.free(block);
  }

  @Test
  void aNodeIsGivenAttributes() {
    // docs: attributes
    device.offline(); // while a device is online its attributes stay
    device.setAttributes(
        NodeAttributes.COHERENT_DEVICE.withReclaim(true).withSpillCeiling(4 << 20));
    device.online();
    // docs: end
    assertTrue(device.attributes().reclaim());
    assertEquals(NodeState.ONLINE, device.state());
  }

  @Test
  void aCacheGivesMemoryBack() {
    device.offline();
    device.setAttributes(NodeAttributes.COHERENT_DEVICE.withReclaim(true));
    device.online();
    // docs: shrinker
    Queue<Long> cached = new ConcurrentLinkedQueue<>();
    Registration registration =
        device.shrinker(
            wanted -> {
              long freed = 0;
              while (freed < wanted && !cached.isEmpty()) {
                long oldest = cached.remove();
                freed += memory.usableBytes(oldest);
                memory.free(oldest);
              }
              return freed;
            });
    for (int i = 0; i < 20; i++) {
      cached.add(device.allocate(1 << 20)); // more than the device has: the oldest go
    }
    registration.close();
    // docs: end
    assertTrue(cached.size() <= 8, cached::toString);
    cached.forEach(memory::free);
  }

  @Test
  void moreIsUsedThanTheDeviceHas() {
    // docs: evict
    device.offline();
    device.setAttributes(
        NodeAttributes.COHERENT_DEVICE
            .withReclaim(true)
            .withDemotionTarget(0) // where blocks go that give way
            .withEvict(true)
            .withSpillCeiling(8 << 20)); // how much, all together
    device.online();
    List<Long> layers = new ArrayList<>();
    for (int i = 0; i < 12; i++) {
      layers.add(device.allocate(1 << 20)); // of 8 MiB
    }
    for (long layer : layers) {
      DeviceLoan loan = device.lend(layer); // comes back to the device first, and others give way
      loan.complete(); // by the device
    }
    NodeReport report = memory.report().node(9);
    long out = report.demotedBytes();
    long back = report.promotedBytes(); // as much as that, again and again: the device is too small
    // docs: end
    assertTrue(out >= 12 * MEBIBYTE, report::toString);
    assertTrue(back > 8 * MEBIBYTE && back <= out, report::toString);
    layers.forEach(memory::free);
  }

  @Test
  void aBlockIsPinned() {
    // docs: pin
    ByteBuffer buffer = memory.allocateBuffer(64 << 10);
    boolean there;
    try (DevicePin pin = device.pin(buffer)) { // moves it to the device; the address stays
      there = pin.isInPlace(); // asks the kernel
    } // and home again
    memory.free(buffer);
    // docs: end
    assertTrue(there);
  }

  @Test
  void memoryOfTheHeapIsCopied() {
    // docs: copy
    ByteBuffer onHeap = ByteBuffer.wrap("payload".getBytes(StandardCharsets.UTF_8));
    String copied;
    try (DevicePin pin = device.copyOf(onHeap)) {
      ByteBuffer onDevice = pin.buffer(onHeap.remaining());
      copied = StandardCharsets.UTF_8.decode(onDevice).toString();
    } // frees the copy
    // docs: end
    assertEquals("payload", copied);
  }

  @Test
  void aBlockIsLentToAThread() throws Exception {
    long block = device.allocate(4096);
    // docs: lend-thread
    device.buffer(block, 4096).putLong(0, 20);
    DeviceLoan loan = device.lend(block); // from here on nobody but the device uses it
    Thread accelerator =
        new Thread(
            () -> {
              ByteBuffer work = loan.buffer(); // sees the 20
              work.putLong(8, work.getLong(0) + 22);
              loan.complete();
            });
    accelerator.start();
    boolean done = loan.await(); // sees what the device wrote before it completed
    long answer = device.buffer(block, 4096).getLong(8);
    // docs: end
    accelerator.join();
    device.free(block);
    assertTrue(done);
    assertEquals(42, answer);
  }

  @Test
  void aDeviceDoesNotAnswer() throws Exception {
    long block = device.allocate(4096);
    boolean reset = false;
    // docs: lend-time-out
    DeviceLoan loan = device.lend(block);
    boolean done = loan.await(Duration.ofMillis(5));
    if (!done) {
      reset = true; // whatever it takes, so that the device writes no more
      done = !loan.recall() && loan.await(); // it may have completed after all
    }
    device.free(block);
    // docs: end
    assertFalse(done);
    assertTrue(reset);
    assertFalse(loan.complete());
  }

  @Test
  void aLentBlockIsFreedWhenItComesBack() {
    // docs: lend-free
    long block = device.allocate(4096);
    DeviceLoan loan = device.lend(block);
    device.free(block); // allowed: the memory is the device's until it completes
    loan.complete(); // and free from here on
    // docs: end
    assertThrows(MemoryCorruptionError.class, () -> device.free(block));
  }

  @Test
  void aBlockIsLentForATransfer(@TempDir Path folder) throws Exception {
    long block = device.allocate(8192);
    Path file = folder.resolve("disk");
    ExecutorService threads = Executors.newSingleThreadExecutor();
    // docs: lend-file
    device.buffer(block, 4096).putLong(0, 42);
    DeviceLoan loan = device.lend(block);
    Future<Boolean> transfer =
        threads.submit(
            () -> {
              try (FileChannel disk = FileChannel.open(file, CREATE, READ, WRITE)) {
                disk.write(loan.buffer().limit(4096), 0); // the first page goes out
                disk.read(loan.buffer().position(4096), 0); // and comes back as the second
              }
              return loan.complete();
            });
    boolean done = loan.await();
    ByteBuffer copy = device.buffer(block + 4096, 4096);
    // docs: end
    threads.shutdown();
    assertTrue(transfer.get());
    assertTrue(done);
    assertEquals(42, copy.getLong(0));
    assertEquals(device.buffer(block, 4096), copy);
    device.free(block);
  }

  @Test
  void aCpuThatDoesNotWaitIsFound() {
    String found = "";
    // docs: paranoid
    try (NodeAllocator checked =
        NodeAllocator.builder().deviceArena(9, 0, 8 << 20).checks(Checks.PARANOID).open()) {
      DeviceNode device = checked.device(9);
      device.online();
      long block = device.allocate(4096);
      ByteBuffer view = device.buffer(block, 4096);
      DeviceLoan loan = device.lend(block);
      view.putLong(8, 42); // a view from before: the block is the device's
      try {
        loan.complete();
      } catch (MemoryCorruptionError error) {
        found = error.getMessage(); // says where: address, offset=8, holder
      }
      device.free(block);
    }
    // docs: end
    assertTrue(found.contains("offset=8, bytes=4096, holder=device9"), found);
  }
}
