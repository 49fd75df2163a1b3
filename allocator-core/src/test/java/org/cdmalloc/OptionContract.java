/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.function.UnaryOperator;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.Test;

/** What {@link NodeAllocator.Builder} takes, refuses, and does unless it is told. */
abstract class OptionContract extends EvictionContract {
  /**
   * Asserts that an option is refused, at once or by open, and that the message tells its value.
   */
  private void assertNoOption(String told, UnaryOperator<NodeAllocator.Builder> option) {
    String message =
        assertThrows(
                IllegalArgumentException.class,
                () -> option.apply(builder()).open().close(),
                () -> "accepted: " + told)
            .getMessage();
    assertTrue(message.contains(told), message);
  }

  @Test
  void aCapacityFitsItsNode() {
    // "more than 0, at most the node's memory"
    for (long bytes : new long[] {0, -1, Long.MIN_VALUE}) {
      assertThrows(IllegalArgumentException.class, () -> builder().capacity(0, bytes));
    }
    assertNoOption("bytes=" + (1L << 60), builder -> builder.capacity(0, 1L << 60));
    assertNoOption("node=1000", builder -> builder.capacity(NO_SUCH_NODE, 1));
    assertNoOption("node=-1", builder -> builder.capacity(-1, 1));
    int osPage = memory.source().osPageBytes();
    // "rounded down to whole OS pages, at least one"
    long[][] roundings = {
      {1, osPage}, {osPage - 1, osPage}, {2L * osPage - 1, osPage}, {3L * osPage, 3L * osPage}
    };
    for (long[] rounding : roundings) {
      try (NodeAllocator small = builder().capacity(0, rounding[0]).open()) {
        assertEquals(rounding[1], small.report().node(0).capacityBytes());
        assertEquals(rounding[1], small.report().node(0).reservedBytes());
        assertEquals(0, small.report().node(0).committedBytes());
      }
    }
  }

  @Test
  void aNodeOfOnePageServesOnePage() {
    int osPage = memory.source().osPageBytes();
    try (NodeAllocator small =
        builder().capacity(0, 1).watermarks(0, Marks.NONE).purgeDelay(Duration.ZERO).open()) {
      long block = small.allocate(1, Placement.preferred(0));
      small.free(block);
      block = small.allocate(osPage, NODE_0);
      assertExhausted(1, () -> small.allocate(1, NODE_0));
      small.free(block);
      assertEquals(osPage, small.trim());
    }
  }

  @Test
  void anArenaFitsItsHost() {
    assertNoOption("node=0", builder -> builder.deviceArena(0, 0, MEBIBYTE));
    assertNoOption("1000", builder -> builder.deviceArena(ARENA, NO_SUCH_NODE, PAGE));
    assertNoOption("bytes=0", builder -> builder.deviceArena(ARENA, 0, 0));
    assertNoOption("bytes=-1", builder -> builder.deviceArena(ARENA, 0, -1));
    assertNoOption("bytes=" + (1L << 60), builder -> builder.deviceArena(ARENA, 0, 1L << 60));
    assertNoOption("-1", builder -> builder.deviceArena(-1, 0, PAGE));
    assertNoOption("1024", builder -> builder.deviceArena(NodeMask.MAX_NODES, 0, PAGE));
    // "IllegalArgumentException if node was designated before"
    assertNoOption(
        "node=1023", builder -> builder.deviceArena(ARENA, 0, PAGE).deviceArena(ARENA, 0, PAGE));
    assertNoOption(
        "host=1023",
        builder -> builder.deviceArena(ARENA, 0, MEBIBYTE).deviceArena(1022, ARENA, PAGE));
    // "its bytes leave the host's memory"
    long hostBytes = memory.source().machine().node(0).bytes();
    assertEquals(hostBytes - ARENA_BYTES, memory.machine().node(0).bytes());
    assertEquals(ARENA_BYTES, memory.machine().node(ARENA).bytes());
    // "The node is CPU-less, stands where its host stands and at distance 20 from it"
    assertTrue(memory.machine().memoryOnly().contains(ARENA));
    assertEquals(20, memory.machine().distances().between(0, ARENA));
    assertEquals(ARENA_BYTES, report(ARENA).capacityBytes());
  }

  @Test
  void aMachineNeedsASystemNode() {
    // "IllegalArgumentException if an option does not fit the machine; the message names it"
    NodeMask all = memory.source().machine().withMemory();
    assertNoOption("deviceNodes(mask)", builder -> builder.deviceNodes(all));
    // Nodes that are not there make no difference.
    try (NodeAllocator open = builder().deviceNodes(NodeMask.of(NO_SUCH_NODE)).open()) {
      assertThrows(IllegalArgumentException.class, () -> open.device(NO_SUCH_NODE));
    }
  }

