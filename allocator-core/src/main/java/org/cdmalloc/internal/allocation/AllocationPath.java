/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import org.cdmalloc.Checks;
import org.cdmalloc.MemoryCorruptionError;
import org.cdmalloc.NodeFailedException;
import org.cdmalloc.NodeMemoryExhaustedException;
import org.cdmalloc.NodeMemoryExhaustedException.Attempt;
import org.cdmalloc.NodeState;
import org.cdmalloc.Placement;
import org.cdmalloc.Zeroing;
import org.cdmalloc.internal.account.Account;
import org.cdmalloc.internal.account.BlockOwner;
import org.cdmalloc.internal.address.RegionAddresses;
import org.cdmalloc.internal.magazine.Choices;
import org.cdmalloc.internal.magazine.Depot;
import org.cdmalloc.internal.magazine.ThreadMagazines;
import org.cdmalloc.internal.slab.ReadyBlock;
import org.cdmalloc.internal.slab.SizeClasses;
import org.cdmalloc.internal.zone.Fragmentation;
import org.cdmalloc.internal.zone.Zone;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Residency;

/**
 * Blocks: a path of zones and a size to an address or a buffer, and an address back to its zone.
 * Safe for use by any number of threads; the account is the zones', under their locks.
 */
public final class AllocationPath {
  /**
   * A block that was found is one number: the run as {@link Zone} tells it, and above its bits the
   * place in the path of the zone that it is of.
   */
  private static final int INDEX_SHIFT = 40;

  private static final int INDEX_MASK = 0xfff;

  /** Set if the block is one of those that are kept ready; its page may hold others. */
  private static final long READY = 1L << 60;

  /** Set with it if the block holds zeros. */
  private static final long CLEAN = 1L << 61;

  /** Where such a block begins in its page, in units of 16 bytes. */
  private static final int UNIT_SHIFT = 52;

  private static final int UNIT_MASK = 0xff;

  private static final long NONE = Zone.NONE;

  /** What came of freeing a block that is in use otherwise: its memory goes when that ends. */
  private static final int DEFERRED = 1;

  private final MemorySource source;
  private final Zeroing zeroing;
  private final Checks checks;
  private final Reclaim reclaim;
  private final MagazinePath magazines;

  /** Written under this object's lock. */
  private volatile NodeSnapshot nodes = NodeSnapshot.EMPTY;

  /** Written under this object's lock. */
  private volatile boolean closed;

  /** Zones that were given up, and whose regions the source did not take; guarded by this. */
  private final List<BackedZone> removed = new ArrayList<>();

  /**
   * Makes a path without zones.
   *
   * @param source where the zones' regions come from
   * @param zeroing when memory that was used is zeroed
   * @param checks how much is done to find misuse
   * @param reclaim the shrinkers of the zones' nodes
   */
  public AllocationPath(MemorySource source, Zeroing zeroing, Checks checks, Reclaim reclaim) {
    this.source = source;
    this.zeroing = zeroing;
    this.checks = checks;
    this.reclaim = reclaim;
    this.magazines = new MagazinePath(checks, zeroing == Zeroing.ON_FREE);
  }

  /** Returns the magazines of all threads. */
  ThreadMagazines threads() {
    return magazines.threads();
  }

  /**
   * Returns how much is done to find misuse.
   *
   * @return as chosen
   */
  public Checks checks() {
    return checks;
  }

  /**
   * Takes a zone in, so that its addresses are known.
   *
   * @param reserve reserves the zone's region
   * @return the zone
   * @throws IllegalStateException if this path is closed
   */
  BackedZone add(Supplier<BackedZone> reserve) {
    return add(reserve, AddressMap::with);
  }

  /** As {@link #add}, of a zone that serves whoever asks: its addresses are looked for first. */
  BackedZone addFirst(Supplier<BackedZone> reserve) {
    return add(reserve, AddressMap::withFirst);
  }

