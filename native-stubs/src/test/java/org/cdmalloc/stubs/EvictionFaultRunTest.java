/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.cdmalloc.DeviceLoan;
import org.cdmalloc.DeviceNode;
import org.cdmalloc.DevicePin;
import org.cdmalloc.DrainReport;
import org.cdmalloc.HolderReport;
import org.cdmalloc.NativeCallException;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.NodeAttributes;
import org.cdmalloc.NodeMemoryExhaustedException;
import org.cdmalloc.NodeMemoryExhaustedException.Reason;
import org.cdmalloc.NodeReport;
import org.cdmalloc.NodeState;
import org.cdmalloc.Placement;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.stubs.FaultInjectingSource.Errno;
import org.cdmalloc.stubs.FaultInjectingSource.Rule;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestReporter;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.Timeout.ThreadMode;

/**
 * Every call fails once, before and after it took effect, in a life in which blocks give way to
 * others, come back, and leave a node that is drained: what failed can be asked for again, no
 * content is lost, nothing stays locked, charged, or away.
 */
@Timeout(value = 120, threadMode = ThreadMode.SEPARATE_THREAD)
final class EvictionFaultRunTest {
  private static final long MEBIBYTE = 1 << 20;
  private static final int DEVICE = 1;
  private static final int BLOCK = 256 << 10;
  private static final Placement NODE_0 = Placement.onNode(0);

  /** One fault fails one step once; what it put off needs another. */
  private static final int MOST_TRIES = 3;

  private final EmulatedSource source =
      EmulatedSource.of(
          Machine.builder()
              .node(Node.of(0, "0", 24 * MEBIBYTE))
              .node(Node.memoryOnly(DEVICE, 4 * MEBIBYTE))
              .build(),
          64 << 10);

  /** One life, the same steps each time. */
  private static final class Life {
    private final EmulatedSource platform;
    private final List<RuntimeException> surfaced = new ArrayList<>();
    private final NodeAllocator memory;
    private final DeviceNode device;

    Life(EmulatedSource platform, MemorySource source) {
      this.platform = platform;
      this.memory =
          again(
              () ->
                  NodeAllocator.builder()
                      .source(source)
                      .capacity(0, 20 * MEBIBYTE)
                      .purgeDelay(Duration.ZERO)
                      .open());
      this.device = again(() -> memory.device(DEVICE));
    }

    void run() {
      device.setAttributes(
          NodeAttributes.COHERENT_DEVICE.withReclaim(true).withDemotionTarget(0).withEvict(true));
      online();
      drain();
      makeRoom();
      end();
    }

    private void online() {
      again(
          () -> {
            device.online();
            return device;
          });
      assertEquals(NodeState.ONLINE, device.state());
    }

    private long block(DeviceNode holder) {
      return written(again(() -> holder.allocate(BLOCK)));
    }

    private long written(long address) {
      ByteBuffer view = again(() -> memory.buffer(address, BLOCK));
      view.putLong(0, address).putLong(BLOCK - Long.BYTES, ~address);
      return address;
    }

    private void assertWhole(long address) {
      ByteBuffer view = again(() -> memory.buffer(address, BLOCK));
      assertEquals(address, view.getLong(0));
      assertEquals(~address, view.getLong(BLOCK - Long.BYTES));
    }

    private void free(long address) {
      assertWhole(address);
      memory.free(address);
    }

    private DevicePin pin(DeviceNode holder, long address) {
      DevicePin pin = again(() -> orAsBefore(() -> holder.pin(address)));
      assertTrue(again(pin::isInPlace));
      assertWhole(address);
      return pin;
    }

    /** What cannot be pinned is left as it was. */
    private DevicePin orAsBefore(Supplier<DevicePin> pins) {
      long locked = platform.lockedBytes();
      NodeReport before = report();
      try {
        return pins.get();
      } catch (NativeCallException | NodeMemoryExhaustedException e) {
        assertEquals(locked, platform.lockedBytes());
        assertEquals(before.movedInBytes(), report().movedInBytes());
        assertEquals(inUse(before), inUse(report()));
        throw e;
      }
    }

    private static long inUse(NodeReport node) {
      return node.usedBytes() + node.movedOutBytes();
    }

    private void close(DevicePin pin) {
      again(
          () -> {
            pin.close();
            return pin;
          });
    }

    private void drain() {
      long stays = block(device);
      long guest = written(again(() -> memory.allocate(BLOCK, NODE_0)));
      again(() -> memory.move(guest, device.placement()));
      DrainReport drained = again(device::offline);
      for (int tries = 1; !drained.isOffline() && tries < MOST_TRIES; tries++) {
        drained = again(device::offline);
      }
      assertTrue(drained.isOffline(), drained::toString);
      assertWhole(stays);
      assertWhole(guest);
      online();
      again(() -> memory.move(stays, device.placement()));
      free(stays);
      free(guest);
    }

