/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.nio.ByteBuffer;
import java.util.List;
import java.util.Objects;
import org.cdmalloc.internal.account.Account;
import org.cdmalloc.internal.account.Allowance;
import org.cdmalloc.internal.allocation.AllocationPath;
import org.cdmalloc.internal.allocation.DeviceRequests;
import org.cdmalloc.internal.allocation.DeviceZone;
import org.cdmalloc.internal.allocation.LentBlock;

/**
 * The right to use a device node, for one holder. The node's root capability is {@link
 * NodeAllocator#device(int)}; narrower ones are made from it, and from each other: with a quota,
 * with a budget for spilling, with a name, and each can be revoked. A request through it is served
 * by the node or not at all; it never falls back to another device, and to system memory only
 * within the budgets of {@link #spilling} (J. Hubbard, linux-mm, 8 March 2017: "no automatic use in
 * either direction").
 *
 * <p><b>Whose right.</b> The right is this object, and what it hands out: its {@link #placement()}
 * and arenas. No thread, no policy and no inheritance gives it; what a request does not name, it
 * does not have. It stops accidents and confused deputies, not hostile code in the same JVM.
 *
 * <p><b>Accounts.</b> A request is charged to its capability and to all that it was made from, in
 * the block's usable bytes, before memory is looked for; a block is credited when it is freed, by
 * whomever. A request that is not served is charged nothing, but counts until that is known:
 * another one at the same moment may find the quota used up by it.
 *
 * <p><b>Contents.</b> Where a node has had several holders, memory that was in use is zeroed before
 * it is handed to one of them, by raw address and uninitialised buffer too, unless zeroing is
 * {@link Zeroing#NEVER} or the source cannot show its memory; so is what a spilled block takes of
 * system memory and gives back. Costs such requests a write of the block.
 *
 * <p><b>Exhaustion.</b> Where the node has shrinkers and may be reclaimed, a request that finds no
 * room waits for them, at most 50 ms; one that may spill does so before it spills, and again for
 * the system nodes; one to which blocks give way, again after each of three tries to make room.
 *
 * <p><b>Eviction.</b> Where {@link NodeAttributes#evict()} is set, blocks of the node's holders
 * give way to a request that finds no room, to a block that is moved here, pinned here or lent:
 * those first that were not used for the longest time, as far as that is told here, which is when
 * they were allocated, moved, pinned or lent; that a CPU or the device reads or writes a block is
 * not seen. They go to the node's demotion target, below the spill ceiling and above that node's
 * low mark, keep their addresses and contents, and stay charged. What is pinned or lent stays, and
 * so do blocks of system memory that were moved here. A block that gave way comes back when it is
 * lent or pinned, or moved here by hand, and lies in system memory until then, though its holder
 * may not spill. {@link NodeReport#demotedBytes()} and {@link NodeReport#promotedBytes()} tell
 * whether blocks go to and fro.
 *
 * <p><b>Cost.</b> A block costs some hundred bytes of the Java heap while it is live, in an arena
 * some hundred and thirty; a request takes a step for each capability up to the root. Safe for use
 * by any number of threads.
 */
public final class DeviceNode {
  private static final long ANY = 1;

  private final DeviceZone zone;
  private final AllocationPath allocation;
  private final Account account;
  private final Placement placement;
  private final DeviceRequests requests;

  DeviceNode(DeviceZone zone, AllocationPath allocation) {
    this(zone, allocation, zone.account());
  }

  private DeviceNode(DeviceZone zone, AllocationPath allocation, Account account) {
    this.zone = zone;
    this.allocation = allocation;
    this.account = account;
    this.placement = Placement.onDevice(zone.node(), this);
    this.requests = new DeviceRequests(allocation, placement, zone, account);
  }

  /** Returns the requests in this right. */
  DeviceRequests requests() {
    return requests;
  }

  /**
   * Returns the node's number.
   *
   * @return as in {@link NodeAllocator#machine()}
   */
  public int node() {
    return zone.node();
  }

