/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.lang.System.Logger.Level;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import java.util.function.IntPredicate;
import org.cdmalloc.internal.account.Account;
import org.cdmalloc.internal.account.BlockOwner;
import org.cdmalloc.internal.address.RegionAddresses;
import org.cdmalloc.internal.magazine.Depot;
import org.cdmalloc.internal.magazine.Kept;
import org.cdmalloc.internal.magazine.ThreadMagazines;
import org.cdmalloc.internal.slab.SlabIndex;
import org.cdmalloc.internal.zone.NumaEvents;
import org.cdmalloc.internal.zone.Watermarks;
import org.cdmalloc.internal.zone.Zone;
import org.cdmalloc.spi.LockResult;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Region;
import org.cdmalloc.spi.Residency;
import org.cdmalloc.spi.Stripe;
import org.cdmalloc.topology.NodeMask;

/**
 * A zone over a region: hands out pages that are resident on their nodes. The memory behind them is
 * {@link Backing}'s work, where blocks lie that were moved is in {@link MovedBlocks}; what comes
 * here from other zones is counted here. Safe for use by any number of threads.
 */
public final class BackedZone implements Home {
  private static final System.Logger LOGGER = System.getLogger("org.cdmalloc");

  /** The largest block of a region that is mapped in pieces: one piece. */
  private static final int PIECE_ORDER =
      Long.numberOfTrailingZeros(MemorySource.ROOT_BYTES / Zone.PAGE_BYTES);

  /** The largest block of any region: 4 TiB. */
  private static final int ADDRESS_ORDER = 30;

  /**
   * Keeps the regions of allocators mapped that nobody closed: a raw address keeps nothing
   * reachable, and reading one must not crash the JVM because its allocator was collected.
   */
  private static final Set<BackedZone> OPEN = ConcurrentHashMap.newKeySet();

  /** Zeros to copy from: as long as a first-level cache likes it. */
  private static final ByteBuffer ZEROS = ByteBuffer.allocateDirect(16 << 10).asReadOnlyBuffer();

  private final int node;
  private final Stripe stripe;
  private final int backingNode;
  private final MemorySource source;
  private final Zone zone;
  private final RegionAddresses addresses;
  private final StripeShares shares;
  private final Backing backing;

  /** The node's memory that blocks of other zones were moved to, in pages. */
  private final AtomicInteger guestPages = new AtomicInteger();

  private final MovedBlocks moved;

  /** What threads keep ready of this zone; null where every block is asked of the zone. */
  private Depot depot;

  /** Where its slabs are found; null with it. */
  private SlabIndex slabs;

  private ThreadMagazines threads;
  private int magazineId;

  /** Told when few pages are free; null where nobody wants to know. */
  private volatile Pressure pressure;

  /** Tries to make room for so many pages when they are out; null where nothing gives way. */
  private volatile IntPredicate roomMaker;

  private BackedZone(
      int node,
      MemorySource source,
      Region region,
      long capacityBytes,
      Watermarks watermarks,
      StripeShares shares) {
    this.node = node;
    this.stripe = region.stripe();
    this.backingNode = stripe.first();
    this.source = source;
    this.shares = shares;
    this.addresses = RegionAddresses.of(region, source);
    this.zone =
        new Zone(
            Math.toIntExact(region.bytes() / Zone.PAGE_BYTES),
            Math.toIntExact(capacityBytes / Zone.PAGE_BYTES),
            addresses.isContiguous() ? ADDRESS_ORDER : PIECE_ORDER,
            Backing.COMMIT_PAGES,
            watermarks);
    this.backing = new Backing(node, source, region, zone, shares);
    this.moved = new MovedBlocks(this, source, backing.commitLock());
  }

  /**
   * Reserves a region of one node and puts a zone over it. No memory is used yet.
   *
   * @param node the node that the zone stands for
   * @param backingNode the node whose memory backs it; another one for a designated arena
   * @param bytes the capacity, a whole multiple of the source's page size
   * @param watermarks the zone's marks
   * @param source where the region comes from
   * @return the zone
   */
  static BackedZone ofNode(
      int node, int backingNode, long bytes, Watermarks watermarks, MemorySource source) {
    return ofNode(node, backingNode, bytes, bytes, watermarks, source);
  }

