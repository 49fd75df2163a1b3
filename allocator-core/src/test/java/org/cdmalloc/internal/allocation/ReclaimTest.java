/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import java.util.function.IntFunction;
import org.cdmalloc.CapturedLog;
import org.cdmalloc.Checks;
import org.cdmalloc.Marks;
import org.cdmalloc.NodeAttributes;
import org.cdmalloc.NodeMemoryExhaustedException;
import org.cdmalloc.Placement;
import org.cdmalloc.Registration;
import org.cdmalloc.Shrinker;
import org.cdmalloc.Zeroing;
import org.cdmalloc.spi.AddressOnlySource;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.function.Executable;

/** Reclaim by shrinkers, pass by pass, most of it without threads and without a clock. */
@Timeout(60)
final class ReclaimTest {
  private static final int PAGE = 4096;
  private static final int PAGES = 1024;
  private static final int LOW = 32;
  private static final int HIGH = 64;
  private static final int DEVICE = 2;
  private static final long REST_NANOS = TimeUnit.MILLISECONDS.toNanos(10);
  private static final long FOREVER_NANOS = TimeUnit.HOURS.toNanos(1);

  private final AtomicLong clock = new AtomicLong();
  private final List<String> calls = Collections.synchronizedList(new ArrayList<>());

  /** A permit per pass that a thread ended. */
  private final Semaphore passed = new Semaphore(0);

  private final Map<Integer, Deque<Runnable>> passes = new HashMap<>();
  private int pages = PAGES;
  private long magazineBytes;
  private Assembly parts;

  /** Opens with attributes that differ from the defaults, and what makes the reclaim of a mask. */
  private void open(Map<Integer, NodeAttributes> attributes, Function<NodeMask, Reclaim> reclaim) {
    Machine machine =
        Machine.builder()
            .node(Node.of(0, "0", 64L << 20))
            .node(Node.of(1, "1", 64L << 20))
            .node(Node.memoryOnly(DEVICE, 64L << 20))
            .build();
    Map<Integer, Long> capacities = new HashMap<>();
    Map<Integer, Marks> marks = new HashMap<>();
    for (int node = 0; node <= DEVICE; node++) {
      capacities.put(node, (long) pages * PAGE);
      marks.put(node, new Marks(16 * PAGE, LOW * PAGE, HIGH * PAGE));
    }
    parts =
        Assembly.of(
            AddressOnlySource.of(machine),
            NodeMask.of(DEVICE),
            List.of(),
            new Assembly.Settings(
                capacities,
                marks,
                attributes,
                Zeroing.NEVER,
                Checks.STANDARD,
                Duration.ZERO,
                Duration.ZERO,
                magazineBytes),
            reclaim);
    parts.devices().get(DEVICE).online();
  }

  /** Passes run where they are woken, and are over when that returns. */
  private void openDirect(Map<Integer, NodeAttributes> attributes) {
    open(attributes, nodes -> new Reclaim(nodes, node -> Runnable::run, clock::get, FOREVER_NANOS));
  }

  /** Passes run when the test says so. */
  private void openQueued(long patienceNanos) {
    IntFunction<Executor> queues =
        node -> passes.computeIfAbsent(node, missing -> new ArrayDeque<>())::add;
    open(Map.of(), nodes -> new Reclaim(nodes, queues, clock::get, patienceNanos));
  }

  /** Passes run on threads. */
  private void openThreaded(long patienceNanos) {
    IntFunction<Executor> threads =
        node -> {
          Executor worker = Reclaim.worker(node);
          return pass ->
              worker.execute(
                  () -> {
                    pass.run();
                    passed.release();
                  });
        };
    open(Map.of(), nodes -> new Reclaim(nodes, threads, System::nanoTime, patienceNanos));
  }

  @AfterEach
  void close() {
    parts.close();
  }

  private AllocationPath allocation() {
    return parts.allocation();
  }

