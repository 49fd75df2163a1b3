/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.lang.System.Logger.Level;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import org.cdmalloc.internal.allocation.AllocationPath;
import org.cdmalloc.internal.allocation.Assembly;
import org.cdmalloc.internal.allocation.BlockMoves;
import org.cdmalloc.internal.allocation.Destination;
import org.cdmalloc.internal.allocation.DeviceRequests;
import org.cdmalloc.internal.allocation.Requests;
import org.cdmalloc.internal.allocation.Sources;
import org.cdmalloc.internal.allocation.SystemRequests;
import org.cdmalloc.internal.allocation.Warnings;
import org.cdmalloc.spi.Diagnosis;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Residency;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.NodeMask;

/**
 * Off-heap memory by NUMA node: a buddy zone per node, system memory for whoever asks, device
 * memory only through {@link #device(int)}.
 *
 * <p>Buffers are direct, big-endian, exact in capacity and zeroed. Threads keep blocks ready, so
 * that nearly every call takes no lock ({@link Builder#magazineBytes}). Blocks of up to 16 KiB that
 * belong to no arena and no device may share pages; all others have whole pages of 4 KiB. {@link
 * #free(long)} takes any live block from any thread; whatever is not the first byte of a live block
 * is detected, with two exceptions: an address cannot show a second free after the block was given
 * out again, and two threads that free a block at once may both succeed, unless {@link
 * Checks#PARANOID} is set.
 *
 * <p>An allocator that is never closed keeps its memory, even when it can no longer be reached: raw
 * addresses may be in use.
 *
 * <p>A call of the platform that fails in a way that is neither exhaustion nor the caller's mistake
 * is a {@link NativeCallException} from the method that needed it; a block that the method had
 * taken is then free again, and later requests work.
 *
 * <p>Safe for use by any number of threads. Allocating and freeing by address makes no garbage on
 * the Java heap once warm; a buffer is one object.
 */
public final class NodeAllocator implements SystemMemory, AutoCloseable {
  private static final System.Logger LOGGER = System.getLogger("org.cdmalloc");

  private final Assembly parts;
  private final AllocationPath allocation;
  private final Map<Placement, Requests> resolved = new ConcurrentHashMap<>();
  private final Map<Integer, DeviceNode> devices;

  /** All of this object's {@link SystemMemory}, and all that {@link #systemView} shows. */
  private final PlacedMemory system;

  private NodeAllocator(Assembly parts) {
    this.parts = parts;
    this.allocation = parts.allocation();
    this.devices =
        parts.devices().entrySet().stream()
            .collect(
                Collectors.toUnmodifiableMap(
                    Map.Entry::getKey, device -> new DeviceNode(device.getValue(), allocation)));
    this.system = placed(Placement.LOCAL);
  }

  /**
   * Opens an allocator over this host: Linux where the kernel answers, else the emulated machine.
   *
   * @return a new allocator; nothing is committed yet
   * @throws IllegalStateException if no memory source is on the class path, or all nodes are
   *     devices
   */
  public static NodeAllocator open() {
    return builder().open();
  }

  /**
   * Starts the description of an allocator.
   *
   * @return a builder with the defaults
   */
  public static Builder builder() {
    return new Builder();
  }

  /**
   * Returns the machine, with the arenas that were designated as device nodes.
   *
   * @return the same object each time
   */
  public Machine machine() {
    return parts.machine();
  }

  /**
   * Returns where memory comes from: its name, whether placement is a kernel's work, and its
   * diagnosis.
   *
   * @return the same object each time
   */
  public MemorySource source() {
    return parts.source();
  }

  /**
   * Returns the capability of a device node: the only way to its memory.
   *
   * @param node the node's number
   * @return the same object each time
   * @throws IllegalArgumentException if it is not a device node of this allocator
   */
  public DeviceNode device(int node) {
    DeviceNode device = devices.get(node);
    if (device == null) {
      throw new IllegalArgumentException(
          "not a device node: node="
              + node
              + ", devices="
              + new TreeSet<>(devices.keySet())
              + "; name it with deviceNodes(mask) or deviceArena(node, host, bytes)");
    }
    return device;
  }

