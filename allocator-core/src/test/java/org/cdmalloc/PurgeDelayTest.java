/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import org.cdmalloc.spi.AddressOnlySource;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The thread that gives memory back after a while. Every wait is for an event, with a limit. */
@Timeout(60)
final class PurgeDelayTest {
  private static final long UNIT = 2 << 20;
  private static final Duration SHORTEST = Duration.ofMillis(10);

  static Machine machine() {
    return Machine.builder().node(Node.of(0, "0", 64L << 20)).build();
  }

  private static NodeAllocator open(WatchedSource.Watcher watcher) {
    return NodeAllocator.builder()
        .source(new WatchedSource(AddressOnlySource.of(machine()), watcher).source())
        .purgeDelay(SHORTEST)
        .open();
  }

  private static void await(CountDownLatch event) throws InterruptedException {
    assertTrue(event.await(30, TimeUnit.SECONDS), "did not happen");
  }

  @Test
  void memoryGoesBackThoughNobodyAsks() throws InterruptedException {
    AtomicReference<Thread> purger = new AtomicReference<>();
    CountDownLatch purged = new CountDownLatch(3);
    try (NodeAllocator memory =
        open(
            method -> {
              if (method.equals("purge")) {
                purger.set(Thread.currentThread());
                purged.countDown();
              }
            })) {
      // Units 0, 2 and 4: three ranges, so three calls.
      long[] blocks = new long[6];
      for (int i = 0; i < blocks.length; i++) {
        blocks[i] = memory.allocate(UNIT);
      }
      for (int i = 0; i < blocks.length; i += 2) {
        memory.free(blocks[i]);
      }
      await(purged);
      assertEquals("cdmalloc-upkeep", purger.get().getName());
      assertTrue(purger.get().isDaemon());
      // The call that was seen last may be under way; what is in use stays.
      memory.trim();
      assertEquals(3 * UNIT, memory.report().node(0).committedBytes());
    }
  }

  @Test
  void aPurgeThatFailsIsLoggedAndTheThreadGoesOn() throws InterruptedException {
    AtomicInteger calls = new AtomicInteger();
    CountDownLatch purged = new CountDownLatch(2);
    CountDownLatch logged = new CountDownLatch(1);
    AtomicReference<LogRecord> warning = new AtomicReference<>();
    Handler handler =
        new Handler() {
          @Override
          public void publish(LogRecord record) {
            if (record.getThrown() instanceof NativeCallException) {
              warning.set(record);
              logged.countDown();
            }
          }

          @Override
          public void flush() {}

          @Override
          public void close() {}
        };
    Logger logger = Logger.getLogger("org.cdmalloc");
    logger.addHandler(handler);
    logger.setUseParentHandlers(false);
    try (NodeAllocator memory =
        open(
            method -> {
              if (method.equals("purge")) {
                purged.countDown();
                if (calls.incrementAndGet() == 1) {
                  throw new NativeCallException("madvise", 11, "EAGAIN", "test=true");
                }
              }
            })) {
      memory.free(memory.allocate(UNIT));
      await(logged);
      assertEquals("memory could not be given back to the kernel", warning.get().getMessage());
      // The next look purges what was used since.
      memory.free(memory.allocate(UNIT));
      await(purged);
    } finally {
      logger.removeHandler(handler);
      logger.setUseParentHandlers(true);
    }
  }

  @Test
  void oneThreadServesAllAllocators() throws InterruptedException {
    CountDownLatch purged = new CountDownLatch(8);
    List<Thread> purgers = new CopyOnWriteArrayList<>();
    NodeAllocator[] allocators = new NodeAllocator[8];
    for (int i = 0; i < allocators.length; i++) {
      allocators[i] =
          open(
              method -> {
                if (method.equals("purge")) {
                  purgers.add(Thread.currentThread());
                  purged.countDown();
                }
              });
      allocators[i].free(allocators[i].allocate(UNIT));
    }
    await(purged);
    for (NodeAllocator allocator : allocators) {
      allocator.close();
    }
    assertEquals(1, purgers.stream().distinct().count());
  }

  /** In a JVM of its own, whose threads no other test started. */
  @Test
  void withoutADelayThereIsNoThreadAndWithOneItKeepsNoJvmAlive() throws Exception {
    String classes = location(NodeAllocator.class) + File.pathSeparator + location(getClass());
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-cp",
                classes,
                Threads.class.getName())
            .redirectErrorStream(true)
            .start();
    if (!process.waitFor(30, TimeUnit.SECONDS)) {
      process.destroyForcibly();
      throw new AssertionError("a thread keeps the JVM alive");
    }
    String output = new String(process.getInputStream().readAllBytes(), UTF_8);
    assertEquals("", output);
    assertEquals(0, process.exitValue());
  }

  private static String location(Class<?> type) throws Exception {
    return Path.of(type.getProtectionDomain().getCodeSource().getLocation().toURI()).toString();
  }

  /** Counts the upkeep threads with each delay, and ends with allocators open. */
  static final class Threads {
    private Threads() {}

    public static void main(String[] arguments) {
      NodeAllocator never = openFor(Duration.ZERO);
      never.free(never.allocate(UNIT));
      require(0, "zero");
      NodeAllocator later = openFor(Duration.ofSeconds(1));
      later.free(later.allocate(UNIT));
      require(1, "one second");
    }

    private static void require(long expected, String delay) {
      if (threads() != expected) {
        throw new AssertionError("upkeep threads with delay " + delay + ": " + threads());
      }
    }

    private static NodeAllocator openFor(Duration delay) {
      return NodeAllocator.builder()
          .source(AddressOnlySource.of(machine()))
          .purgeDelay(delay)
          .open();
    }

    private static long threads() {
      return Thread.getAllStackTraces().keySet().stream()
          .filter(thread -> thread.getName().equals("cdmalloc-upkeep"))
          .count();
    }
  }
}
