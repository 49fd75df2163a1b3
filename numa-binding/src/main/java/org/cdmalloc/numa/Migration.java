/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.cdmalloc.NodeAccessException;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.Diagnosis;
import org.cdmalloc.spi.MoveResult;
import org.cdmalloc.spi.Residency;
import org.cdmalloc.topology.NodeMask;

/**
 * How committed pages are moved to another node while others read and write them. The caller holds
 * the locks of the region's nodes and of the target.
 */
final class Migration {
  /*
   * Algorithmic notes.
   *
   * Migration gives up with ENOMEM where a touch would kill: it asks for pages of the target alone,
   * and charges no control group. All the same a full target is found out before, chunk by chunk,
   * because migration reclaims and swaps what others have there.
   *
   * Policy. What is swapped out comes back where the policy says, so it has to name the nodes on which
   * the pages are. It is widened to the target before the first page moves, which is the one step that
   * can want for a mapping, and narrowed to the target after the last, if none stayed. Between the two
   * no fault can find all of its nodes full that did not before.
   *
   * Huge pages. To move a part of one moves all of it, and its other pages are somebody else's. So
   * those at the ends of the range are split before: MADV_COLD of a part does that, where the page is
   * neither locked nor pinned; part of a huge page that is locked in memory stays. Whether it did is
   * seen from the neighbours: those that came along are sent back, and what then goes back with them
   * is told as not moved.
   *
   * A split since Linux 6.12 maps those of its pages that hold zeros to the page of zeros (mm/migrate.c,
   * try_to_map_unused_to_zeropage): committed memory is gone that nobody gave back, and a write to it
   * would have to find room under BIND. So there must be room on the node for the pages of a chunk before
   * it is split, and what is then absent is brought in at once: of neighbours on their own nodes, of the
   * range from the target first, under the policy that names the other nodes too.
   *
   * Truth. What move_pages says of each page is not used: after an error it means nothing, and of huge
   * pages it says EBUSY of pages that moved. All pages are asked for afterwards; those that stayed are
   * tried once more, and the first of each run of them alone, whose answer then is the reason.
   */

  private static final long CHUNK_BYTES = CommitProtocol.CHUNK_BYTES;

  private final Kernel kernel;
  private final Headroom headroom;
  private final ResidencyQuery residency;
  private final MappingBudget budget;
  private final Diagnosis diagnosis;
  private final boolean populates;
  private final int pageBytes;

  Migration(
      Kernel kernel,
      Headroom headroom,
      ResidencyQuery residency,
      MappingBudget budget,
      Capability capability) {
    this.kernel = kernel;
    this.headroom = headroom;
    this.residency = residency;
    this.budget = budget;
    this.diagnosis = capability.diagnosis();
    this.populates = capability.populates();
    this.pageBytes = kernel.pageBytes();
  }

  /** One move: its range, where to, and how far it came. */
  private final class Move {
    private final LinuxRegion region;
    private final long start;
    private final long end;
    private final int node;

    /** Why nothing behind a page was tried, and that page; else empty, and the end. */
    private String obstacle = "";

    private int reached;

    Move(LinuxRegion region, long start, long end, int node) {
      this.region = region;
      this.start = start;
      this.end = end;
      this.node = node;
      this.reached = page(end);
    }

    int page(long offset) {
      return (int) ((offset - start) / pageBytes);
    }

    long address(int page) {
      return region.address() + start + (long) page * pageBytes;
    }

    Residency ask() {
      return residency.ask(region, start, end - start);
    }

    /** Moves what is not there yet, chunk by chunk. */
    void moveChunks(Residency before) {
      for (long at = start; at < end; ) {
        long next = Math.min(end, (at / CHUNK_BYTES + 1) * CHUNK_BYTES);
        int[] pages = elsewhere(before, page(at), page(next));
        if (pages.length > 0 && !moveChunk(at, next, pages)) {
          reached = page(at);
          return;
        }
        at = next;
      }
    }

    private boolean moveChunk(long from, long to, int[] pages) {
      CommitResult room = headroom.checkMove(node, (long) pages.length * pageBytes);
      if (!room.isCommitted()) {
        obstacle = room.detail();
        return false;
      }
      if (to - from < CHUNK_BYTES && hasRoomToSplit()) {
        // Whether it worked is seen from the neighbours.
        kernel.advise(region.address() + from, to - from, Kernel.MADV_COLD);
      }
      int errno = move(pages);
      if (errno != 0 && errno != Errno.ENOMEM) {
        obstacle = "move_pages=" + Errno.name(errno);
      }
      return obstacle.isEmpty();
    }

