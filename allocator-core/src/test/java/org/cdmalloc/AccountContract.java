/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicLong;
import org.cdmalloc.NodeMemoryExhaustedException.Reason;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** What narrower capabilities of a device promise: quotas, accounts, names, and their end. */
abstract class AccountContract extends DeviceContract {
  static HolderReport only(DeviceNode holder) {
    return holder.holders().get(0);
  }

  static long used(DeviceNode holder) {
    return only(holder).usedBytes();
  }

  private static NodeMemoryExhaustedException.Attempt refusal(Executable request) {
    NodeMemoryExhaustedException full = assertThrows(NodeMemoryExhaustedException.class, request);
    assertEquals(1, full.attempts().size());
    return full.attempts().get(0);
  }

  private static void assertRevoked(Executable request) {
    String message = assertThrows(NodeAccessException.class, request).getMessage();
    assertTrue(message.contains("capability was revoked"), message);
    assertTrue(message.contains("node=" + ARENA), message);
  }

  @Test
  void aQuotaIsExactAtItsEdge() {
    long quota = MEBIBYTE + PAGE;
    DeviceNode holder = device().withQuota(quota);
    long first = holder.allocate(MEBIBYTE);
    // In usable bytes: one byte takes a page.
    long last = holder.allocate(1);
    assertEquals(quota, used(holder));
    assertEquals(0, holder.tryAllocate(1));
    assertNull(holder.tryAllocateBuffer(1));
    NodeMemoryExhaustedException.Attempt refused = refusal(() -> holder.allocate(1));
    assertEquals(ARENA, refused.node());
    assertEquals(Reason.QUOTA_REACHED, refused.reason());
    assertEquals(
        "holder=device1023/1, quota_bytes=" + quota + ", used_bytes=" + quota, refused.detail());
    assertEquals(Reason.QUOTA_REACHED, refusal(() -> holder.allocateBuffer(1)).reason());
    assertEquals(quota, used(holder));
    holder.free(last);
    assertEquals(0, holder.tryAllocate(PAGE + 1));
    assertNotEquals(0, holder.tryAllocate(PAGE));
    holder.free(first);
    assertEquals(PAGE, used(holder));
    assertEquals(0, holder.tryAllocate(Long.MAX_VALUE));
    assertEquals(PAGE, used(holder));
  }

  @Test
  void aQuotaOfNothingServesNothing() {
    DeviceNode holder = device().withQuota(0);
    assertEquals(0, holder.tryAllocate(0));
    assertThrows(IllegalArgumentException.class, () -> device().withQuota(-1));
    assertNothingTaken();
  }

  @Test
  void aRequestChargesTheWholeChain() {
    DeviceNode root = device();
    DeviceNode team = root.named("team").withQuota(2 * MEBIBYTE);
    DeviceNode first = team.withQuota(2 * MEBIBYTE);
    DeviceNode second = team.withQuota(HolderReport.UNLIMITED);
    long block = first.allocate(MEBIBYTE);
    long other = second.allocate(MEBIBYTE);
    long own = root.allocate(PAGE);
    assertEquals(MEBIBYTE, used(first));
    assertEquals(MEBIBYTE, used(second));
    assertEquals(2 * MEBIBYTE, used(team));
    assertEquals(2 * MEBIBYTE + PAGE, used(root));
    // The quota that is too small is that of a capability above, and it is said whose.
    for (DeviceNode full : List.of(first, second, team)) {
      NodeMemoryExhaustedException.Attempt refused = refusal(() -> full.allocate(1));
      assertTrue(refused.detail().contains("holder=device1023/team/1,"), refused.detail());
    }
    assertEquals(MEBIBYTE, used(first));
    second.free(block);
    assertEquals(0, used(first));
    assertEquals(MEBIBYTE, used(team));
    memory.free(other);
    root.free(own);
    assertEquals(0, used(root));
    assertNothingTaken();
  }

  @Test
  void aBlockIsCreditedHoweverItIsFreed() {
    DeviceNode root = device();
    DeviceNode holder = root.withQuota(MEBIBYTE);
    for (Door door :
        List.of(Door.of("root", root), Door.of("allocator", memory), Door.of("itself", holder))) {
      door.free(holder.allocate(MEBIBYTE));
      assertEquals(0, used(holder), door.name());
    }
    NodeArena arena = holder.arena();
    arena.allocate(MEBIBYTE / 2);
    memory.free(arena.allocate(MEBIBYTE / 2));
    assertEquals(MEBIBYTE / 2, used(holder));
    arena.close();
    assertEquals(0, used(root));
    assertThrows(IllegalStateException.class, () -> arena.allocate(1));
    assertEquals(0, used(root));
    // A block that is freed twice is credited once.
    long block = holder.allocate(1);
    holder.free(block);
    assertThrows(MemoryCorruptionError.class, () -> holder.free(block));
    assertEquals(0, used(holder));
    assertNothingTaken();
  }

