/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.lang.System.Logger.Level;
import java.nio.ByteBuffer;
import java.util.BitSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.IntPredicate;
import org.cdmalloc.NodeMemoryExhaustedException.Reason;
import org.cdmalloc.internal.account.Account;
import org.cdmalloc.internal.account.BlockOwner;
import org.cdmalloc.internal.address.RegionAddresses;
import org.cdmalloc.internal.zone.NumaEvents;
import org.cdmalloc.internal.zone.Watermarks;
import org.cdmalloc.internal.zone.Zone;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.LockResult;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Region;
import org.cdmalloc.spi.Residency;
import org.cdmalloc.spi.Stripe;
import org.cdmalloc.topology.NodeMask;

/**
 * A zone over a region: hands out pages that are resident on their nodes, asks the source for
 * memory when a run of pages is not backed yet, and gives back what nobody used for a while.
 */
public final class BackedZone implements Home {
  private static final System.Logger LOGGER = System.getLogger("org.cdmalloc");

  /** What is asked of a source at a time: the size of a huge page on most machines. */
  static final long COMMIT_BYTES = 2L << 20;

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

  private static final int COMMIT_PAGES = (int) (COMMIT_BYTES / Zone.PAGE_BYTES);

  /*
   * Algorithmic notes.
   *
   * State: the zone (pages free or taken, units committed or not; its own lock), the region (null once
   * closed), what of it close could not release, commitLock; of a striped zone, what its nodes lend it.
   *
   * Invariants: (I1) a unit marked committed is resident; (I2) memory of a unit is asked for, and given
   * back, only under commitLock and only while no committed mark for it is visible; (I3) a run handed
   * out lies in units marked committed; (I4) for what is marked committed in a striped zone, and at
   * most for that and one window or request in work, its nodes have lent pages of their capacity.
   *
   * A run is taken first and backed afterwards, outside the zone's lock, so that a slow kernel stops
   * nobody who finds backed pages. Two runs may share a unit: whoever comes second finds it marked, or
   * asks for it itself after the first one failed. All units of a run are marked together after the
   * last was committed: were they marked one by one, another thread could be given pages of a unit
   * that a later failure takes back (I2).
   *
   * Purge: units that are free as a whole lose their mark in the zone's critical section, and their
   * memory afterwards. Who takes a page of such a unit meanwhile finds it without a mark and waits for
   * commitLock to ask for its memory again. A window at a time, so that nobody waits long.
   *
   * Looks compare where pages lie with where they belong, a window at a time as well. Under commitLock,
   * which makes the comparison true: no page of a committed unit comes, goes or changes its node by us
   * meanwhile, so whoever is found elsewhere was moved by somebody else.
   *
   * Locks are taken in the order commitLock of a striped zone, commitLock of a node's zone, a zone's
   * lock; never two of the same kind.
   *
   * Close: the zone refuses first, then the region is released under commitLock; a request that took
   * its run before the zone closed finds no region and says closed, or has an address whose memory
   * reads zeros, as every address has after close. A region that could not be released is kept for the
   * next close; if the source then says that it is released, the failed call did it after all.
   */

  /** Zeros to copy from: as long as a first-level cache likes it. */
  private static final ByteBuffer ZEROS = ByteBuffer.allocateDirect(16 << 10).asReadOnlyBuffer();

  /** How much is looked at, and given back, under the lock at a time. */
  static final int WINDOW_UNITS = 32;

  private final int node;
  private final Stripe stripe;
  private final int backingNode;
  private final MemorySource source;
  private final Zone zone;
  private final RegionAddresses addresses;
  private final StripeShares shares;
  private final ReentrantLock commitLock = new ReentrantLock();
  private volatile Region region;

  /** Set before the zone is closed because its node went offline. */
  private volatile boolean removed;

  /** The node's memory that blocks of other zones were moved to, in pages. */
  private final AtomicInteger guestPages = new AtomicInteger();

  private final MovedBlocks moved;

  /** Told when few pages are free; null where nobody wants to know. */
  private volatile Pressure pressure;

  /** Tries to make room for so many pages when they are out; null where nothing gives way. */
  private volatile IntPredicate roomMaker;

  /** Units whose memory the source did not take back; guarded by commitLock. */
  private final BitSet untaken = new BitSet();

  /** What a close tried to release in vain, or null; guarded by commitLock. */
  private Region unreleased;