    /** Asked of the nodes on which the pages are, where their neighbours are as a rule. */
    private boolean hasRoomToSplit() {
      return region.nodes().stream()
          .allMatch(own -> own == node || headroom.checkMove(own, CHUNK_BYTES).isCommitted());
    }

    /** Brings in what a split took, from the target as far as it has room. */
    void refill(Residency before) {
      Residency now = ask();
      int absent = 0;
      for (int page = 0; page < now.pages(); page++) {
        absent += now.node(page) < 0 && before.node(page) >= 0 ? 1 : 0;
      }
      if (absent > 0) {
        kernel.setHomeNode(address(0), end - start, node);
        populate(address(0), end - start);
      }
    }

    int move(int[] pages) {
      int[] targets = new int[pages.length];
      Arrays.fill(targets, node);
      long[] addresses = Arrays.stream(pages).mapToLong(this::address).toArray();
      return kernel.movePages(addresses, targets, new int[pages.length]);
    }

    /** Returns what the kernel says of one page: its node then, or −errno. */
    int moveAlone(int page) {
      int[] status = new int[1];
      int errno = kernel.movePages(new long[] {address(page)}, new int[] {node}, status);
      return errno == 0 ? status[0] : -errno;
    }

    int[] elsewhere(Residency now, int from, int to) {
      return IntStream.range(from, to).filter(page -> now.node(page) != node).toArray();
    }

    /** Tries once more, and asks the first page of each run that stays for the reason. */
    Map<Integer, String> reasons() {
      int[] stayed = elsewhere(ask(), 0, reached);
      if (stayed.length > 0) {
        move(stayed);
      }
      Map<Integer, String> reasons = new TreeMap<>();
      Residency now = ask();
      for (int page : elsewhere(now, 0, reached)) {
        if (page == 0 || now.node(page) != now.node(page - 1)) {
          reasons.put(page, reason(moveAlone(page)));
        }
      }
      return reasons;
    }
  }

  /** Brings in what is absent; what finds no room stays absent, and is told so. */
  private void populate(long address, long bytes) {
    if (populates) {
      kernel.advise(address, bytes, Kernel.MADV_POPULATE_WRITE);
    }
  }

  private static String reason(int status) {
    if (status >= 0) {
      return "part of a huge page that cannot be split";
    }
    String words =
        switch (-status) {
          case Errno.ENOMEM -> " (the node is full)";
          case Errno.EBUSY -> " (pinned or in use by the kernel, or part of a huge page that is)";
          case Errno.ENOENT -> " (not present: swapped out)";
          default -> "";
        };
    return "move_pages=" + Errno.name(-status) + words;
  }

  /** Moves a range, all of which is committed. */
  MoveResult move(LinuxRegion region, long start, long end, int node) {
    if (!region.isBound() || !residency.moves()) {
      throw new NodeAccessException(
          "cannot move pages and see where they are: node="
              + node
              + "; "
              + (diagnosis.findings().isEmpty() ? "" : diagnosis.findings().get(0)));
    }
    if (!region.committed().gaps(start, end).isEmpty()) {
      throw new IllegalArgumentException(
          "range is not committed: " + Kernel.range(region.address() + start, end - start));
    }
    Move move = new Move(region, start, end, node);
    Residency before = move.ask();
    String refusal = prepare(move, before);
    if (!refusal.isEmpty()) {
      return MoveResult.refused(refusal, before, node);
    }
    long chunk = start / CHUNK_BYTES * CHUNK_BYTES;
    long chunkEnd = Math.min(region.bytes(), (end - 1) / CHUNK_BYTES * CHUNK_BYTES + CHUNK_BYTES);
    List<Neighbours> neighbours =
        List.of(new Neighbours(region, chunk, start), new Neighbours(region, end, chunkEnd));
    move.moveChunks(before);
    neighbours.forEach(Neighbours::sendBack);
    move.refill(before);
    Map<Integer, String> reasons = move.reasons();
    neighbours.forEach(Neighbours::sendBack);
    move.refill(before);
    Residency after = move.ask();
    settlePolicy(move, after);
    return MoveResult.of(
        after,
        node,
        page -> page >= move.reached ? move.obstacle : reasons.getOrDefault(page, reason(0)));
  }

