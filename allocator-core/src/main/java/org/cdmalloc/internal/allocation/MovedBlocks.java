/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.lang.System.Logger.Level;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Comparator;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.Stream;
import org.cdmalloc.MoveReport;
import org.cdmalloc.NodeMemoryExhaustedException.Reason;
import org.cdmalloc.internal.account.Account;
import org.cdmalloc.internal.account.BlockOwner;
import org.cdmalloc.internal.zone.Zone;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.MoveResult;
import org.cdmalloc.spi.Region;
import org.cdmalloc.spi.Residency;
import org.cdmalloc.topology.NodeMask;

/**
 * The blocks of one zone whose memory was moved to other nodes. A block keeps its address and its
 * zone; which zone's capacity pays for each of its OS pages is kept here.
 */
final class MovedBlocks {
  /*
   * Algorithmic notes.
   *
   * State: for each run that the zone counts as away, which OS pages other zones pay for, its guests;
   * a page that none pays for is its own zone's. Of a stranded run, whether its memory went back.
   * Guarded by the zone's commitLock; moveLock besides keeps one thread at a time moving or freeing
   * moved blocks, and through it alone a block is taken in, freed or stranded.
   *
   * Invariants: (I1) a page is paid for by exactly one zone, but for those of the block that is being
   * moved, which the target pays for as well until it is known whether they came; (I2) the pages that
   * the zone counts as away of a run are those which guests pay for, or of a stranded run whose memory
   * went back, all; (I3) what a zone pays for, its node has, as far as the kernel keeps its word.
   *
   * A move asks the target for capacity first, so that what follows can only fail page by page. Windows
   * of the block are moved under commitLock, each booked before the next: an audit sees pages where
   * they are paid for.
   *
   * A free of such a block finds AWAY in the zone and comes here. Its memory goes back, wherever it is,
   * and it is stranded: live to nobody. The units that lie in it as a whole are then uncommitted like
   * any others; for those that it shares with its neighbours memory has to come before its pages may
   * be handed out, because a unit is committed as a whole. Where there is none, the run stays stranded,
   * and whoever gives idle memory back tries again; once nothing of such a unit is live, it is
   * uncommitted instead.
   *
   * Locks are taken in the order moveLock, commitLock of a striped zone, commitLock of a node's zone, a
   * zone's lock; a second moveLock is only tried.
   */

  private static final System.Logger LOGGER = System.getLogger("org.cdmalloc");

  /** How much is moved under the lock at a time. */
  private static final long WINDOW_BYTES = 32L << 20;

  /**
   * What came of a request to move.
   *
   * @param answer the run's pages, or a negative number of {@link Zone}
   * @param refusal why there was no room; else null
   * @param report where the pages are; null if there was no room, no such run, or one that shares
   *     an OS page with others
   * @param held the block, if it must stay where it is; else null
   */
  record Answer(int answer, Refusal refusal, MoveReport report, HeldBlock held) {
    static Answer of(int answer) {
      return new Answer(answer, null, null, null);
    }

    static Answer refused(int pages, Refusal refusal) {
      return new Answer(pages, refusal, null, null);
    }

    /** Tells whether it was capacity that lacked, and not right or the platform's memory. */
    boolean isFull() {
      return refusal != null && refusal.reason() == Reason.CAPACITY_HELD;
    }

    static Answer held(int pages, HeldBlock held) {
      return new Answer(pages, null, null, held);
    }
  }

  /** A run, and which of its OS pages others pay for, counted from its first. */
  private static final class Block {
    private final int page;
    private final int pages;
    private final Map<Host, BitSet> guests = new LinkedHashMap<>();
    private boolean stranded;
    private boolean givenBack;

    /** Of a block whose memory went back, what its own zone's nodes are still to be repaid. */
    private BitSet unrepaid = new BitSet();

    Block(int page, int pages) {
      this.page = page;
      this.pages = pages;
    }

    BitSet of(Host host) {
      return guests.computeIfAbsent(host, unused -> new BitSet(pages));
    }

    /** Returns who pays for an OS page, or null if it is the block's own zone. */
    Host payer(int osPage) {
      for (Map.Entry<Host, BitSet> guest : guests.entrySet()) {
        if (guest.getValue().get(osPage)) {
          return guest.getKey();
        }
      }
      return null;
    }

