/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.spi;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.IntSupplier;
import java.util.function.LongPredicate;
import org.cdmalloc.NativeCallException;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;

/**
 * A source of addresses with nothing behind them, for any {@link Machine}: what an allocator does
 * can be tested on machines that no test could fill. Regions are invented ranges of addresses,
 * aligned to 2 MiB, that never overlap and are never invented twice; reading or writing one is a
 * fault, and {@link #view} refuses. Accounts are kept as a real source keeps them: free bytes by
 * node, what is committed of each region, a full node as a value, residency by the books. A commit
 * that one of several nodes has no room for may hold the others' shares for a moment, in which they
 * look as full as they would to a kernel.
 *
 * <p>Costs memory by ranges, not by pages: a region holds an entry for each run of committed bytes,
 * and one for each page that was moved or is locked. Safe for use by any number of threads.
 */
public final class AddressOnlySource implements MemorySource {
  /** Above what a JVM would map by chance, below the top of all platforms' addresses. */
  private static final long FIRST_ADDRESS = 1L << 44;

  private static final long END_ADDRESS = 1L << 56;
  private static final int ENOMEM = 12;

  private final Machine machine;
  private final int osPageBytes;
  private final IntSupplier currentNode;
  private final Map<Integer, AtomicLong> freeBytes = new ConcurrentHashMap<>();
  private volatile LongPredicate pinned = page -> false;
  private final AtomicLong lockedBytes = new AtomicLong();
  private volatile long lockLimitBytes = Long.MAX_VALUE;
  private final AtomicLong nextAddress = new AtomicLong(FIRST_ADDRESS);

  private AddressOnlySource(Machine machine, int osPageBytes, IntSupplier currentNode) {
    this.machine = Objects.requireNonNull(machine, "machine");
    this.osPageBytes = osPageBytes;
    this.currentNode = Objects.requireNonNull(currentNode, "currentNode");
    machine.nodes().forEach(node -> freeBytes.put(node.id(), new AtomicLong(node.bytes())));
  }

  /**
   * Invents the memory of a machine with OS pages of 4 KiB, all of whose threads run on its first
   * node.
   *
   * @param machine any machine
   * @return a new source
   */
  public static AddressOnlySource of(Machine machine) {
    return of(machine, 4 << 10, machine.online()::first);
  }

  /**
   * Invents the memory of a machine.
   *
   * @param machine any machine
   * @param osPageBytes the size of its pages: 4096, 16384 or 65536
   * @param currentNode asked where the calling thread runs; returns a node of the machine
   * @return a new source
   * @throws IllegalArgumentException if there is no such page size
   */
  public static AddressOnlySource of(Machine machine, int osPageBytes, IntSupplier currentNode) {
    if (!List.of(4 << 10, 16 << 10, 64 << 10).contains(osPageBytes)) {
      throw new IllegalArgumentException("no such page size: osPageBytes=" + osPageBytes);
    }
    return new AddressOnlySource(machine, osPageBytes, currentNode);
  }

  @Override
  public String name() {
    return "addresses";
  }

  @Override
  public boolean isReal() {
    return false;
  }

  @Override
  public Machine machine() {
    return machine;
  }

  @Override
  public int osPageBytes() {
    return osPageBytes;
  }

  @Override
  public long limitBytes() {
    return machine.nodes().stream().mapToLong(Node::bytes).sum();
  }

  @Override
  public int currentNode() {
    return currentNode.getAsInt();
  }

  @Override
  public long freeBytes(int node) {
    return account(node).get();
  }

  @Override
  public CommitResult room(int node, long bytes) {
    long free = account(node).get();
    if (!machine.withMemory().contains(node) || bytes <= 0) {
      throw new IllegalArgumentException("no room to ask for: node=" + node + ", bytes=" + bytes);
    }
    return free < bytes ? full(node, free, bytes) : CommitResult.COMMITTED;
  }

