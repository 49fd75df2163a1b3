/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.magazine;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.concurrent.locks.ReentrantLock;
import org.cdmalloc.internal.slab.ReadyBlock;
import org.cdmalloc.internal.slab.SizeClasses;
import org.cdmalloc.internal.slab.Slab;
import org.cdmalloc.internal.slab.SlabCache;
import org.cdmalloc.internal.slab.SlabIndex;
import org.cdmalloc.internal.zone.Zone;

/**
 * What threads have in common of one zone's blocks that are kept ready: magazines with blocks in
 * them, empty ones, and the slabs. Safe for use by any number of threads; every method is one short
 * critical section.
 *
 * <p>A <em>magazine</em> is an array, see {@link Magazine}; a block is a {@link ReadyBlock}.
 */
public final class Depot {
  /*
   * Algorithmic notes.
   *
   * State, under the lock
   *   full[c]     magazines of class c with blocks in them, the one that came last on top
   *   empty[c]    magazines of class c without
   *   idle[c]     how many of full[c] nobody took since this was last looked at
   *   slabs       the slabs; an object that is out is its user's or in a magazine
   *   cached      blocks and bytes that the magazines of full hold
   *   out         blocks and bytes that are out of the slabs
   *   threads     how many there are, and gone: what others counted that are no more
   * State, volatile
   *   threadBytes what each thread may keep: less than it was told before if others came since
   *   epoch       moved when threads are to bring their magazines back; negative once closed
   *
   * Invariants
   *   D1  a magazine is one thread's or the depot's
   *   D2  a block is its user's, or in one magazine, or in its slab
   *   D3  cachedBytes <= mostCachedBytes
   *   D4  what is out is with users, in a thread's magazine, or in one of full
   *
   * Hand-over: whoever puts a magazine here unlocks after it wrote the magazine and the states of its
   * blocks; whoever takes it locked before it reads them. So what happened before a block was freed
   * happens before whatever follows its next allocation.
   *
   * Locks: the zone's is taken inside this one where runs go back; runs are taken outside, since that
   * may ask the kernel for memory.
   */

  /** The zone: where runs come from and go, and what is done with the memory of blocks. */
  public interface Memory {
    /**
     * Takes a run.
     *
     * @param pages its length
     * @param floorPages how many pages must stay free
     * @return as {@link Zone#take(int, int)}
     */
    long take(int pages, int floorPages);

    /**
     * Gives a run back.
     *
     * @param page its first page
     */
    void giveBack(int page);

    /**
     * Returns a buffer over a block.
     *
     * @param offset where it begins in the region, in bytes
     * @param bytes the buffer's capacity
     * @return a direct, big-endian buffer
     */
    ByteBuffer view(long offset, int bytes);

    /**
     * Writes zeros to a block.
     *
     * @param offset where it begins in the region, in bytes
     * @param bytes its size
     */
    void zero(long offset, long bytes);
  }

  /** A class has at most so many blocks in a magazine, and at least one. */
  private static final int MOST_BLOCKS = 128;

  /** And not more than this, if that is not less than two blocks. */
  private static final int MAGAZINE_BYTES = 1 << 20;

  /** What a thread is given at once of slabs, and not more than half a magazine. */
  private static final int FILL_BYTES = 64 << 10;

  /** A magazine is at most this part of what a thread may keep. */
  private static final int MAGAZINE_SHARE = 8;

  /**
   * The depot keeps so many times what a thread may keep: where one thread allocates and another
   * one frees, all that is free may be here for a while, and what nobody takes goes back in time.
   */
  private static final int DEPOT_SHARE = 32;

  /** And not more than this part of the region: who does not find it here goes to another node. */
  private static final int REGION_SHARE = 8;

  /** All threads together may keep this part of the region. */
  private static final int THREADS_SHARE = 8;

  /**
   * Or so much each, if they are many and that is more; no magazine is more than a quarter of it.
   */
  private static final long LEAST_BYTES = 4 << 20;

  /** Empty magazines of a class are kept for so many blocks: as threads fill and empty in turn. */
  private static final int EMPTY_BLOCKS = 32 * MOST_BLOCKS;