    int awayOsPages() {
      return guests.values().stream().mapToInt(BitSet::cardinality).sum();
    }
  }

  private final Home home;
  private final Zone zone;
  private final MemorySource source;
  private final ReentrantLock commitLock;
  private final ReentrantLock moveLock = new ReentrantLock();
  private final int osPageBytes;
  private final int pagesPerOsPage;

  /** Written under commitLock; read without, to find out whether there is anything to do. */
  private final AtomicInteger strandedBlocks = new AtomicInteger();

  /** How many pages were ever moved to a {@linkplain Host#isRefuge refuge}, and home from one. */
  private final AtomicLong demotedPages = new AtomicLong();

  private final AtomicLong promotedPages = new AtomicLong();

  /** By their first pages; guarded by commitLock. */
  private final TreeMap<Integer, Block> blocks = new TreeMap<>();

  MovedBlocks(Home home, MemorySource source, ReentrantLock commitLock) {
    this.home = home;
    this.zone = home.zone();
    this.source = source;
    this.commitLock = commitLock;
    this.osPageBytes = source.osPageBytes();
    this.pagesPerOsPage = osPageBytes / Zone.PAGE_BYTES;
  }

  /**
   * Tells where an OS page of a committed unit is to be, for whoever holds commitLock.
   *
   * @param osPage counted from the region's first
   * @return a node, or {@link Residency#NOT_PRESENT} of a stranded run whose memory went back
   */
  int node(long osPage) {
    int page = (int) (osPage * pagesPerOsPage);
    Map.Entry<Integer, Block> entry = blocks.floorEntry(page);
    if (entry != null && page < entry.getKey() + entry.getValue().pages) {
      Block block = entry.getValue();
      if (block.givenBack) {
        return Residency.NOT_PRESENT;
      }
      Host payer = block.payer((page - block.page) / pagesPerOsPage);
      if (payer != null) {
        return payer.backingNode();
      }
    }
    return home.stripe().node(osPage);
  }

  /**
   * Moves a live run.
   *
   * @param page its first page
   * @param owner its owner, or null for a run without one
   * @param target who pays on the node that it is moved to; the run's own zone brings it home
   */
  Answer move(int page, BlockOwner owner, Host target) {
    moveLock.lock();
    try {
      int pages = zone.beginAway(page, owner);
      if (pages < 0) {
        return Answer.of(pages);
      }
      try {
        return page % pagesPerOsPage == 0 && pages % pagesPerOsPage == 0
            ? new Move(block(page, pages), owner, target).run()
            : Answer.of(pages);
      } finally {
        leaveIfHome(page);
      }
    } finally {
      moveLock.unlock();
    }
  }

  /** Returns once the move is over that was at work when this was called, if there was one. */
  void awaitMove() {
    moveLock.lock();
    try {
      // Whoever held it has let go.
    } finally {
      moveLock.unlock();
    }
  }

  private Block block(int page, int pages) {
    commitLock.lock();
    try {
      return blocks.computeIfAbsent(page, unused -> new Block(page, pages));
    } finally {
      commitLock.unlock();
    }
  }

  private void leaveIfHome(int page) {
    commitLock.lock();
    try {
      Block block = blocks.get(page);
      if (block == null || block.awayOsPages() == 0) {
        zone.endAway(page);
        blocks.remove(page);
      }
    } finally {
      commitLock.unlock();
    }
  }

  /** One move of one block; moveLock is held. */
  private final class Move {
    private final Block block;
    private final BlockOwner owner;
    private final Host target;
    private final boolean goesHome;

    /** OS pages that the target pays for already though they may not have come. */
    private final BitSet expected = new BitSet();

    private final List<MoveReport.Unmoved> unmoved = new ArrayList<>();
    private int arrived;
    private boolean hasMoved;
    private String refusal = "";

    Move(Block block, BlockOwner owner, Host target) {
      this.block = block;
      this.owner = owner;
      this.target = target;
      this.goesHome = target == home;
    }