  @Test
  void aRequestThatFailsIsChargedNothing() {
    DeviceNode holder = device().withQuota(2 * ARENA_BYTES);
    assertEquals(0, holder.tryAllocate(ARENA_BYTES + 1));
    assertThrows(NodeMemoryExhaustedException.class, () -> holder.allocate(ARENA_BYTES + 1));
    assertThrows(IllegalArgumentException.class, () -> holder.allocate(-1));
    assertThrows(IllegalArgumentException.class, () -> holder.allocate(1, 3));
    assertEquals(0, used(holder));
    DeviceNode offline = builder().deviceArena(ARENA, 0, ARENA_BYTES).open().device(ARENA);
    assertThrows(IllegalStateException.class, () -> offline.named("early").allocate(1));
    assertEquals(0, used(offline));
  }

  @Test
  void aPlacementIsChargedToTheCapabilityThatHandedItOut() {
    DeviceNode holder = device().withQuota(MEBIBYTE);
    SystemMemory there = memory.at(holder.placement());
    long block = memory.allocate(MEBIBYTE / 2, holder.placement());
    there.allocate(MEBIBYTE / 2);
    assertEquals(0, there.tryAllocate(1));
    assertEquals(0, memory.tryAllocate(1, holder.placement()));
    assertEquals(0, memory.systemView().tryAllocate(1, holder.placement()));
    try (NodeArena arena = memory.arena(holder.placement())) {
      assertEquals(0, arena.tryAllocate(1));
      memory.free(block);
      assertNotEquals(0, arena.tryAllocate(MEBIBYTE / 2));
    }
    assertNotEquals(holder.placement(), device().placement());
    assertEquals(holder.placement().toString(), device().placement().toString());
  }

  @Test
  void aRevokedCapabilityServesNothingAndItsBlocksAreListed() {
    DeviceNode root = device();
    DeviceNode tenant = root.named("tenant");
    DeviceNode below = tenant.withQuota(MEBIBYTE);
    NodeArena arena = below.arena();
    long block = below.allocate(3 * PAGE);
    long scoped = arena.allocate(1);
    long of = root.allocate(1);
    SystemMemory there = memory.at(below.placement());
    tenant.revoke();
    tenant.revoke();
    // "the next request fails", through whatever carries the right
    assertRevoked(() -> tenant.allocate(1));
    assertRevoked(() -> below.tryAllocate(1));
    assertRevoked(() -> below.allocateBuffer(1));
    assertRevoked(() -> below.tryAllocateBuffer(1));
    assertRevoked(() -> arena.allocate(1));
    assertRevoked(() -> there.allocate(1));
    assertRevoked(() -> memory.allocate(1, below.placement()));
    assertRevoked(() -> tenant.withQuota(1).allocate(1));
    assertTrue(only(tenant).revoked() && only(below).revoked());
    assertFalse(only(root).revoked());
    // "outstanding blocks live until freed and are listed"
    assertEquals(
        List.of(
            new DeviceBlock("device1023/tenant/1", block, 3L * PAGE, 0),
            new DeviceBlock("device1023/tenant/1", scoped, PAGE, 0)),
        tenant.outstanding());
    assertEquals(3L * PAGE, memory.usableBytes(block));
    memory.free(block);
    arena.close();
    assertEquals(List.of(), tenant.outstanding());
    assertEquals(0, used(tenant));
    assertEquals(List.of(new DeviceBlock("device1023", of, PAGE, 0)), root.outstanding());
    root.allocate(1);
  }

  @Test
  void theRootIsNotRevokedAndAloneBringsItsNodeOnline() {
    DeviceNode root = memory.device(ARENA);
    DeviceNode narrow = root.named("narrow");
    String refused = assertThrows(NodeAccessException.class, narrow::online).getMessage();
    assertTrue(refused.contains("holder=device1023/narrow"), refused);
    assertFalse(report(ARENA).online());
    root.online();
    narrow.free(narrow.allocate(1));
    assertThrows(IllegalStateException.class, root::revoke);
    root.free(root.allocate(1));
  }