  /**
   * As above, with more addresses than capacity.
   *
   * @param capacityBytes how much may be in use and on the node
   * @param regionBytes the region's size, at least the capacity
   */
  static BackedZone ofNode(
      int node,
      int backingNode,
      long capacityBytes,
      long regionBytes,
      Watermarks watermarks,
      MemorySource source) {
    Stripe stripe = Stripe.of(backingNode);
    return reserve(node, stripe, capacityBytes, regionBytes, watermarks, source, StripeShares.NONE);
  }

  /**
   * Reserves a region whose pages several nodes give in turn, and puts a zone over it. The nodes'
   * zones lend what it commits, and none of that below their low marks.
   *
   * @param shares the nodes' zones
   * @param source where the region comes from
   * @return the zone
   */
  static BackedZone striped(StripeShares shares, MemorySource source) {
    long bytes = shares.capacityBytes();
    Watermarks none = new Watermarks(0, 0, 0);
    return reserve(shares.stripe().first(), shares.stripe(), bytes, bytes, none, source, shares);
  }

  private static BackedZone reserve(
      int node,
      Stripe stripe,
      long capacityBytes,
      long regionBytes,
      Watermarks watermarks,
      MemorySource source,
      StripeShares shares) {
    Region region = source.reserve(stripe, regionBytes);
    boolean reserved = false;
    try {
      BackedZone zone = new BackedZone(node, source, region, capacityBytes, watermarks, shares);
      OPEN.add(zone);
      reserved = true;
      return zone;
    } finally {
      if (!reserved) {
        source.release(region);
      }
    }
  }

  /**
   * Takes a run of pages, backed.
   *
   * @param pages how many, positive
   * @param floorPages how many must stay free
   * @param alignOrder log2 of the pages of which the run's first is a multiple
   * @param events what to count here; a striped zone counts at a node instead
   * @param caller the node of the CPU on which the caller runs
   * @param owner in whose name alone the run can be freed, or null
   * @return the run as {@link Zone} tells it, or a negative number if there is no room
   * @throws IllegalStateException if the zone is closed
   */
  long take(int pages, int floorPages, int alignOrder, int events, int caller, BlockOwner owner) {
    int counted = shares.isEmpty() ? events : NumaEvents.NONE;
    long run = zone.take(pages, floorPages, alignOrder, counted, owner);
    if (run >= 0 && !Zone.isCommitted(run)) {
      if (backing.backOrFree(Zone.page(run), pages, owner)) {
        zone.count(counted);
      } else {
        run = zone.takeCommitted(pages, floorPages, alignOrder, counted, owner);
      }
    }
    if (run == Zone.CLOSED) {
      if (backing.isRemoved()) {
        return Zone.NONE;
      }
      throw backing.closed();
    }
    if (run >= 0 && !shares.isEmpty()) {
      shares.countAt(Pages.offset(Zone.page(run)), caller);
    }
    return run;
  }

  /**
   * Lets threads keep blocks of this zone ready. Called before the zone serves anybody.
   *
   * @param kept the magazines of all threads
   * @param limitBytes what one thread may keep
   */
  void keepReady(ThreadMagazines kept, long limitBytes) {
    Depot.Memory memory =
        new Depot.Memory() {
          @Override
          public long take(int pages, int floorPages) {
            long run =
                BackedZone.this.take(pages, floorPages, 0, NumaEvents.NONE, backingNode, null);
            if (run >= 0 && Zone.isBelowLow(run)) {
              wake();
            }
            return run;
          }

          @Override
          public void giveBack(int page) {
            BackedZone.this.free(Pages.offset(page), null);
          }

          @Override
          public ByteBuffer view(long offset, int bytes) {
            return requireRegion().slice(offset, bytes);
          }

          @Override
          public void zero(long offset, long bytes) {
            BackedZone.this.zero(offset, bytes);
          }
        };
    long base = addresses.isContiguous() ? addresses.address(0) : 0;
    depot = new Depot(memory, base, zone.regionPages(), limitBytes);
    slabs = depot.index();
    threads = kept;
    magazineId = kept.addZone();
  }

  /** Returns what threads keep ready of this zone, or null where they keep nothing. */
  Depot depot() {
    return depot;
  }

  /** Returns where slabs of this zone are found, or null where there are none. */
  SlabIndex slabs() {
    return slabs;
  }