  /**
   * Returns who holds this capability, for reports and messages.
   *
   * @return the names from the root's on: {@code device2}, {@code device2/1}, {@code device2/cache}
   */
  public String holder() {
    return account.holder();
  }

  /**
   * Makes a narrower capability that may use so much. Blocks of it count here too.
   *
   * @param bytes the most that its blocks and those of narrower ones may use together, in usable
   *     bytes; spilled blocks count; more than this capability may use is allowed, and never
   *     reached
   * @return a new capability, held by whoever is given it
   * @throws IllegalArgumentException if {@code bytes} is negative
   */
  public DeviceNode withQuota(long bytes) {
    if (bytes < 0) {
      throw new IllegalArgumentException("quota is negative: bytes=" + bytes + "; give 0 or more");
    }
    return new DeviceNode(zone, allocation, account.withQuota(bytes));
  }

  /**
   * Makes a narrower capability whose blocks may lie in system memory when the node has no room,
   * nearest node to the device first. Before a system node is tried the block's usable bytes are
   * taken of the budget, and of those of the capability that this is made from if it spills; where
   * one is used up, nothing is spilled. A system node then serves only above its low mark, and only
   * if the node has room by the kernel's account too.
   *
   * <p>A block is credited to the budget when it is freed, and as far as it is moved to the device
   * ({@link NodeAllocator#move(long, Placement)}); not while a pin keeps it there, after which it
   * goes home. A block of the device that is moved to system memory by name takes nothing of the
   * budget.
   *
   * @param budget how much; others may share it
   * @return a new capability, as one with a quota
   */
  public DeviceNode spilling(SpillBudget budget) {
    Allowance allowance = Objects.requireNonNull(budget, "budget").allowance();
    return new DeviceNode(zone, allocation, account.spilling(allowance));
  }

  /**
   * Makes a narrower capability with a name, for reports and messages.
   *
   * @param name the last part of its {@link #holder()}; need not be unique
   * @return a new capability without a quota of its own
   * @throws IllegalArgumentException if the name is blank, or has a slash or a control character
   */
  public DeviceNode named(String name) {
    if (name.isBlank() || name.chars().anyMatch(DeviceNode::isForeign)) {
      throw new IllegalArgumentException(
          "not a holder's name: name=" + name + "; give one line of text without a slash");
    }
    return new DeviceNode(zone, allocation, account.named(name));
  }

  private static boolean isForeign(int character) {
    int type = Character.getType(character);
    return character == '/'
        || type == Character.CONTROL
        || type == Character.LINE_SEPARATOR
        || type == Character.PARAGRAPH_SEPARATOR;
  }

  /**
   * Serves nothing in this right any more, nor in those that were made from it: from now on
   * requests and moves fail with {@link NodeAccessException}. One that was charged before may still
   * complete. Blocks live until they are freed; {@link #outstanding()} lists them. Does nothing the
   * second time.
   *
   * @throws IllegalStateException if this is the node's root capability
   */
  public void revoke() {
    if (account == zone.account()) {
      throw new IllegalStateException(
          "a root capability cannot be revoked: node="
              + zone.node()
              + "; hand out narrower ones, and revoke those");
    }
    account.end();
  }

  /**
   * Reports on this holder and on all that hold a capability made from this one. Capabilities that
   * nobody can reach any more, and have no block, are left out.
   *
   * @return a holder before those below it
   */
  public List<HolderReport> holders() {
    return zone.holders(account);
  }

  /**
   * Lists the blocks that are charged here, to this holder and to those below it, once they were
   * handed out. Walks all zones of the allocator, some pages at a time: what is allocated or freed
   * meanwhile may be in it or not.
   *
   * @return a new list; without freed blocks, some of which are charged still where the platform
   *     did not take their memory back yet
   * @throws IllegalStateException if the allocator is closed
   */
  public List<DeviceBlock> outstanding() {
    return zone.blocks(account);
  }

  /**
   * Returns where the node is in its life.
   *
   * @return its state now; others may change it
   */
  public NodeState state() {
    return zone.state();
  }