  /** Why memory was refused last, or null; for explanations and for the decision to reclaim. */
  private volatile Refusal lastRefusal;

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
    this.region = region;
    this.shares = shares;
    this.addresses = RegionAddresses.of(region, source);
    this.zone =
        new Zone(
            Math.toIntExact(region.bytes() / Zone.PAGE_BYTES),
            Math.toIntExact(capacityBytes / Zone.PAGE_BYTES),
            addresses.isContiguous() ? ADDRESS_ORDER : PIECE_ORDER,
            COMMIT_PAGES,
            watermarks);
    this.moved = new MovedBlocks(this, source, commitLock);
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
      if (backOrFree(Zone.page(run), pages, owner)) {
        zone.count(counted);
      } else {
        run = zone.takeCommitted(pages, floorPages, alignOrder, counted, owner);
      }
    }
    if (run == Zone.CLOSED) {
      if (removed) {
        return Zone.NONE;
      }
      throw closed();
    }
    if (run >= 0 && !shares.isEmpty()) {
      shares.countAt(offset(Zone.page(run)), caller);
    }
    return run;
  }

  /** Backs a run that was taken; if that fails, by a value or an exception, the run is freed. */
  private boolean backOrFree(int page, int pages, Object owner) {
    boolean backed = false;
    try {
      backed = back(page, pages);
      return backed;
    } finally {
      if (!backed) {
        zone.undo(page, owner);
      }
    }
  }

  private boolean back(int page, int pages) {
    int end = page + pages;
    commitLock.lock();
    try {
      Region target = requireRegion();
      int reached = page;
      int heldPages = 0;
      boolean backed = false;
      try {
        for (int unit = nextUnbacked(page, end); unit >= 0; unit = nextUnbacked(reached, end)) {
          int after = unit + 1;
          while (isUnbacked(after, end)) {
            after++;
          }
          if (!hold(unit, after)) {
            return false;
          }
          heldPages += pages(unit, after);
          if (!commitHeld(target, unit, after)) {
            return false;
          }
          reached = Math.min(end, firstPage(after));
        }
        zone.markCommitted(page, pages);
        lastRefusal = null;
        backed = true;
        return true;
      } finally {
        try {
          if (!backed) {
            giveBack(target, page, reached);
          }
        } finally {
          zone.release(heldPages);
        }
      }
    } finally {
      commitLock.unlock();
    }
  }

  /**
   * Commits units whose capacity is set aside; if that fails, what nodes lent for them is repaid.
   */
  private boolean commitHeld(Region target, int unit, int after) {
    boolean committed = false;
    try {
      CommitResult result = source.commit(target, unitOffset(unit), unitBytes(unit, after));
      committed = result.isCommitted();
      if (!committed) {
        lastRefusal = new Refusal(Reason.MEMORY_REFUSED, result.outcome() + " " + result.detail());
      }
      return committed;
    } finally {
      if (!committed) {
        shares.repay(unitOffset(unit), unitBytes(unit, after));
      }
    }
  }

  /** Sets capacity aside for units; if all of it is used, after giving back what is idle here. */
  private boolean hold(int unit, int after) {
    int pages = pages(unit, after);
    if (!hold(pages)) {
      lastRefusal =
          new Refusal(
              Reason.CAPACITY_HELD,
              "lent_pages=" + zone.lentPages() + ", committed_pages=" + zone.committedPages());
      return false;
    }
    boolean held = false;
    try {
      Refusal refusal = shares.lend(unitOffset(unit), unitBytes(unit, after));
      held = refusal == null;
      if (!held) {
        lastRefusal = refusal;
      }
      return held;
    } finally {
      if (!held) {
        zone.release(pages);
      }
    }
  }

  /** Sets capacity aside, if need be after giving back what is idle; for who holds commitLock. */
  @Override
  public boolean hold(int pages) {
    return zone.hold(pages) || (purgeLocked(false) > 0 && zone.hold(pages));
  }

  private boolean isUnbacked(int unit, int end) {
    int page = firstPage(unit);
    return page < end && zone.uncommittedUnit(page, 1) == unit;
  }

  private int nextUnbacked(int page, int end) {
    return page == end ? Zone.NONE : zone.uncommittedUnit(page, end - page);
  }

  /**
   * Returns what a failed run had got; its units are not marked, so nobody else can use them. A
   * range that the source fails to take back keeps none of the others.
   */
  private void giveBack(Region target, int page, int end) {
    BitSet units = new BitSet();
    int at = page;
    for (int unit = nextUnbacked(at, end); unit >= 0; unit = nextUnbacked(at, end)) {
      units.set(unit);
      at = Math.min(end, firstPage(unit + 1));
    }
    RuntimeException failure = purge(target, units, false);
    if (failure != null) {
      throw failure;
    }
  }

  @Override
  public long purge(boolean onlyIdle) {
    RuntimeException failure = moved.settleStranded();
    long bytes = 0;
    int units = (zone.regionPages() - 1) / COMMIT_PAGES + 1;
    for (int from = 0; from < units; from += WINDOW_UNITS) {
      commitLock.lock();
      try {
        bytes += region == null ? 0 : purgeWindow(from, from + WINDOW_UNITS, onlyIdle);
      } finally {
        commitLock.unlock();
      }
    }
    if (failure != null) {
      throw failure;
    }
    return bytes;
  }

  /** As {@link #purge(boolean)}, for whoever holds commitLock. */
  private long purgeLocked(boolean onlyIdle) {
    return purgeWindow(0, Integer.MAX_VALUE, onlyIdle);
  }

  private long purgeWindow(int from, int to, boolean onlyIdle) {
    RuntimeException failure = purgeAgain(region, from, to);
    BitSet retired = zone.retire(from, to, onlyIdle);
    failure = Failures.joined(failure, purge(region, retired, true));
    if (failure != null) {
      throw failure;
    }
    return retired.stream().mapToLong(unit -> unitBytes(unit, unit + 1)).sum();
  }

  /** Gives back what the source did not take before, unless it is in use again; as below. */
  private RuntimeException purgeAgain(Region target, int from, int to) {
    RuntimeException failure = null;
    int unit = untaken.nextSetBit(from);
    while (unit >= 0 && unit < to) {
      try {
        if (zone.uncommittedUnit(firstPage(unit), 1) == unit) {
          source.purge(target, unitOffset(unit), unitBytes(unit, unit + 1));
        }
        untaken.clear(unit);
      } catch (RuntimeException e) {
        failure = Failures.joined(failure, e);
      }
      unit = untaken.nextSetBit(unit + 1);
    }
    return failure;
  }

  /** Gives the memory of unmarked units back, range by range; returns what failed, or null. */
  private RuntimeException purge(Region target, BitSet units, boolean retired) {
    RuntimeException failure = null;
    for (int unit = units.nextSetBit(0); unit >= 0; ) {
      int after = units.nextClearBit(unit);
      boolean zeroed = false;
      try {
        source.purge(target, unitOffset(unit), unitBytes(unit, after));
        zeroed = true;
      } catch (RuntimeException e) {
        untaken.set(unit, after);
        failure = Failures.joined(failure, e);
      } finally {
        if (retired) {
          BitSet range = new BitSet();
          range.set(unit, after);
          zone.purged(range, zeroed);
        }
        shares.repay(unitOffset(unit), unitBytes(unit, after));
      }
      unit = units.nextSetBit(after);
    }
    return failure;
  }

  /**
   * Asks where the pages of a window's committed units lie, and compares that with where they
   * belong. Units with a page elsewhere that are free as a whole are given back: they come again on
   * their own nodes. A zone that is closed or not bound has nothing to compare.
   *
   * @param window which {@value #WINDOW_UNITS} units, from 0
   * @return what was found
   * @throws RuntimeException what the source throws that cannot tell, or does not take memory back;
   *     what it did not take counts as given back, as ever
   */
  Look look(int window) {
    Look look = new Look();
    commitLock.lock();
    try {
      Region target = region;
      if (target == null || !target.isBound()) {
        return look;
      }
      int from = window * WINDOW_UNITS;
      BitSet units = zone.committedUnits(from, from + WINDOW_UNITS);
      for (int unit = units.nextSetBit(0); unit >= 0; ) {
        int after = units.nextClearBit(unit);
        Residency where = source.residency(target, unitOffset(unit), unitBytes(unit, after));
        look.compare(unit, where, unitOffset(unit) / where.osPageBytes(), this::wantedNode);
        unit = units.nextSetBit(after);
      }
      BitSet returned = new BitSet();
      look.displacedUnits().forEach(unit -> returned.or(zone.retire(unit, unit + 1, false)));
      RuntimeException failure = purge(target, returned, true);
      if (failure != null) {
        throw failure;
      }
      look.returned(returned);
      return look;
    } finally {
      commitLock.unlock();
    }
  }

  /** Returns the source's node on which a page of the region belongs while it is committed. */
  private int wantedNode(long osPage) {
    return moved.node(osPage);
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
    int freed = zone.free(page(offset), owner);
    return freed == Zone.AWAY ? moved.free(page(offset), owner) : freed;
  }

  /**
   * Moves the memory of a live run to another node.
   *
   * @param offset of the run, in bytes
   * @param owner the run's owner, or null for a run without one
   * @param target who is to pay for it
   */
  MovedBlocks.Answer move(long offset, BlockOwner owner, Host target) {
    MovedBlocks.Answer answer = moved.move(page(offset), owner, target);
    // Once the locks of the move are released: what gives way may be of any zone.
    for (int tries = 0;
        tries < ROOM_TRIES && answer.isFull() && target.makeRoom(answer.answer());
        tries++) {
      answer = moved.move(page(offset), owner, target);
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
    if (!zone.lend(pages, floorPages) && (purge(false) == 0 || !zone.lend(pages, floorPages))) {
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
            long address = addressAt(offset(run.page()));
            paid.add(new PaidRun(account, address, offset(run.pages()), owner.spilledBytes()));
          }
        });
    moved.addGuests(within, paid);
  }

  /** Gives back what budgets pay for in this zone, if it is closed. */
  void cancelSpills() {
    if (region == null) {
      owners(run -> ((BlockOwner) run.owner()).cancelSpill());
    }
  }

  void owners(Consumer<Zone.OwnedRun> each) {
    int units = (zone.regionPages() - 1) / COMMIT_PAGES + 1;
    for (int unit = 0; unit < units; unit++) {
      int to = Math.min(zone.regionPages(), firstPage(unit + 1));
      zone.ownedRuns(firstPage(unit), to).forEach(each);
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
    commitLock.lock();
    try {
      return source.lock(requireRegion(), offset, bytes);
    } finally {
      commitLock.unlock();
    }
  }

  /** Ends that; of a closed zone nothing is locked any more. */
  void unlock(long offset, long bytes) {
    commitLock.lock();
    try {
      if (region != null) {
        source.unlock(region, offset, bytes);
      }
    } finally {
      commitLock.unlock();
    }
  }

  /** As {@link #close}, of the zone of a node that went offline: others go on. */
  void remove() {
    removed = true;
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
    return zone.pages(page(offset));
  }

  /** Returns the address of a run's first byte. */
  long address(long run) {
    return addresses.address(offset(Zone.page(run)));
  }

  /** Writes zeros where pages of a run that was just taken were written to before. */
  void zeroWritten(long run, int pages) {
    int page = Zone.page(run);
    if (Zone.isWrittenThroughout(run)) {
      zero(offset(page), offset(pages));
      return;
    }
    int end = page + pages;
    for (int from = zone.nextWritten(page, end, true); from < end; ) {
      int to = zone.nextWritten(from, end, false);
      zero(offset(from), offset(to) - offset(from));
      from = to == end ? end : zone.nextWritten(to, end, true);
    }
  }

  /** Writes zeros to a range of a live run. A closed zone's memory went back: it reads zeros. */
  void zero(long offset, long bytes) {
    Region target = region;
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
    Region target = region;
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
    zone.close();
    commitLock.lock();
    try {
      Region target = region;
      if (target != null) {
        region = null;
        unreleased = target;
        OPEN.remove(this);
        source.release(target);
        unreleased = null;
      } else if (unreleased != null) {
        releaseAgain(unreleased);
        unreleased = null;
      }
    } finally {
      commitLock.unlock();
    }
  }

  private void releaseAgain(Region target) {
    try {
      source.release(target);
    } catch (IllegalStateException e) {
      // Released by the call that failed.
    }
  }

  /** Returns why memory was refused last, or null if it was not since it last was given. */
  Refusal refusal() {
    return lastRefusal;
  }

  /** Tells whether memory can be asked for; for whoever holds commitLock. */
  @Override
  public boolean isOpen() {
    return region != null;
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
    return lastRefusal != null || zone.lentPages() > 0;
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
    Region target = region;
    if (target == null) {
      throw closed();
    }
    return target;
  }

  private IllegalStateException closed() {
    if (removed) {
      return new IllegalStateException(
          "node went offline: node=" + node + "; bring it online again");
    }
    return new IllegalStateException("allocator is closed: node=" + node + "; open another one");
  }

  static long offset(int page) {
    return (long) page * Zone.PAGE_BYTES;
  }

  static int page(long offset) {
    return (int) (offset / Zone.PAGE_BYTES);
  }

  /** The pages of the units from one to another, exclusive. */
  private int pages(int unit, int after) {
    return (int) (unitBytes(unit, after) / Zone.PAGE_BYTES);
  }

  private static long unitOffset(int unit) {
    return unit * COMMIT_BYTES;
  }

  /** Returns the length of the units from one to another, exclusive; the last may be cut short. */
  private long unitBytes(int unit, int after) {
    return Math.min(unitOffset(after), offset(zone.regionPages())) - unitOffset(unit);
  }

  /** The first page of a unit; of one behind the zone's end, a number above all pages. */
  private static int firstPage(int unit) {
    return (int) Math.min(Integer.MAX_VALUE, (long) unit * COMMIT_PAGES);
  }
}