    Answer run() {
      int osPages = block.pages / pagesPerOsPage;
      Refusal full = reserve(osPages);
      if (full != null) {
        return Answer.refused(block.pages, full);
      }
      try {
        long step = WINDOW_BYTES / osPageBytes;
        for (int from = 0; from < osPages; from += (int) step) {
          moveWindow(from, (int) Math.min(osPages, from + step));
        }
      } finally {
        returnReserved();
      }
      if (!hasMoved && !refusal.isEmpty()) {
        return Answer.refused(block.pages, new Refusal(Reason.MEMORY_REFUSED, refusal));
      }
      unmoved.sort(Comparator.comparingLong(MoveReport.Unmoved::address));
      long bytes = (long) arrived * osPageBytes;
      return new Answer(block.pages, null, new MoveReport(target.node(), bytes, unmoved), null);
    }

    /** Lets the target pay for all pages that it does not pay for yet; returns why it cannot. */
    private Refusal reserve(int osPages) {
      commitLock.lock();
      try {
        for (int page = 0; page < osPages; page++) {
          Host payer = block.payer(page);
          expected.set(page, goesHome ? payer != null : !target.equals(payer));
        }
        if (goesHome) {
          return comeHome(expected.cardinality() * pagesPerOsPage);
        }
        // Made before anything is paid for: booking then needs nothing of the Java heap.
        block.of(target);
      } finally {
        commitLock.unlock();
      }
      // Not under commitLock: the target may have to give back what is idle under its own.
      int pages = expected.cardinality() * pagesPerOsPage;
      return pages == 0 ? null : target.takeGuests(pages);
    }

    /** Takes capacity for pages that come home, if need be after giving back what is idle. */
    private Refusal comeHome(int pages) {
      home.requireRegion();
      int stay = block.awayOsPages() * pagesPerOsPage - pages;
      boolean taken = zone.setAway(block.page, stay);
      if (!taken) {
        home.emptyDepot();
        taken = zone.setAway(block.page, stay);
      }
      if (!taken && home.hold(pages)) {
        zone.release(pages);
        taken = zone.setAway(block.page, stay);
      }
      return taken ? null : Refusal.ofCapacity(pages, zone);
    }

    private void moveWindow(int from, int to) {
      commitLock.lock();
      try {
        Region region = home.requireRegion();
        long offset = Pages.offset(block.page) + (long) from * osPageBytes;
        long bytes = (long) (to - from) * osPageBytes;
        MoveResult result =
            refusal.isEmpty()
                ? source.move(region, offset, bytes, target.backingNode())
                : MoveResult.refused(
                    refusal, source.residency(region, offset, bytes), target.backingNode());
        refusal = result.refusal();
        if (!result.isRefused()) {
          book(from, result.residency());
        }
        result.unmoved().forEach(part -> stayed(offset, part));
        tell(offset, from, result.residency());
      } finally {
        commitLock.unlock();
      }
    }

    private void stayed(long offset, MoveResult.Unmoved part) {
      unmoved.add(
          new MoveReport.Unmoved(
              home.addressAt(offset + (long) part.page() * osPageBytes),
              (long) part.pages() * osPageBytes,
              part.node(),
              part.reason()));
    }

    /**
     * Tells which pages are the target's now. Where two zones are of one node, a page may lie there
     * and not be, because the window was refused.
     */
    private void tell(long offset, int from, Residency now) {
      int node = target.backingNode();
      for (int i = 0; i < now.pages(); ) {
        int end = i;
        while (end < now.pages() && now.node(end) == node && !isTargets(from + end)) {
          end++;
        }
        if (end > i) {
          stayed(offset, new MoveResult.Unmoved(i, end - i, node, refusal));
          i = end;
        } else {
          arrived += now.node(i) == node ? 1 : 0;
          i++;
        }
      }
    }

    private boolean isTargets(int page) {
      Host payer = block.payer(page);
      return goesHome ? payer == null : target.equals(payer);
    }

    /** Books the pages that came; commitLock is held. */
    private void book(int from, Residency now) {
      BitSet left = new BitSet(from + now.pages());
      for (int i = 0; i < now.pages(); i++) {
        int page = from + i;
        if (now.node(i) == target.backingNode() && expected.get(page)) {
          if (block.payer(page) == null) {
            left.set(page);
          }
          pay(page);
          expected.clear(page);
          hasMoved = true;
        }
      }
      if (!goesHome) {
        home.shares().repay(firstOsPage(block), left);
        zone.setAway(block.page, block.awayOsPages() * pagesPerOsPage);
        tellOwner();
      }
    }