  /**
   * Returns what may be done with the memory of a node.
   *
   * @param node the node's number
   * @return its attributes
   * @throws IllegalArgumentException if the node has no capacity here
   */
  public NodeAttributes attributes(int node) {
    return parts.attributes(node);
  }

  /**
   * Registers a cache that can give memory of a system node back. It is called from then on when
   * the node runs short ({@link Shrinker}), behind those that were registered before.
   *
   * @param node the node's number
   * @param shrinker the cache; kept reachable until its registration ends or the allocator does
   * @return what ends the registration; closing the allocator ends it too
   * @throws NodeAccessException if the node is a device node: {@link DeviceNode#shrinker}
   * @throws IllegalArgumentException if the node has no capacity here
   * @throws IllegalStateException if closed
   */
  public Registration shrinker(int node, Shrinker shrinker) {
    return parts.shrinker(node, Objects.requireNonNull(shrinker, "shrinker"));
  }

  /**
   * Returns memory whose default placement is another one. The placement is resolved now, and
   * looked up no more.
   *
   * @param placement the default
   * @return memory of this allocator; requests that name a placement of their own are served there
   * @throws NodeAccessException if the placement names a device node without its capability, or
   *     insists on nodes that the kernel refuses to bind to
   * @throws IllegalArgumentException if the machine has none of the nodes, or the placement is of
   *     another allocator's device
   * @throws IllegalStateException if closed
   */
  public SystemMemory at(Placement placement) {
    return placed(placement);
  }

  private PlacedMemory placed(Placement placement) {
    return new PlacedMemory(allocation, this::requests, placement);
  }

  /**
   * Returns this allocator's memory for code that shall have no more of it: no way to device nodes,
   * none to close.
   *
   * @return the same object each time; it cannot be cast to an allocator
   */
  public SystemMemory systemView() {
    return system;
  }

  @Override
  public long allocate(long bytes) {
    return system.allocate(bytes);
  }

  @Override
  public long allocate(long bytes, long alignment) {
    return system.allocate(bytes, alignment);
  }

  @Override
  public long allocate(long bytes, Placement placement) {
    return system.allocate(bytes, placement);
  }

  @Override
  public long tryAllocate(long bytes) {
    return system.tryAllocate(bytes);
  }

  @Override
  public long tryAllocate(long bytes, Placement placement) {
    return system.tryAllocate(bytes, placement);
  }

  @Override
  public ByteBuffer allocateBuffer(int bytes) {
    return system.allocateBuffer(bytes);
  }

  @Override
  public ByteBuffer allocateBuffer(int bytes, Placement placement) {
    return system.allocateBuffer(bytes, placement);
  }

  @Override
  public ByteBuffer allocateBufferUninitialized(int bytes) {
    return system.allocateBufferUninitialized(bytes);
  }

  @Override
  public ByteBuffer allocateBufferUninitialized(int bytes, Placement placement) {
    return system.allocateBufferUninitialized(bytes, placement);
  }

  @Override
  public ByteBuffer tryAllocateBuffer(int bytes) {
    return system.tryAllocateBuffer(bytes);
  }

  @Override
  public ByteBuffer tryAllocateBuffer(int bytes, Placement placement) {
    return system.tryAllocateBuffer(bytes, placement);
  }

  @Override
  public ByteBuffer buffer(long address, int bytes) {
    return system.buffer(address, bytes);
  }

  @Override
  public long usableBytes(long address) {
    return system.usableBytes(address);
  }

  @Override
  public void free(long address) {
    system.free(address);
  }

  @Override
  public void free(ByteBuffer buffer) {
    system.free(buffer);
  }

  @Override
  public NodeArena arena(Placement placement) {
    return system.arena(placement);
  }