  /** Returns the number of this zone among those that have magazines. */
  int magazineId() {
    return magazineId;
  }

  /** Counts the blocks that are kept ready, and those that were. */
  Kept kept() {
    return depot == null ? Kept.NONE : threads.kept(magazineId, depot);
  }

  /**
   * Brings back what can be had of what is kept ready of this zone, and asks for the rest. Not for
   * whoever holds the lock of the committers: who uses a shared set may wait for that.
   */
  void bringKeptBack() {
    if (depot != null) {
      threads.bringBack();
      emptyDepot();
    }
  }

  @Override
  public void emptyDepot() {
    if (depot != null) {
      depot.moveEpoch();
      depot.flush(false);
    }
  }

  /** Returns how many runs are their users' and neither freed nor stranded. */
  long liveBlocks() {
    Kept kept = kept();
    return Math.max(0, zone.liveRuns() - kept.runs() + kept.liveBlocks());
  }

  @Override
  public boolean hold(int pages) {
    return backing.hold(pages);
  }

  @Override
  public void purgeLater(int unit) {
    backing.purgeLater(unit);
  }

  @Override
  public long purge(boolean onlyIdle) {
    RuntimeException failure = moved.settleStranded();
    long bytes = backing.purge(onlyIdle);
    if (failure != null) {
      throw failure;
    }
    return bytes;
  }

  /**
   * Compares where the pages of a window's committed units lie with where they belong, as {@link
   * Backing#look} does.
   *
   * @param window which {@value Backing#WINDOW_UNITS} units, from 0
   * @return what was found
   */
  Look look(int window) {
    return backing.look(window, moved::node);
  }

  /**
   * Returns the node as users know it that gives pages of one of the source's nodes to this zone.
   *
   * @param backing a node on which pages of this zone belong
   * @return the same, except in the zone of a designated arena
   */
  int nameOf(int backing) {
    return backing == backingNode ? node : backing;
  }

  /**
   * Frees the run that begins at an offset.
   *
   * @param offset in the region, in bytes
   * @param owner the run's owner, or null
   * @return the pages freed, or a negative number of {@link Zone}
   */
  int free(long offset, Object owner) {
    int freed = zone.free(Pages.page(offset), owner);
    return freed == Zone.AWAY ? moved.free(Pages.page(offset), owner) : freed;
  }

  /**
   * Moves the memory of a live run to another node.
   *
   * @param offset of the run, in bytes
   * @param owner the run's owner, or null for a run without one
   * @param target who is to pay for it
   */
  MovedBlocks.Answer move(long offset, BlockOwner owner, Host target) {
    MovedBlocks.Answer answer = moved.move(Pages.page(offset), owner, target);
    // Once the locks of the move are released: what gives way may be of any zone.
    for (int tries = 0;
        tries < ROOM_TRIES && answer.isFull() && target.makeRoom(answer.answer());
        tries++) {
      answer = moved.move(Pages.page(offset), owner, target);
    }
    return answer;
  }

  /**
   * Gives a live run another owner. A move that began in the name of the one before is over then.
   *
   * @param page the run's first page
   * @param owner its owner until now, or null
   * @param next its owner from now on
   * @return the run's pages, or a negative number of {@link Zone}
   */
  int exchangeOwner(int page, BlockOwner owner, BlockOwner next) {
    int answer = zone.exchangeOwner(page, owner, next);
    if (answer > 0 && zone.isMoved(page)) {
      moved.awaitMove();
    }
    return answer;
  }

  /** Returns how many pages of live blocks were ever moved to where the node's blocks give way. */
  long demotedPages() {
    return moved.demotedPages();
  }

  /** Returns how many of them came back to the node. */
  long promotedPages() {
    return moved.promotedPages();
  }

  /** Lets blocks of another zone be moved here, as far as the capacity goes. */
  @Override
  public Refusal takeGuests(int pages) {
    return takeGuests(pages, 0);
  }