  /** But not more than so many. */
  private static final int EMPTY_MOST = 512;

  /** So many magazines are looked at for one that its thread handed over itself. */
  private static final int NEAR_TOP = 8;

  private static final int STACK = 4;

  /** How often the lock is tried before a thread that wants it parks. */
  private static final int SPINS = 200;

  private final Memory memory;
  private final long base;
  private final long allBytes;
  private final long limitBytes;
  private final long mostCachedBytes;
  private final int[] capacities = new int[SizeClasses.count()];
  private final SlabIndex index;
  private final ReentrantLock lock = new ReentrantLock();

  // Guarded by lock.
  private final SlabCache slabs;
  private final long[][][] full = new long[SizeClasses.count()][][];
  private final int[] fulls = new int[SizeClasses.count()];
  private final int[] idle = new int[SizeClasses.count()];
  private final long[][][] empty = new long[SizeClasses.count()][][];
  private final int[] empties = new int[SizeClasses.count()];
  private final Kept gone = new Kept();
  private long cachedBlocks;
  private long cachedBytes;
  private long outBlocks;
  private long outBytes;
  private long acquisitions;
  private int places;
  private int threads;

  /** Written under the lock. */
  private final Epoch epoch = new Epoch();

  /** Likewise. */
  private volatile long threadBytes;

  /**
   * Makes a depot without magazines.
   *
   * @param memory where runs come from
   * @param base the address of its first byte, if all of it is contiguous; else 0
   * @param regionPages the size of the zone's region
   * @param limitBytes what one thread may keep of the zone at most, positive
   */
  public Depot(Memory memory, long base, int regionPages, long limitBytes) {
    this.memory = memory;
    this.base = base;
    this.allBytes = (long) regionPages * Zone.PAGE_BYTES;
    this.limitBytes = limitBytes;
    this.mostCachedBytes = Math.min(DEPOT_SHARE * limitBytes, allBytes / REGION_SHARE);
    setThreads(0);
    this.slabs = new SlabCache(regionPages);
    this.index = slabs.index();
    for (int sizeClass = 0; sizeClass < capacities.length; sizeClass++) {
      int bytes = SizeClasses.bytes(sizeClass);
      long most = Math.min(MAGAZINE_BYTES, limitBytes / MAGAZINE_SHARE) / bytes;
      boolean fits = limitBytes / MAGAZINE_SHARE >= bytes;
      capacities[sizeClass] = fits ? (int) Math.max(1, Math.min(MOST_BLOCKS, most)) : 0;
    }
  }

  /** Returns the address of the region's first byte, or 0 if there are gaps in it. */
  long base() {
    return base;
  }

  /** Returns the zone. */
  Memory memory() {
    return memory;
  }

  /** Returns the length of the region from that address on, 0 if there are gaps in it. */
  long regionBytes() {
    return base == 0 ? 0 : allBytes;
  }

  /**
   * Returns what each thread may keep, now that there are so many.
   *
   * @return bytes
   */
  public long limitBytes() {
    return threadBytes;
  }

  /**
   * Tells whether blocks of a class are kept ready.
   *
   * @param sizeClass the class
   * @return false if one of them is more than an eighth of what a thread may keep at most
   */
  public boolean serves(int sizeClass) {
    return capacities[sizeClass] > 0;
  }

  /**
   * Returns how many blocks of a class a thread asks slabs for at once, at most 64: they may give a
   * quarter more, for which half a magazine leaves room.
   */
  int mostFilled(int sizeClass) {
    int bytes = SizeClasses.bytes(sizeClass);
    return Math.max(1, Math.min(capacities[sizeClass] / 2, FILL_BYTES / bytes));
  }

  /** Returns what a magazine of a class can hold. */
  long magazineBytes(int sizeClass) {
    return (long) capacities[sizeClass] * SizeClasses.bytes(sizeClass);
  }

  /**
   * Returns where slabs are found by offset.
   *
   * @return the same object each time
   */
  public SlabIndex index() {
    return index;
  }

