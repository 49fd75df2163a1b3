/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.cdmalloc.spi.AddressOnlySource;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** A node whose memory the platform took offline is not brought into use, in whatever state. */
final class AbsentMemoryTest {
  private static final long MIB = 1L << 20;
  private static final int DEVICE = 2;

  private boolean absent;

  private final NodeAllocator memory =
      NodeAllocator.builder()
          .source(
              new ForwardingSource(
                  AddressOnlySource.of(
                      Machine.builder()
                          .node(Node.of(0, "0", 64 * MIB))
                          .node(Node.memoryOnly(DEVICE, 16 * MIB))
                          .build())) {
                @Override
                public long presentBytes(int node) {
                  return absent && node == DEVICE ? 0 : super.presentBytes(node);
                }
              })
          .open();

  private final DeviceNode device = memory.device(DEVICE);

  @AfterEach
  void close() {
    memory.close();
  }

  private void assertRefused(NodeState state) {
    absent = true;
    long reserved = memory.report().node(DEVICE).reservedBytes();
    NodeAccessException refused = assertThrows(NodeAccessException.class, device::online);
    assertEquals(
        "device node has no memory now: node=2, backing_node=2, state="
            + state
            + ", present_bytes=0; the platform took it offline or denies it to this process: bring"
            + " it online there, then call DeviceNode.online() again",
        refused.getMessage());
    assertEquals(state, device.state());
    assertEquals(reserved, memory.report().node(DEVICE).reservedBytes());
    absent = false;
  }

  private void assertServes() {
    device.online();
    long block = device.allocate(MIB);
    assertTrue(memory.residency(block).isAllOn(DEVICE));
    device.free(block);
  }

  @Test
  void aNodeThatWasNeverOnlineStaysPossible() {
    assertRefused(NodeState.POSSIBLE);
    assertServes();
  }

  @Test
  void aNodeThatIsOfflineStaysSo() {
    assertServes();
    assertTrue(device.offline().isOffline());
    assertRefused(NodeState.OFFLINE);
    assertServes();
  }

  @Test
  void aNodeWhoseBlocksWereMovedAwayStaysOffline() {
    device.setAttributes(device.attributes().withReclaim(true).withDemotionTarget(0));
    device.online();
    long block = device.allocate(MIB);
    assertTrue(device.offline().isOffline());
    assertRefused(NodeState.OFFLINE);
    assertTrue(memory.residency(block).isAllOn(0));
    assertServes();
    device.free(block);
  }

  @Test
  void aDrainIsNotEndedWithoutMemory() {
    device.online();
    long block = device.allocate(MIB);
    assertEquals(NodeState.DRAINING, device.offline().state());
    assertRefused(NodeState.DRAINING);
    assertEquals(0, device.tryAllocate(MIB), "it is draining");
    device.free(block);
    assertServes();
  }

  @Test
  void aNodeThatServesIsLeftAlone() {
    device.online();
    absent = true;
    device.online();
    assertEquals(NodeState.ONLINE, device.state());
  }
}