  private Requests on(int node) {
    if (node == DEVICE) {
      DeviceZone zone = parts.devices().get(DEVICE);
      return new DeviceRequests(allocation(), Placement.LOCAL, zone, zone.account());
    }
    Placement placement = Placement.onNode(node);
    return new SystemRequests(allocation(), placement, parts.system().of(placement));
  }

  private Requests anywhere() {
    return new SystemRequests(allocation(), Placement.LOCAL, parts.system().of(Placement.LOCAL));
  }

  private BackedZone zone(int node) {
    return allocation().zones().stream()
        .filter(zone -> zone.node() == node)
        .findFirst()
        .orElseThrow();
  }

  private int free(int node) {
    return zone(node).zone().freePages();
  }

  private void register(int node, Shrinker shrinker) {
    allocation().reclaim().register(node, shrinker);
  }

  /** A cache of blocks of a page, which frees what it is asked for. */
  private final class Cache implements Shrinker {
    private final String name;
    private final Deque<Long> blocks = new ArrayDeque<>();

    Cache(String name) {
      this.name = name;
    }

    Cache filled(int node, int pages) {
      for (int i = 0; i < pages; i++) {
        blocks.add(on(node).allocate(PAGE, 1));
      }
      return this;
    }

    @Override
    public synchronized long shrink(long bytes) {
      calls.add(name + bytes / PAGE);
      long freed = 0;
      while (freed < bytes && !blocks.isEmpty()) {
        allocation().free(blocks.remove());
        freed += PAGE;
      }
      return freed;
    }
  }

  /** Takes pages until so many are free. */
  private void fillUntil(int node, int freePages) {
    for (int rest = free(node) - freePages; rest > 0; rest--) {
      on(node).allocate(PAGE, 1);
    }
  }

  private List<String> calls() {
    List<String> copy = List.copyOf(calls);
    calls.clear();
    return copy;
  }

  @Test
  void shrinkersAreCalledInOrderUntilAsMuchIsFreeAsTheHighMark() {
    openDirect(Map.of());
    register(0, new Cache("a").filled(0, 10));
    register(0, new Cache("b").filled(0, 100));
    register(0, new Cache("c").filled(0, 100));
    fillUntil(0, LOW);
    assertEquals(List.of(), calls());
    on(0).allocate(PAGE, 1);
    assertEquals(List.of("a33", "b23"), calls());
    assertEquals(HIGH, free(0));
    fillUntil(0, LOW);
    assertEquals(List.of(), calls());
    on(0).allocate(PAGE, 1);
    assertEquals(List.of("a33", "b33"), calls());
    assertEquals(HIGH, free(0));
  }

  @Test
  void theyAreCalledAgainWhileTheyGive() {
    openDirect(Map.of());
    Cache slow = new Cache("s").filled(0, 50);
    register(
        0,
        bytes -> {
          slow.shrink(10 * PAGE);
          return 10 * PAGE;
        });
    fillUntil(0, LOW);
    on(0).allocate(PAGE, 1);
    assertEquals(List.of("s10", "s10", "s10", "s10"), calls());
    assertEquals(LOW - 1 + 40, free(0));
  }

  @Test
  void pressureOnANodeCallsItsOwnShrinkersOnly() {
    openDirect(Map.of(DEVICE, NodeAttributes.COHERENT_DEVICE.withReclaim(true)));
    for (int node = 0; node <= DEVICE; node++) {
      register(node, new Cache(node + ":").filled(node, 200));
    }
    for (int node = 0; node <= DEVICE; node++) {
      fillUntil(node, LOW);
      on(node).allocate(PAGE, 1);
      assertEquals(List.of(node + ":33"), calls());
      assertThrows(NodeMemoryExhaustedException.class, exhaust(node), "a node that is used up");
      String own = node + ":";
      assertTrue(calls().stream().allMatch(call -> call.startsWith(own)));
    }
  }

  private Executable exhaust(int node) {
    return () -> {
      while (true) {
        on(node).allocate(PAGE, 1);
      }
    };
  }