  /**
   * Begins to serve one thread more, until it retires.
   *
   * @return where in slabs it looks first for blocks: threads are counted, from 0
   */
  int join() {
    lockUncounted();
    try {
      int place = places;
      places = (places + 1) & Short.MAX_VALUE;
      setThreads(threads + 1);
      return place;
    } finally {
      lock.unlock();
    }
  }

  private void setThreads(int count) {
    threads = count;
    long share = allBytes / THREADS_SHARE / Math.max(1, count);
    threadBytes = Math.min(limitBytes, Math.max(LEAST_BYTES, share));
  }

  /** Returns the epoch: a thread that knows another number brings its magazines back. */
  Epoch epoch() {
    return epoch;
  }

  /** Tells whether the zone is closed. */
  boolean isClosed() {
    return epoch.get() < 0;
  }

  /**
   * Exchanges an empty magazine for one with blocks, at least one.
   *
   * @param sizeClass the class
   * @param none an empty magazine, or one that can hold nothing
   * @param most how many blocks to take if they come from slabs, positive
   * @param place the caller's, see {@link #join}
   * @param floorPages how many pages must stay free if a run is needed
   * @return a magazine, or null if there is no room; then the empty one is still its thread's
   */
  long[] exchange(int sizeClass, long[] none, int most, int place, int floorPages) {
    long[] magazine = exchange(sizeClass, none, most, place);
    if (magazine != null || isClosed()) {
      return magazine;
    }
    long run = memory.take(SizeClasses.runPages(sizeClass), floorPages);
    if (run < 0) {
      return null;
    }
    boolean done = false;
    try {
      lock();
      try {
        long[] empty = Magazine.capacity(none) > 0 ? none : anEmpty(sizeClass);
        slabs.open(sizeClass, Zone.page(run), !Zone.isWritten(run));
        done = true;
        return filled(sizeClass, empty, most, place);
      } finally {
        lock.unlock();
      }
    } finally {
      if (!done) {
        memory.giveBack(Zone.page(run));
      }
    }
  }

  private long[] exchange(int sizeClass, long[] none, int most, int place) {
    lock();
    try {
      if (isClosed()) {
        return null;
      }
      if (fulls[sizeClass] == 0) {
        return filled(sizeClass, none, most, place);
      }
      keepEmpty(sizeClass, none);
      bringUp(sizeClass, place);
      return takeFull(sizeClass);
    } finally {
      lock.unlock();
    }
  }

  /** Puts a magazine on top that a thread handed over itself, if there is one near the top. */
  private void bringUp(int sizeClass, int place) {
    long[][] stack = full[sizeClass];
    int top = fulls[sizeClass] - 1;
    for (int i = top; i >= 0 && i > top - NEAR_TOP; i--) {
      if (Magazine.place(stack[i]) == place) {
        long[] own = stack[i];
        stack[i] = stack[top];
        stack[top] = own;
        return;
      }
    }
  }

  private long[] takeFull(int sizeClass) {
    int top = --fulls[sizeClass];
    idle[sizeClass] = Math.min(idle[sizeClass], top);
    long[] magazine = full[sizeClass][top];
    full[sizeClass][top] = null;
    cache(sizeClass, -Magazine.count(magazine));
    return magazine;
  }

  private void cache(int sizeClass, long blocks) {
    cachedBlocks += blocks;
    cachedBytes += blocks * SizeClasses.bytes(sizeClass);
  }

  private void out(int sizeClass, long blocks) {
    outBlocks += blocks;
    outBytes += blocks * SizeClasses.bytes(sizeClass);
  }

  /** Fills a magazine from slabs; returns null if they have nothing. */
  private long[] filled(int sizeClass, long[] none, int most, int place) {
    if (!slabs.has(sizeClass)) {
      return null;
    }
    long[] magazine = Magazine.capacity(none) > 0 ? none : anEmpty(sizeClass);
    int taken = slabs.take(sizeClass, magazine, Magazine.FIRST, most, place);
    Magazine.setCount(magazine, taken);
    out(sizeClass, taken);
    reverse(magazine);
    return magazine;
  }