  @Override
  public Region reserve(Stripe stripe, long bytes) {
    stripe.nodes().stream().forEach(this::account);
    boolean hasMemory = machine.withMemory().containsAll(stripe.nodes());
    if (!hasMemory || bytes <= 0 || bytes % osPageBytes != 0) {
      throw new IllegalArgumentException(
          "not a region: stripe="
              + stripe
              + ", with_memory="
              + machine.withMemory()
              + ", bytes="
              + bytes
              + ", os_page_bytes="
              + osPageBytes);
    }
    // A gap behind each region, so that no address is the end of one and the start of the next.
    long step = bytes > END_ADDRESS ? END_ADDRESS : (bytes / ALIGNMENT_BYTES + 2) * ALIGNMENT_BYTES;
    long address = nextAddress.get();
    while (step <= END_ADDRESS - address && !nextAddress.compareAndSet(address, address + step)) {
      address = nextAddress.get();
    }
    if (step > END_ADDRESS - address) {
      throw new NativeCallException("mmap", ENOMEM, "ENOMEM", "bytes=" + bytes);
    }
    return new Invented(this, stripe, bytes, address);
  }

  @Override
  public CommitResult commit(Region region, long offset, long bytes) {
    Invented own = requirePages(region, offset, bytes);
    synchronized (own) {
      own.requireLive();
      Map<Integer, Long> wanted = new TreeMap<>();
      for (int node : own.nodes) {
        long had = own.committedBytes(node, offset, offset + bytes);
        wanted.put(node, own.shareBytes(node, offset, offset + bytes) - had);
      }
      CommitResult result = charge(wanted);
      if (result.isCommitted()) {
        own.add(offset, offset + bytes);
      }
      return result;
    }
  }

  private static CommitResult full(int node, long free, long wanted) {
    return new CommitResult(
        CommitResult.Outcome.NODE_FULL,
        "node=" + node + ", free_bytes=" + free + ", wanted_bytes=" + wanted);
  }

  /** Charges each node its share, or none of them and says which was full. */
  private CommitResult charge(Map<Integer, Long> sharesByNode) {
    Map<Integer, Long> charged = new TreeMap<>();
    for (Map.Entry<Integer, Long> share : sharesByNode.entrySet()) {
      long wanted = share.getValue();
      AtomicLong account = account(share.getKey());
      long free = account.get();
      while (wanted <= free && !account.compareAndSet(free, free - wanted)) {
        free = account.get();
      }
      if (wanted > free) {
        charged.forEach((node, bytes) -> account(node).addAndGet(bytes));
        return full(share.getKey(), free, wanted);
      }
      charged.put(share.getKey(), wanted);
    }
    return CommitResult.COMMITTED;
  }

  @Override
  public MoveResult move(Region region, long offset, long bytes, int node) {
    Invented own = requirePages(region, offset, bytes);
    if (!machine.withMemory().contains(node)) {
      throw new IllegalArgumentException(
          "no such node, or one without memory: node=" + node + ", nodes=" + machine.withMemory());
    }
    synchronized (own) {
      own.requireLive();
      own.requireCommitted(offset, bytes);
      long last = offset + bytes;
      long wanted = 0;
      for (long at = offset; at < last; at += osPageBytes) {
        wanted += own.node(at) == node || isPinned(own, at) ? 0 : osPageBytes;
      }
      CommitResult room = charge(Map.of(node, wanted));
      if (!room.isCommitted()) {
        return MoveResult.refused(room.detail(), residency(region, offset, bytes), node);
      }
      for (long at = offset; at < last; at += osPageBytes) {
        int from = own.node(at);
        if (from != node && !isPinned(own, at)) {
          account(from).addAndGet(osPageBytes);
          own.move(at, node);
        }
      }
      return MoveResult.of(residency(region, offset, bytes), node, page -> "pinned");
    }
  }

  private boolean isPinned(Invented own, long offset) {
    return pinned.test(own.address() + offset);
  }

  /**
   * Lets pages stay where they are whatever is moved.
   *
   * @param pages which do, by their first byte's address
   */
  public void pin(LongPredicate pages) {
    pinned = pages;
  }