  /**
   * As {@link #add}, and publishes with it that a node becomes online.
   *
   * @param reserve reserves the zone's region
   * @param node the node
   * @param paths makes of the zone what requests for the node walk
   * @param instead the zone whose place it takes, or null
   * @throws IllegalStateException if this path is closed, or the node cannot become online
   */
  BackedZone addOnline(
      Supplier<BackedZone> reserve,
      int node,
      Function<BackedZone, Paths> paths,
      BackedZone instead) {
    return add(
        reserve,
        AddressMap::with,
        (after, zone) ->
            (instead == null ? after : after.without(instead))
                .with(states -> states.become(node, NodeState.ONLINE, paths.apply(zone), "")));
  }

  /**
   * Closes a zone that is in no snapshot any more. If the source fails to take its region, it is
   * asked again when this path is closed.
   */
  synchronized void remove(BackedZone zone) {
    removed.add(zone);
    zone.remove();
    removed.remove(zone);
  }

  private BackedZone add(
      Supplier<BackedZone> reserve, BiFunction<AddressMap, BackedZone, AddressMap> extend) {
    return add(reserve, extend, (after, zone) -> after);
  }

  private synchronized BackedZone add(
      Supplier<BackedZone> reserve,
      BiFunction<AddressMap, BackedZone, AddressMap> extend,
      BiFunction<NodeSnapshot, BackedZone, NodeSnapshot> change) {
    requireOpen();
    BackedZone zone = reserve.get();
    boolean known = false;
    try {
      if (zeroing == Zeroing.ON_FREE && !zone.canBeViewed()) {
        throw new IllegalArgumentException(
            "memory of this source cannot be zeroed: source="
                + source.name()
                + ", zeroing=ON_FREE; choose Zeroing.NEVER");
      }
      NodeSnapshot extended =
          change.apply(nodes.with(zone, extend.apply(nodes.addresses(), zone)), zone);
      if (zone.shares().isEmpty()) {
        reclaim.attach(zone);
      }
      nodes = extended;
      known = true;
      return zone;
    } finally {
      if (!known) {
        zone.close();
      }
    }
  }

  /**
   * Publishes a change of nodes.
   *
   * @param change from the snapshot before to the one after; may refuse
   * @throws IllegalStateException if this path is closed
   */
  synchronized void publish(UnaryOperator<NodeSnapshot> change) {
    requireOpen();
    nodes = change.apply(nodes);
  }

  /**
   * Returns the size of the pages in which the platform thinks.
   *
   * @return bytes
   */
  public int osPageBytes() {
    return source.osPageBytes();
  }

  /** Returns where memory comes from. */
  MemorySource source() {
    return source;
  }

  /** Returns what requests see now. */
  NodeSnapshot nodes() {
    return nodes;
  }

  /**
   * Returns the shrinkers of the zones' nodes.
   *
   * @return the same object each time
   */
  public Reclaim reclaim() {
    return reclaim;
  }

  /**
   * Throws if this path is closed.
   *
   * @throws IllegalStateException if so
   */
  public void requireOpen() {
    if (closed) {
      throw new IllegalStateException("allocator is closed; open another one");
    }
  }

  /** Returns what threads choose for requests at a placement; null where no zone keeps anything. */
  Choices newChoices() {
    boolean keepsReady = zones().stream().anyMatch(zone -> zone.depot() != null);
    return keepsReady ? new Choices(threads()) : null;
  }

  /** Tells whether what a user may have written is overwritten when memory is allocated. */
  boolean zeroesWhenAllocated() {
    return zeroing == Zeroing.ON_ALLOCATE;
  }

  /** Zeroes a block that was kept ready and used, where allocating is to do so. */
  private void clear(BackedZone zone, long offset) {
    if (zeroing == Zeroing.ON_ALLOCATE && zone.canBeViewed()) {
      zone.zero(offset, MagazinePath.usableBytes(zone, offset));
    }
  }

  /** Remembers what the caller chose for its next requests. */
  void remember(Choices requests, ZonePath path) {
    magazines.remember(requests, path);
  }

