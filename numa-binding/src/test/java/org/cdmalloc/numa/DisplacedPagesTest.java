/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import static org.cdmalloc.spi.DisplacementCause.DEMOTION;
import static org.cdmalloc.spi.DisplacementCause.LONG_TERM_PIN;
import static org.cdmalloc.spi.DisplacementCause.NODE_OFFLINE;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.sun.jna.Native;
import com.sun.jna.Pointer;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.List;
import org.cdmalloc.CapturedLog;
import org.cdmalloc.DeviceNode;
import org.cdmalloc.Displacement;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.NodeMemoryExhaustedException;
import org.cdmalloc.Placement;
import org.cdmalloc.PlacementAudit;
import org.cdmalloc.spi.DisplacementCause;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * Kernels move pages away from their nodes, and audits find them: in guests with two device nodes
 * whose memory can be taken offline, and may not be pinned. Changes the whole machine, so it runs
 * nowhere else.
 */
@Timeout(240)
final class DisplacedPagesTest {
  private static final Path DEMOTION_ENABLED = Path.of("/sys/kernel/mm/numa/demotion_enabled");
  private static final long MEBIBYTE = 1 << 20;
  private static final int BYTES = 8 << 20;
  private static final int MADV_POPULATE_WRITE = 23;

  private NodeMask devices;
  private NodeMask system;
  private NodeAllocator memory;

  @BeforeEach
  void open() {
    assumeTrue(Files.exists(Path.of("/run/guest/nodes")), "this is no guest: see docs/guest.md");
    Machine machine = Machine.fromSysfs(Machine.SYSFS);
    devices = machine.memoryOnly();
    system = machine.withMemory().without(devices);
    assertEquals(2, devices.size(), "run it in a guest with two devices");
  }

  @AfterEach
  void close() {
    if (memory != null) {
      memory.close();
    }
  }

  private DeviceNode open(Duration auditPeriod) {
    NodeAllocator.Builder builder =
        NodeAllocator.builder().source(ThisHost.source()).auditPeriod(auditPeriod);
    devices.stream().forEach(node -> builder.capacity(node, 32 * MEBIBYTE));
    memory = builder.capacity(0, 96 * MEBIBYTE).purgeDelay(Duration.ZERO).open();
    devices.stream().forEach(node -> memory.device(node).online());
    return memory.device(devices.first());
  }

  private static void write(Path file, String text) throws IOException {
    Files.writeString(file, text, StandardOpenOption.WRITE);
  }

  /** The policy of the mapping that an address lies in, as numa_maps says it. */
  private static String policy(long address) throws IOException {
    String policy = "";
    for (String line : Files.readAllLines(Path.of("/proc/self/numa_maps"))) {
      String[] words = line.split(" ", 3);
      if (Long.parseUnsignedLong(words[0], 16) <= address) {
        policy = words[1];
      }
    }
    return policy;
  }

  private static long address(ByteBuffer buffer) {
    return Pointer.nativeValue(Native.getDirectBufferPointer(buffer));
  }

  private void assertAllDisplaced(
      DisplacementCause cause, NodeMask targets, List<Displacement> displacements) {
    assertEquals(
        BYTES,
        displacements.stream().mapToLong(Displacement::bytes).sum(),
        displacements::toString);
    for (Displacement each : displacements) {
      assertEquals(devices.first(), each.node(), each::toString);
      assertTrue(targets.contains(each.foundOn()), each::toString);
      assertEquals(cause, each.cause(), each::toString);
    }
  }

  /** Frees a displaced block: it is given back, and the next one lies where it belongs. */
  private void assertComesBack(DeviceNode device, ByteBuffer block) {
    device.free(block);
    assertEquals(BYTES, memory.audit().returnedBytes());
    assertEquals(new PlacementAudit(0, 0, 0, List.of()), memory.audit());
    ByteBuffer next = device.allocateBuffer(BYTES);
    assertTrue(memory.residency(next).isAllOn(devices.first()));
    assertEquals(new PlacementAudit(BYTES, 0, 0, List.of()), memory.audit());
  }

