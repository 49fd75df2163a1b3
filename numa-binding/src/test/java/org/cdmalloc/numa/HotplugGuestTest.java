/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import static org.cdmalloc.NodeMemoryExhaustedException.Reason.CONTENDED;
import static org.cdmalloc.NodeMemoryExhaustedException.Reason.MEMORY_REFUSED;
import static org.cdmalloc.spi.DisplacementCause.NODE_OFFLINE;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import org.cdmalloc.DeviceNode;
import org.cdmalloc.Displacement;
import org.cdmalloc.DrainReport;
import org.cdmalloc.DrainReport.Blocker;
import org.cdmalloc.DrainReport.Cause;
import org.cdmalloc.NodeAccessException;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.NodeMemoryExhaustedException;
import org.cdmalloc.NodeMemoryExhaustedException.Reason;
import org.cdmalloc.NodeState;
import org.cdmalloc.Placement;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestReporter;
import org.junit.jupiter.api.Timeout;

/**
 * The kernel takes a device's memory offline and brings it online, in each state that the device
 * node may be in for its holders. Changes the whole machine, so it runs in guests only.
 */
@Timeout(120)
final class HotplugGuestTest {
  private static final int MIB = 1 << 20;
  private static final int BLOCK = 4 * MIB;
  private static final int PAGE = 4096;
  private static final int RAM = 0;
  private static final String OFFLINE_WORDS =
      "present_bytes=0 (all memory of the node is offline: bring it online)";

  private int node;
  private MemoryBlocks blocks;
  private NodeAllocator memory;
  private DeviceNode device;

  @BeforeEach
  void findDevice() throws IOException {
    ThisHost.assumeGuest("it takes memory offline");
    NodeMask devices = Machine.fromSysfs(Machine.SYSFS).memoryOnly();
    assertTrue(!devices.isEmpty(), "run it in a guest with a device");
    node = devices.first();
    blocks = MemoryBlocks.of(node);
    assertTrue(blocks.count() > 1, "the device has no two memory blocks");
  }

  @AfterEach
  void restore() throws IOException {
    if (memory != null) {
      memory.close();
    }
    if (blocks != null) {
      blocks.online();
    }
  }

  private void open(long capacity) {
    memory =
        NodeAllocator.builder()
            .source(ThisHost.source())
            .capacity(RAM, 128L * MIB)
            .capacity(node, capacity)
            .auditPeriod(Duration.ZERO)
            .purgeDelay(Duration.ZERO)
            .open();
    device = memory.device(node);
  }

  /** A block whose every page says which it is, at both ends. */
  private static final class Marked {
    private final ByteBuffer buffer;
    private final long mark;

    Marked(ByteBuffer buffer, long mark) {
      this.buffer = buffer;
      this.mark = mark;
      for (int page = 0; page < buffer.capacity(); page += PAGE) {
        buffer.putLong(page, mark + page).putLong(page + PAGE - Long.BYTES, ~(mark + page));
      }
    }

    void assertIntact() {
      for (int page = 0; page < buffer.capacity(); page += PAGE) {
        assertEquals(mark + page, buffer.getLong(page));
        assertEquals(~(mark + page), buffer.getLong(page + PAGE - Long.BYTES));
      }
    }
  }