    /** What was spilled of a block of the target's own, and is there now, is spilled no more. */
    private void tellOwner() {
      Account account = owner == null ? null : owner.account();
      if (account != null && account.node() == target.node()) {
        long onDevice = (long) block.of(target).cardinality() * osPageBytes;
        owner.arrived(Pages.offset(block.pages), onDevice);
      }
    }

    /** Lets nobody but the target pay for a page. */
    private void pay(int page) {
      Host payer = block.payer(page);
      if (target.isRefuge()) {
        demotedPages.addAndGet(pagesPerOsPage);
      } else if (goesHome && payer != null && payer.isRefuge()) {
        promotedPages.addAndGet(pagesPerOsPage);
      }
      if (!goesHome) {
        block.of(target).set(page);
      }
      if (payer != null) {
        block.of(payer).clear(page);
        payer.returnGuests(pagesPerOsPage);
      }
    }

    /** The target pays no longer for what did not come. */
    private void returnReserved() {
      commitLock.lock();
      try {
        if (goesHome) {
          zone.setAway(block.page, block.awayOsPages() * pagesPerOsPage);
        } else {
          target.returnGuests(expected.cardinality() * pagesPerOsPage);
        }
        block.guests.values().removeIf(BitSet::isEmpty);
      } finally {
        commitLock.unlock();
      }
    }
  }

  long demotedPages() {
    return demotedPages.get();
  }

  long promotedPages() {
    return promotedPages.get();
  }

  /**
   * Returns the nodes that pay for pages of a run, its own if some are at home.
   *
   * @param page the run's first page
   * @param pages its length
   */
  NodeMask nodesOf(int page, int pages) {
    NodeMask own = home.shares().isEmpty() ? NodeMask.of(home.node()) : home.stripe().nodes();
    if (zone.awayPages(page) == 0) {
      return own;
    }
    commitLock.lock();
    try {
      Block block = blocks.get(page);
      if (block == null) {
        return own;
      }
      NodeMask nodes = block.awayOsPages() * pagesPerOsPage < pages ? own : NodeMask.EMPTY;
      for (Map.Entry<Host, BitSet> guest : block.guests.entrySet()) {
        if (!guest.getValue().isEmpty()) {
          nodes = nodes.or(NodeMask.of(guest.getKey().node()));
        }
      }
      return nodes;
    } finally {
      commitLock.unlock();
    }
  }

  /**
   * A block of this zone that has pages on another node.
   *
   * @param page its first page
   * @param pages how many lie there
   * @param account who pays for them, or null
   */
  record Guest(int page, int pages, Account account) {}

  /** Returns the blocks that have pages at the node of another zone. */
  List<Guest> guestsAt(Host place) {
    List<Guest> found = new ArrayList<>();
    commitLock.lock();
    try {
      for (Block block : blocks.values().stream().filter(b -> !b.stranded).toList()) {
        block.guests.forEach(
            (host, osPages) -> {
              if (host.place() == place && !osPages.isEmpty()) {
                int pages = osPages.cardinality() * pagesPerOsPage;
                found.add(new Guest(block.page, pages, host.account()));
              }
            });
      }
      return found;
    } finally {
      commitLock.unlock();
    }
  }

  /**
   * Gives back what is left of the zone's memory once nothing is in use of it: of units in which
   * blocks lie that are away, the rest. For a zone that is isolated.
   *
   * @return false if pages are in use
   */
  boolean vacate() {
    moveLock.lock();
    try {
      commitLock.lock();
      try {
        if (!home.isOpen() || zone.usedPages() > 0) {
          return false;
        }
        Region region = home.requireRegion();
        for (int unit = zone.nextCommittedUnit(0); unit >= 0; ) {
          for (Zone.OwnedRun run : zone.strandFree(unit)) {
            Block block = new Block(run.page(), run.pages());
            block.stranded = true;
            blocks.put(run.page(), block);
            strandedBlocks.incrementAndGet();
          }
          unit = zone.nextCommittedUnit(unit + 1);
        }
        for (Block block : blocks.values()) {
          if (block.stranded && !block.givenBack) {
            giveBack(region, block);
          }
        }
        return true;
      } finally {
        commitLock.unlock();
      }
    } finally {
      moveLock.unlock();
    }
  }