    /** Half as much again as the device has. */
    private void makeRoom() {
      List<Long> blocks = new ArrayList<>();
      for (int i = 0; i < 6 * MEBIBYTE / BLOCK; i++) {
        blocks.add(block(device));
      }
      long first = blocks.get(0);
      assertNotEquals(0, report().movedOutBytes());
      DeviceLoan loan = again(() -> device.lend(first));
      assertTrue(again(loan::complete));
      close(pin(device, blocks.get(1)));
      blocks.forEach(this::free);
    }

    private NodeReport report() {
      return memory.report().node(DEVICE);
    }

    private void end() {
      assertEquals(0, platform.lockedBytes());
      // Twice: what was put off may need what the first one gives back.
      again(memory::trim);
      again(memory::trim);
      for (NodeReport node : memory.report().nodes()) {
        assertEquals(0, node.liveBlocks(), node::toString);
        assertEquals(0, node.usedBytes(), node::toString);
        assertEquals(0, node.movedInBytes(), node::toString);
        assertEquals(0, node.movedOutBytes(), node::toString);
        assertEquals(0, node.committedBytes(), node::toString);
      }
      for (HolderReport holder : memory.report().holders()) {
        assertEquals(0, holder.usedBytes(), holder::toString);
        assertEquals(0, holder.spilledBytes(), holder::toString);
      }
      long whole = again(() -> device.allocate(4 * MEBIBYTE));
      memory.free(whole);
      assertTrue(again(device::offline).isOffline());
      again(
          () -> {
            memory.close();
            return memory;
          });
    }

    /** Does a step until it succeeds; nothing but what was injected may keep it from that. */
    private <T> T again(Supplier<T> step) {
      RuntimeException last = null;
      for (int tries = 1; tries <= MOST_TRIES; tries++) {
        try {
          return step.get();
        } catch (NativeCallException e) {
          surfaced.add(e);
          last = e;
        } catch (NodeMemoryExhaustedException e) {
          // What fails while others' blocks give way is told where the device is full.
          if (e.attempts().get(0).reason() != Reason.LOCK_REFUSED) {
            assertTrue(e.getMessage().contains("injected=true"), e::toString);
          }
          surfaced.add(e);
          last = e;
        }
      }
      throw new AssertionError("a step fails for good: surfaced=" + surfaced, last);
    }
  }

  private long freeBytes() {
    return source.freeBytes(0) + source.freeBytes(DEVICE);
  }

  /** Returns how often each call is made in a life without faults. */
  private Map<SourceCall, Integer> calls() {
    RecordingSource record = new RecordingSource(source);
    Life life = new Life(source, record);
    life.run();
    assertEquals(List.of(), life.surfaced);
    Map<SourceCall, Integer> calls = new EnumMap<>(SourceCall.class);
    for (SourceCall call : SourceCall.values()) {
      if (record.count(call) > 0) {
        calls.put(call, record.count(call));
      }
    }
    return calls;
  }

  private void fail(String name, FaultInjectingSource faults) {
    long free = freeBytes();
    try {
      Life life = new Life(source, faults);
      life.run();
      assertEquals(1, faults.injected(), "faults");
      assertTrue(life.surfaced.size() <= 1, () -> "surfaced: " + life.surfaced);
      assertEquals(0, source.lockedBytes());
      assertEquals(free, freeBytes(), "memory that the platform did not get back");
    } catch (RuntimeException | AssertionError e) {
      throw new AssertionError(name, e);
    }
  }

  @Test
  void anyCallMayFailWhileBlocksGiveWayAndComeBack(TestReporter reporter) {
    Map<SourceCall, Integer> calls = calls();
    assertTrue(calls.get(SourceCall.MOVE) >= 10, calls::toString);
    int runs = 0;
    // A view that fails leaves nothing behind, and FaultRunTest lets it.
    calls.remove(SourceCall.VIEW);
    for (Map.Entry<SourceCall, Integer> call : calls.entrySet()) {
      for (int nth = 1; nth <= call.getValue(); nth++) {
        for (boolean after : new boolean[] {false, true}) {
          FaultInjectingSource faults = new FaultInjectingSource(source);
          Rule rule = faults.at(call.getKey(), nth);
          (after ? rule.afterEffect() : rule).errno(Errno.EIO);
          fail(call.getKey() + " " + nth + " after=" + after, faults);
          runs++;
        }
      }
    }
    reporter.publishEntry("eviction", "runs=" + runs + " " + calls);
  }
}
