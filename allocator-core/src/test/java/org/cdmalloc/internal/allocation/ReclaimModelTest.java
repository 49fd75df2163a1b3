/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.LongStream;
import org.cdmalloc.Checks;
import org.cdmalloc.Placement;
import org.cdmalloc.Shrinker;
import org.cdmalloc.Zeroing;
import org.cdmalloc.internal.zone.Seeds;
import org.cdmalloc.spi.AddressOnlySource;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Random lives of two nodes whose memory is used by caches, and by others who keep theirs: as long
 * as a node's caches hold enough, no request for it fails, and no cache of the other node is asked.
 */
final class ReclaimModelTest {
  private static final int STEPS = 4_000;
  private static final int PAGE = 4096;
  private static final int PAGES = 1024;

  /** Of all blocks: of one size, so that whatever is free serves. */
  private static final int BLOCK_PAGES = 4;

  private static final long BLOCK_BYTES = BLOCK_PAGES * PAGE;
  private static final int BLOCKS = PAGES / BLOCK_PAGES;
  private static final int NODES = 2;
  private static final long[] shrunk = new long[NODES];

  static LongStream seeds() {
    return Seeds.upTo(40);
  }

  /** Says that caches gave what the requests got; not of a single life. */
  @AfterAll
  static void cachesGave() {
    boolean isWhole = Long.getLong("seed") == null;
    assertTrue(
        !isWhole || Arrays.stream(shrunk).allMatch(blocks -> blocks > 5_000),
        () -> Arrays.toString(shrunk));
  }

  @ParameterizedTest
  @MethodSource("seeds")
  void noRequestFailsAsLongAsCachesHoldEnough(long seed) {
    Episode episode = new Episode(seed);
    try {
      for (int step = 0; step < STEPS; step++) {
        String at = "-Dseed=" + seed + ", step=" + step;
        try {
          episode.step();
          episode.compare();
        } catch (RuntimeException | AssertionError e) {
          throw new AssertionError(at + ": " + e.getMessage(), e);
        }
      }
    } finally {
      episode.parts.close();
    }
  }

  private static final class Episode {
    final Assembly parts;
    private final SplittableRandom random;
    private final AtomicLong clock = new AtomicLong();
    private final List<List<Cache>> caches = new ArrayList<>();
    private final List<List<Long>> kept = new ArrayList<>();
    private final List<Requests> requests = new ArrayList<>();

    /** The node on which a request is in work: shrinkers of no other may be called. */
    private int pressed;

    private boolean wrong;

    Episode(long seed) {
      random = new SplittableRandom(seed);
      Machine machine =
          Machine.builder()
              .node(Node.of(0, "0", 64L << 20))
              .node(Node.of(1, "1", 64L << 20))
              .build();
      long bytes = (long) PAGES * PAGE;
      parts =
          Assembly.of(
              AddressOnlySource.of(machine),
              NodeMask.EMPTY,
              List.of(),
              new Assembly.Settings(
                  Map.of(0, bytes, 1, bytes),
                  Map.of(),
                  Map.of(),
                  Zeroing.NEVER,
                  Checks.STANDARD,
                  Duration.ZERO,
                  Duration.ZERO,
                  0),
              nodes ->
                  new Reclaim(nodes, node -> Runnable::run, clock::get, TimeUnit.HOURS.toNanos(1)));
      for (int node = 0; node < NODES; node++) {
        Placement placement = Placement.onNode(node);
        requests.add(
            new SystemRequests(parts.allocation(), placement, parts.system().of(placement)));
        kept.add(new ArrayList<>());
        caches.add(new ArrayList<>());
        for (int i = 0; i < 3; i++) {
          Cache cache = new Cache(node);
          caches.get(node).add(cache);
          parts.allocation().reclaim().register(node, cache);
        }
      }
    }

    /** A cache that gives more or less than it is asked for, and says what it likes. */
    private final class Cache implements Shrinker {
      private final int node;
      private final List<Long> blocks = new ArrayList<>();

      Cache(int node) {
        this.node = node;
      }

      @Override
      public long shrink(long bytes) {
        // What a shrinker throws is contained: it is told later.
        wrong |= pressed != node || bytes <= 0;
        long most = Math.max(1, (bytes / BLOCK_BYTES + 1) * random.nextInt(1, 4) / 2);
        int count = (int) Math.min(blocks.size(), most);
        for (int i = 0; i < count; i++) {
          parts.allocation().free(blocks.remove(random.nextInt(blocks.size())));
        }
        shrunk[node] += count;
        return count == 0 ? -random.nextInt(3) : 1 + random.nextLong(2 * BLOCK_BYTES);
      }
    }

    void step() {
      clock.addAndGet(random.nextLong(TimeUnit.MILLISECONDS.toNanos(4)));
      int node = random.nextInt(NODES);
      pressed = node;
      int choice = random.nextInt(10);
      if (choice < 5) {
        Cache cache = caches.get(node).get(random.nextInt(caches.get(node).size()));
        long block = allocate(node);
        if (block != 0) {
          cache.blocks.add(block);
        }
      } else if (choice < 8) {
        long block = allocate(node);
        if (block != 0) {
          kept.get(node).add(block);
        }
      } else if (!kept.get(node).isEmpty()) {
        List<Long> blocks = kept.get(node);
        parts.allocation().free(blocks.remove(random.nextInt(blocks.size())));
      }
    }

    private int cached(int node) {
      return caches.get(node).stream().mapToInt(cache -> cache.blocks.size()).sum();
    }

    private long allocate(int node) {
      boolean holdsEnough = cached(node) + kept.get(node).size() < BLOCKS || cached(node) > 0;
      long block = requests.get(node).tryAllocate(BLOCK_BYTES, 1);
      assertEquals(holdsEnough, block != 0, "cached=" + cached(node));
      return block;
    }

    void compare() {
      assertFalse(wrong, "a cache of another node was asked, or for nothing");
      for (int node = 0; node < NODES; node++) {
        int number = node;
        int used = cached(node) + kept.get(node).size();
        BackedZone zone =
            parts.allocation().zones().stream()
                .filter(each -> each.node() == number)
                .findFirst()
                .orElseThrow();
        assertEquals(PAGES - used * BLOCK_PAGES, zone.zone().freePages());
      }
    }
  }
}