  @Test
  void aNodeWithoutTheAttributeIsNeverEvenAsked() {
    NodeAttributes off = NodeAttributes.SYSTEM.withReclaim(false);
    open(
        Map.of(0, off),
        nodes ->
            new Reclaim(
                nodes,
                node ->
                    pass -> {
                      assertEquals(1, node);
                      pass.run();
                    },
                clock::get,
                FOREVER_NANOS));
    for (int node = 0; node <= DEVICE; node++) {
      register(node, new Cache(node + ":").filled(node, 200));
    }
    // What a zone does not have cannot be looked up.
    assertNull(zone(0).pressure());
    assertNotNull(zone(1).pressure());
    assertNull(zone(DEVICE).pressure());
    for (int node : new int[] {0, DEVICE}) {
      assertThrows(NodeMemoryExhaustedException.class, exhaust(node));
      assertEquals(List.of(), calls());
    }
    // The shrinkers are there all the same.
    fillUntil(1, LOW);
    on(1).allocate(PAGE, 1);
    assertEquals(List.of("1:33"), calls());
    allocation().reclaim().set(1, false);
    fillUntil(1, LOW - 1);
    assertNull(zone(1).pressure());
    assertEquals(List.of(), calls());
    allocation().reclaim().set(1, true);
    on(1).allocate(PAGE, 1);
    assertEquals(List.of("1:34"), calls());
  }

  @Test
  void withoutShrinkersAZoneTellsNobody() {
    openDirect(Map.of());
    assertNull(zone(0).pressure());
    Registration one = allocation().reclaim().register(0, new Cache("a"));
    Registration other = allocation().reclaim().register(0, new Cache("b"));
    one.close();
    one.close();
    assertNotNull(zone(0).pressure());
    fillUntil(0, LOW - 1);
    assertEquals(List.of("b33"), calls());
    other.close();
    assertNull(zone(0).pressure());
    assertThrows(NodeMemoryExhaustedException.class, exhaust(0));
    assertEquals(List.of(), calls());
  }

  @Test
  void aRequestThatTheMarkTurnsAwayWakesTooAndGoesOnElsewhere() {
    openDirect(Map.of());
    register(0, new Cache("0:").filled(0, 100));
    register(1, new Cache("1:").filled(1, 100));
    fillUntil(0, LOW);
    fillUntil(1, LOW);
    assertEquals(List.of(), calls());
    // All nodes at their low marks: the caller's is woken first, and the next one serves.
    assertNotEquals(0, anywhere().tryAllocate(PAGE, 1));
    assertEquals(List.of("0:32", "1:32"), List.of(calls().get(0), "1:32"));
  }

  @Test
  void aRequestThatFindsNothingGetsWhatACacheHolds() {
    openDirect(Map.of());
    Cache cache = new Cache("c").filled(0, 500);
    fillUntil(0, 0);
    register(0, cache);
    // First what the mark lacks, then what the request needs beyond.
    assertNotEquals(0, on(0).tryAllocate(200 * PAGE, 1));
    assertEquals(List.of("c64", "c200"), calls());
    assertEquals(HIGH, free(0));
    cache.blocks.clear();
    fillUntil(0, 0);
    calls();
    assertThrows(NodeMemoryExhaustedException.class, () -> on(0).allocate(PAGE, 1));
    // Once, though its node is left alone now for all other purposes.
    assertEquals(List.of("c65"), calls());
    // What can never fit costs nobody his cache.
    assertEquals(0, on(0).tryAllocate((PAGES + 1) * (long) PAGE, 1));
    assertEquals(0, anywhere().tryAllocate((PAGES - LOW + 1) * (long) PAGE, 1));
    assertEquals(List.of(), calls());
  }

  @Test
  void whatACacheFreesOfSlabsServesRequestsOfThatSize() {
    pages = 8 * PAGES;
    magazineBytes = 1 << 20;
    openDirect(Map.of());
    List<Long> all = new ArrayList<>();
    for (long block = on(0).tryAllocate(3000, 1); block != 0; block = on(0).tryAllocate(3000, 1)) {
      all.add(block);
    }
    // One of ten: no slab becomes empty.
    int freePages = free(0);
    Deque<Long> cached = new ArrayDeque<>();
    for (int i = 0; i < all.size(); i += 10) {
      cached.add(all.get(i));
    }
    // A node that got nothing rests, so that the request alone calls shrinkers.
    register(0, bytes -> 0);
    assertEquals(0, on(0).tryAllocate(3000, 1));
    register(
        0,
        bytes -> {
          allocation().free(cached.remove());
          return 3000;
        });
    assertNotEquals(0, on(0).tryAllocate(3000, 1));
    assertEquals(freePages, free(0));
  }