  /**
   * Asks where the pages of a block lie now.
   *
   * @param address the block's first byte
   * @return one entry per OS page; nodes are those of {@link #source()}'s machine, so a block of a
   *     designated arena lies on its host
   * @throws IllegalArgumentException as {@link #free(long)}
   * @throws MemoryCorruptionError as {@link #free(long)}
   * @throws IllegalStateException if closed
   */
  public Residency residency(long address) {
    return allocation.residency(address);
  }

  /**
   * Asks where the pages of a buffer's block lie now.
   *
   * @param buffer as for {@link #free(ByteBuffer)}
   * @return as {@link #residency(long)}
   * @throws IllegalArgumentException as {@link #free(ByteBuffer)}
   * @throws MemoryCorruptionError as {@link #free(ByteBuffer)}
   * @throws IllegalStateException if closed
   */
  public Residency residency(ByteBuffer buffer) {
    return allocation.residency(Objects.requireNonNull(buffer, "buffer"));
  }

  /**
   * Moves the memory of a block to another node, while others may read and write it. The address
   * stays, and all that goes with it: the block's usable bytes, its arena, and which requests may
   * be served by its pages once it is freed. Where the memory lies is an attribute of the block
   * from then on: it counts as used at the node on which it lies, page by page ({@link
   * NodeReport#movedInBytes()}), and while it is moved at both. Moving it again moves what did not
   * come, and to its own node moves it back.
   *
   * <p>When the block is freed its memory goes back to the kernel from where it lies. Pages that
   * share a commit unit of 2 MiB with other blocks then need memory of their own node again; if
   * there is none they stay unusable, and are tried again whenever idle memory is given back.
   *
   * <p>Right: the placement. {@link Placement#onNode} names a system node; to a device node leads
   * only {@link DeviceNode#placement()}. Cost: a call of move_pages(2) per 2 MiB, two mappings of
   * the process, and a few hundred bytes of the Java heap while the block is away.
   *
   * <p>What may still move it back or elsewhere is what moves any page (demotion, long-term pins, a
   * node that goes offline); {@link #residency(long)} asks.
   *
   * @param address the block's first byte; the block consists of whole OS pages, and is none of
   *     several of a slab ({@link Builder#magazineBytes})
   * @param placement {@link Placement#onNode} or {@link DeviceNode#placement()}
   * @return where the pages are now; some may have stayed, each with its reason
   * @throws NodeMemoryExhaustedException if our capacity of the node has no room for the block, or
   *     the node has none for its first 32 MiB; nothing was moved. Where a node fills up later,
   *     that is the reason of the pages that stayed
   * @throws NodeAccessException if the placement names a device node without its capability, or the
   *     kernel does not let this process move pages and see where they are; nothing was moved
   * @throws IllegalArgumentException as {@link #free(long)}; if the placement is none of the two,
   *     or the block is one of several of a slab, or shares an OS page with others
   * @throws MemoryCorruptionError as {@link #free(long)}
   * @throws IllegalStateException if closed, or the device node is not online
   */
  public MoveReport move(long address, Placement placement) {
    return new BlockMoves(allocation).move(address, target(placement), placement);
  }

  /**
   * Moves the memory of a buffer's block, as {@link #move(long, Placement)} does.
   *
   * @param buffer as for {@link #free(ByteBuffer)}
   * @param placement as there
   * @return as there
   * @throws NodeMemoryExhaustedException as there
   * @throws NodeAccessException as there
   * @throws IllegalArgumentException as there
   * @throws MemoryCorruptionError as there
   * @throws IllegalStateException as there
   */
  public MoveReport move(ByteBuffer buffer, Placement placement) {
    Destination target = target(placement);
    return new BlockMoves(allocation)
        .move(Objects.requireNonNull(buffer, "buffer"), target, placement);
  }

