/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.ref.Cleaner;
import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.ForkJoinTask;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.cdmalloc.DeviceNode;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.NodeArena;
import org.cdmalloc.Placement;
import org.cdmalloc.WatchedSource;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/**
 * The right to a device is an object. No thread has it for what it is doing, for who started it, or
 * for where it runs: in these tests all threads run on the device's own CPUs, and implicit requests
 * are made in the middle of a device request.
 */
final class RightsTest {
  private static final int RAM = 0;
  private static final int DEVICE = 1;
  private static final int BYTES = 64 << 10;

  /** The method of the port in which a request holds no lock that others could wait for. */
  private static final String VIEW = "view";

  private static final int VIRTUAL_THREADS_FEATURE = 21;
  private static final int COLLECTIONS_MAX = 100;
  private static final long LIMIT_SECONDS = 60;

  private static final Machine MACHINE =
      Machine.builder()
          .node(Node.of(RAM, "0", 64 << 20))
          .node(Node.of(DEVICE, "1", 64 << 20))
          .build();

  private static final InheritableThreadLocal<DeviceNode> HELD = new InheritableThreadLocal<>();

  /** What is done in the next call of a method of the port. */
  private final Map<String, Runnable> actions = new ConcurrentHashMap<>();

  private final AtomicInteger implicit = new AtomicInteger();
  private final NodeAllocator memory =
      NodeAllocator.builder()
          .source(
              new WatchedSource(EmulatedSource.of(MACHINE, 4096, () -> DEVICE), this::called)
                  .source())
          .deviceNodes(NodeMask.of(DEVICE))
          .open();
  private final DeviceNode device = memory.device(DEVICE);

  @AfterEach
  void close() {
    HELD.remove();
    memory.close();
  }

  private void called(String method) {
    Runnable action = actions.remove(method);
    if (action != null) {
      action.run();
    }
  }

  /** Does something while a device request of this thread is in a call of the port. */
  private void inADeviceRequest(String method, Callable<?> action) {
    device.online();
    int before = implicit.get();
    actions.put(method, () -> done(action));
    ByteBuffer block = device.allocateBuffer(BYTES);
    assertEquals(before + 1, implicit.get(), "implicit requests in " + method);
    assertTrue(memory.residency(block).isAllOn(DEVICE));
    device.free(block);
  }

  private static void done(Callable<?> action) {
    try {
      action.call();
    } catch (Exception e) {
      throw new AssertionError(e);
    }
  }

  /** Makes requests that name no node, and finds all of them in system memory. */
  private void allocateImplicitly() {
    long onDevice = used(DEVICE);
    long onRam = used(RAM);
    long block = memory.allocate(BYTES);
    ByteBuffer buffer = memory.systemView().allocateBuffer(BYTES);
    try (NodeArena arena = memory.arena(Placement.LOCAL)) {
      long inArena = arena.allocate(BYTES);
      assertEquals(onDevice, used(DEVICE));
      assertEquals(onRam + 3 * BYTES, used(RAM));
      assertTrue(memory.residency(block).isAllOn(RAM));
      assertTrue(memory.residency(buffer).isAllOn(RAM));
      assertTrue(memory.residency(inArena).isAllOn(RAM));
    }
    memory.free(block);
    memory.free(buffer);
    implicit.incrementAndGet();
  }

  private long used(int node) {
    return memory.report().node(node).usedBytes();
  }

  private FutureTask<Void> implicitRequests() {
    return new FutureTask<>(this::allocateImplicitly, null);
  }

  private static Void await(FutureTask<Void> task) throws Exception {
    return task.get(LIMIT_SECONDS, TimeUnit.SECONDS);
  }

  @Test
  void aCallbackInsideADeviceCallAllocatesImplicitly() {
    for (String method : List.of("commit", VIEW)) {
      inADeviceRequest(
          method,
          () -> {
            allocateImplicitly();
            return null;
          });
    }
  }

  @Test
  void aChildThreadAllocatesImplicitly() {
    HELD.set(device);
    inADeviceRequest(
        VIEW,
        () -> {
          FutureTask<Void> task =
              new FutureTask<>(
                  () -> {
                    // Having the object is not naming it.
                    assertSame(device, HELD.get());
                    allocateImplicitly();
                  },
                  null);
          new Thread(task).start();
          return await(task);
        });
  }

  @Test
  void aForkJoinTaskAllocatesImplicitly() throws Exception {
    ForkJoinPool pool = new ForkJoinPool(1);
    try {
      // The only thread, which makes the device request, runs the task to which it waits.
      pool.submit(
              () ->
                  inADeviceRequest(
                      VIEW, () -> ForkJoinTask.adapt(this::allocateImplicitly).fork().join()))
          .get(LIMIT_SECONDS, TimeUnit.SECONDS);
    } finally {
      pool.shutdownNow();
    }
  }

  @Test
  void aVirtualThreadAllocatesImplicitly() throws Exception {
    assumeTrue(Runtime.version().feature() >= VIRTUAL_THREADS_FEATURE);
    Method start = Thread.class.getMethod("startVirtualThread", Runnable.class);
    inADeviceRequest(
        VIEW,
        () -> {
          FutureTask<Void> task = implicitRequests();
          start.invoke(null, task);
          return await(task);
        });
  }

  @Test
  void aCleanerAllocatesImplicitly() {
    inADeviceRequest(
        VIEW,
        () -> {
          FutureTask<Void> task = implicitRequests();
          // Its thread is a child of this one.
          Cleaner.create(Thread::new).register(new Object(), task);
          for (int i = 0; i < COLLECTIONS_MAX && !task.isDone(); i++) {
            System.gc();
          }
          return await(task);
        });
  }
}