  /**
   * Allocates a block.
   *
   * @param path the zones to try
   * @param bytes its size, 0 or more; 0 counts as 1
   * @param alignment of its address, a power of two, 1 … {@link MemorySource#ALIGNMENT_BYTES}
   * @param owner in whose name alone it can be freed, or null
   * @return its address, or 0 if no zone has room
   * @throws IllegalArgumentException if {@code bytes} is negative, or the alignment not as said
   * @throws IllegalStateException if closed
   */
  long tryAllocate(ZonePath path, long bytes, long alignment, BlockOwner owner) {
    int sizeClass =
        owner == null ? MagazinePath.sizeClass(path.zone(0), bytes, alignment) : SizeClasses.NONE;
    long found = find(path, pages(bytes), sizeClass, alignOrder(alignment), owner);
    return found < 0 ? 0 : address(path, found);
  }

  /**
   * Allocates a buffer.
   *
   * @param path the zones to try
   * @param bytes its capacity, 0 or more
   * @param zeroed whether it shall hold zeros
   * @param owner in whose name alone it can be freed, or null
   * @return a direct, big-endian buffer of that capacity, or null if no zone has room
   */
  ByteBuffer tryAllocateBuffer(ZonePath path, int bytes, boolean zeroed, BlockOwner owner) {
    int sizeClass =
        owner == null ? MagazinePath.sizeClass(path.zone(0), bytes, 1) : SizeClasses.NONE;
    long found = find(path, pages(bytes), sizeClass, 0, owner);
    return found < 0 ? null : buffer(path, found, bytes, zeroed, owner);
  }

  /** Returns the address of a block that was found. */
  static long address(ZonePath path, long found) {
    return zone(path, found).addressAt(offset(found));
  }

  /** Returns where a block that was found begins in its region, in bytes. */
  private static long offset(long found) {
    long unit = found >>> UNIT_SHIFT & UNIT_MASK;
    return Pages.offset(Zone.page(found)) + unit * SizeClasses.OBJECT_ALIGNMENT_BYTES;
  }

  /** Returns the number of a block that was kept ready in the first zone of a path. */
  private static long ready(long block) {
    long clean = ReadyBlock.isClean(block) ? CLEAN : 0;
    long offset = ReadyBlock.offset(block);
    long unit = (offset & Pages.MASK) / SizeClasses.OBJECT_ALIGNMENT_BYTES;
    return READY | clean | unit << UNIT_SHIFT | Pages.page(offset);
  }

  /** Returns a block that was found as a buffer; if that fails, the block is free again. */
  ByteBuffer buffer(ZonePath path, long found, int bytes, boolean zeroed, BlockOwner owner) {
    boolean done = false;
    try {
      ByteBuffer buffer = zone(path, found).view(offset(found), bytes);
      if (zeroed) {
        clear(path, found, pages(bytes));
      }
      done = true;
      return buffer;
    } finally {
      if (!done) {
        undo(path, found, owner);
      }
    }
  }

  /** Frees a block that was found and not handed out. */
  void undo(ZonePath path, long found, BlockOwner owner) {
    if ((found & READY) != 0) {
      magazines.free(zone(path, found), offset(found));
      return;
    }
    int freed = zone(path, found).zone().undo(Zone.page(found), owner);
    if (freed > 0 && owner != null) {
      owner.freed(Pages.offset(freed));
    }
  }

  /** Zeroes what was written before in a block that was found, where allocating is to do so. */
  void clear(ZonePath path, long found, int pages) {
    BackedZone zone = zone(path, found);
    if ((found & READY) != 0) {
      if ((found & CLEAN) == 0) {
        clear(zone, offset(found));
      }
      return;
    }
    if (zeroing == Zeroing.ON_ALLOCATE && Zone.isWritten(found) && zone.canBeViewed()) {
      zone.zeroWritten(found, pages);
    }
  }

  private static BackedZone zone(ZonePath path, long found) {
    return path.zone(index(found));
  }

  /** Returns the place in its path of the zone that a block was found in. */
  static int index(long found) {
    return (int) (found >>> INDEX_SHIFT) & INDEX_MASK;
  }