  @Test
  void marksFitTheirNode() {
    Marks large = new Marks(0, 0, CAPACITY + PAGE);
    assertNoOption("marks=" + large, builder -> builder.watermarks(0, large));
    assertNoOption("node=1000", builder -> builder.watermarks(NO_SUCH_NODE, new Marks(1, 1, 1)));
    // "By default min is 1/256 of the capacity, low 1.25 times and high 1.5 times that."
    long min = CAPACITY / 256;
    assertEquals(new Marks(min, min * 5 / 4, min * 3 / 2), report(0).marks());
    // "the levels, in bytes; rounded down to whole pages of 4 KiB"
    Marks odd = new Marks(PAGE + 1, 2 * PAGE + 5, 4 * PAGE - 1);
    try (NodeAllocator open = builder().watermarks(0, odd).open()) {
      assertEquals(new Marks(PAGE, 2 * PAGE, 3 * PAGE), open.report().node(0).marks());
      open.allocate(CAPACITY - 2 * PAGE, NODE_0);
      // "Requests that insist on no node stop at the low mark"
      long[] served = new long[2];
      for (int i = 0; i < 2; i++) {
        served[i] = open.tryAllocate(PAGE, NODE_0);
      }
      assertTrue(served[0] != 0 && served[1] != 0);
    }
    try (NodeAllocator all = builder().watermarks(0, new Marks(0, CAPACITY, CAPACITY)).open()) {
      all.free(all.allocate(CAPACITY, NODE_0));
      all.tryAllocate(PAGE, Placement.preferred(0));
      assertEquals(0, all.report().node(0).usedBytes());
    }
  }

  @Test
  void attributesFitTheirNode() {
    NodeAttributes device = NodeAttributes.COHERENT_DEVICE;
    assertNoOption("node=0, spillCeilingBytes=", builder -> builder.attributes(0, device));
    assertNoOption("node=1000", builder -> builder.attributes(NO_SUCH_NODE, device));
    assertEquals(NodeAttributes.SYSTEM, memory.attributes(0));
    assertEquals(device, memory.attributes(ARENA));
    assertThrows(IllegalArgumentException.class, () -> memory.attributes(NO_SUCH_NODE));
    NodeAttributes demoting = device.withReclaim(true).withDemotionTarget(0);
    try (NodeAllocator open =
        builder().deviceArena(ARENA, 0, PAGE).attributes(ARENA, demoting).open()) {
      assertEquals(demoting, open.attributes(ARENA));
    }
  }

  @Test
  void aPurgeDelayAndAnAuditPeriodHaveTheirRange() {
    // "10 ms … 1 day; zero for never"
    for (Duration delay :
        new Duration[] {
          Duration.ofNanos(1),
          Duration.ofMillis(10).minusNanos(1),
          Duration.ofDays(1).plusNanos(1),
          Duration.ofSeconds(Long.MAX_VALUE),
          Duration.ofMillis(-10),
          Duration.ofSeconds(Long.MIN_VALUE)
        }) {
      assertNoOption("purge delay: delay=" + delay, builder -> builder.purgeDelay(delay));
      assertNoOption("audit period: period=" + delay, builder -> builder.auditPeriod(delay));
    }
    for (Duration delay :
        new Duration[] {Duration.ZERO, Duration.ofMillis(10), Duration.ofDays(1)}) {
      builder().purgeDelay(delay).auditPeriod(delay).open().close();
    }
  }

  @Test
  void anOpenAllocatorTellsWhatItStandsOn() {
    MemorySource source = source();
    try (NodeAllocator open = builder(source).open()) {
      assertSame(source, open.source());
      // "the same object each time"
      assertSame(open.machine(), open.machine());
      assertEquals(source.machine(), open.machine());
      // "none of their memory is used yet"
      for (NodeReport node : open.report().nodes()) {
        assertEquals(0, node.committedBytes(), node::toString);
        assertEquals(node.capacityBytes(), node.reservedBytes(), node::toString);
      }
    }
    assertTrue(report(ARENA).reservedBytes() == 0, "nothing of the device nodes is reserved");
  }

  @Test
  void anOptionThatDoesNotFitKeepsNothing() {
    MemorySource source = source();
    long free = source.freeBytes(0);
    assertThrows(
        IllegalArgumentException.class,
        () -> builder(source).watermarks(0, new Marks(0, 0, CAPACITY + PAGE)).open());
    if (!source.isReal()) {
      assertEquals(free, source.freeBytes(0));
    }
    builder(source).open().close();
  }
}
