/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.spi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.OptionalLong;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayNameGeneration;
import org.junit.jupiter.api.function.Executable;

/**
 * A source under test, what a test has to know of its platform, and the regions that a test
 * reserves: they are released after it.
 */
@DisplayNameGeneration(ClauseNames.class)
public abstract class MemorySourceFixture {
  /** The size of a huge page where OS pages have 4 KiB; a whole multiple of every OS page. */
  protected static final long CHUNK_BYTES = 2L << 20;

  static final int THREADS = 4;

  /** A node with more free memory is not filled. */
  static final long MOST_TO_FILL = 1L << 30;

  /** No machine under test has it. */
  static final int NO_SUCH_NODE = NodeMask.MAX_NODES - 1;

  private final List<Region> live = Collections.synchronizedList(new ArrayList<>());

  /** The source under test; what {@link #open} returned for this test. */
  MemorySource source;

  /**
   * Opens the source under test; called once for each test.
   *
   * @return a source without regions; its machine has no node 1023
   */
  protected abstract MemorySource open();

  /**
   * Names the nodes on which regions are reserved and committed.
   *
   * @param source the source under test
   * @return nodes with memory, at least one; all that have memory unless overridden
   */
  protected NodeMask nodesUnderTest(MemorySource source) {
    return source.machine().withMemory();
  }

  /**
   * Names the nodes over which regions are striped.
   *
   * @param source the source under test
   * @return nodes with memory, at least one; those of {@link #nodesUnderTest} unless overridden
   */
  protected NodeMask nodesToStripe(MemorySource source) {
    return nodesUnderTest(source);
  }

  /**
   * Says whether {@link MemorySource#move} can move pages, and see where they are.
   *
   * @return true unless overridden
   */
  protected boolean moves() {
    return true;
  }

  /**
   * Asks the platform how much is locked in memory.
   *
   * @return what all regions of the source under test, and nobody else whose locks come and go,
   *     have locked; nothing unless overridden
   */
  protected OptionalLong lockedBytes() {
    return OptionalLong.empty();
  }

  /**
   * Limits how much can be locked in memory of the source under test.
   *
   * @param bytes the most that may be locked at a time; {@link Long#MAX_VALUE} for no limit
   * @return false if that cannot be done, as unless overridden
   */
  protected boolean limitLocks(long bytes) {
    return false;
  }

  /**
   * Says whether {@link MemorySource#residency} names the node of each page of a region that lies
   * on several. Counts of whole mappings do not ({@code /proc/self/numa_maps}).
   *
   * @return true unless overridden; if false, a page of such a region may be {@link
   *     Residency#UNKNOWN}
   */
  protected boolean tellsPagesOfStripes() {
    return true;
  }

  /**
   * Says whether {@link MemorySource#freeBytes} follows each commit and purge at once. A kernel's
   * does not: others use the node too, and pages that were freed wait in per-CPU lists, where Linux
   * counts them as used (mm/page_alloc.c, {@code nr_pcp_high}).
   *
   * @return true unless overridden
   */
  protected boolean countsFreeBytesExactly() {
    return true;
  }

  /**
   * Gives a size that can be reserved on a node, and that its memory cannot hold for certain.
   *
   * @param source the source under test
   * @param node a node under test
   * @return a whole multiple of the OS page and at least two chunks; the first multiple of {@link
   *     #CHUNK_BYTES} beyond the node's memory unless overridden. Nothing is a failure: that a full
   *     node is a value can be told of every source
   */
  protected OptionalLong bytesBeyondNode(MemorySource source, int node) {
    long nodeBytes = source.machine().node(node).bytes();
    return OptionalLong.of((nodeBytes / CHUNK_BYTES + 1) * CHUNK_BYTES);
  }

  /**
   * Gives a region that the source under test did not make.
   *
   * @return one that no source made unless overridden
   */
  protected Region foreign() {
    return new Region(firstNode(), CHUNK_BYTES, true, CHUNK_BYTES, List.of());
  }

  /**
   * Says whether one buffer can show a range on both sides of a multiple of {@link
   * MemorySource#ROOT_BYTES}.
   *
   * @return true unless overridden
   */
  protected boolean viewsCrossRoots() {
    return true;
  }

  /**
   * Reserves a region on the first node under test; it is released after the test.
   *
   * @param bytes its size
   * @return the region
   */
  protected final Region reserve(long bytes) {
    return reserve(firstNode(), bytes);
  }

