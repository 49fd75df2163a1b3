/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.cdmalloc.NaivePlacement;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.NodeMemoryExhaustedException;
import org.cdmalloc.NodeMemoryExhaustedException.Attempt;
import org.cdmalloc.NodeMemoryExhaustedException.Reason;
import org.cdmalloc.NodeReport;
import org.cdmalloc.NumaCounters;
import org.cdmalloc.Placement;
import org.cdmalloc.internal.address.BufferAddress;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Region;
import org.cdmalloc.spi.Residency;
import org.cdmalloc.spi.Stripe;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.NodeMask;

/**
 * A table of placements on one machine: for callers on each node, for every set of system nodes
 * that are full, blocks of many sizes, and the node of each of their OS pages by the kernel's
 * rules, as {@link NaivePlacement} tells them. Its allocators serve all tests, until it is closed:
 * filling nodes is most of the work.
 */
final class PlacementTable {
  private static final int PAGE = 4096;

  /** Four times what is committed at a time. */
  private static final int CAPACITY = 8 << 20;

  private static final int COMMIT_BYTES = 2 << 20;

  /** The default: 2048 pages / 256, and a quarter of that. */
  private static final int LOW_MARK = 10 * PAGE;

  /** Blocks below the size of an OS page go round; of these there are more than in any round. */
  private static final int SMALL_BLOCKS = 7;

  /** What makes a node full. */
  enum Filling {
    /** This allocator holds all of the node's capacity. */
    BY_US(Reason.FULL, Reason.LOW_MARK),
    /** This allocator has the node's low mark left, for requests that insist on it. */
    TO_THE_LOW_MARK(null, Reason.LOW_MARK),
    /** Other processes hold all of the node's memory. */
    BY_OTHERS(Reason.MEMORY_REFUSED, Reason.MEMORY_REFUSED);

    /** Why a request is turned away that insists on the node; null if it is not. */
    private final Reason insisting;

    private final Reason others;

    Filling(Reason insisting, Reason others) {
      this.insisting = insisting;
      this.others = others;
    }

    private Reason why(Placement placement) {
      return NaivePlacement.insists(placement) ? insisting : others;
    }
  }

  /**
   * A machine.
   *
   * @param name for messages
   * @param machine with three system nodes, a node without memory, and devices
   * @param listsByHand the system nodes in the order in which a node's callers try them
   */
  record Shape(String name, Machine machine, Map<Integer, List<Integer>> listsByHand) {
    NodeMask devices() {
      return machine.memoryOnly();
    }

    NodeMask system() {
      return machine.withMemory().without(devices());
    }

    int withoutMemory() {
      return machine.online().without(machine.withMemory()).first();
    }

    List<Integer> callers() {
      return machine.online().stream().boxed().toList();
    }

    NaivePlacement rules() {
      return new NaivePlacement(machine, devices());
    }

    /** All sets of system nodes, the empty one too. */
    List<NodeMask> subsets() {
      int[] nodes = system().stream().toArray();
      List<NodeMask> subsets = new ArrayList<>();
      for (int bits = 0; bits < 1 << nodes.length; bits++) {
        NodeMask subset = NodeMask.EMPTY;
        for (int i = 0; i < nodes.length; i++) {
          subset = (bits & 1 << i) == 0 ? subset : subset.or(NodeMask.of(nodes[i]));
        }
        subsets.add(subset);
      }
      return subsets;
    }

    NodeAllocator open() {
      return open(PAGE);
    }

    NodeAllocator open(int osPageBytes) {
      return open(EmulatedSource.of(machine, osPageBytes, () -> system().first()));
    }

    private NodeAllocator open(MemorySource source) {
      NodeAllocator.Builder builder =
          NodeAllocator.builder().source(source).purgeDelay(Duration.ZERO).magazineBytes(0);
      machine.withMemory().stream().forEach(node -> builder.capacity(node, CAPACITY));
      return builder.open();
    }

    @Override
    public String toString() {
      return name;
    }
  }

  /** Sizes around those of pages, whole and cut pages, and more than is committed at a time. */
  static List<Long> sizes(int osPageBytes) {
    long osPage = osPageBytes;
    return List.of(
        0L,
        PAGE - 1L,
        (long) PAGE,
        osPage - 1,
        osPage,
        osPage + 1,
        3 * osPage,
        67L << 10,
        1L << 20,
        (2L << 20) + 1);
  }