  /** Finds room, and widens the policy; returns what is full, or nothing. */
  private String prepare(Move move, Residency before) {
    LinuxRegion region = move.region;
    long bytes = (long) move.elsewhere(before, 0, before.pages()).length * pageBytes;
    CommitResult room = bytes == 0 ? CommitResult.COMMITTED : headroom.checkMove(move.node, bytes);
    if (!room.isCommitted()) {
      return room.detail();
    }
    // At most: one range more, and another where it cuts one that was moved before.
    if (!budget.change(
        region.heldMappings(), region.mappings() + 2 * LinuxRegion.MAPPINGS_PER_MOVE)) {
      return budget.toString();
    }
    region.moved().addApart(move.start, move.end);
    NodeMask nodes = region.nodes().or(nodes(before)).or(NodeMask.of(move.node));
    int errno = bind(move, nodes);
    if (errno == 0) {
      return "";
    }
    // Parts may have it: they stay counted until they are purged.
    budget.change(region.heldMappings(), region.mappings());
    if (errno == Errno.ENOMEM) {
      return budget.toString();
    }
    throw Errno.failed(
        "mbind",
        errno,
        Kernel.range(region.address() + move.start, move.end - move.start)
            + ", mode=BIND, nodes="
            + nodes);
  }

  private void settlePolicy(Move move, Residency after) {
    LinuxRegion region = move.region;
    NodeMask found = nodes(after);
    NodeMask target = NodeMask.of(move.node);
    boolean isHome = after.isAllPresent() && region.nodes().containsAll(found);
    NodeMask nodes = region.nodes();
    if (!isHome) {
      nodes = after.isAllOn(move.node) ? target : region.nodes().or(found).or(target);
    }
    // Where this is refused the wider policy stays, which names these nodes too.
    if (bind(move, nodes) == 0 && isHome) {
      region.moved().remove(move.start, move.end);
    }
    budget.change(region.heldMappings(), region.mappings());
  }

  private int bind(Move move, NodeMask nodes) {
    return kernel.bind(move.region.address() + move.start, move.end - move.start, nodes, 0);
  }

  /** Returns the nodes on which some page was. */
  static NodeMask nodes(Residency residency) {
    return NodeMask.of(
        residency.pagesByNode().keySet().stream()
            .mapToInt(Integer::intValue)
            .filter(node -> node >= 0)
            .toArray());
  }

  /** The pages between two offsets outside a range, and where they lay before it was moved. */
  private final class Neighbours {
    private final long address;
    private final int[] nodes;

    Neighbours(LinuxRegion region, long from, long to) {
      this.address = region.address() + from;
      this.nodes = new int[(int) ((to - from) / pageBytes)];
      ask(nodes);
    }

    private void ask(int[] status) {
      int errno = status.length == 0 ? 0 : kernel.queryPages(address, pageBytes, status);
      if (errno != 0) {
        throw Errno.failed(
            "move_pages", errno, Kernel.range(address, (long) status.length * pageBytes));
      }
    }

    /** Sends those back that came along; one that cannot go is found by whoever asks for it. */
    void sendBack() {
      int[] now = new int[nodes.length];
      ask(now);
      if (IntStream.range(0, now.length).anyMatch(page -> nodes[page] >= 0 && now[page] < 0)) {
        populateAbsent(now);
      }
      int[] moved =
          IntStream.range(0, now.length)
              .filter(page -> nodes[page] >= 0 && now[page] >= 0 && now[page] != nodes[page])
              .toArray();
      if (moved.length > 0) {
        kernel.movePages(
            Arrays.stream(moved).mapToLong(page -> address + (long) page * pageBytes).toArray(),
            Arrays.stream(moved).map(page -> nodes[page]).toArray(),
            new int[moved.length]);
      }
    }

    /** Only what was there: what is not committed has no business to be. */
    private void populateAbsent(int[] now) {
      for (int page = 0; page < now.length; ) {
        int end = page + 1;
        if (nodes[page] >= 0 && now[page] < 0) {
          while (end < now.length && nodes[end] >= 0 && now[end] < 0) {
            end++;
          }
          populate(address + (long) page * pageBytes, (long) (end - page) * pageBytes);
        }
        page = end;
      }
      ask(now);
    }
  }
}