  /**
   * Moves the memory of all blocks of an arena, as {@link #move(long, Placement)} does with each.
   * The arena goes on to allocate where it did. Blocks for which the node has no room stay and are
   * reported; blocks that are freed meanwhile are left out.
   *
   * @param arena an open arena of this allocator
   * @param placement as there
   * @return where the pages of all blocks are now
   * @throws NodeAccessException as there
   * @throws IllegalArgumentException if the arena is another allocator's, or the placement is none
   *     of the two
   * @throws IllegalStateException as there
   */
  public MoveReport move(NodeArena arena, Placement placement) {
    if (!arena.isOf(allocation)) {
      throw new IllegalArgumentException("arena is of another allocator: arena=" + arena);
    }
    return arena.scope().move(target(placement), placement);
  }

  private Destination target(Placement placement) {
    return requests(Objects.requireNonNull(placement, "placement")).destination();
  }

  /**
   * Gives the memory back to the kernel that is in no block, as far as it fills whole commit units
   * of 2 MiB; committed bytes of {@link #report()} fall by as much.
   *
   * <p>Before that comes back what the caller keeps ready, what threads left that have ended, and
   * what virtual threads share. Another thread that lives brings back what it keeps of a node when
   * it next takes a block of the node out of its magazines, or frees one into them; the next trim,
   * or the purge delay, gives that to the kernel.
   *
   * @return the bytes that are committed no longer; 0 once closed
   * @throws NativeCallException if the platform fails to take some back; that counts as committed
   *     no longer, comes back into use first, and is offered again after that
   */
  public long trim() {
    return allocation.trim(false);
  }

  /** Gives back what nobody used since the last look, as happens once per purge delay. */
  long purgeIdle() {
    return allocation.trim(true);
  }

  /**
   * Asks the kernel where all committed memory lies, and compares that with where it was committed.
   * Kernels move pages later: when a node is taken offline, when memory is demoted to a slower
   * tier, when it is pinned for long. A commit unit of 2 MiB that is in no block and has a page
   * elsewhere is given back at once, and comes again on its own node; blocks stay as they are. What
   * is kept ready counts as a block here, and may be in a new one next: {@link #trim()} first gives
   * back what can be had of it.
   *
   * <p>A kernel's answer is out of date as soon as it moves a page. Figures per window of 64 MiB
   * are true together; requests that need new memory of that node wait meanwhile, others do not.
   * Takes a few milliseconds per window on Linux, and makes garbage on the Java heap, 4 bytes per
   * OS page and what is displaced. On Linux the same happens by itself, see {@link
   * Builder#auditPeriod}.
   *
   * @return what was found; {@link #report()} says the same until the next look
   * @throws NativeCallException if the platform fails to tell, or to take a unit back; what could
   *     be looked at was, and is in the report
   * @throws IllegalStateException if closed
   */
  public PlacementAudit audit() {
    return parts.audit();
  }

  /**
   * Returns the account of every node that has a capacity, and of every striped zone.
   *
   * @return a new report
   */
  public MemoryReport report() {
    return parts.report();
  }

  /**
   * Refuses all further requests and gives the memory back. Shrinkers are called no more; one that
   * is at work is not waited for. A buffer that is still reachable reads zeros; its address space
   * goes with the last such buffer. Raw addresses have no such protection: using one after close is
   * undefined. Blocks that are still live are counted in a log line. Does nothing the second time,
   * except that what the platform failed to take back is offered again.
   *
   * @throws NativeCallException if the platform fails to take memory back; the allocator is closed,
   *     and all other memory was given back
   */
  @Override
  public void close() {
    int live = parts.close();
    if (live > 0) {
      LOGGER.log(Level.WARNING, "closed with live blocks: blocks={0}", Integer.toString(live));
    }
  }

  private Requests requests(Placement placement) {
    allocation.requireOpen();
    Requests requests = resolved.get(placement);
    if (requests == null) {
      // The right is looked for in the placement, and nowhere else.
      Object capability = placement.capability();
      requests = capability == null ? resolve(placement) : granted(placement, capability);
    }
    return requests;
  }

  private Requests resolve(Placement placement) {
    Requests requests = new SystemRequests(allocation, placement, parts.system().of(placement));
    Requests before = resolved.putIfAbsent(placement, requests);
    return before == null ? requests : before;
  }