  private List<Marked> allocate(int count, int bytes) {
    List<Marked> marked = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      marked.add(new Marked(device.allocateBuffer(bytes), (long) i << 32));
      assertTrue(memory.residency(marked.get(i).buffer).isAllOn(node));
    }
    return marked;
  }

  private static void assertIntact(List<Marked> marked) {
    marked.forEach(Marked::assertIntact);
  }

  private void assertServesOnItsNode(int bytes) {
    ByteBuffer block = device.allocateBuffer(bytes);
    assertTrue(memory.residency(block).isAllOn(node), () -> memory.residency(block).toString());
    new Marked(block, 7).assertIntact();
    device.free(block);
  }

  private Reason refusal(int bytes) {
    NodeMemoryExhaustedException refused =
        assertThrows(NodeMemoryExhaustedException.class, () -> device.allocateBuffer(bytes));
    return refused.attempts().get(0).reason();
  }

  private void assertNoMemoryToBringOnline(NodeState state) throws IOException {
    assertEquals(0, memory.source().presentBytes(node));
    long reserved = memory.report().node(node).reservedBytes();
    List<String> mappings = ownMappings();
    NodeAccessException refused = assertThrows(NodeAccessException.class, device::online);
    assertTrue(
        refused.getMessage().contains("node=" + node + ", ")
            && refused.getMessage().contains("state=" + state + ", present_bytes=0; ")
            && refused.getMessage().contains("bring it online"),
        refused::getMessage);
    assertEquals(state, device.state());
    assertEquals(reserved, memory.report().node(node).reservedBytes());
    assertEquals(mappings.size(), ownMappings().size());
  }

  /** The lines of numa_maps whose policy names the node as only a source sets it. */
  private List<String> ownMappings() {
    return KeyedText.lines(Path.of("/proc/self/numa_maps")).stream()
        .filter(line -> line.matches("\\S+ (bind|prefer)=static:" + node + " .*"))
        .toList();
  }

  /** How many pages of mappings with a static policy lie on the node. */
  private long ownPages() {
    return KeyedText.lines(Path.of("/proc/self/numa_maps")).stream()
        .filter(line -> line.contains("=static:"))
        .flatMap(line -> List.of(line.split(" ", -1)).stream())
        .filter(word -> word.startsWith("N" + node + "="))
        .mapToLong(word -> Long.parseLong(word.substring(word.indexOf('=') + 1)))
        .sum();
  }

  /** Threads that allocate, look, write, read and free, until they are told to end. */
  private final class Workers implements AutoCloseable {
    private static final int THREADS = 2;
    private static final int HELD = 2;
    private static final int BYTES = 2 * MIB;
    private static final int TRIM_EVERY = 4;

    private final Set<Reason> reasons = ConcurrentHashMap.newKeySet();
    private final Map<String, Integer> refusals = new ConcurrentHashMap<>();
    private final AtomicInteger served = new AtomicInteger();
    private final AtomicInteger elsewhere = new AtomicInteger();

    /** Of each thread a permit for every attempt that ended. */
    private final List<Semaphore> attempts = new ArrayList<>();

    private final List<CompletableFuture<Void>> runs = new ArrayList<>();
    private volatile boolean ended;

    /** All memory has been online since the last displaced page went back. */
    private volatile boolean strict;

    Workers(boolean strict) {
      this.strict = strict;
      for (int thread = 0; thread < THREADS; thread++) {
        long mark = (thread + 1L) << 48;
        Semaphore done = new Semaphore(0);
        attempts.add(done);
        runs.add(
            CompletableFuture.runAsync(
                () -> run(mark, done), task -> new Thread(task, "hotplug").start()));
      }
    }

    private void run(long mark, Semaphore done) {
      Deque<Marked> held = new ArrayDeque<>();
      try {
        for (int i = 0; !ended; i++) {
          attempt(held, mark + ((long) i << 32));
          if (held.size() > HELD) {
            free(held.removeFirst());
          }
          if (i % TRIM_EVERY == 0) {
            memory.trim();
          }
          done.release();
        }
        held.forEach(this::free);
      } finally {
        // Whoever waits for more is told when it looks.
        done.release(1 << 20);
      }
    }

    private void attempt(Deque<Marked> held, long mark) {
      boolean strictBefore = strict;
      try {
        ByteBuffer block = device.allocateBuffer(BYTES);
        boolean isThere = memory.residency(block).isAllOn(node);
        elsewhere.addAndGet(isThere ? 0 : 1);
        assertTrue(isThere || !strictBefore || !strict, () -> memory.residency(block).toString());
        held.add(new Marked(block, mark));
        served.incrementAndGet();
      } catch (NodeMemoryExhaustedException e) {
        reasons.add(e.attempts().get(0).reason());
        refusals.merge(e.attempts().get(0).detail().replaceAll("\\d+", "#"), 1, Integer::sum);
      }
    }

    private void free(Marked block) {
      block.assertIntact();
      device.free(block.buffer);
    }

    /** Waits until so many attempts of each thread began and ended after this was called. */
    void await(int more) throws InterruptedException {
      for (Semaphore done : attempts) {
        done.drainPermits();
        done.acquire(more + 1);
      }
      assertTrue(
          runs.stream().noneMatch(CompletableFuture::isCompletedExceptionally), runs::toString);
    }

    @Override
    public void close() {
      ended = true;
      runs.forEach(CompletableFuture::join);
    }
  }

  @Test
  void requestsWhileMemoryGoesAndComesAreServedOrRefused(TestReporter reporter) throws Exception {
    open(64L * MIB);
    device.online();
    List<Marked> kept = allocate(4, BLOCK);
    for (int round = 0; round < 2; round++) {
      try (Workers workers = new Workers(true)) {
        workers.await(5);
        assertEquals(Set.of(), workers.reasons);
        int before = workers.served.get();
        workers.strict = false;
        long began = System.nanoTime();
        blocks.offline();
        long millis = (System.nanoTime() - began) / 1_000_000;
        int during = workers.served.get() - before;
        assertEquals(0, memory.source().presentBytes(node));
        workers.await(2);
        // From here on nothing can be committed: what is served was committed before, and lies
        // where the kernel put it until an audit or a trim gives it back.
        long committed = memory.report().node(node).committedBytes();
        workers.await(8);
        assertTrue(memory.report().node(node).committedBytes() <= committed);
        assertIntact(kept);
        List<Displacement> displaced = memory.audit().displacements();
        assertTrue(
            displaced.stream()
                .allMatch(each -> each.node() == node && each.cause() == NODE_OFFLINE),
            displaced::toString);
        reporter.publishEntry(
            "round " + round,
            "offline_ms="
                + millis
                + ", served_meanwhile="
                + during
                + ", elsewhere="
                + workers.elsewhere
                + ", refusals="
                + workers.refusals);
        assertTrue(workers.reasons.contains(MEMORY_REFUSED), workers.reasons::toString);
        assertTrue(
            EnumSet.of(MEMORY_REFUSED, CONTENDED).containsAll(workers.reasons),
            workers.reasons::toString);
        assertTrue(
            workers.refusals.keySet().stream().anyMatch(detail -> detail.endsWith(words())),
            workers.refusals::toString);
        int offline = workers.served.get();
        blocks.online();
        workers.await(5);
        assertTrue(workers.served.get() > offline, "it serves again");
      }
      assertEquals(NodeState.ONLINE, device.state());
      assertIntact(kept);
      // What was freed goes back wherever it lies; what was not lies where the kernel put it.
      memory.audit();
      assertEquals(4L * BLOCK, memory.audit().displacedBytes());
      assertServesOnItsNode(BLOCK);
    }
    for (Marked each : kept) {
      assertTrue(memory.move(each.buffer, device.placement()).isComplete());
    }
    assertEquals(0, memory.audit().displacedBytes());
    assertIntact(kept);
  }

  private static String words() {
    return OFFLINE_WORDS.replaceAll("\\d+", "#");
  }

  @Test
  void aDrainedNodeLeavesTheKernelNothingAndWaitsForItsMemory(TestReporter reporter)
      throws IOException {
    open(64L * MIB);
    blocks.offline();
    assertNoMemoryToBringOnline(NodeState.POSSIBLE);
    blocks.online();
    device.online();
    List<Marked> marked = allocate(4, BLOCK);
    assertEquals(4L * BLOCK / PAGE, ownPages());
    assertIntact(marked);
    marked.forEach(each -> device.free(each.buffer));
    assertEquals(new DrainReport(node, NodeState.OFFLINE, 0, List.of()), device.offline());
    assertEquals(0, ownPages());
    assertEquals(0, memory.report().node(node).reservedBytes());
    KeyedText before = KeyedText.of(Path.of("/proc/vmstat"));
    blocks.offline();
    KeyedText after = KeyedText.of(Path.of("/proc/vmstat"));
    reporter.publishEntry(
        "pages that the kernel had to move",
        Long.toString(after.bytes("pgmigrate_success") - before.bytes("pgmigrate_success")));
    assertNoMemoryToBringOnline(NodeState.OFFLINE);
    String refused =
        assertThrows(IllegalStateException.class, () -> device.allocate(1)).getMessage();
    assertTrue(refused.contains("state=OFFLINE; call DeviceNode.online()"), refused);
    blocks.online();
    assertEquals(NodeState.OFFLINE, device.state(), "nobody called");
    device.online();
    assertServesOnItsNode(BLOCK);
  }

  @Test
  void anAllocatorThatIsOpenedMeanwhileKnowsNoSuchDevice() throws IOException {
    blocks.offline();
    try (NodeAllocator late = NodeAllocator.builder().source(ThisHost.source()).open()) {
      String refused =
          assertThrows(IllegalArgumentException.class, () -> late.device(node)).getMessage();
      assertTrue(refused.contains("node=" + node), refused);
      blocks.online();
      assertThrows(IllegalArgumentException.class, () -> late.device(node));
    }
    open(BLOCK);
    device.online();
    assertServesOnItsNode(BLOCK);
  }

  @Test
  void halfANodeServesWhatIsLeftOfIt(TestReporter reporter) throws IOException {
    int large = 16 * MIB;
    open(blocks.count() * MemoryBlocks.bytes());
    device.online();
    List<Marked> marked = allocate(2, large);
    int gone = blocks.count() / 2;
    blocks.offline(gone);
    long left = memory.source().presentBytes(node);
    assertTrue(left > 0 && left <= (blocks.count() - gone) * MemoryBlocks.bytes(), () -> "" + left);
    assertIntact(marked);
    long elsewhere = memory.audit().displacedBytes();
    device.allocate(left / 4 * 3);
    long more = left / 4 * 3;
    for (ByteBuffer block = device.tryAllocateBuffer(large);
        block != null;
        block = device.tryAllocateBuffer(large)) {
      marked.add(new Marked(block, (long) marked.size() << 32));
      more += large;
    }
    assertEquals(MEMORY_REFUSED, refusal(large));
    assertTrue(more > 0 && more < left, "left=" + left + ", more=" + more);
    reporter.publishEntry(
        "half a node", "left=" + left + ", displaced=" + elsewhere + ", given=" + more);
    assertIntact(marked);
    assertEquals(elsewhere, memory.audit().displacedBytes(), "all that came since is there");
    blocks.online();
    assertServesOnItsNode(large);
    assertIntact(marked);
  }

  @Test
  void blocksThatWereDemotedBeforeDoNotNoticeTheKernel() throws IOException {
    open(64L * MIB);
    device.setAttributes(device.attributes().withReclaim(true).withDemotionTarget(RAM));
    device.online();
    List<Marked> marked = allocate(4, BLOCK);
    DrainReport drained = device.offline();
    assertEquals(new DrainReport(node, NodeState.OFFLINE, 4L * BLOCK, List.of()), drained);
    assertEquals(0, ownPages());
    blocks.offline();
    assertNoMemoryToBringOnline(NodeState.OFFLINE);
    assertIntact(marked);
    for (Marked each : marked) {
      assertTrue(memory.residency(each.buffer).isAllOn(RAM));
    }
    assertEquals(0, memory.audit().displacedBytes());
    // A block that is freed now gives memory of another node back.
    device.free(marked.remove(0).buffer);
    blocks.online();
    device.online();
    assertServesOnItsNode(BLOCK);
    assertIntact(marked);
    Marked back = marked.get(0);
    assertTrue(memory.move(back.buffer, device.placement()).isComplete());
    assertTrue(memory.residency(back.buffer).isAllOn(node));
    assertIntact(marked);
  }

  @Test
  void aDrainAfterTheKernelNamesWhatItDisplaced() throws IOException {
    open(64L * MIB);
    device.online();
    List<Marked> marked = allocate(2, BLOCK);
    device.free(device.allocateBuffer(BLOCK));
    blocks.offline();
    // What was free was moved too; once an audit gave it back, no block can lie elsewhere.
    assertEquals(BLOCK, memory.audit().returnedBytes());
    assertEquals(MEMORY_REFUSED, refusal(BLOCK));
    DrainReport drained = device.offline();
    assertEquals(NodeState.DRAINING, drained.state());
    assertEquals(
        marked.stream()
            .map(
                each ->
                    new Blocker(
                        Cause.OUTSTANDING,
                        device.holder(),
                        memory.source().addressOf(each.buffer),
                        BLOCK,
                        "free it, or move it to another node"))
            .toList(),
        drained.blockers());
    assertNoMemoryToBringOnline(NodeState.DRAINING);
    assertIntact(marked);
    // What the report says to do.
    assertTrue(memory.move(marked.get(0).buffer, Placement.onNode(RAM)).isComplete());
    device.free(marked.remove(1).buffer);
    assertTrue(device.offline().isOffline());
    assertTrue(memory.residency(marked.get(0).buffer).isAllOn(RAM));
    assertIntact(marked);
    blocks.online();
    device.online();
    assertServesOnItsNode(BLOCK);
    assertIntact(marked);
  }

  @Test
  void aDrainAfterTheKernelDemotesWhatItDisplaced() throws IOException {
    open(64L * MIB);
    device.setAttributes(device.attributes().withReclaim(true).withDemotionTarget(RAM));
    device.online();
    List<Marked> marked = allocate(2, BLOCK);
    blocks.offline();
    assertTrue(device.offline().isOffline());
    for (Marked each : marked) {
      assertTrue(memory.residency(each.buffer).isAllOn(RAM));
    }
    assertIntact(marked);
    assertNoMemoryToBringOnline(NodeState.OFFLINE);
    blocks.online();
    device.online();
    assertServesOnItsNode(BLOCK);
    assertIntact(marked);
  }
}