  private final Shape shape;
  private final int osPageBytes;
  private final Filling filling;

  /** By the nodes that are full. */
  private final Map<NodeMask, Rows> rows = new HashMap<>();

  /**
   * Makes a table.
   *
   * @param shape the machine
   * @param osPageBytes the size of its pages
   * @param filling what makes a node full
   */
  PlacementTable(Shape shape, int osPageBytes, Filling filling) {
    this.shape = shape;
    this.osPageBytes = osPageBytes;
    this.filling = filling;
  }

  Shape shape() {
    return shape;
  }

  /** Checks all rows of some placements. */
  void check(List<Placement> placements) {
    for (NodeMask full : shape.subsets()) {
      if (filling == Filling.BY_US || !full.isEmpty()) {
        rows.computeIfAbsent(full, Rows::new).check(placements);
      }
    }
  }

  /** Closes the allocators; not by the interface, or JUnit would after each test. */
  void close() {
    rows.values().forEach(row -> row.memory.close());
  }

  @Override
  public String toString() {
    return shape + ", osPage=" + osPageBytes + ", full " + filling;
  }

  /** The rows in which the same nodes are full: one allocator, and what it placed so far. */
  private final class Rows {
    private final NaivePlacement rules = shape.rules();
    private final AtomicInteger caller = new AtomicInteger();
    private final EmulatedSource source =
        EmulatedSource.of(shape.machine(), osPageBytes, caller::get);
    private final Map<Stripe, Region> regions = new HashMap<>();
    private final NodeMask full;
    private final NodeAllocator memory;

    /** How many blocks of a placement went round before. */
    private final Map<Placement, Integer> turns = new HashMap<>();

    private final List<Long> blocks = new ArrayList<>();
    private String row;

    Rows(NodeMask full) {
      this.full = full;
      this.memory = shape.open(remembering());
      caller.set(shape.system().first());
      shape.devices().stream().forEach(node -> memory.device(node).online());
      full.stream().forEach(this::fill);
    }

    /** A source that remembers where regions begin. */
    private MemorySource remembering() {
      return new InterceptedSource(source) {
        @Override
        <T> T intercept(Invocation<T> invocation) {
          T result = invocation.effect().happen();
          if (result instanceof Region region) {
            regions.put(region.stripe(), region);
          }
          return result;
        }
      };
    }

    void check(List<Placement> placements) {
      for (Placement placement : placements) {
        for (int node : shape.callers()) {
          caller.set(node);
          row =
              String.format(
                  Locale.ROOT,
                  "%s, osPage=%d, caller=%d, full=[%s] %s, %s",
                  shape,
                  osPageBytes,
                  node,
                  full,
                  filling,
                  placement);
          try {
            checkRow(placement);
          } finally {
            blocks.forEach(memory::free);
            blocks.clear();
          }
        }
        if (interleaves(placement)) {
          // What its striped zone keeps would not be there for the zones of the next placement.
          memory.trim();
        }
      }
      devicesAreUntouched();
    }

    private void fill(int node) {
      switch (filling) {
        case BY_US -> memory.allocate(CAPACITY, Placement.onNode(node));
        case TO_THE_LOW_MARK -> memory.allocate(CAPACITY - LOW_MARK, Placement.onNode(node));
        case BY_OTHERS -> {
          long bytes = source.freeBytes(node);
          assertTrue(source.commit(source.reserve(node, bytes), 0, bytes).isCommitted());
        }
      }
    }

    private void checkRow(Placement placement) {
      // What is left above nothing and below the low mark is little.
      List<Long> sizes =
          filling == Filling.TO_THE_LOW_MARK ? List.of(1L, 4096L, 8192L) : sizes(osPageBytes);
      for (long bytes : sizes) {
        boolean goesRound =
            interleaves(placement) && bytes < osPageBytes && filling != Filling.TO_THE_LOW_MARK;
        for (int i = 0; i < (goesRound ? SMALL_BLOCKS : 1); i++) {
          checkBlock(placement, bytes, i % 2 == 0);
        }
      }
    }