  private Requests granted(Placement placement, Object capability) {
    DeviceRequests requests = ((DeviceNode) capability).requests();
    if (!requests.isOf(allocation)) {
      throw new IllegalArgumentException(
          "placement is of another allocator's device: placement=" + placement);
    }
    return requests;
  }

  /** Describes an allocator. Not safe for use by several threads. */
  public static final class Builder {
    private static final Duration LONGEST = Duration.ofDays(1);
    private static final Duration SHORTEST = Duration.ofMillis(10);

    private final Map<Integer, Long> capacities = new TreeMap<>();
    private final Map<Integer, Marks> marks = new TreeMap<>();
    private final Map<Integer, NodeAttributes> attributes = new TreeMap<>();
    private final Map<Integer, Assembly.Arena> arenas = new LinkedHashMap<>();
    private Machine machine;
    private MemorySource source;
    private NodeMask deviceNodes;
    private Zeroing zeroing = Zeroing.ON_ALLOCATE;
    private Checks checks = Checks.STANDARD;
    private Duration purgeDelay = Duration.ofSeconds(1);
    private Duration auditPeriod = Duration.ofSeconds(1);
    private long magazineBytes = 16 << 20;

    private Builder() {}

    /**
     * Sets the machine to emulate. By default the allocator runs on this host.
     *
     * @param machine any machine
     * @return this
     */
    public Builder machine(Machine machine) {
      this.machine = Objects.requireNonNull(machine, "machine");
      return this;
    }

    /**
     * Sets where memory comes from. By default the class path is searched: Linux where the kernel
     * answers, else the emulated machine; {@code -Dcdmalloc.source=linux|emulated} decides for the
     * whole JVM.
     *
     * @param source the source; its machine is used, whatever {@link #machine} says
     * @return this
     */
    public Builder source(MemorySource source) {
      this.source = Objects.requireNonNull(source, "source");
      return this;
    }

    /**
     * Sets the most memory that may be used of a node. By default system nodes give a quarter of
     * their memory each, all together at most half of what the process may use beyond the Java
     * heap's maximum, and at least 64 MiB; device nodes give all.
     *
     * @param node the node
     * @param bytes more than 0, at most the node's memory; rounded down to whole OS pages, at least
     *     one
     * @return this
     * @throws IllegalArgumentException if {@code bytes} is not positive; whether it fits the node
     *     is checked by {@link #open()}
     */
    public Builder capacity(int node, long bytes) {
      if (bytes <= 0) {
        throw new IllegalArgumentException(
            "capacity is not positive: node=" + node + ", bytes=" + bytes);
      }
      capacities.put(node, bytes);
      return this;
    }

    /**
     * Sets which nodes are device nodes. By default those that have memory and no CPUs.
     *
     * @param nodes the device nodes; {@link NodeMask#EMPTY} for none
     * @return this
     */
    public Builder deviceNodes(NodeMask nodes) {
      this.deviceNodes = Objects.requireNonNull(nodes, "nodes");
      return this;
    }

    /**
     * Designates part of an ordinary node's memory as a device node of its own, so that any host
     * can have one. The node is CPU-less, stands where its host stands and at distance 20 from it;
     * its bytes leave the host's memory.
     *
     * @param node the new node's number, not in use
     * @param hostNode the node whose memory it takes
     * @param bytes how much
     * @return this
     * @throws IllegalArgumentException if {@code node} was designated before; whether the arena
     *     fits is checked by {@link #open()}
     */
    public Builder deviceArena(int node, int hostNode, long bytes) {
      if (arenas.putIfAbsent(node, new Assembly.Arena(node, hostNode, bytes)) != null) {
        throw new IllegalArgumentException("device arena is designated twice: node=" + node);
      }
      return this;
    }