  /**
   * Brings the node into use: reserves address space for its capacity. Before, nothing of it is
   * reserved, touched or listed. Ends a drain that others have begun. Does nothing if the node is
   * online.
   *
   * <p>This is about the allocator's use of the node. Whether the node has memory is the platform's
   * affair: on Linux its memory blocks go offline and come online by {@code
   * /sys/devices/system/memory/memory<i>N</i>/state}. Of a node that has no memory nothing is
   * brought into use. If it loses its memory, or a part of it, later, it stays online: what is
   * there can be used as before, wherever the platform moved it, requests for more end in {@link
   * NodeMemoryExhaustedException}, and once the memory is back they are served again, without a
   * call of this.
   *
   * @throws NodeAccessException if this is not the node's root capability; if the kernel refuses to
   *     bind memory, so that nobody could say where it lies; if all memory of the node is offline
   *     by the platform's account. The node stays as it was, and nothing is reserved
   * @throws NodeFailedException if the node was lost
   * @throws NativeCallException if the address space cannot be reserved; if that of the time before
   *     cannot be given back, the node is online
   * @throws IllegalStateException if the allocator is closed
   */
  public void online() {
    requireRoot("online()");
    zone.online();
  }

  /**
   * Takes the node out of use. From now on it gives no blocks out: to its holders it is full, and
   * those that may spill are served by system memory within their budgets. Blocks of system memory
   * that were moved here go home, as far as there is room; blocks of this node go to its {@link
   * NodeAttributes#demotionTarget()}, if it has one, below its spill ceiling and above the target's
   * low mark. If nothing is left on the node its memory goes back to the kernel, and it is {@link
   * NodeState#OFFLINE}; else it stays {@link NodeState#DRAINING}, what lies there can be used as
   * before, and the report names it, with who pays for it. Free it or move it elsewhere, and call
   * this again; or call {@link #online()}.
   *
   * <p>A block that was moved from here to another node keeps its address, and does not keep the
   * node from going offline. Takes as long as what has to be moved, and some milliseconds more
   * where others are at work on blocks here.
   *
   * @return what was moved, and what blocks the drain
   * @throws NodeAccessException if this is not the node's root capability
   * @throws NodeFailedException if the node was lost
   * @throws NativeCallException if the platform fails to move pages or to take memory back; the
   *     node is draining, or it is offline and only its address space was not taken back
   * @throws IllegalStateException if the node was never online, or the allocator is closed
   */
  public DrainReport offline() {
    requireRoot("offline()");
    return zone.offline();
  }

  /**
   * Says that the node was lost: its link is down, its memory reports errors. It serves nothing
   * from now on, and does not come back in this allocator. Whose blocks lie there is told by {@link
   * NodeFailedException} when they ask for a buffer over them, or for them to be moved, pinned or
   * lent; nobody else notices. Such blocks can be freed, and are not touched then. A buffer over
   * one that was given out before stays what it is to the JVM: whatever the machine does when lost
   * memory is read, it does. Does nothing the second time.
   *
   * @param cause why, in words, for messages
   * @throws NodeAccessException if this is not the node's root capability
   * @throws IllegalStateException if the allocator is closed
   */
  public void fail(String cause) {
    Objects.requireNonNull(cause, "cause");
    requireRoot("fail(cause)");
    zone.fail(cause);
  }

  private void requireRoot(String call) {
    if (account != zone.account()) {
      throw new NodeAccessException(
          "only the root capability changes a device node's state: node="
              + zone.node()
              + ", holder="
              + account.holder()
              + "; call NodeAllocator.device("
              + zone.node()
              + ")."
              + call);
    }
  }