  /**
   * Adds what was moved of this zone's blocks in an account's right.
   *
   * @param within the account, or one above them
   * @param paid where to
   */
  void addGuests(Account within, List<PaidRun> paid) {
    commitLock.lock();
    try {
      for (Block block : blocks.values().stream().filter(b -> !b.stranded).toList()) {
        block.guests.forEach(
            (host, osPages) -> {
              Account payer = host.account();
              if (payer != null && payer.isWithin(within) && !osPages.isEmpty()) {
                paid.add(
                    new PaidRun(
                        payer,
                        home.addressAt(Pages.offset(block.page)),
                        (long) osPages.cardinality() * osPageBytes,
                        0));
              }
            });
      }
    } finally {
      commitLock.unlock();
    }
  }

  /**
   * Frees a run for which the zone said {@link Zone#AWAY}.
   *
   * @param page its first page
   * @param owner its owner, or null
   * @return its pages, or a negative number of {@link Zone}
   */
  int free(int page, Object owner) {
    moveLock.lock();
    try {
      commitLock.lock();
      try {
        int freed = zone.free(page, owner);
        if (freed != Zone.AWAY) {
          return freed;
        }
        Block block = blocks.get(page);
        int pages = zone.strand(page, owner);
        if (pages > 0) {
          strandedBlocks.incrementAndGet();
          block.stranded = true;
          tryToSettle(block);
        }
        return pages;
      } finally {
        commitLock.unlock();
      }
    } finally {
      moveLock.unlock();
    }
  }

  /** Settles a block whose user is gone; what the platform refuses is asked for again later. */
  private void tryToSettle(Block block) {
    try {
      settle(block, new Sweep());
    } catch (OutOfMemoryError e) {
      // Tried again too; the block is free for its user all the same.
    } catch (RuntimeException e) {
      LOGGER.log(Level.DEBUG, "the memory of a moved block stays where it is for now", e);
    }
  }

  /**
   * Frees stranded runs for which there is memory again, unless somebody moves a block here. One
   * that fails keeps none of the others.
   *
   * @return what failed, or null
   */
  RuntimeException settleStranded() {
    RuntimeException failure = null;
    if (strandedBlocks.get() == 0 || !moveLock.tryLock()) {
      return failure;
    }
    try {
      commitLock.lock();
      try {
        List<Block> stranded =
            home.isOpen() ? blocks.values().stream().filter(b -> b.stranded).toList() : List.of();
        Sweep sweep = new Sweep();
        for (Block block : stranded) {
          try {
            settle(block, sweep);
          } catch (RuntimeException e) {
            failure = Failures.joined(failure, e);
          }
        }
      } finally {
        commitLock.unlock();
      }
    } finally {
      moveLock.unlock();
    }
    return failure;
  }

  /**
   * What need not be tried again for other blocks at the same time, in the order of their pages: of
   * those that share a unit, and of those that find no capacity, there may be very many.
   */
  private static final class Sweep {
    private int usedUnit = -1;
    private int refusedPages = Integer.MAX_VALUE;
  }

  private void settle(Block block, Sweep sweep) {
    // Another one that ended in the same unit may have settled it.
    if (blocks.get(block.page) != block) {
      return;
    }
    Region region = home.requireRegion();
    giveBack(region, block);
    List<Edge> edges = edges(block);
    for (Edge edge : edges) {
      int unit = edge.from / zone.commitPages();
      if (unit != sweep.usedUnit && empty(region, unit)) {
        return;
      }
      sweep.usedUnit = unit;
    }
    // A zone that is isolated takes no memory; the run is settled once it is no more.
    if (!edges.isEmpty() && zone.isIsolated()) {
      return;
    }
    int pages = edges.stream().mapToInt(edge -> edge.to - edge.from).sum();
    boolean held = pages == 0 || (pages < sweep.refusedPages && home.hold(pages));
    if (!held) {
      sweep.refusedPages = Math.min(sweep.refusedPages, pages);
    }
    try {
      if (held && commit(region, edges)) {
        // Boxed before: nothing may fail between the two, or the next try would free another's run.
        Integer page = block.page;
        zone.settle(page);
        blocks.remove(page);
        strandedBlocks.decrementAndGet();
      }
    } finally {
      zone.release(held ? pages : 0);
    }
  }

