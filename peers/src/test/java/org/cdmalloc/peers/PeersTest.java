/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.peers;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.netty.util.concurrent.FastThreadLocalThread;
import io.netty.util.internal.PlatformDependent;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Every peer that works here survives every work, without JMH. */
@Timeout(60)
final class PeersTest {
  private static final int TIMES = 20;
  private static final int HANDED_OVER = 3 * HandOver.COUNT;

  private static Stream<String> working() {
    return Peers.NAMES.stream().filter(name -> Peers.obstacle(name).isEmpty());
  }

  private static Sizes mix() {
    return Sizes.of(Sizes.table(Sizes.MIX), 0);
  }

  /** Runs the sides of a work, each on a thread as forks have them. */
  private static void onThreads(Peer peer, List<Callable<Void>> sides) throws Exception {
    ExecutorService threads = new FastThreads(sides.size(), "test");
    try {
      List<Future<Void>> futures =
          threads.invokeAll(
              sides.stream()
                  .<Callable<Void>>map(
                      side ->
                          () -> {
                            peer.enterThread();
                            return side.call();
                          })
                  .toList());
      for (Future<Void> future : futures) {
        future.get();
      }
    } finally {
      threads.shutdown();
      assertTrue(threads.awaitTermination(30, TimeUnit.SECONDS));
    }
  }

  @ParameterizedTest
  @MethodSource("working")
  void pairsAndBatchesAndChurn(String name) throws Exception {
    try (Peer peer = Peers.open(name)) {
      Callable<Void> side =
          () -> {
            Sizes sizes = mix();
            for (int i = 0; i < TIMES; i++) {
              peer.pair(sizes.next());
            }
            for (FreeOrder order : FreeOrder.values()) {
              new Batch(peer, sizes, order).run();
            }
            Churn churn = new Churn(peer, Sizes.of(Sizes.table("256"), 0), 1);
            for (int i = 0; i < TIMES; i++) {
              churn.step();
            }
            churn.drain();
            return null;
          };
      onThreads(peer, List.of(side, side));
    }
  }

  @ParameterizedTest
  @MethodSource("working")
  void handOver(String name) throws Exception {
    try (Peer peer = Peers.open(name)) {
      if (!peer.handsOver()) {
        return;
      }
      HandOver ring = new HandOver(peer);
      Callable<Void> producer =
          () -> {
            Sizes sizes = Sizes.of(Sizes.table("256"), 0);
            for (int i = 0; i < HANDED_OVER; i++) {
              int bytes = sizes.next();
              while (!ring.allocate(bytes)) {
                Thread.onSpinWait();
              }
            }
            return null;
          };
      Callable<Void> consumer =
          () -> {
            for (int i = 0; i < HANDED_OVER - 10; i++) {
              while (!ring.free()) {
                Thread.onSpinWait();
              }
            }
            return null;
          };
      onThreads(peer, List.of(producer, consumer));
      peer.enterThread();
      ring.drain();
    }
  }

  @Test
  void aRingHoldsWhatItSaysAndHandsOverInOrder() {
    Recorder recorder = new Recorder();
    HandOver ring = new HandOver(recorder);
    for (int i = 0; i < HandOver.COUNT; i++) {
      assertTrue(ring.allocate(i + 1));
    }
    assertEquals(false, ring.allocate(1));
    assertTrue(ring.free());
    assertEquals(1, recorder.lastFreed);
    assertTrue(ring.allocate(HandOver.COUNT + 1));
    ring.drain();
    assertEquals(HandOver.COUNT + 1, recorder.lastFreed);
    assertEquals(0, recorder.live);
    assertEquals(false, ring.free());
  }

  @Test
  void aBatchHoldsAllOfItsBlocksAtOnce() {
    Recorder recorder = new Recorder();
    new Batch(recorder, Sizes.of(Sizes.table("64"), 0), FreeOrder.RANDOM).run();
    assertEquals(Batch.COUNT, recorder.most);
    assertEquals(0, recorder.live);
  }

  @Test
  void churnHoldsAsManyBlocksAllTheTime() {
    Recorder recorder = new Recorder();
    Churn churn = new Churn(recorder, mix(), 1);
    for (int i = 0; i < TIMES; i++) {
      churn.step();
      assertEquals(Churn.COUNT, recorder.live);
    }
    assertEquals(Churn.COUNT, recorder.most);
    churn.drain();
    assertEquals(0, recorder.live);
  }

  @Test
  void whatDoesNotWorkHereSaysWhy() {
    List<String> neverLeftOut =
        List.of("cdmalloc-address", "unsafe", "netty-adaptive", "arrow-unsafe", "nio-direct");
    for (String name : Peers.NAMES) {
      Optional<String> obstacle = Peers.obstacle(name);
      assertTrue(obstacle.isEmpty() || !neverLeftOut.contains(name), name + ": " + obstacle);
      obstacle.ifPresent(why -> assertNotEquals("", why, name));
    }
    if (System.getProperty("os.name").equals("Linux")
        && System.getProperty("os.arch").equals("amd64")) {
      assertEquals(Optional.empty(), Peers.obstacle("lwjgl-rpmalloc"));
      assertEquals(Optional.empty(), Peers.obstacle("lwjgl-jemalloc"));
    }
    int jdk = Runtime.version().feature();
    Optional<String> tooOld =
        jdk < 22 ? Optional.of("needs JDK 22, this is " + jdk) : Optional.empty();
    for (String name : List.of("ffm-malloc", "ffm-arena")) {
      assertEquals(tooOld, Peers.obstacle(name));
      assertEquals(tooOld, Peers.obstacle(name), "asked again");
    }
  }

  /** Without them Netty would be measured at less than its best. */
  @Test
  void nettyFindsWhatItWantsForItsBest() throws Exception {
    assertTrue(PlatformDependent.hasUnsafe());
    assertTrue(PlatformDependent.useDirectBufferNoCleaner());
    onThreads(
        new Nothing(),
        List.of(
            () -> {
              assertTrue(FastThreadLocalThread.currentThreadWillCleanupFastThreadLocals());
              return null;
            }));
  }

  @Test
  void aPeerThatNobodyKnowsIsRefused() {
    assertEquals(
        "no peer: name=malloc",
        assertThrows(IllegalArgumentException.class, () -> Peers.open("malloc")).getMessage());
  }

  @Test
  void memoryThatIsNotThereIsAnError() {
    AddressPeer empty =
        new AddressPeer() {
          @Override
          long allocate(int bytes) {
            return 0;
          }

          @Override
          void free(long address) {}
        };
    assertThrows(OutOfMemoryError.class, () -> empty.pair(64));
    assertThrows(OutOfMemoryError.class, () -> empty.slots(1).allocate(0, 64));
  }

  /** Counts. */
  private static final class Recorder extends AddressPeer {
    private int live;
    private int most;
    private long lastFreed;

    @Override
    long allocate(int bytes) {
      live++;
      most = Math.max(most, live);
      return bytes;
    }

    @Override
    void free(long address) {
      live--;
      lastFreed = address;
    }
  }
}