  /**
   * Pins a block on this node: moves it here if it lies elsewhere, locks it in memory, and asks the
   * kernel where it lies. Any live block of the allocator will do, except one of several of a slab
   * ({@link NodeAllocator.Builder#magazineBytes}); one that comes from elsewhere is charged to this
   * capability while it lies here, and goes home when its last pin is closed.
   *
   * <p>Locked memory counts against what the process may lock (RLIMIT_MEMLOCK, {@code ulimit -l}).
   * Cost: what a move costs, a call of mlock(2) and one that asks where the pages are; two mappings
   * of the process while the block is pinned, and a few hundred bytes of the Java heap.
   *
   * @param address the block's first byte; the block consists of whole OS pages
   * @return a pin; close it
   * @throws NodeMemoryExhaustedException if the node has no room, or the quota; if a page stayed
   *     where it was; if so much memory must not be locked. The block is where it was
   * @throws NodeAccessException if the capability was revoked, or the platform does not let this
   *     process move pages or see where they are
   * @throws NodeFailedException if the node was lost, or the one on which the block lies
   * @throws NativeCallException if the platform fails to lock the block
   * @throws IllegalArgumentException as {@link #free(long)}; if the block is one of several of a
   *     slab, or shares an OS page with others
   * @throws MemoryCorruptionError as {@link #free(long)}
   * @throws IllegalStateException if the node is not online, the block is pinned on another node,
   *     or is lent and lies on another one; if the allocator is closed
   */
  public DevicePin pin(long address) {
    return new DevicePin(zone.pin(address, account, placement, false));
  }

  /**
   * Pins a buffer's block, as {@link #pin(long)} does.
   *
   * @param buffer as for {@link #free(ByteBuffer)}
   * @return as there
   * @throws NodeMemoryExhaustedException as there
   * @throws NodeAccessException as there
   * @throws NodeFailedException as there
   * @throws NativeCallException as there
   * @throws IllegalArgumentException as there
   * @throws MemoryCorruptionError as there
   * @throws IllegalStateException as there
   */
  public DevicePin pin(ByteBuffer buffer) {
    return pin(allocation.address(Objects.requireNonNull(buffer, "buffer")));
  }

  /**
   * Copies what is between a buffer's position and its limit into a new block on this node, and
   * pins that: for memory that is not this allocator's, of the Java heap too. The block is freed
   * when the pin is closed.
   *
   * @param content what to copy; its position does not change
   * @return a pin of a block that holds at least {@code content.remaining()} bytes, and begins with
   *     them
   * @throws NodeMemoryExhaustedException as {@link #pin(long)}
   * @throws NodeAccessException as {@link #pin(long)}
   * @throws NodeFailedException as {@link #pin(long)}
   * @throws NativeCallException as {@link #pin(long)}
   * @throws UnsupportedOperationException if the source cannot show its memory
   * @throws IllegalStateException as {@link #pin(long)}
   */
  public DevicePin copyOf(ByteBuffer content) {
    int osPageBytes = allocation.osPageBytes();
    long bytes = Math.max(1, content.remaining());
    long address = allocate((bytes + osPageBytes - 1) / osPageBytes * osPageBytes);
    boolean pinned = false;
    try {
      buffer(address, content.remaining()).put(content.duplicate());
      DevicePin pin = new DevicePin(zone.pin(address, account, placement, true));
      pinned = true;
      return pin;
    } finally {
      if (!pinned) {
        free(address);
      }
    }
  }

  /**
   * Lends a block to the device: from now on it is the device's, until the loan ends. Freeing it
   * meanwhile is allowed, and done when the loan ends; it is not moved, and the node does not go
   * offline. Blocks that were spilled, or moved away and find no room here, are lent where they
   * lie.
   *
   * @param address the first byte of a block that is charged to this holder or to one below it
   * @return the loan, for the device side; see there for who sees what is written
   * @throws NodeAccessException if the block is not this holder's, or the capability was revoked
   * @throws NodeMemoryExhaustedException under {@link Checks#PARANOID}, if there is no room for the
   *     second block
   * @throws NodeFailedException if the node was lost, or the one on which the block lies
   * @throws IllegalArgumentException as {@link #free(long)}; if the block is one of several of a
   *     slab, which none of a holder's is
   * @throws MemoryCorruptionError as {@link #free(long)}
   * @throws IllegalStateException if the node is not online, or the allocator is closed
   */
  public DeviceLoan lend(long address) {
    boolean bounces = allocation.checks() == Checks.PARANOID;
    LentBlock lent = zone.lend(address, account, bounces ? requests : null);
    return new DeviceLoan(lent.address(), lent.bytes(), holder(), lent.view(), lent.ownership());
  }