  /** As {@link #takeGuests(int)}, if so many pages stay free. */
  Refusal takeGuests(int pages, int floorPages) {
    boolean taken = zone.lend(pages, floorPages);
    if (!taken) {
      // Not more: whoever moves a block holds a lock for which a virtual thread may wait that has
      // the lock of a shared set.
      emptyDepot();
    }
    taken = taken || zone.lend(pages, floorPages);
    if (!taken && (purge(false) == 0 || !zone.lend(pages, floorPages))) {
      wake();
      return Refusal.ofCapacity(pages, zone);
    }
    guestPages.addAndGet(pages);
    if (zone.freePages() < zone.watermarks().lowPages()) {
      wake();
    }
    return null;
  }

  /** Takes the capacity back that {@link #takeGuests} gave. */
  @Override
  public void returnGuests(int pages) {
    zone.repay(pages);
    guestPages.addAndGet(-pages);
  }

  /**
   * Adds the blocks of this zone that accounts pay for, a window at a time.
   *
   * @param within the account, or one above them
   * @param paid where to
   */
  void addPaid(Account within, List<PaidRun> paid) {
    owners(
        run -> {
          BlockOwner owner = (BlockOwner) run.owner();
          Account account = owner.account();
          if (account != null && account.isWithin(within) && owner.isLive()) {
            long address = addressAt(Pages.offset(run.page()));
            paid.add(
                new PaidRun(account, address, Pages.offset(run.pages()), owner.spilledBytes()));
          }
        });
    moved.addGuests(within, paid);
  }

  /** Gives back what budgets pay for in this zone, if it is closed. */
  void cancelSpills() {
    if (!isOpen()) {
      owners(run -> ((BlockOwner) run.owner()).cancelSpill());
    }
  }

  void owners(Consumer<Zone.OwnedRun> each) {
    int units = (zone.regionPages() - 1) / Backing.COMMIT_PAGES + 1;
    for (int unit = 0; unit < units; unit++) {
      int to = Math.min(zone.regionPages(), Backing.firstPage(unit + 1));
      zone.ownedRuns(Backing.firstPage(unit), to).forEach(each);
    }
  }

  @Override
  public Host place() {
    return this;
  }

  @Override
  public Account account() {
    return null;
  }

  /** Returns the nodes on which a live run lies, by who pays for it. */
  NodeMask nodesOf(int page, int pages) {
    return moved.nodesOf(page, pages);
  }

  /** Returns this zone's blocks that have pages at the node of another zone. */
  List<MovedBlocks.Guest> guestsAt(BackedZone place) {
    return moved.guestsAt(place);
  }

  /** Frees stranded runs as far as there is memory; what fails now is tried again later. */
  void settle() {
    RuntimeException failure = moved.settleStranded();
    if (failure != null) {
      LOGGER.log(Level.DEBUG, "some pages stay unusable for now: node=" + node, failure);
    }
  }

  /**
   * Gives all memory back, of a zone that is isolated.
   *
   * @return false if blocks lie on the node
   */
  boolean vacate() {
    purge(false);
    return guestPages() == 0 && moved.vacate();
  }

  /** Locks a live run in memory, as {@link MemorySource#lock} does. */
  LockResult lock(long offset, long bytes) {
    return backing.lock(offset, bytes);
  }

  /** Ends that; of a closed zone nothing is locked any more. */
  void unlock(long offset, long bytes) {
    backing.unlock(offset, bytes);
  }

  /** As {@link #close}, of the zone of a node that went offline: others go on. */
  void remove() {
    backing.remove();
    close();
  }

  /** Sets who is told when few pages are free, or null for nobody. */
  void tell(Pressure told) {
    pressure = told;
  }

  /** Returns who is told when few pages are free, or null. */
  Pressure pressure() {
    return pressure;
  }

  /** Sets what tries to make room when pages are out, or null. */
  void makeRoomBy(IntPredicate maker) {
    roomMaker = maker;
  }

  @Override
  public boolean makeRoom(int pages) {
    IntPredicate maker = roomMaker;
    return maker != null && maker.test(pages);
  }

  /** Tells that few pages are free. */
  void wake() {
    Pressure told = pressure;
    if (told != null) {
      told.wake();
    }
  }

  /** Tells that a request failed which the zone could serve if enough were free. */
  void wakeFor(int pages, int floorPages) {
    Pressure told = pressure;
    if (told != null
        && pages <= zone.capacityPages() - floorPages
        && pages <= 1 << zone.maxOrder()) {
      told.wakeFor(pages);
    }
  }