  @Test
  void whereNoBlockIsLargeEnoughACacheIsAskedOnce() {
    openDirect(Map.of());
    Cache cache = new Cache("c");
    // Every second page is the cache's: half of the zone is free, but no two pages in a row.
    List<Long> others = new ArrayList<>();
    for (int i = 0; i < PAGES / 2; i++) {
      others.add(on(0).allocate(PAGE, 1));
      cache.filled(0, 1);
    }
    others.forEach(allocation()::free);
    register(0, cache);
    assertNotEquals(0, on(0).tryAllocate(2 * PAGE, 1));
    assertEquals(List.of("c2"), calls());
  }

  @Test
  void nonsenseDoesNoHarm() {
    openDirect(Map.of());
    for (long nonsense : new long[] {Long.MAX_VALUE, Long.MIN_VALUE, -1, 0}) {
      register(
          0,
          bytes -> {
            calls.add("n");
            return nonsense;
          });
    }
    fillUntil(0, LOW - 1);
    // None of them freed anything, whatever they say.
    assertEquals(List.of("n", "n", "n", "n"), calls());
    Cache liar = new Cache("c").filled(0, 10);
    register(
        0,
        bytes -> {
          liar.shrink(PAGE);
          return Long.MIN_VALUE;
        });
    clock.addAndGet(REST_NANOS);
    calls();
    on(0).allocate(PAGE, 1);
    // Nor is one called again that says that there is no more.
    assertEquals(1, calls().stream().filter("c1"::equals).count());
  }

  @Test
  void aNodeThatGotNothingIsLeftAloneForAWhile() {
    openDirect(Map.of());
    register(0, new Cache("c"));
    fillUntil(0, LOW - 1);
    assertEquals(List.of("c33"), calls());
    clock.addAndGet(REST_NANOS - 1);
    on(0).allocate(PAGE, 1);
    assertEquals(List.of(), calls());
    clock.addAndGet(1);
    on(0).allocate(PAGE, 1);
    assertEquals(List.of("c35"), calls());
  }

  /** Throws what the compiler does not let pass. */
  @SuppressWarnings("unchecked")
  private static <T extends Throwable> long fail(Throwable thrown) throws T {
    throw (T) thrown;
  }

  @Test
  void whatAShrinkerThrowsIsLoggedOnceAndTheNextIsCalled() {
    openDirect(Map.of());
    List<Throwable> thrown =
        List.of(new IllegalStateException("x"), new StackOverflowError("x"), new IOException("x"));
    thrown.forEach(each -> register(0, bytes -> ReclaimTest.<RuntimeException>fail(each)));
    register(0, new Cache("c").filled(0, 100));
    try (CapturedLog log = new CapturedLog()) {
      for (int i = 0; i < 3; i++) {
        fillUntil(0, LOW);
        on(0).allocate(PAGE, 1);
        assertEquals(List.of("c33"), calls());
      }
      assertEquals(thrown.size(), log.lines("a shrinker failed").size());
      assertTrue(log.lines("a shrinker failed").get(0).contains("node=0"));
    }
  }

  @Test
  void aShrinkerMayRegisterCloseAndAllocate() {
    openDirect(Map.of());
    Cache late = new Cache("l").filled(0, 20);
    AtomicReference<Registration> self = new AtomicReference<>();
    self.set(
        allocation()
            .reclaim()
            .register(
                0,
                bytes -> {
                  calls.add("once");
                  self.get().close();
                  register(0, late);
                  // Takes the node below its mark again: nobody is called within a call.
                  allocation().free(on(0).allocate(PAGE, 1));
                  return PAGE;
                }));
    fillUntil(0, LOW - 1);
    assertEquals(List.of("once", "l33", "l13"), calls());
    assertEquals(LOW - 1 + 20, free(0));
  }