  @Override
  public LockResult lock(Region region, long offset, long bytes) {
    Invented own = requirePages(region, offset, bytes);
    synchronized (own) {
      own.requireLive();
      own.requireCommitted(offset, bytes);
      List<Long> pages = new ArrayList<>();
      for (long at = offset; at < offset + bytes; at += osPageBytes) {
        if (!own.locked.contains(at)) {
          pages.add(at);
        }
      }
      long wanted = (long) pages.size() * osPageBytes;
      long had = lockedBytes.get();
      while (wanted <= lockLimitBytes - had && !lockedBytes.compareAndSet(had, had + wanted)) {
        had = lockedBytes.get();
      }
      if (wanted > lockLimitBytes - had) {
        return LockResult.refused(
            "memlock_limit_bytes="
                + lockLimitBytes
                + ", locked_bytes="
                + had
                + ", wanted_bytes="
                + wanted
                + "; call limitLocks");
      }
      own.locked.addAll(pages);
      return LockResult.LOCKED;
    }
  }

  @Override
  public void unlock(Region region, long offset, long bytes) {
    Invented own = requirePages(region, offset, bytes);
    synchronized (own) {
      own.requireLive();
      unlock(own, offset, offset + bytes);
    }
  }

  private void unlock(Invented own, long start, long end) {
    Set<Long> pages = own.locked.subSet(start, end);
    lockedBytes.addAndGet(-(long) pages.size() * osPageBytes);
    pages.clear();
  }

  /**
   * Limits what can be locked; what is locked stays so.
   *
   * @param bytes the most that may be locked at a time; {@link Long#MAX_VALUE} at first
   */
  public void limitLocks(long bytes) {
    lockLimitBytes = bytes;
  }

  /**
   * Returns what is locked of all regions.
   *
   * @return bytes, not negative
   */
  public long lockedBytes() {
    return lockedBytes.get();
  }

  @Override
  public long purge(Region region, long offset, long bytes) {
    Invented own = requirePages(region, offset, bytes);
    synchronized (own) {
      own.requireLive();
      return giveBack(own, offset, offset + bytes);
    }
  }

  @Override
  public void release(Region region) {
    Invented own = requireOwn(region);
    synchronized (own) {
      own.requireLive();
      giveBack(own, 0, own.bytes());
      own.released = true;
    }
  }

  /**
   * Refuses: there is nothing to see.
   *
   * @throws UnsupportedOperationException if the region and the range are as the port wants them
   */
  @Override
  public ByteBuffer view(Region region, long offset, int bytes) {
    Invented own = requireOwn(region);
    synchronized (own) {
      own.requireLive();
    }
    if (offset < 0 || bytes < 0 || offset > own.bytes() - bytes) {
      throw outside(own, offset, bytes);
    }
    throw new UnsupportedOperationException(
        "a region of addresses alone cannot be viewed: node=" + own.node() + "; use its address");
  }

  @Override
  public long addressOf(ByteBuffer buffer) {
    throw new UnsupportedOperationException("no buffer is of a source of addresses alone");
  }

  @Override
  public Residency residency(Region region, long offset, long bytes) {
    Invented own = requirePages(region, offset, bytes);
    int[] nodes = new int[Math.toIntExact(bytes / osPageBytes)];
    synchronized (own) {
      own.requireLive();
      Arrays.fill(nodes, Residency.NOT_PRESENT);
      own.forEachCommitted(
          offset,
          offset + bytes,
          (start, end) -> {
            for (long at = start; at < end; at += osPageBytes) {
              nodes[(int) ((at - offset) / osPageBytes)] = own.node(at);
            }
          });
    }
    return new Residency(osPageBytes, nodes, "emulated");
  }

  @Override
  public Diagnosis diagnosis() {
    return new Diagnosis(true, List.of("addresses: nothing is behind them, and nothing measured"));
  }

  private long giveBack(Invented own, long start, long end) {
    unlock(own, start, end);
    long sum = 0;
    own.moved
        .subMap(start, end)
        .forEach(
            (at, node) -> {
              account(node).addAndGet(osPageBytes);
              account(own.stripe().node(at / osPageBytes)).addAndGet(-osPageBytes);
            });
    for (int node : own.nodes) {
      long had = own.committedBytes(node, start, end);
      account(node).addAndGet(had);
      sum += had;
    }
    own.moved.subMap(start, end).clear();
    own.remove(start, end);
    return sum;
  }

  private AtomicLong account(int node) {
    AtomicLong account = freeBytes.get(node);
    if (account == null) {
      throw new IllegalArgumentException(
          "no such node: node=" + node + ", online=" + machine.online());
    }
    return account;
  }