  /**
   * Reserves a region; it is released after the test.
   *
   * @param node its node
   * @param bytes its size
   * @return the region
   */
  protected final Region reserve(int node, long bytes) {
    Region region = source.reserve(node, bytes);
    live.add(region);
    return region;
  }

  /**
   * Reserves a striped region; it is released after the test.
   *
   * @param stripe its nodes
   * @param bytes its size
   * @return the region
   */
  protected final Region reserve(Stripe stripe, long bytes) {
    Region region = source.reserve(stripe, bytes);
    live.add(region);
    return region;
  }

  /**
   * Releases a region before the test ends.
   *
   * @param region what {@link #reserve} returned
   */
  protected final void release(Region region) {
    live.remove(region);
    source.release(region);
  }

  @BeforeEach
  final void openSource() {
    source = open();
  }

  @AfterEach
  final void releaseRegions() {
    live.forEach(source::release);
  }

  final int firstNode() {
    return nodesUnderTest(source).first();
  }

  final void commit(Region region, long offset, long bytes) {
    CommitResult result = source.commit(region, offset, bytes);
    assertTrue(result.isCommitted(), () -> "node=" + region.node() + ", result=" + result);
  }

  final ByteBuffer view(Region region, long offset, int bytes) {
    return source.view(region, offset, bytes);
  }

  /** Asserts that each page is on its node, or there at all where nobody could bind it. */
  final void assertResident(Region region, long offset, long bytes) {
    Residency residency = source.residency(region, offset, bytes);
    assertTrue(
        region.isBound()
            ? isPlaced(residency, region.stripe(), offset / source.osPageBytes())
            : !residency.pagesByNode().containsKey(Residency.NOT_PRESENT),
        () -> "stripe=" + region.stripe() + ", residency=" + residency);
  }

  private boolean isPlaced(Residency residency, Stripe stripe, long firstPage) {
    boolean toldByPage = stripe.isSingle() || tellsPagesOfStripes();
    return IntStream.range(0, residency.pages())
        .allMatch(
            page ->
                residency.node(page) == stripe.node(firstPage + page)
                    || (!toldByPage && residency.node(page) == Residency.UNKNOWN));
  }

  /** Asserts that no page is there, as far as the platform tells. */
  final void assertAbsent(Region region, long offset, long bytes) {
    Residency residency = source.residency(region, offset, bytes);
    assertTrue(
        region.isBound()
            ? residency.isAllOn(Residency.NOT_PRESENT)
            : residency.pagesByNode().keySet().stream().allMatch(node -> node < 0),
        residency::toString);
  }

  final void assertFree(long expectedBytes, int node) {
    if (countsFreeBytesExactly()) {
      assertEquals(expectedBytes, source.freeBytes(node), () -> "node=" + node);
    } else {
      long free = source.freeBytes(node);
      assertTrue(free >= 0 && free <= source.machine().node(node).bytes(), () -> "free=" + free);
    }
  }

  /** Runs a task in {@link #THREADS} threads at once and returns what they returned. */
  final <T> List<T> inThreads(IntFunction<T> task) throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(THREADS);
    try {
      List<Callable<T>> tasks = new ArrayList<>();
      IntStream.range(0, THREADS).forEach(thread -> tasks.add(() -> task.apply(thread)));
      List<T> results = new ArrayList<>();
      for (Future<T> result : threads.invokeAll(tasks)) {
        results.add(result.get());
      }
      return results;
    } finally {
      threads.shutdownNow();
    }
  }

  static String assertIllegal(Executable call) {
    return assertThrows(IllegalArgumentException.class, call).getMessage();
  }

  static void assertStale(Executable call) {
    assertThrows(IllegalStateException.class, call);
  }

  static void fill(ByteBuffer range, int value) {
    range.put(0, filled(range.capacity(), value));
  }

  static void assertFilled(ByteBuffer range, int value) {
    ByteBuffer expected = ByteBuffer.wrap(filled(range.capacity(), value));
    assertEquals(-1, range.mismatch(expected), "first byte that is not " + value);
  }

  static void assertZeros(ByteBuffer range) {
    assertFilled(range, 0);
  }

  private static byte[] filled(int bytes, int value) {
    byte[] array = new byte[bytes];
    Arrays.fill(array, (byte) value);
    return array;
  }
}