  @Test
  void aShrinkerMayCloseTheAllocator() {
    openDirect(Map.of());
    register(
        0,
        bytes -> {
          calls.add("close");
          parts.close();
          return PAGE;
        });
    register(0, new Cache("never"));
    fillUntil(0, LOW - 1);
    assertEquals(List.of("close"), calls());
    assertThrows(IllegalStateException.class, () -> on(0).allocate(PAGE, 1));
    assertNull(zone(0).pressure());
    register(0, new Cache("late"));
    assertNull(zone(0).pressure());
  }

  @Test
  void aRequestThatFailsDuringAPassGetsAnother() {
    openQueued(0);
    Cache cache = new Cache("c").filled(0, 10);
    register(
        0,
        bytes -> {
          if (calls.isEmpty()) {
            // As if another thread's request had failed while the cache is at it.
            zone(0).wakeFor(40, 0);
          }
          return cache.shrink(bytes);
        });
    fillUntil(0, LOW);
    on(0).allocate(PAGE, 1);
    assertEquals(1, passes.get(0).size());
    on(0).allocate(PAGE, 1);
    assertEquals(1, passes.get(0).size());
    passes.get(0).remove().run();
    // 34 are missing, 10 come, 24 are missing; then 40 more.
    assertEquals(List.of("c34", "c24", "c64"), calls());
    assertEquals(0, passes.get(0).size());
    clock.addAndGet(REST_NANOS);
    fillUntil(0, LOW - 1);
    assertEquals(1, passes.get(0).size());
  }

  @Test
  void aRequestWaitsNoLongerThanItsTime() {
    openQueued(1);
    register(0, new Cache("c").filled(0, 10));
    fillUntil(0, 0);
    assertEquals(0, on(0).tryAllocate(PAGE, 1));
    assertThrows(NodeMemoryExhaustedException.class, () -> on(0).allocate(PAGE, 1));
    // One pass was asked for, however many asked.
    assertEquals(1, passes.get(0).size());
    assertEquals(List.of(), calls());
  }

  @Test
  void anInterruptedThreadDoesNotWait() {
    openQueued(FOREVER_NANOS);
    register(0, new Cache("c").filled(0, 10));
    fillUntil(0, 0);
    Thread.currentThread().interrupt();
    assertEquals(0, on(0).tryAllocate(PAGE, 1));
    assertTrue(Thread.interrupted());
  }

  @Test
  void whereNoThreadIsToBeHadRequestsGoOn() {
    Deque<Throwable> refusals =
        new ArrayDeque<>(
            List.of(new RejectedExecutionException(), new OutOfMemoryError("native thread")));
    open(
        Map.of(),
        nodes ->
            new Reclaim(
                nodes,
                node ->
                    pass -> {
                      if (!refusals.isEmpty()) {
                        ReclaimTest.<RuntimeException>fail(refusals.remove());
                      }
                      pass.run();
                    },
                clock::get,
                FOREVER_NANOS));
    register(0, new Cache("c").filled(0, 100));
    fillUntil(0, LOW);
    on(0).allocate(PAGE, 1);
    on(0).allocate(PAGE, 1);
    assertEquals(0, refusals.size());
    assertEquals(List.of(), calls());
    on(0).allocate(PAGE, 1);
    assertEquals(List.of("c35"), calls());
  }

  @Test
  void aBlockThatIsMovedToANodePressesItToo() {
    openDirect(Map.of());
    register(1, new Cache("1:").filled(1, 200));
    // As many pages as a node can take in whose other half is committed to blocks of its own.
    long moved = on(0).allocate(500 * PAGE, 1);
    fillUntil(1, LOW - 1 + 500);
    Placement there = Placement.onNode(1);
    new BlockMoves(allocation()).move(moved, on(1).destination(), there);
    assertEquals(List.of("1:33"), calls());
    assertEquals(HIGH, free(1));
  }

