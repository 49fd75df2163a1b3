/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.MoveResult;
import org.cdmalloc.spi.Region;
import org.cdmalloc.spi.Stripe;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.Test;

/**
 * The machine of D. Hansen's objection to the coherent-device-memory patches (linux-mm, 30 January
 * 2017): a device has a hundred times the memory of the CPUs, and whoever uses it is wrong by one
 * percent. Were there a way from the device to RAM, all of RAM would be gone.
 */
public abstract class HansensMachineContract {
  private static final int THREADS = 16;
  private static final int TIMES_RAM = 100;
  private static final int DEVICE = 2;
  private static final int PAGE = 4096;
  private static final NodeMask RAM = NodeMask.of(0, 1);

  /** Each thread asks for about so many blocks. */
  private static final int BLOCKS_PER_THREAD = 500;

  /** Opens the memory of the machine. */
  protected abstract MemorySource source(Machine machine);

  /** Returns the bytes of each of two nodes of RAM. */
  protected abstract long ramNodeBytes();

  /** Uses a block that was just allocated. */
  protected void use(NodeAllocator memory, long address, long bytes) {}

  /** A source that counts the calls by which RAM is taken. */
  private static final class CountingSource extends ForwardingSource {
    private final AtomicLong calls = new AtomicLong();

    CountingSource(MemorySource source) {
      super(source);
    }

    private void count(NodeMask nodes) {
      if (!nodes.and(RAM).isEmpty()) {
        calls.incrementAndGet();
      }
    }

    @Override
    public Region reserve(Stripe stripe, long bytes) {
      count(stripe.nodes());
      return super.reserve(stripe, bytes);
    }

    @Override
    public CommitResult commit(Region region, long offset, long bytes) {
      count(region.stripe().nodes());
      return super.commit(region, offset, bytes);
    }

    @Override
    public MoveResult move(Region region, long offset, long bytes, int node) {
      count(NodeMask.of(node));
      return super.move(region, offset, bytes, node);
    }
  }

  private long deviceBytes() {
    return (long) TIMES_RAM * RAM.size() * ramNodeBytes();
  }

  private Machine machine() {
    return Machine.builder()
        .node(Node.of(0, "0-7", ramNodeBytes()))
        .node(Node.of(1, "8-15", ramNodeBytes()))
        .node(Node.memoryOnly(DEVICE, deviceBytes()))
        .distances((from, to) -> from == to ? 10 : from + to == 1 ? 20 : 80)
        .build();
  }

  private record Block(long address, long bytes) {}

  private final Queue<Block> blocks = new ConcurrentLinkedQueue<>();
  private final AtomicLong refusedBytes = new AtomicLong();
  private CountingSource source;
  private NodeAllocator memory;
  private List<NodeReport> ram;

  private List<NodeReport> ramNow() {
    return RAM.stream().mapToObj(node -> memory.report().node(node)).toList();
  }

  /** Asks the device for a share of its size and one percent more. */
  private Callable<Void> holder(long seed) {
    return () -> {
      SplittableRandom random = new SplittableRandom(seed);
      DeviceNode device = memory.device(DEVICE);
      long share = deviceBytes() / THREADS;
      long most = share + share / 100;
      for (long asked = 0, bytes; asked < most; asked += bytes) {
        bytes = Math.min(most - asked, 1 + random.nextLong(2 * share / BLOCKS_PER_THREAD));
        try {
          long address = device.allocate(bytes);
          blocks.add(new Block(address, bytes));
          use(memory, address, bytes);
        } catch (NodeMemoryExhaustedException e) {
          assertEquals(
              List.of(DEVICE), e.attempts().stream().map(attempt -> attempt.node()).toList());
          refusedBytes.addAndGet(bytes);
          assertEquals(ram, ramNow());
        }
      }
      return null;
    };
  }

  /** Takes what is left, to the last page. */
  private void fillUp() {
    DeviceNode device = memory.device(DEVICE);
    for (long bytes = Long.highestOneBit(deviceBytes()); bytes >= PAGE; bytes /= 2) {
      for (long block = device.tryAllocate(bytes); block != 0; block = device.tryAllocate(bytes)) {
        blocks.add(new Block(block, bytes));
      }
    }
  }

  @Test
  void aDeviceThatIsOffByOnePercentTakesNothingOfRam() throws Exception {
    source = new CountingSource(source(machine()));
    NodeAllocator.Builder builder =
        NodeAllocator.builder().source(source).purgeDelay(Duration.ZERO);
    machine().withMemory().stream()
        .forEach(node -> builder.capacity(node, machine().node(node).bytes()));
    memory = builder.open();
    memory.device(DEVICE).online();
    // Some of RAM is in use, and some more was.
    long kept = memory.allocate(PAGE);
    memory.free(memory.allocate(ramNodeBytes() / 2));
    ram = ramNow();
    List<Long> free = RAM.stream().mapToObj(source::freeBytes).toList();
    source.calls.set(0);

    ExecutorService threads = Executors.newFixedThreadPool(THREADS);
    try {
      List<Callable<Void>> holders = new ArrayList<>();
      for (int i = 0; i < THREADS; i++) {
        holders.add(holder(i));
      }
      for (Future<Void> done : threads.invokeAll(holders)) {
        done.get();
      }
    } finally {
      threads.shutdownNow();
    }
    fillUp();

    assertTrue(refusedBytes.get() >= deviceBytes() / 100 - THREADS, refusedBytes::toString);
    NodeReport device = memory.report().node(DEVICE);
    assertEquals(deviceBytes(), device.usedBytes());
    assertEquals(0, device.counters().numaMiss() + device.counters().numaForeign());
    assertEquals(ram, ramNow());
    assertEquals(free, RAM.stream().mapToObj(source::freeBytes).toList());
    assertEquals(0, source.calls.get());

    blocks.forEach(block -> memory.free(block.address()));
    assertEquals(0, memory.report().node(DEVICE).usedBytes());
    assertEquals(ram, ramNow());
    assertNotEquals(0, memory.tryAllocate(ramNodeBytes() / 2, Placement.onNode(1)));
    memory.free(kept);
    memory.close();
  }
}