  /**
   * Finds a block.
   *
   * @param path the zones to try
   * @param pages its size
   * @param alignOrder log2 of the pages of which its first is a multiple
   * @param owner in whose name alone it can be freed, or null
   * @return the block, or a negative number if no zone has room
   */
  long find(ZonePath path, int pages, int alignOrder, BlockOwner owner) {
    return find(path, pages, SizeClasses.NONE, alignOrder, owner);
  }

  /** As above, of a block that nobody owns and that may be one of those that are kept ready. */
  private long find(ZonePath path, int pages, int sizeClass, int alignOrder, BlockOwner owner) {
    long found = walkTwice(path, pages, sizeClass, alignOrder, owner);
    return found < 0 && Reclaim.mayHelp(path)
        ? findAsShrinkersGive(path, pages, sizeClass, alignOrder, owner)
        : found;
  }

  /** Walks again as often as shrinkers of the path's nodes give something, for a bounded time. */
  private long findAsShrinkersGive(
      ZonePath path, int pages, int sizeClass, int alignOrder, BlockOwner owner) {
    long deadlineNanos = reclaim.deadlineNanos();
    long found;
    long gains;
    do {
      gains = Reclaim.gains(path);
      found = walkTwice(path, pages, sizeClass, alignOrder, owner);
    } while (found < 0 && reclaim.await(path, pages, gains, deadlineNanos));
    return found;
  }

  /** Walks, and once more if blocks were kept ready, or memory is short and not pages. */
  private long walkTwice(
      ZonePath path, int pages, int sizeClass, int alignOrder, BlockOwner owner) {
    long found = walk(path, pages, sizeClass, alignOrder, owner);
    if (found < 0) {
      boolean wereKept = bringBack(path, pages);
      boolean wereIdle = returnIdle(path);
      found = wereKept || wereIdle ? walk(path, pages, sizeClass, alignOrder, owner) : found;
    }
    return found;
  }

  private long walk(ZonePath path, int pages, int sizeClass, int alignOrder, BlockOwner owner) {
    for (int i = 0; i < path.length(); i++) {
      BackedZone zone = path.zone(i);
      long run = NONE;
      if (sizeClass >= 0) {
        long block = magazines.take(zone, sizeClass, path.events(i), path.floorPages(i));
        run = block < 0 ? NONE : ready(block);
      }
      if (run < 0) {
        run =
            zone.take(pages, path.floorPages(i), alignOrder, path.events(i), path.caller(), owner);
      }
      if (run >= 0) {
        if (Zone.isBelowLow(run)) {
          zone.wake();
        }
        if (i > 0) {
          path.countForeign();
        }
        return run | (long) i << INDEX_SHIFT;
      }
      zone.wake();
    }
    return NONE;
  }

  /**
   * Brings back what threads keep ready of the zones of a path where that can make room for so many
   * pages: nobody loses what is ready to a request that is too large.
   *
   * @return whether there was any
   */
  private boolean bringBack(ZonePath path, int pages) {
    List<BackedZone> keep = new ArrayList<>();
    for (int i = 0; i < path.length(); i++) {
      BackedZone zone = path.zone(i);
      Depot depot = zone.depot();
      if (depot != null && depot.runPages() >= Math.max(1, pages - zone.zone().freePages())) {
        keep.add(zone);
      }
    }
    if (!keep.isEmpty()) {
      magazines.bringBack(keep);
    }
    return !keep.isEmpty();
  }

  /**
   * Gives back what is idle anywhere if a zone of the path lacks memory, not pages.
   *
   * @return whether to walk the path again: even where nothing was idle any more, a zone that was
   *     tried late may have given back what one before it lacked
   */
  private boolean returnIdle(ZonePath path) {
    boolean isShort = false;
    for (int i = 0; i < path.length(); i++) {
      isShort |= path.zone(i).isShortOfMemory();
    }
    if (isShort) {
      trim(false);
    }
    return isShort;
  }