  /**
   * Changes what may be done with the node's memory.
   *
   * @param attributes those of {@link NodeAttributes#COHERENT_DEVICE}, changed where the node is to
   *     differ
   * @throws NodeAccessException if this is not the node's root capability
   * @throws IllegalArgumentException if the demotion target is no system node with memory, or the
   *     node is to evict and has less than 2 MiB
   * @throws NodeFailedException if the node was lost
   * @throws IllegalStateException if the node is online or draining, or is to evict from now on and
   *     has live blocks, which lie elsewhere: the addresses for that are reserved before the first
   */
  public void setAttributes(NodeAttributes attributes) {
    Objects.requireNonNull(attributes, "attributes");
    requireRoot("setAttributes(attributes)");
    zone.attributes(attributes);
  }

  /**
   * Returns what may be done with the node's memory.
   *
   * @return its attributes now
   */
  public NodeAttributes attributes() {
    return zone.attributes();
  }

  /**
   * Registers a cache that can give memory of this node back. It is called when the node runs short
   * and {@link NodeAttributes#reclaim()} is true ({@link Shrinker}), behind those that were
   * registered before, whoever holds them. It may be registered before the node is online, and
   * stays when this capability is revoked.
   *
   * @param shrinker the cache; kept reachable until its registration ends or the allocator does
   * @return what ends the registration; closing the allocator ends it too
   * @throws NodeAccessException if the capability was revoked
   * @throws IllegalStateException if the allocator is closed
   */
  public Registration shrinker(Shrinker shrinker) {
    Objects.requireNonNull(shrinker, "shrinker");
    allocation.requireOpen();
    account.requireNotEnded();
    return allocation.reclaim().register(zone.node(), shrinker);
  }

  /**
   * Returns the placement on this node, which carries the right to it: whoever is handed the
   * placement may allocate here.
   *
   * @return the same object each time
   */
  public Placement placement() {
    return placement;
  }

  /**
   * Allocates a block on this node. Its content is not defined.
   *
   * @param bytes its size, 0 or more; 0 counts as 1; rounded up to whole pages of 4 KiB
   * @return its address, a multiple of 4096
   * @throws NodeMemoryExhaustedException if the node has no room, or the quota
   * @throws NodeAccessException if the capability was revoked
   * @throws IllegalArgumentException if {@code bytes} is negative
   * @throws IllegalStateException if the node is not online or the allocator is closed
   */
  public long allocate(long bytes) {
    return requests.allocate(bytes, ANY);
  }

  /**
   * Allocates a block on this node at a multiple of an alignment. Its content is not defined.
   *
   * @param bytes as for {@link #allocate(long)}
   * @param alignment a power of two, 1 … 2 MiB
   * @return its address, a multiple of both 4096 and the alignment
   * @throws NodeMemoryExhaustedException if the node has no room, or the quota
   * @throws NodeAccessException if the capability was revoked
   * @throws IllegalArgumentException if {@code bytes} is negative, or the alignment not as said
   * @throws IllegalStateException if the node is not online or the allocator is closed
   */
  public long allocate(long bytes, long alignment) {
    return requests.allocate(bytes, alignment);
  }

  /**
   * Allocates a block on this node if it has room.
   *
   * @param bytes as for {@link #allocate(long)}
   * @return its address, or 0 if the node has no room, or the quota
   * @throws NodeAccessException if the capability was revoked
   * @throws IllegalArgumentException if {@code bytes} is negative
   * @throws IllegalStateException if the node is not online or the allocator is closed
   */
  public long tryAllocate(long bytes) {
    return requests.tryAllocate(bytes, ANY);
  }