    private void checkBlock(Placement placement, long bytes, boolean byView) {
      boolean dealt = rules.isDealtOut(placement, bytes, osPageBytes);
      List<Integer> order =
          dealt
              ? rules.insteadOfDealing(placement, caller.get())
              : rules.order(placement, caller.get(), turn(placement));
      Reason why = filling.why(placement);
      List<Integer> withRoom =
          order.stream().filter(node -> why == null || !full.contains(node)).toList();
      if (withRoom.isEmpty()) {
        checkRefusal(placement, bytes, dealt, order, why);
        return;
      }
      long block =
          byView ? memory.at(placement).tryAllocate(bytes) : memory.tryAllocate(bytes, placement);
      assertNotEquals(0, block, () -> row + ", refused: bytes=" + bytes);
      blocks.add(block);
      Residency found = memory.residency(block);
      List<Integer> round = dealt ? rules.round(placement) : List.of();
      long offset = dealt ? offsetInStripe(round, block) : -1;
      boolean isDealt = offset >= 0;
      if (full.and(placement.nodes()).isEmpty()) {
        assertEquals(dealt, isDealt, () -> row + ", dealt out: bytes=" + bytes);
      } else if (round.size() <= COMMIT_BYTES / osPageBytes) {
        // All nodes take part in whatever is committed; in longer rounds a full one may have none.
        assertFalse(isDealt, () -> row + ", dealt out: bytes=" + bytes);
      }
      for (int page = 0; page < found.pages(); page++) {
        long inRegion = offset / osPageBytes + page;
        int expected = isDealt ? round.get((int) (inRegion % round.size())) : withRoom.get(0);
        int at = page;
        assertEquals(expected, found.node(page), () -> row + ", bytes=" + bytes + ", page=" + at);
      }
      long osPages = (Math.max(1, bytes) + osPageBytes - 1) / osPageBytes;
      assertEquals(osPages, found.pages(), () -> row + ", bytes=" + bytes);
    }

    private int turn(Placement placement) {
      return turns.merge(placement, 1, Integer::sum) - 1;
    }

    /** Returns where a block begins in the region of an interleaving, or −1 if it is elsewhere. */
    private long offsetInStripe(List<Integer> round, long block) {
      Map<Integer, Integer> weights = new HashMap<>();
      round.forEach(node -> weights.merge(node, 1, Integer::sum));
      Region region = regions.get(Stripe.weighted(weights));
      long offset = block - BufferAddress.of(region.roots().get(0));
      if (offset < 0 || offset >= region.bytes()) {
        return -1;
      }
      assertEquals(0, offset % osPageBytes, () -> row);
      return offset;
    }

    private static boolean interleaves(Placement placement) {
      return placement.mode() == Placement.Mode.INTERLEAVE
          || placement.mode() == Placement.Mode.WEIGHTED_INTERLEAVE;
    }

    /** The exception names what was tried, in order, and nothing is taken. */
    private void checkRefusal(
        Placement placement, long bytes, boolean dealt, List<Integer> order, Reason why) {
      NodeMemoryExhaustedException refused =
          assertThrows(
              NodeMemoryExhaustedException.class,
              () -> blocks.add(memory.allocate(bytes, placement)),
              () -> row + ", served: bytes=" + bytes);
      List<Integer> tried = new ArrayList<>(order);
      if (dealt) {
        // The striped zone, by its first node.
        tried.add(0, rules.round(placement).get(0));
      }
      assertEquals(
          tried,
          refused.attempts().stream().map(Attempt::node).toList(),
          () -> row + ", bytes=" + bytes);
      for (Attempt attempt : refused.attempts()) {
        assertEquals(why, attempt.reason(), () -> row + ", bytes=" + bytes + ": " + refused);
        String words = "node=" + attempt.node() + ": " + why.words();
        assertTrue(refused.getMessage().contains(words), () -> row + ": " + refused);
      }
      assertTrue(refused.getMessage().contains("placement=" + placement), () -> row + refused);
    }

    private void devicesAreUntouched() {
      for (int device : shape.devices().stream().toArray()) {
        NodeReport report = memory.report().node(device);
        assertEquals(NumaCounters.ZERO, report.counters());
        assertEquals(0, report.committedBytes());
        assertEquals(
            shape.machine().node(device).bytes(), source.freeBytes(device), () -> "device memory");
      }
    }
  }
}