  /**
   * Gives the memory back that is committed and in no block, as far as it fills whole commit units.
   *
   * @param onlyIdle spares what was in use since this was last called
   * @return bytes
   */
  public long trim(boolean onlyIdle) {
    long bytes = 0;
    RuntimeException failure = null;
    if (onlyIdle) {
      magazines.bringIdleBack(zones());
    } else {
      magazines.bringBack(zones());
    }
    for (BackedZone zone : zones()) {
      try {
        bytes += zone.purge(onlyIdle);
      } catch (RuntimeException e) {
        failure = Failures.joined(failure, e);
      }
    }
    if (failure != null) {
      throw failure;
    }
    return bytes;
  }

  /**
   * Frees a block.
   *
   * @param address its first byte
   * @throws IllegalArgumentException if no block begins there
   * @throws MemoryCorruptionError if the block that began there is free
   * @throws IllegalStateException if closed
   */
  public void free(long address) {
    if (!magazines.hitFree(address)) {
      freeMissed(address);
    }
  }

  private void freeMissed(long address) {
    AddressMap.Extent extent = require(address);
    BackedZone zone = extent.zone();
    long offset = extent.offsetOf(address);
    if (extent.slabs() == null || !freeReady(extent, offset, address)) {
      freeRun(zone, offset, address);
    }
  }

  /** Frees a block that was kept ready; returns false if none begins at an offset. */
  private boolean freeReady(AddressMap.Extent extent, long offset, long address) {
    int freed = magazines.free(extent.zone(), extent.slabs(), extent.magazineId(), offset);
    if (freed < 0) {
      throw wrongFree(extent.zone(), address, freed);
    }
    return freed != MagazinePath.NO_OBJECT;
  }

  private static RuntimeException wrongFree(BackedZone zone, long address, int answer) {
    zone.requireOpen();
    return wrongReady(address, answer, zone);
  }

  private void freeRun(BackedZone zone, long offset, long address) {
    zone.requireOpen();
    if ((offset & Pages.MASK) != 0) {
      throw wrong(address, offset, zone.pages(offset), zone);
    }
    int freed = free(zone, offset, null);
    while (freed == Zone.OWNED) {
      BlockOwner owner = owner(zone, offset);
      // Whoever takes the block from its owner frees it, so that nobody does so twice.
      if (owner != null && owner.leave()) {
        freed = freeLeft(zone, offset, owner);
      } else {
        boolean changed = owner == null || (owner instanceof HeldBlock held && held.hasEnded());
        freed = changed ? free(zone, offset, null) : Zone.NOT_LIVE;
      }
    }
    if (freed <= 0) {
      throw wrong(address, offset, freed, zone);
    }
  }

  /** Frees a block that left its scope; one of a closed allocator is gone already. */
  void freeOwned(long address, BlockOwner owner) {
    AddressMap.Extent extent = require(address);
    int freed = freeLeft(extent.zone(), extent.offsetOf(address), owner);
    if (freed <= 0 && freed != Zone.CLOSED) {
      throw wrong(address, extent.offsetOf(address), freed, extent.zone());
    }
  }

  /** Frees a block that left its owner; where that fails, it is the owner's again. */
  private int freeLeft(BackedZone zone, long offset, BlockOwner owner) {
    if (owner.defersFree()) {
      return DEFERRED;
    }
    boolean done = false;
    try {
      int freed = free(zone, offset, owner);
      while (freed == Zone.OWNED && isHeldOver(zone, offset, owner)) {
        // It was held just before it was taken from its owner.
        freed =
            owner(zone, offset) instanceof HeldBlock held && held.leaveFor(owner)
                ? DEFERRED
                : free(zone, offset, owner);
      }
      done = true;
      return freed;
    } finally {
      if (!done && owner(zone, offset) == owner) {
        owner.stay();
      }
    }
  }

  private static boolean isHeldOver(BackedZone zone, long offset, BlockOwner owner) {
    BlockOwner now = owner(zone, offset);
    return now == owner || (now instanceof HeldBlock held && held.isOver(owner));
  }

