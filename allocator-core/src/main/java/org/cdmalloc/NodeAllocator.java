/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.lang.System.Logger.Level;
import java.nio.ByteBuffer;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.cdmalloc.internal.allocation.AllocationPath;
import org.cdmalloc.internal.allocation.Assembly;
import org.cdmalloc.internal.allocation.DeviceZone;
import org.cdmalloc.internal.allocation.Sources;
import org.cdmalloc.internal.allocation.SystemPaths;
import org.cdmalloc.internal.allocation.Warnings;
import org.cdmalloc.internal.allocation.ZonePath;
import org.cdmalloc.spi.Diagnosis;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Residency;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.NodeMask;

/**
 * Off-heap memory by NUMA node: a buddy zone per node, system memory for whoever asks, device
 * memory only through {@link #device(int)}.
 *
 * <p>Buffers are direct, big-endian, exact in capacity and zeroed. A block takes whole pages of 4
 * KiB. {@link #free(long)} takes any live block from any thread; whatever is not the first byte of
 * a live block is detected, except that an address cannot show a second free after the block was
 * given out again.
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
public final class NodeAllocator implements AutoCloseable {
  private static final System.Logger LOGGER = System.getLogger("org.cdmalloc");

  private final Assembly parts;
  private final AllocationPath allocation;
  private final SystemPaths system;
  private final Map<Integer, DeviceNode> devices;

  private NodeAllocator(Assembly parts) {
    this.parts = parts;
    this.allocation = parts.allocation();
    this.system = parts.system();
    this.devices =
        parts.devices().entrySet().stream()
            .collect(
                Collectors.toUnmodifiableMap(
                    Map.Entry::getKey, device -> new DeviceNode(device.getValue(), allocation)));
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
   * Allocates a block near the caller, on system memory. Its content is not defined.
   *
   * @param bytes its size, 0 or more; 0 counts as 1; rounded up to whole pages of 4 KiB
   * @return its address, a multiple of 4096
   * @throws NodeMemoryExhaustedException if no system node has room above its low mark
   * @throws IllegalArgumentException if {@code bytes} is negative
   * @throws IllegalStateException if closed
   */
  public long allocate(long bytes) {
    return allocation.allocate(system.local(), bytes, Placement.LOCAL);
  }

  /**
   * Allocates a block where a placement says. Its content is not defined.
   *
   * @param bytes as for {@link #allocate(long)}
   * @param placement where
   * @return its address, a multiple of 4096
   * @throws NodeMemoryExhaustedException if no node of the placement has room
   * @throws NodeAccessException if the placement names a device node without its capability, or
   *     insists on nodes that the kernel refuses to bind to
   * @throws IllegalArgumentException if {@code bytes} is negative, the machine has none of the
   *     nodes, or the placement is of another allocator's device
   * @throws IllegalStateException if closed, or the device node is not online
   */
  public long allocate(long bytes, Placement placement) {
    return allocation.allocate(path(placement), bytes, placement);
  }

  /**
   * Allocates a block near the caller if there is room.
   *
   * @param bytes as for {@link #allocate(long)}
   * @return its address, or 0 if no system node has room above its low mark
   * @throws IllegalArgumentException if {@code bytes} is negative
   * @throws IllegalStateException if closed
   */
  public long tryAllocate(long bytes) {
    return allocation.tryAllocate(system.local(), bytes);
  }

  /**
   * Allocates a block where a placement says, if there is room.
   *
   * @param bytes as for {@link #allocate(long)}
   * @param placement where
   * @return its address, or 0 if no node of the placement has room
   * @throws NodeAccessException as {@link #allocate(long, Placement)}
   * @throws IllegalArgumentException as {@link #allocate(long, Placement)}
   * @throws IllegalStateException as {@link #allocate(long, Placement)}
   */
  public long tryAllocate(long bytes, Placement placement) {
    return allocation.tryAllocate(path(placement), bytes);
  }

  /**
   * Allocates a zeroed buffer near the caller, on system memory.
   *
   * @param bytes its capacity, 0 or more
   * @return a direct, big-endian buffer of exactly that capacity
   * @throws NodeMemoryExhaustedException if no system node has room above its low mark
   * @throws IllegalArgumentException if {@code bytes} is negative
   * @throws IllegalStateException if closed
   */
  public ByteBuffer allocateBuffer(int bytes) {
    return allocation.allocateBuffer(system.local(), bytes, Placement.LOCAL);
  }

  /**
   * Allocates a zeroed buffer where a placement says.
   *
   * @param bytes its capacity, 0 or more
   * @param placement where
   * @return a direct, big-endian buffer of exactly that capacity
   * @throws NodeMemoryExhaustedException if no node of the placement has room
   * @throws NodeAccessException as {@link #allocate(long, Placement)}
   * @throws IllegalArgumentException as {@link #allocate(long, Placement)}
   * @throws IllegalStateException as {@link #allocate(long, Placement)}
   */
  public ByteBuffer allocateBuffer(int bytes, Placement placement) {
    return allocation.allocateBuffer(path(placement), bytes, placement);
  }

  /**
   * Allocates a zeroed buffer near the caller if there is room.
   *
   * @param bytes its capacity, 0 or more
   * @return a direct, big-endian buffer of exactly that capacity, or null
   * @throws IllegalArgumentException if {@code bytes} is negative
   * @throws IllegalStateException if closed
   */
  public ByteBuffer tryAllocateBuffer(int bytes) {
    return allocation.tryAllocateBuffer(system.local(), bytes);
  }

  /**
   * Allocates a zeroed buffer where a placement says, if there is room.
   *
   * @param bytes its capacity, 0 or more
   * @param placement where
   * @return a direct, big-endian buffer of exactly that capacity, or null
   * @throws NodeAccessException as {@link #allocate(long, Placement)}
   * @throws IllegalArgumentException as {@link #allocate(long, Placement)}
   * @throws IllegalStateException as {@link #allocate(long, Placement)}
   */
  public ByteBuffer tryAllocateBuffer(int bytes, Placement placement) {
    return allocation.tryAllocateBuffer(path(placement), bytes);
  }

  /**
   * Frees a block of this allocator, wherever it lies and whoever allocated it.
   *
   * @param address the block's first byte
   * @throws IllegalArgumentException if no block of this allocator begins there: the address is
   *     foreign, misaligned, or inside a block
   * @throws MemoryCorruptionError if the block that began there was freed before
   * @throws IllegalStateException if closed
   */
  public void free(long address) {
    allocation.free(address);
  }

  /**
   * Frees the block whose first byte is a buffer's index 0. Position, limit, order, duplicates and
   * read-only views make no difference. The buffer must not be used afterwards.
   *
   * @param buffer the buffer
   * @throws IllegalArgumentException if it is on the Java heap, or no block of this allocator
   *     begins at its index 0
   * @throws MemoryCorruptionError if the block that began there was freed before
   * @throws IllegalStateException if closed
   */
  public void free(ByteBuffer buffer) {
    allocation.free(Objects.requireNonNull(buffer, "buffer"));
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
   * Returns the account of every node that has a capacity.
   *
   * @return one report per node, ascending
   */
  public List<NodeReport> report() {
    return parts.report();
  }

  /**
   * Refuses all further requests and gives the memory back. A buffer that is still reachable reads
   * zeros; its address space goes with the last such buffer. Raw addresses have no such protection:
   * using one after close is undefined. Blocks that are still live are counted in a log line. Does
   * nothing the second time, except that what the platform failed to take back is offered again.
   *
   * @throws NativeCallException if the platform fails to take memory back; the allocator is closed,
   *     and all other memory was given back
   */
  @Override
  public void close() {
    int live = allocation.close();
    if (live > 0) {
      LOGGER.log(Level.WARNING, "closed with live blocks: blocks={0}", Integer.toString(live));
    }
  }

  private ZonePath path(Placement placement) {
    Object capability = placement.capability();
    if (capability == null) {
      return system.of(placement);
    }
    if (parts.devices().get(placement.nodes().first()) != capability) {
      throw new IllegalArgumentException(
          "placement is of another allocator's device: placement=" + placement);
    }
    return ((DeviceZone) capability).path();
  }

  /** Describes an allocator. Not safe for use by several threads. */
  public static final class Builder {
    private final Map<Integer, Long> capacities = new TreeMap<>();
    private final Map<Integer, Assembly.Arena> arenas = new LinkedHashMap<>();
    private Machine machine;
    private MemorySource source;
    private NodeMask deviceNodes;

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
      Assembly parts = Assembly.of(memory, devices, arenas.values(), capacities);
      if (!diagnosis.binds()) {
        Warnings.once(
            "memory is not bound to nodes here, requests that name a node will be refused: "
                + diagnosis.obstacle());
      }
      return new NodeAllocator(parts);
    }
  }
}