  @Test
  void holdersHaveNamesAndAreReported() {
    DeviceNode root = device();
    DeviceNode cache = root.named("cache");
    DeviceNode half = cache.withQuota(MEBIBYTE);
    DeviceNode other = root.withQuota(PAGE);
    for (String name : new String[] {"", " ", "a/b", "a\nb", "a\n", "a\r", "\u001b", "a\u2028b"}) {
      assertThrows(IllegalArgumentException.class, () -> root.named(name));
    }
    half.allocate(1);
    assertEquals("device1023/cache", cache.holder());
    assertEquals("DeviceNode[node=1023, holder=device1023/cache/1, state=ONLINE]", half.toString());
    List<HolderReport> holders = memory.report().holders();
    assertEquals(
        List.of("device1023", "device1023/cache", "device1023/cache/1", "device1023/1"),
        holders.stream().map(HolderReport::holder).filter(name -> name.contains("1023")).toList());
    HolderReport report = only(half);
    assertEquals(
        new HolderReport(ARENA, half.holder(), MEBIBYTE, PAGE, 0, 0, report.idleNanos(), false),
        report);
    assertEquals(HolderReport.UNLIMITED, only(root).quotaBytes());
    assertTrue(only(other).idleNanos() >= only(half).idleNanos(), holders::toString);
  }

  @Test
  void aBlockThatIsMovedToADeviceIsPaidForByWhoseRightItWas() {
    DeviceNode root = device();
    DeviceNode holder = root.withQuota(UNIT);
    DeviceNode second = root.withQuota(UNIT);
    long block = memory.allocate(UNIT, NODE_0);
    memory.move(block, holder.placement());
    assertEquals(UNIT, used(holder));
    assertEquals(List.of(new DeviceBlock(holder.holder(), block, UNIT, 0)), holder.outstanding());
    assertEquals(0, holder.tryAllocate(1));
    // "its capability's quota" is the room: nothing is moved beyond it.
    long more = memory.allocate(UNIT, NODE_0);
    assertEquals(
        Reason.QUOTA_REACHED, refusal(() -> memory.move(more, holder.placement())).reason());
    assertEquals(UNIT, report(ARENA).movedInBytes());
    // In another right it is paid for there.
    memory.move(block, second.placement());
    assertEquals(0, used(holder));
    assertEquals(UNIT, used(second));
    memory.move(block, NODE_0);
    assertEquals(0, used(second));
    memory.move(block, second.placement());
    memory.free(block);
    assertEquals(0, used(root));
    second.revoke();
    assertRevoked(() -> memory.move(more, second.placement()));
    assertEquals(0, report(ARENA).movedInBytes());
    assertEquals(0, used(root));
  }

  @Test
  void aBlockOfADeviceIsPaidForOnceWhereverItLies() {
    DeviceNode holder = device().withQuota(UNIT);
    long block = holder.allocate(UNIT);
    memory.move(block, NODE_0);
    assertEquals(UNIT, used(holder));
    memory.move(block, holder.placement());
    assertEquals(UNIT, used(holder));
    memory.move(block, device().placement());
    assertEquals(UNIT, used(device()));
    memory.free(block);
    assertEquals(0, used(device()));
  }

  @Test
  void aQuotaHoldsUnderThreads() throws InterruptedException {
    int blocks = 6;
    DeviceNode team = device().withQuota(blocks * UNIT / 4);
    List<DeviceNode> holders =
        List.of(team, team.withQuota(2 * UNIT / 4), team.withQuota(blocks * UNIT / 4));
    AtomicLong held = new AtomicLong();
    List<Callable<Void>> tasks = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      DeviceNode holder = holders.get(i % holders.size());
      tasks.add(
          () -> {
            for (int round = 0; round < 150; round++) {
              long block = holder.tryAllocate(UNIT / 4);
              if (block != 0) {
                long now = held.incrementAndGet();
                assertTrue(now <= blocks, () -> "live=" + now);
                assertTrue(used(team) <= blocks * UNIT / 4);
                held.decrementAndGet();
                memory.free(block);
              }
            }
            return null;
          });
    }
    atOnce("quota under threads", tasks);
    assertEquals(0, used(device()));
    for (int i = 0; i < blocks; i++) {
      assertNotEquals(0, team.tryAllocate(UNIT / 4));
    }
    assertEquals(0, team.tryAllocate(1));
  }
}