  /** Tells whether no part of a block lies on a node that was lost, whose memory is not touched. */
  private boolean isSound(BackedZone zone, long offset, int pages) {
    return !nodes.hasLost() || LostNodes.of(nodes, zone, Pages.page(offset), pages).isEmpty();
  }

  /**
   * Throws if part of a block lies on a node that was lost.
   *
   * @throws NodeFailedException if so
   */
  void requireSound(BackedZone zone, int page, int pages, long address) {
    if (nodes.hasLost()) {
      LostNodes.requireSound(nodes, zone, page, pages, address);
    }
  }

  /** Returns the owner of the block at an offset, or null if there is none. */
  static BlockOwner owner(BackedZone zone, long offset) {
    return (BlockOwner) zone.zone().owner(Pages.page(offset));
  }

  /** Frees a block in its owner's name; returns its pages, or a negative number of {@link Zone}. */
  int free(BackedZone zone, long offset, BlockOwner owner) {
    if (zeroesWhenFreed(zone.node(), owner)) {
      int pages = zone.canBeViewed() ? zone.pages(offset) : 0;
      if (pages > 0 && owner(zone, offset) == owner && isSound(zone, offset, pages)) {
        zone.zero(offset, Pages.offset(pages));
      }
    }
    int freed = zone.free(offset, owner);
    if (freed > 0 && owner != null) {
      owner.freed(Pages.offset(freed));
    }
    return freed;
  }

  private boolean zeroesWhenFreed(int node, BlockOwner owner) {
    if (owner == null || zeroing != Zeroing.ON_ALLOCATE) {
      return zeroing == Zeroing.ON_FREE;
    }
    // What was spilled into another zone is not shown to whoever gets that memory next.
    Account account = owner.account();
    return account != null && account.node() != node;
  }

  /**
   * Frees the block whose first byte is a buffer's index 0.
   *
   * @param buffer the buffer that was allocated, or any view of it with the same index 0
   */
  public void free(ByteBuffer buffer) {
    free(RegionAddresses.address(buffer, source));
  }

  /**
   * Returns the address of a buffer's index 0.
   *
   * @param buffer a direct buffer
   * @return its address
   */
  public long address(ByteBuffer buffer) {
    return RegionAddresses.address(buffer, source);
  }

  /**
   * Returns what a block holds.
   *
   * @param address its first byte
   * @return bytes: its size, rounded up as it was when it was allocated
   */
  public long usableBytes(long address) {
    return usableBytes(require(address), address);
  }

  private static long usableBytes(AddressMap.Extent extent, long address) {
    BackedZone zone = extent.zone();
    zone.requireOpen();
    int bytes = MagazinePath.usableBytes(zone, extent.offsetOf(address));
    if (bytes < 0) {
      throw wrongReady(address, bytes, zone);
    }
    return bytes > 0 ? bytes : (long) requireRun(extent, address) * Zone.PAGE_BYTES;
  }

  /**
   * Makes a plain run of a block that is to be held or moved.
   *
   * @throws IllegalArgumentException if it is one of several of a slab
   */
  static void requireOwnPages(AddressMap.Extent extent, long address) {
    int bytes = MagazinePath.release(extent.zone(), extent.offsetOf(address));
    if (bytes < 0) {
      throw wrongReady(address, bytes, extent.zone());
    }
    if (bytes > 0) {
      throw new IllegalArgumentException(
          "block is one of several of a slab: address="
              + hex(address)
              + ", bytes="
              + bytes
              + "; allocate more than "
              + SizeClasses.MAX_OBJECT_BYTES
              + " bytes, at an alignment above "
              + Zone.PAGE_BYTES
              + ", or in an arena");
    }
  }

  private static RuntimeException wrongReady(long address, int answer, BackedZone zone) {
    return wrong(address, 0, answer, zone);
  }

  /**
   * Returns a buffer over part of a live block.
   *
   * @param address the part's first byte, anywhere in the block
   * @param bytes its length; the part does not end outside the block
   * @return a direct, big-endian buffer of that capacity
   */
  public ByteBuffer buffer(long address, int bytes) {
    if (checks == Checks.PARANOID) {
      requireNotLent(address);
    }
    return view(address, bytes);
  }