    /**
     * Sets the levels of a node's free memory at which requests are turned away. Requests that
     * insist on no node stop at the low mark, so that the rest serves those that do. By default min
     * is 1/256 of the capacity, low 1.25 times and high 1.5 times that.
     *
     * <p>What is kept ready ({@link #magazineBytes}) is not free in this sense; it serves all
     * requests, whatever the marks are.
     *
     * @param node the node
     * @param marks the levels, in bytes; rounded down to whole pages of 4 KiB
     * @return this
     * @throws IllegalArgumentException whether they fit the capacity is checked by {@link #open()}
     */
    public Builder watermarks(int node, Marks marks) {
      this.marks.put(node, Objects.requireNonNull(marks, "marks"));
      return this;
    }

    /**
     * Sets what may be done with a node's memory. By default {@link NodeAttributes#SYSTEM} of
     * system nodes and {@link NodeAttributes#COHERENT_DEVICE} of device nodes.
     *
     * @param node the node
     * @param attributes those of one of the two, changed where the node is to differ; a system node
     *     has no demotion target and a spill ceiling of 0, the target of a device is a system node
     *     with memory
     * @return this
     * @throws IllegalArgumentException whether they fit the node is checked by {@link #open()}
     */
    public Builder attributes(int node, NodeAttributes attributes) {
      this.attributes.put(node, Objects.requireNonNull(attributes, "attributes"));
      return this;
    }

    /**
     * Sets when memory is zeroed that a block used before. By default buffers are zeroed when they
     * are allocated.
     *
     * @param zeroing when
     * @return this
     */
    public Builder zeroing(Zeroing zeroing) {
      this.zeroing = Objects.requireNonNull(zeroing, "zeroing");
      return this;
    }

    /**
     * Sets how much is done to find misuse of memory. By default what costs next to nothing.
     *
     * @param checks how much
     * @return this
     */
    public Builder checks(Checks checks) {
      this.checks = Objects.requireNonNull(checks, "checks");
      return this;
    }

    /**
     * Sets after which time memory goes back to the kernel that no block used meanwhile: after one
     * to two delays. By default one second. A daemon thread sees to it.
     *
     * <p>Of what is kept ready ({@link #magazineBytes}) that goes which no thread has any more,
     * after two to three delays: what was handed over and no thread took since, and what threads
     * left that have ended. What threads keep that live, and what virtual threads share, stays.
     *
     * @param delay 10 ms … 1 day; zero for never: memory then goes back by {@link
     *     NodeAllocator#trim()} and {@link NodeAllocator#close()} only, and when a request needs it
     *     elsewhere or an audit finds it displaced. There is no thread if {@link #auditPeriod} is
     *     zero too
     * @return this
     * @throws IllegalArgumentException if the delay is not as said
     */
    public Builder purgeDelay(Duration delay) {
      this.purgeDelay = requireRange("purge delay: delay", delay);
      return this;
    }

    /**
     * Sets the shortest time between two looks of the sampler, which does by itself and a window of
     * 64 MiB at a time what {@link NodeAllocator#audit()} does for all memory at once. By default
     * one second. A look that took long is followed by a rest of 99 times as long, so that sampling
     * never takes more than a hundredth of a CPU. What is found is in {@link
     * NodeAllocator#report()}, an event {@code org.cdmalloc.PagesDisplaced} of the flight recorder,
     * and a warning the first time. Only where a kernel binds memory to nodes: an emulated machine
     * is never sampled.
     *
     * @param period 10 ms … 1 day; zero for never
     * @return this
     * @throws IllegalArgumentException if the period is not as said
     */
    public Builder auditPeriod(Duration period) {
      this.auditPeriod = requireRange("audit period: period", period);
      return this;
    }