  /** Returns how many pages of other zones' blocks were moved here. */
  int guestPages() {
    return guestPages.get();
  }

  /**
   * Returns the size of the run that begins at an offset.
   *
   * @param offset in the region, in bytes
   * @return pages, or {@link Zone#NOT_LIVE}, {@link Zone#INTERIOR}
   */
  int pages(long offset) {
    return zone.pages(Pages.page(offset));
  }

  /** Returns the address of a run's first byte. */
  long address(long run) {
    return addresses.address(Pages.offset(Zone.page(run)));
  }

  /** Writes zeros where pages of a run that was just taken were written to before. */
  void zeroWritten(long run, int pages) {
    int page = Zone.page(run);
    if (Zone.isWrittenThroughout(run)) {
      zero(Pages.offset(page), Pages.offset(pages));
      return;
    }
    int end = page + pages;
    for (int from = zone.nextWritten(page, end, true); from < end; ) {
      int to = zone.nextWritten(from, end, false);
      zero(Pages.offset(from), Pages.offset(to) - Pages.offset(from));
      from = to == end ? end : zone.nextWritten(to, end, true);
    }
  }

  /** Writes zeros to a range of a live run. A closed zone's memory went back: it reads zeros. */
  void zero(long offset, long bytes) {
    Region target = backing.region();
    long end = target == null ? offset : offset + bytes;
    for (long at = offset; at < end; ) {
      long inRoot = at % MemorySource.ROOT_BYTES;
      long rest = Math.min(end - at, MemorySource.ROOT_BYTES - inRoot);
      int part = (int) Math.min(ZEROS.capacity(), rest);
      target.roots().get((int) (at / MemorySource.ROOT_BYTES)).put((int) inRoot, ZEROS, 0, part);
      at += part;
    }
  }

  /** Tells whether the memory can be seen, and so be zeroed; that of a closed zone is gone. */
  boolean canBeViewed() {
    Region target = backing.region();
    return target != null && !target.roots().isEmpty();
  }

  /** Returns a buffer over a range of the region. */
  ByteBuffer view(long offset, int bytes) {
    return source.view(requireRegion(), offset, bytes);
  }

  /** Asks where the pages of a range lie. */
  Residency residency(long offset, long bytes) {
    return source.residency(requireRegion(), offset, bytes);
  }

  /**
   * Refuses all further requests, gives the memory back and lets the address space go when no view
   * of it is reachable. Does nothing the second time, unless the source failed to take the memory:
   * then it is asked again.
   */
  void close() {
    OPEN.remove(this);
    if (depot != null) {
      depot.close();
    }
    zone.close();
    backing.close();
  }

  /** Returns why memory was refused last, or null if it was not since it last was given. */
  Refusal refusal() {
    return backing.refusal();
  }

  /** Tells whether memory can be asked for; for whoever holds the lock of the committers. */
  @Override
  public boolean isOpen() {
    return backing.region() != null;
  }

  /** Returns how the zone's pages are dealt out to nodes while they are not moved. */
  @Override
  public Stripe stripe() {
    return stripe;
  }

  /** Returns the node whose memory backs the zone; of a striped zone the first. */
  @Override
  public int backingNode() {
    return backingNode;
  }

  /**
   * Returns the node that the zone stands for; of a striped zone the first.
   *
   * @return its number
   */
  @Override
  public int node() {
    return node;
  }

  /**
   * Returns the page account.
   *
   * @return the zone
   */
  @Override
  public Zone zone() {
    return zone;
  }

  @Override
  public long addressAt(long offset) {
    return addresses.address(offset);
  }

  /** Returns the addresses of the region. */
  RegionAddresses addresses() {
    return addresses;
  }

  /** Returns the nodes that lend the zone its capacity; none for the zone of a node. */
  @Override
  public StripeShares shares() {
    return shares;
  }

  /** Tells whether memory may be had elsewhere that this zone lacked. */
  boolean isShortOfMemory() {
    return backing.refusal() != null || zone.lentPages() > 0;
  }

  /** Tells whether the region is bound, so that requests by name may be served. */
  boolean isBound() {
    return requireRegion().isBound();
  }

  /** Throws if the zone is closed. */
  void requireOpen() {
    requireRegion();
  }

  @Override
  public Region requireRegion() {
    return backing.requireRegion();
  }
}