  private Invented requireOwn(Region region) {
    if (region instanceof Invented own && own.source == this) {
      return own;
    }
    throw new IllegalArgumentException("region is of another source: node=" + region.node());
  }

  private Invented requirePages(Region region, long offset, long bytes) {
    Invented own = requireOwn(region);
    if (offset < 0
        || bytes <= 0
        || offset > own.bytes() - bytes
        || offset % osPageBytes != 0
        || bytes % osPageBytes != 0) {
      throw outside(own, offset, bytes);
    }
    return own;
  }

  private static IllegalArgumentException outside(Invented own, long offset, long bytes) {
    return new IllegalArgumentException(
        "range is not whole OS pages of the region: offset="
            + offset
            + ", bytes="
            + bytes
            + ", region_bytes="
            + own.bytes());
  }

  /** What takes a range: from its first byte to the one behind its last. */
  private interface RangeAction {
    void accept(long start, long end);
  }

  /** A range of addresses and which parts of it are committed; all state is guarded by this. */
  private static final class Invented extends Region {
    private final AddressOnlySource source;
    private final int[] nodes;

    /** Start to end, of ranges that neither overlap nor touch. */
    private final TreeMap<Long, Long> committed = new TreeMap<>();

    /** Where pages lie that are not on their own node, by their first byte. */
    private final TreeMap<Long, Integer> moved = new TreeMap<>();

    /** The first bytes of the pages that are locked. */
    private final TreeSet<Long> locked = new TreeSet<>();

    private boolean released;

    Invented(AddressOnlySource source, Stripe stripe, long bytes, long address) {
      super(stripe, bytes, true, address, List.of());
      this.source = source;
      this.nodes = stripe.nodes().stream().toArray();
    }

    void requireLive() {
      if (released) {
        throw new IllegalStateException(
            "region is released: node=" + node() + ", bytes=" + bytes());
      }
    }

    void requireCommitted(long offset, long bytes) {
      if (committedBytes(offset, offset + bytes) != bytes) {
        throw new IllegalArgumentException(
            "range is not committed: offset=" + offset + ", bytes=" + bytes);
      }
    }

    void forEachCommitted(long start, long end, RangeAction action) {
      Long first = committed.floorKey(start);
      committed
          .subMap(first == null ? start : first, end)
          .forEach(
              (from, to) -> {
                if (to > start) {
                  action.accept(Math.max(from, start), Math.min(to, end));
                }
              });
    }

    /** Returns where the page at an offset lies, or would. */
    int node(long at) {
      Integer elsewhere = moved.get(at);
      return elsewhere == null ? stripe().node(at / source.osPageBytes) : elsewhere;
    }

    void move(long at, int node) {
      if (node == stripe().node(at / source.osPageBytes)) {
        moved.remove(at);
      } else {
        moved.put(at, node);
      }
    }

    /** Returns what is committed in a range. */
    long committedBytes(long start, long end) {
      long[] sum = {0};
      forEachCommitted(start, end, (from, to) -> sum[0] += to - from);
      return sum[0];
    }

    /** Returns what of a range comes from a node. */
    long shareBytes(int node, long start, long end) {
      long page = source.osPageBytes;
      return stripe().pages(node, start / page, end / page) * page;
    }

    /** Returns what of a node is committed in a range. */
    long committedBytes(int node, long start, long end) {
      long[] sum = {0};
      forEachCommitted(start, end, (from, to) -> sum[0] += shareBytes(node, from, to));
      return sum[0];
    }

    void add(long start, long end) {
      Map.Entry<Long, Long> before = committed.floorEntry(start);
      long from = before != null && before.getValue() >= start ? before.getKey() : start;
      Map.Entry<Long, Long> last = committed.floorEntry(end);
      long to = last != null ? Math.max(end, last.getValue()) : end;
      committed.subMap(from, true, end, true).clear();
      committed.put(from, to);
    }

    void remove(long start, long end) {
      Map.Entry<Long, Long> before = committed.lowerEntry(start);
      Map.Entry<Long, Long> last = committed.lowerEntry(end);
      committed.subMap(start, end).clear();
      if (before != null && before.getValue() > start) {
        committed.put(before.getKey(), start);
      }
      if (last != null && last.getValue() > end) {
        committed.put(end, last.getValue());
      }
    }
  }
}
