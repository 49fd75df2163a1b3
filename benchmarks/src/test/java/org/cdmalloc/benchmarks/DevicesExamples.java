/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.cdmalloc.DeviceBlock;
import org.cdmalloc.DeviceNode;
import org.cdmalloc.HolderReport;
import org.cdmalloc.NodeAccessException;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.SpillBudget;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

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
}