  private void requireNotLent(long address) {
    AddressMap.Extent extent = require(address);
    int start = extent.zone().zone().runStart(Pages.page(extent.offsetOf(address)));
    BlockOwner owner = start < 0 ? null : owner(extent.zone(), Pages.offset(start));
    if (owner instanceof HeldBlock held && held.isLent()) {
      throw new IllegalStateException("block is lent: " + held + "; wait until it is returned");
    }
  }

  /** Throws if a live block must not be touched: the path is closed, or its node was lost. */
  void requireVisible(long address) {
    AddressMap.Extent extent = require(address);
    BackedZone zone = extent.zone();
    zone.requireOpen();
    long offset = extent.offsetOf(address);
    requireSound(zone, Pages.page(offset), zone.pages(offset), address);
  }

  /** As {@link #buffer(long, int)}, for whoever may see the block though it is lent. */
  ByteBuffer view(long address, int bytes) {
    if (bytes < 0) {
      throw new IllegalArgumentException("size is negative: bytes=" + bytes);
    }
    AddressMap.Extent extent = require(address);
    BackedZone zone = extent.zone();
    zone.requireOpen();
    long offset = extent.offsetOf(address);
    int start = zone.zone().runStart(Pages.page(offset));
    if (start < 0) {
      throw wrong(address, offset & ~Pages.MASK, start, zone);
    }
    requireSound(zone, start, zone.zone().pages(start), address);
    long end = MagazinePath.end(zone, Pages.offset(start), offset);
    if (end < 0) {
      throw wrongReady(address, (int) end, zone);
    }
    if (end == MagazinePath.NO_OBJECT) {
      end = Pages.offset(start) + Pages.offset(zone.zone().pages(start));
    }
    if (bytes > end - offset) {
      throw new IllegalArgumentException(
          "buffer ends outside its block: address="
              + hex(address)
              + ", bytes="
              + bytes
              + ", limit="
              + (end - offset)
              + "; ask usableBytes(address)");
    }
    return zone.view(offset, bytes);
  }

  /**
   * Asks where the pages of a block lie.
   *
   * @param address its first byte
   * @return one entry per OS page that the block lies in
   */
  public Residency residency(long address) {
    AddressMap.Extent extent = require(address);
    long bytes = usableBytes(extent, address);
    long offset = extent.offsetOf(address);
    long osMask = source.osPageBytes() - 1L;
    long end = (offset + bytes + osMask) & ~osMask;
    long start = offset & ~osMask;
    return extent.zone().residency(start, end - start);
  }

  /** Returns the pages of the block that begins at an address, or throws if none does. */
  static int requireRun(AddressMap.Extent extent, long address) {
    extent.zone().requireOpen();
    long offset = extent.offsetOf(address);
    int pages = (offset & Pages.MASK) != 0 ? Zone.INTERIOR : extent.zone().pages(offset);
    if (pages <= 0) {
      throw wrong(address, offset, pages, extent.zone());
    }
    return pages;
  }

  /**
   * Asks where the pages of a buffer's block lie.
   *
   * @param buffer as for {@link #free(ByteBuffer)}
   * @return one entry per OS page that the block lies in
   */
  public Residency residency(ByteBuffer buffer) {
    return residency(RegionAddresses.address(buffer, source));
  }

  /** Gives back what budgets pay for, once this path is closed: nobody can free those blocks. */
  void cancelSpills() {
    zones().forEach(BackedZone::cancelSpills);
  }

  /**
   * Lists what accounts pay for.
   *
   * @param within the account, or one above them
   * @return the blocks that were live when their part of memory was looked at
   * @throws IllegalStateException if closed
   */
  List<PaidRun> paid(Account within) {
    requireOpen();
    List<PaidRun> paid = new ArrayList<>();
    for (BackedZone zone : zones()) {
      zone.addPaid(within, paid);
    }
    return paid;
  }

