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
 * the system nodes.
 *
 * <p><b>Cost.</b> A block costs some hundred bytes of the Java heap while it is live, in an arena
 * some hundred and twenty; a request takes a step for each capability up to the root. Safe for use
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
   * ({@link NodeAllocator#move(long, Placement)}); a block of the device that is moved to system
   * memory by name takes nothing of the budget.
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
   * Brings the node into use: reserves address space for its capacity. Before, nothing of it is
   * reserved or listed. Does nothing if the node is online.
   *
   * @throws NodeAccessException if this is not the node's root capability; if the kernel refuses to
   *     bind memory, so that nobody could say where it lies
   * @throws NativeCallException if the address space cannot be reserved
   * @throws IllegalStateException if the allocator is closed
   */
  public void online() {
    if (account != zone.account()) {
      throw new NodeAccessException(
          "only the root capability brings a device node online: node="
              + zone.node()
              + ", holder="
              + account.holder()
              + "; call NodeAllocator.device("
              + zone.node()
              + ").online()");
    }
    zone.online();
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
   * @param bytes its length, 0 … to the end of the block's last page
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

  /** Prints {@code DeviceNode[node=2, holder=device2, online=true]}. */
  @Override
  public String toString() {
    return "DeviceNode[node="
        + zone.node()
        + ", holder="
        + holder()
        + ", online="
        + zone.isOnline()
        + "]";
  }
}