  /**
   * Allocates a zeroed buffer on this node.
   *
   * @param bytes its capacity, 0 or more
   * @return a direct, big-endian buffer of exactly that capacity
   * @throws NodeMemoryExhaustedException if the node has no room, or the quota
   * @throws NodeAccessException if the capability was revoked
   * @throws IllegalArgumentException if {@code bytes} is negative
   * @throws IllegalStateException if the node is not online or the allocator is closed
   */
  public ByteBuffer allocateBuffer(int bytes) {
    return requests.allocateBuffer(bytes, true);
  }

  /**
   * Allocates a buffer on this node that may show what a block held before.
   *
   * @param bytes its capacity, 0 or more
   * @return a direct, big-endian buffer of exactly that capacity
   * @throws NodeMemoryExhaustedException if the node has no room, or the quota
   * @throws NodeAccessException if the capability was revoked
   * @throws IllegalArgumentException if {@code bytes} is negative
   * @throws IllegalStateException if the node is not online or the allocator is closed
   */
  public ByteBuffer allocateBufferUninitialized(int bytes) {
    return requests.allocateBuffer(bytes, false);
  }

  /**
   * Allocates a zeroed buffer on this node if it has room.
   *
   * @param bytes its capacity, 0 or more
   * @return a direct, big-endian buffer of exactly that capacity, or null if the node has no room,
   *     or the quota
   * @throws NodeAccessException if the capability was revoked
   * @throws IllegalArgumentException if {@code bytes} is negative
   * @throws IllegalStateException if the node is not online or the allocator is closed
   */
  public ByteBuffer tryAllocateBuffer(int bytes) {
    return requests.tryAllocateBuffer(bytes, true);
  }

  /**
   * Returns a buffer over part of a live block, as {@link SystemMemory#buffer} does.
   *
   * @param address the part's first byte, anywhere in the block
   * @param bytes its length, 0 … to the end of the block's {@link #usableBytes}
   * @return a direct, big-endian buffer of exactly that capacity
   * @throws IllegalArgumentException if {@code bytes} is negative, the address is foreign, or the
   *     part ends outside the block
   * @throws MemoryCorruptionError if the address lies in no live block
   * @throws IllegalStateException if the allocator is closed
   */
  public ByteBuffer buffer(long address, int bytes) {
    return allocation.buffer(address, bytes);
  }

  /**
   * Returns how many bytes of a block may be used, as {@link SystemMemory#usableBytes} does.
   *
   * @param address the block's first byte
   * @return bytes
   * @throws IllegalArgumentException if the address is foreign, misaligned, or inside a block
   * @throws MemoryCorruptionError if the block that began there was freed before
   * @throws IllegalStateException if the allocator is closed
   */
  public long usableBytes(long address) {
    return allocation.usableBytes(address);
  }

  /**
   * Frees a block, as {@link NodeAllocator#free(long)} does.
   *
   * @param address the block's first byte
   * @throws IllegalArgumentException if no block of the allocator begins there
   * @throws MemoryCorruptionError if the block that began there was freed before
   * @throws IllegalStateException if the allocator is closed
   */
  public void free(long address) {
    allocation.free(address);
  }

  /**
   * Frees a block, as {@link NodeAllocator#free(ByteBuffer)} does.
   *
   * @param buffer a buffer whose index 0 is the block's first byte
   * @throws IllegalArgumentException if no block of the allocator begins there
   * @throws MemoryCorruptionError if the block that began there was freed before
   * @throws IllegalStateException if the allocator is closed
   */
  public void free(ByteBuffer buffer) {
    allocation.free(Objects.requireNonNull(buffer, "buffer"));
  }

  /**
   * Opens a scope on this node that frees what was allocated in it.
   *
   * @return a new arena without blocks; requests in it need the node online
   * @throws IllegalStateException if the allocator is closed
   */
  public NodeArena arena() {
    allocation.requireOpen();
    return new NodeArena(allocation, requests);
  }

  /** Prints {@code DeviceNode[node=2, holder=device2, state=ONLINE]}. */
  @Override
  public String toString() {
    return "DeviceNode[node="
        + zone.node()
        + ", holder="
        + holder()
        + ", state="
        + zone.state()
        + "]";
  }
}