  /**
   * Closes all zones. Does nothing the second time, except for the zones whose memory the source
   * failed to take: it is asked again.
   *
   * @return the blocks that were live when this path was closed; 0 the second time
   */
  public synchronized int close() {
    boolean again = closed;
    closed = true;
    int live = 0;
    RuntimeException failure = null;
    List<BackedZone> all = new ArrayList<>(nodes.zones());
    all.addAll(removed);
    for (BackedZone zone : all) {
      live += again ? 0 : (int) Math.min(Integer.MAX_VALUE, zone.liveBlocks());
      try {
        zone.close();
      } catch (RuntimeException e) {
        // The other zones must be closed all the same.
        failure = Failures.joined(failure, e);
      }
    }
    magazines.threads().close();
    if (failure != null) {
      throw failure;
    }
    return live;
  }

  /**
   * Returns the zones.
   *
   * @return in the order in which they were added
   */
  public List<BackedZone> zones() {
    return nodes.zones();
  }

  AddressMap.Extent require(long address) {
    AddressMap.Extent extent = nodes.addresses().find(address);
    if (extent == null) {
      requireOpen();
      throw new IllegalArgumentException(
          "address is not of this allocator: address="
              + hex(address)
              + "; free what was allocated here, once, by its first byte");
    }
    return extent;
  }

  /** Says what is wrong with an address at which a zone found no block. */
  static RuntimeException wrong(long address, long offset, int answer, BackedZone zone) {
    if (answer == Zone.CLOSED) {
      return new IllegalStateException(
          "allocator is closed: address=" + hex(address) + ", node=" + zone.node());
    }
    if (answer == Zone.NOT_LIVE && (offset & Pages.MASK) == 0) {
      throw new MemoryCorruptionError(
          "no live block begins here, it was freed before or never allocated: address="
              + hex(address)
              + ", node="
              + zone.node());
    }
    return new IllegalArgumentException(
        (answer == Zone.NOT_LIVE ? "address is misaligned" : "address is inside a block")
            + ": address="
            + hex(address)
            + ", node="
            + zone.node()
            + "; pass the block's first byte");
  }

  /**
   * Explains a failure.
   *
   * @param path the zones that were tried
   * @param bytes what was asked for
   * @param alignment as asked for
   * @param placement where
   * @return the exception, with what each zone says now
   */
  NodeMemoryExhaustedException exhausted(
      ZonePath path, long bytes, long alignment, Placement placement) {
    List<Attempt> attempts = new ArrayList<>(path.length());
    for (int i = 0; i < path.length(); i++) {
      attempts.add(whyNot(path, i, bytes, alignment));
    }
    return new NodeMemoryExhaustedException(bytes, placement.toString(), attempts);
  }

  /** Says why a zone of a path did not serve. */
  Attempt whyNot(ZonePath path, int index, long bytes, long alignment) {
    int order = Math.max(Fragmentation.order(pages(bytes)), alignOrder(alignment));
    return ZoneReports.whyNot(path.zone(index), bytes, order, path.floorPages(index), source);
  }

  /** Returns the pages that a block of some size takes; those beyond any zone count as the most. */
  static int pages(long bytes) {
    if (bytes < 0) {
      throw new IllegalArgumentException("size is negative: bytes=" + bytes);
    }
    long pages = bytes == 0 ? 1 : (bytes - 1) / Zone.PAGE_BYTES + 1;
    return (int) Math.min(pages, Integer.MAX_VALUE);
  }

  /** Returns log2 of the pages of which the first of an aligned block is a multiple. */
  static int alignOrder(long alignment) {
    if (alignment == 1) {
      return 0;
    }
    if (alignment < 1
        || alignment > MemorySource.ALIGNMENT_BYTES
        || (alignment & (alignment - 1)) != 0) {
      throw new IllegalArgumentException(
          "not an alignment: alignment="
              + alignment
              + "; give a power of two, 1 to "
              + MemorySource.ALIGNMENT_BYTES);
    }
    return Long.numberOfTrailingZeros(Math.max(1, alignment / Zone.PAGE_BYTES));
  }

  static String hex(long address) {
    return "0x" + Long.toHexString(address);
  }
}