  @Test
  void aDeviceThatGoesOfflineKeepsItsPolicyAndItsPagesAreFound() throws IOException {
    DeviceNode device = open(Duration.ZERO);
    int node = devices.first();
    int other = devices.last();
    ByteBuffer block = device.allocateBuffer(BYTES).putLong(0, 42);
    assertEquals("bind=static:" + node, policy(address(block)));
    assertEquals(new PlacementAudit(BYTES, 0, 0, List.of()), memory.audit());
    // The kernel may take any of them, the other device too.
    NodeMask others = system.or(NodeMask.of(other));
    MemoryBlocks.of(node).offline();
    try {
      assertEquals(42, block.getLong(0));
      // The kernel keeps the mask as it was set. While none of its nodes has memory, it allows all
      // others, the other device too: so no page may be touched that was not committed.
      assertEquals(NodeMask.of(node), SystemCallsTest.policyNodes(address(block)));
      assertEquals("bind=static:" + others, policy(address(block)));
      assertAllDisplaced(NODE_OFFLINE, others, memory.audit().displacements());
      assertEquals(BYTES, memory.report().node(node).displacedBytes());
      long otherFree = memory.source().freeBytes(other);
      assertThrows(NodeMemoryExhaustedException.class, () -> device.allocateBuffer(BYTES));
      assertEquals(0, memory.report().node(other).committedBytes());
      long taken = otherFree - memory.source().freeBytes(other);
      assertTrue(taken < BYTES, () -> "node=" + other + ", taken=" + taken);
    } finally {
      MemoryBlocks.of(node).online();
    }
    assertEquals("bind=static:" + node, policy(address(block)));
    // The pages stay where they are, and so does what is known of them.
    assertAllDisplaced(NODE_OFFLINE, others, memory.audit().displacements());
    assertComesBack(device, block);
  }

  @Test
  void pagesThatAreDemotedAreFound() throws IOException {
    open(Duration.ZERO);
    write(DEMOTION_ENABLED, "1");
    long bytes = 1024 * MEBIBYTE;
    long pressure = ThisHost.KERNEL.map(bytes, Kernel.PROT_READ_WRITE);
    try {
      memory.allocate(64 * MEBIBYTE, Placement.onNode(0));
      assertEquals(List.of(), memory.audit().displacements());
      ThisHost.KERNEL.confine(pressure, bytes, NodeMask.of(0), 0);
      List<Displacement> demoted = List.of();
      for (long at = 0; at < bytes && demoted.isEmpty(); at += BYTES) {
        assertEquals(0, LibC.madvise(pressure + at, BYTES, MADV_POPULATE_WRITE));
        if (memory.source().freeBytes(0) < 128 * MEBIBYTE) {
          demoted = memory.audit().displacements();
        }
      }
      assertTrue(!demoted.isEmpty(), "nothing was demoted");
      for (Displacement each : demoted) {
        assertEquals(0, each.node(), each::toString);
        assertTrue(
            devices.contains(each.foundOn()) || each.foundOn() == Displacement.NOWHERE,
            each::toString);
      }
      assertTrue(demoted.stream().anyMatch(each -> each.cause() == DEMOTION), demoted::toString);
    } finally {
      ThisHost.KERNEL.unmap(pressure, bytes);
      write(DEMOTION_ENABLED, "0");
    }
  }

  @Test
  void pagesThatAreRegisteredForInputAndOutputAreFoundThoughNobodyAsks() throws Exception {
    // Steps of code that runs for the first time take long here, and so do the rests after them.
    open(Duration.ZERO).allocate(BYTES);
    memory.audit();
    memory.source().explain(devices.first(), 0);
    memory.close();
    DeviceNode device = open(Duration.ofMillis(10));
    ByteBuffer block = device.allocateBuffer(BYTES).putLong(0, 42);
    try (CapturedLog log = new CapturedLog();
        PinnedRange pin = new PinnedRange(address(block), BYTES)) {
      assertTrue(pin.isPinned());
      log.await("memory does not lie where it was committed");
      assertFalse(memory.report().displacements().isEmpty());
      // The sampler may have looked while the call was moving page after page.
      List<Displacement> pinned = memory.audit().displacements();
      assertAllDisplaced(LONG_TERM_PIN, system, pinned);
      assertTrue(
          pinned.get(0).evidence().startsWith("VmPin=" + BYTES + ", files_that_pin={io_uring=1}"),
          pinned::toString);
      assertEquals(42, block.getLong(0));
    }
    assertAllDisplaced(LONG_TERM_PIN, system, memory.audit().displacements());
    device.free(block);
    memory.audit();
    assertEquals(0, memory.report().node(devices.first()).committedBytes());
    assertEquals(List.of(), memory.report().displacements());
  }
}