  @Test
  void aRequestWaitsForAShrinkerThatIsAtIt() throws Exception {
    openThreaded(FOREVER_NANOS);
    Cache cache = new Cache("c").filled(0, 100);
    CountDownLatch asked = new CountDownLatch(1);
    CountDownLatch go = new CountDownLatch(1);
    fillUntil(0, 0);
    register(
        0,
        bytes -> {
          asked.countDown();
          awaitUninterruptibly(go);
          return cache.shrink(bytes);
        });
    Thread opener =
        new Thread(
            () -> {
              awaitUninterruptibly(asked);
              go.countDown();
            });
    opener.start();
    assertNotEquals(0, on(0).tryAllocate(PAGE, 1));
    opener.join();
  }

  private static void awaitUninterruptibly(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void aShrinkerThatAllocatesWithoutRoomGetsTheExceptionAtOnce() {
    openThreaded(FOREVER_NANOS);
    Cache cache = new Cache("c").filled(0, 100);
    register(1, bytes -> 0);
    fillUntil(0, 0);
    fillUntil(1, 0);
    AtomicReference<Throwable> inside = new AtomicReference<>();
    register(
        0,
        bytes -> {
          // Neither of its own node nor of another one that may call it in turn.
          try {
            assertEquals(0, on(1).tryAllocate(PAGE, 1));
            on(0).allocate(PAGE, 1);
          } catch (NodeMemoryExhaustedException | AssertionError e) {
            inside.compareAndSet(null, e);
          }
          return cache.shrink(bytes);
        });
    assertNotEquals(0, on(0).tryAllocate(PAGE, 1));
    assertEquals(NodeMemoryExhaustedException.class, inside.get().getClass());
  }

  @Test
  void underThreadsNoRequestFailsThatCachesCouldServe() throws Exception {
    openThreaded(FOREVER_NANOS);
    Queue<Long> cached = new ConcurrentLinkedQueue<>();
    Shrinker cache =
        bytes -> {
          long freed = 0;
          for (Long block = cached.poll(); block != null; block = cached.poll()) {
            allocation().free(block);
            freed += PAGE;
            if (freed >= bytes) {
              break;
            }
          }
          return freed;
        };
    register(0, cache);
    List<CompletableFuture<Void>> threads = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      threads.add(
          CompletableFuture.runAsync(
              () -> {
                Requests node = on(0);
                for (int round = 0; round < 20_000; round++) {
                  // All but what the threads have in hand is the cache's.
                  cached.add(node.allocate(PAGE, 1));
                }
              },
              task -> new Thread(task).start()));
    }
    for (CompletableFuture<Void> thread : threads) {
      thread.get();
    }
    while (zone(0).pressure().isBusy()) {
      // What the last request woke is at its end.
      passed.acquire();
    }
    assertEquals(PAGES - cached.size(), free(0));
    zone(0).zone().validate();
  }

  @Test
  void aShrinkerThatBlocksHoldsUpItsOwnNodeAlone() {
    openThreaded(TimeUnit.MILLISECONDS.toNanos(1));
    CountDownLatch blocked = new CountDownLatch(1);
    CountDownLatch go = new CountDownLatch(1);
    AtomicLong blockedCalls = new AtomicLong();
    register(
        0,
        bytes -> {
          blockedCalls.incrementAndGet();
          blocked.countDown();
          awaitUninterruptibly(go);
          return PAGE;
        });
    register(0, bytes -> blockedCalls.incrementAndGet());
    Cache cache = new Cache("c").filled(1, 100);
    register(1, cache);
    fillUntil(0, 0);
    awaitUninterruptibly(blocked);
    assertThrows(NodeMemoryExhaustedException.class, () -> on(0).allocate(PAGE, 1));
    fillUntil(1, LOW - 1);
    passed.acquireUninterruptibly();
    assertNotEquals(0, on(1).tryAllocate(PAGE, 1));
    parts.close();
    go.countDown();
    passed.acquireUninterruptibly();
    assertEquals(1, blockedCalls.get());
  }
}