  /**
   * Gives a unit's memory back if none of its pages is in use by anybody: then the runs that are
   * stranded in it are free without memory for their edges.
   */
  private boolean empty(Region region, int unit) {
    for (Block block : blocksIn(unit)) {
      if (!block.stranded) {
        return false;
      }
      giveBack(region, block);
    }
    // As long as it will be: once the runs are free, nothing may need the Java heap before the
    // books
    // say so, or the next try would free another's run.
    BitSet osPages = new BitSet(zone.commitPages() / pagesPerOsPage);
    Zone.EmptiedUnit emptied = zone.emptyUnit(unit);
    if (emptied == null) {
      return false;
    }
    for (int i = 0; i < emptied.runs().size(); i++) {
      blocks.remove(emptied.runs().get(i));
      strandedBlocks.decrementAndGet();
    }
    BitSet pages = emptied.pages();
    for (int page = pages.nextSetBit(0); page >= 0; page = pages.nextSetBit(page + 1)) {
      osPages.set(page / pagesPerOsPage);
    }
    long from = Pages.offset(unit * zone.commitPages());
    boolean zeroed = false;
    try {
      long end =
          Math.min(from + Pages.offset(zone.commitPages()), Pages.offset(zone.regionPages()));
      source.purge(region, from, end - from);
      zeroed = true;
    } finally {
      if (!zeroed) {
        home.purgeLater(unit);
      }
      zone.emptied(unit, pages.cardinality(), zeroed);
      home.shares().repay(from / osPageBytes, osPages);
    }
    return true;
  }

  private List<Block> blocksIn(int unit) {
    int from = unit * zone.commitPages();
    Map.Entry<Integer, Block> first = blocks.floorEntry(from);
    boolean reaches = first != null && first.getKey() + first.getValue().pages > from;
    int start = reaches ? first.getKey() : from;
    return List.copyOf(blocks.subMap(start, from + zone.commitPages()).values());
  }

  /** Pages of a run in a unit that the run shares with others. */
  private record Edge(int from, int to) {
    long offset() {
      return Pages.offset(from);
    }

    long bytes() {
      return Pages.offset(to - from);
    }
  }

  private List<Edge> edges(Block block) {
    int unit = zone.commitPages();
    int end = block.page + block.pages;
    int innerFrom = (block.page + unit - 1) / unit * unit;
    int innerTo = end / unit * unit;
    return Stream.of(
            new Edge(block.page, Math.min(end, innerFrom)),
            new Edge(Math.max(Math.min(end, innerFrom), innerTo), end))
        .filter(edge -> edge.from < edge.to)
        .toList();
  }

  /** Commits all edges or none. */
  private boolean commit(Region region, List<Edge> edges) {
    List<Edge> committed = new ArrayList<>();
    try {
      for (Edge edge : edges) {
        if (home.shares().lend(edge.offset(), edge.bytes()) != null) {
          return false;
        }
        committed.add(edge);
        if (!source.commit(region, edge.offset(), edge.bytes()).isCommitted()) {
          return false;
        }
      }
      committed.clear();
      return true;
    } finally {
      for (Edge edge : committed) {
        source.purge(region, edge.offset(), edge.bytes());
        home.shares().repay(edge.offset(), edge.bytes());
      }
    }
  }

  /**
   * Gives a block's memory back, once, and then what was paid for it, as far as that is not done.
   */
  private void giveBack(Region region, Block block) {
    if (!block.givenBack) {
      BitSet own = new BitSet();
      own.set(0, block.pages / pagesPerOsPage);
      block.guests.values().forEach(own::andNot);
      source.purge(region, Pages.offset(block.page), Pages.offset(block.pages));
      block.givenBack = true;
      block.unrepaid = own;
    }
    Iterator<Map.Entry<Host, BitSet>> guests = block.guests.entrySet().iterator();
    while (guests.hasNext()) {
      Map.Entry<Host, BitSet> guest = guests.next();
      guest.getKey().returnGuests(guest.getValue().cardinality() * pagesPerOsPage);
      guests.remove();
    }
    home.shares().repay(firstOsPage(block), block.unrepaid);
    block.unrepaid = new BitSet();
    zone.setAway(block.page, block.pages);
  }

  private int firstOsPage(Block block) {
    return block.page / pagesPerOsPage;
  }
}