    /**
     * Limits what each thread may keep ready of each system node, in magazines, so that nearly
     * every call of it takes no lock. By default 16 MiB, which is room for one block of every size
     * that is kept; a thread that allocates several times that before it frees it gains by more,
     * and threads that seldom allocate keep less from each other with less. Whatever is set, a
     * thread keeps at most a 64th of a node's capacity, and its part of an eighth of that, or 4 MiB
     * where this is more: it learns that there are other threads when its magazines next have no
     * block or no place for one. Of nodes of less than 8 MiB nothing is kept. Blocks larger than an
     * eighth of what is set, or of that 64th, or than 1 MiB, are never kept: each is asked of its
     * node's zone, and takes whole pages, the lowest that are free, and two locks. With 0 every
     * block is.
     *
     * <p>With magazines, blocks of up to 16 KiB, at an alignment of up to 4096, that belong to no
     * arena, no device and no striped zone are cut from slabs, and may share pages: they have a
     * multiple of 16 bytes and that alignment; {@link NodeAllocator#usableBytes} says how much,
     * above 128 bytes at most an eighth more than was asked for, or a multiple of the alignment
     * where one was, or whole pages where memory is short. They cannot be moved, pinned or lent.
     * Larger ones are whole pages as without; those of more than 64 KiB that are kept may be an
     * eighth longer than was asked for. Of two threads that free a block at the same time, or free
     * it and begin to move, pin or lend it, both may succeed, and the memory is then given out
     * twice; {@link Checks#PARANOID} tells one of them. On which node its caller runs is asked
     * every 1024 requests of a thread at a placement, and when its magazines have nothing; for
     * virtual threads each time.
     *
     * <p>Memory in magazines is in no block, and stays with its thread until that frees more of a
     * size than it ever took back, or has as much as it may keep, next uses the node's magazines
     * after {@link NodeAllocator#trim()} or after a request found no memory, or has ended and the
     * purge delay passed or memory ran short. So threads that rest keep what they had. Virtual
     * threads share a few magazines. What waits for whichever thread comes next is at most 32 times
     * the limit and an eighth of the node, and what is left in slabs. A slab takes of the Java heap
     * 8 % of its memory where its blocks have 16 bytes, 2.4 % where they have 64, and 1.4 % or less
     * from 128 on; and each block that is kept ready 8 bytes, as do the places for blocks in a
     * thread's magazines, up to 70 KiB for each size.
     *
     * @param bytes what a thread may keep of each node, 0 or at least 128 KiB
     * @return this
     * @throws IllegalArgumentException if {@code bytes} is not as said
     */
    public Builder magazineBytes(long bytes) {
      if (bytes != 0 && bytes < Assembly.LEAST_MAGAZINE_BYTES) {
        throw new IllegalArgumentException(
            "magazines are too small: bytes="
                + bytes
                + "; give at least "
                + Assembly.LEAST_MAGAZINE_BYTES
                + ", or 0 for none");
      }
      magazineBytes = bytes;
      return this;
    }

    private static Duration requireRange(String what, Duration time) {
      if (!time.isZero() && (time.compareTo(SHORTEST) < 0 || time.compareTo(LONGEST) > 0)) {
        throw new IllegalArgumentException(
            "not a "
                + what
                + "="
                + time
                + "; give "
                + SHORTEST
                + " to "
                + LONGEST
                + ", or zero for never");
      }
      return time;
    }

    /**
     * Opens the allocator. Address space of all system nodes is reserved, none of their memory is
     * used yet; nothing of the device nodes is reserved.
     *
     * @return a new allocator
     * @throws IllegalArgumentException if an option does not fit the machine; the message names it
     * @throws IllegalStateException if no memory source can serve here; the message says what to
     *     add
     * @throws NativeCallException if address space cannot be reserved
     */
    public NodeAllocator open() {
      MemorySource memory = source != null ? source : Sources.open(Optional.ofNullable(machine));
      NodeMask devices = deviceNodes != null ? deviceNodes : memory.machine().memoryOnly();
      // Asked first: nothing may fail once regions are reserved, they would never be released.
      Diagnosis diagnosis = memory.diagnosis();
      Assembly.Settings settings =
          new Assembly.Settings(
              capacities,
              marks,
              attributes,
              zeroing,
              checks,
              purgeDelay,
              auditPeriod,
              magazineBytes);
      Assembly parts = Assembly.of(memory, devices, arenas.values(), settings);
      if (!diagnosis.binds()) {
        Warnings.once(
            "memory is not bound to nodes here, requests that name a node will be refused: "
                + diagnosis.obstacle());
      }
      return new NodeAllocator(parts);
    }
  }
}