  /** A thread's lowest blocks of a slab are to be used first, so that the highest come last. */
  private static void reverse(long[] magazine) {
    int high = Magazine.count(magazine);
    for (int low = Magazine.FIRST; low < high; low++) {
      long block = magazine[low];
      magazine[low] = magazine[high];
      magazine[high] = block;
      high--;
    }
  }

  /**
   * Takes a magazine in, or its blocks.
   *
   * @param sizeClass the class
   * @param magazine with any number of blocks
   * @param place the caller's
   * @return an empty magazine
   */
  long[] accept(int sizeClass, long[] magazine, int place) {
    lock();
    try {
      if (Magazine.capacity(magazine) == 0) {
        return anEmpty(sizeClass);
      }
      if (!hasPlaceFor(sizeClass, magazine)) {
        putAll(sizeClass, magazine);
        return magazine;
      }
      // First: it may need the Java heap, and a magazine must not be in two places.
      long[] instead = anEmpty(sizeClass);
      keep(sizeClass, magazine, place);
      return instead;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Takes a magazine in that its thread needs no other one for.
   *
   * @param sizeClass the class
   * @param magazine with any number of blocks
   * @param place the caller's
   */
  void handIn(int sizeClass, long[] magazine, int place) {
    lock();
    try {
      if (hasPlaceFor(sizeClass, magazine)) {
        keep(sizeClass, magazine, place);
      } else {
        putAll(sizeClass, magazine);
        keepEmpty(sizeClass, magazine);
      }
    } finally {
      lock.unlock();
    }
  }

  private boolean hasPlaceFor(int sizeClass, long[] magazine) {
    long bytes = (long) Magazine.count(magazine) * SizeClasses.bytes(sizeClass);
    return bytes != 0 && !isClosed() && cachedBytes + bytes <= mostCachedBytes;
  }

  private void keep(int sizeClass, long[] magazine, int place) {
    Magazine.setPlace(magazine, place);
    push(full, fulls, sizeClass, magazine);
    cache(sizeClass, Magazine.count(magazine));
  }

  private void putAll(int sizeClass, long[] magazine) {
    for (int count = Magazine.count(magazine); count > 0; count--) {
      int page = slabs.put(Magazine.pop(magazine, count));
      out(sizeClass, -1);
      if (page != SlabCache.NONE) {
        memory.giveBack(page);
      }
    }
  }

  private static void push(long[][][] stacks, int[] heights, int sizeClass, long[] magazine) {
    int height = heights[sizeClass];
    long[][] stack = stacks[sizeClass];
    if (stack == null || height == stack.length) {
      stack = stack == null ? new long[STACK][] : Arrays.copyOf(stack, 2 * height);
      stacks[sizeClass] = stack;
    }
    stack[height] = magazine;
    heights[sizeClass] = height + 1;
  }

  private long[] anEmpty(int sizeClass) {
    if (empties[sizeClass] == 0) {
      return Magazine.make(capacities[sizeClass]);
    }
    int top = --empties[sizeClass];
    long[] magazine = empty[sizeClass][top];
    empty[sizeClass][top] = null;
    return magazine;
  }

  private void keepEmpty(int sizeClass, long[] magazine) {
    int most = Math.min(EMPTY_MOST, EMPTY_BLOCKS / Math.max(1, capacities[sizeClass]));
    if (Magazine.capacity(magazine) > 0 && empties[sizeClass] < most) {
      push(empty, empties, sizeClass, magazine);
    }
  }

  /**
   * Puts the blocks of magazines back into their slabs.
   *
   * @param onlyIdle spares those that were taken from since this was last called
   */
  public void flush(boolean onlyIdle) {
    for (int sizeClass = 0; sizeClass < fulls.length; sizeClass++) {
      int most = onlyIdle ? idle(sizeClass) : Integer.MAX_VALUE;
      // One at a time: others wait for the lock.
      while (most > 0 && flushOne(sizeClass)) {
        most--;
      }
    }
  }

  /** Returns how many magazines of a class nobody took since this was last called. */
  private int idle(int sizeClass) {
    lockUncounted();
    try {
      int before = idle[sizeClass];
      idle[sizeClass] = fulls[sizeClass] - before;
      return before;
    } finally {
      lock.unlock();
    }
  }

  private boolean flushOne(int sizeClass) {
    lockUncounted();
    try {
      if (fulls[sizeClass] == 0) {
        return false;
      }
      long[] magazine = takeFull(sizeClass);
      putAll(sizeClass, magazine);
      keepEmpty(sizeClass, magazine);
      return true;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Returns how many pages of the zone are in slabs: of what the zone lacks, so much may be in
   * magazines.
   *
   * @return 0 or more
   */
  public int runPages() {
    lock();
    try {
      return slabs.pages();
    } finally {
      lock.unlock();
    }
  }

  /** Asks all threads to bring their magazines back, each when it next allocates or frees. */
  public void moveEpoch() {
    lock();
    try {
      if (!isClosed()) {
        epoch.set(epoch.get() + 1);
      }
    } finally {
      lock.unlock();
    }
  }

  /** Serves nobody any more. */
  public void close() {
    lock();
    try {
      epoch.set(-1);
    } finally {
      lock.unlock();
    }
  }

  /**
   * Makes a plain run of a block that is a run of its own.
   *
   * @param slab its slab
   * @return false if the block is not its user's; true also if it is a plain run already
   */
  public boolean release(Slab slab) {
    lock();
    try {
      if (!isOpen(slab)) {
        return true;
      }
      if (!slab.takeOnce(0)) {
        return false;
      }
      slabs.release(slab);
      out(slab.sizeClass(), -1);
      return true;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Walks all magazines and slabs and checks every invariant.
   *
   * @throws AssertionError naming the first that does not hold
   */
  void validate() {
    lock();
    try {
      slabs.validate();
      long bytes = 0;
      for (int sizeClass = 0; sizeClass < fulls.length; sizeClass++) {
        for (int i = 0; i < fulls[sizeClass]; i++) {
          bytes += (long) Magazine.count(full[sizeClass][i]) * SizeClasses.bytes(sizeClass);
        }
      }
      if (bytes != cachedBytes || bytes > mostCachedBytes) {
        throw new AssertionError("D3: cachedBytes=" + cachedBytes + ", found=" + bytes);
      }
      if (slabs.countOut() != outBlocks && !isClosed()) {
        throw new AssertionError("D4: outBlocks=" + outBlocks + ", found=" + slabs.countOut());
      }
    } finally {
      lock.unlock();
    }
  }

  /**
   * Tells whether a block that is a run of its own is one of those that are kept ready, and not
   * about to be made a plain run by another thread.
   *
   * @param slab its slab
   * @return true if so
   */
  public boolean has(Slab slab) {
    lockUncounted();
    try {
      return isOpen(slab);
    } finally {
      lock.unlock();
    }
  }

  private static boolean isOpen(Slab slab) {
    return slab.object(slab.offset(0)) == 0;
  }

  /** Remembers what a thread counted that is gone; what it still has is nobody's. */
  void retire(Kept thread) {
    lock();
    try {
      setThreads(threads - 1);
      gone.addEvents(thread.combinations());
      outBlocks -= thread.threadBlocks();
      outBytes -= thread.threadBytes();
    } finally {
      lock.unlock();
    }
  }

  /** Adds what is known here. */
  void addTo(Kept sum) {
    lockUncounted();
    try {
      sum.addEvents(gone.combinations());
      sum.setOut(outBlocks, outBytes);
      sum.setDepot(cachedBlocks, cachedBytes);
      sum.setRuns(slabs.runs(), slabs.pages(), acquisitions);
    } finally {
      lock.unlock();
    }
  }

  private void lock() {
    lockUncounted();
    acquisitions++;
  }

  private void lockUncounted() {
    for (int spins = 0; !lock.tryLock(); spins++) {
      if (spins == SPINS) {
        lock.lock();
        break;
      }
      Thread.onSpinWait();
    }
  }
}
