/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.IntSupplier;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.Diagnosis;
import org.cdmalloc.spi.LockResult;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.MoveResult;
import org.cdmalloc.spi.Region;
import org.cdmalloc.spi.Residency;
import org.cdmalloc.spi.Stripe;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;

/**
 * An emulated machine: a {@link MemorySource} for any {@link Machine} on any host, in plain Java.
 * It asks an emulated kernel as a source for Linux asks the real one, by the same calls in the same
 * order. Each node's memory is an account; {@link #residency} tells what was booked, and no page
 * lies on any particular node. Safe for use by any number of threads; no method allocates in
 * proportion to a region except {@link #residency}, an entry a page, and commit, purge and release,
 * a bit a page.
 *
 * <ul>
 *   <li>Memory comes from sparse temporary files without a name, in {@code java.io.tmpdir}, mapped
 *       in pieces of 1 GiB: the largest block that {@link #view} can show. Untouched memory costs
 *       address space only, and neither the Java heap nor {@code -XX:MaxDirectMemorySize} bounds
 *       it. On tmpfs, written pages are memory; on a disk, the kernel may write them out.
 *   <li>{@link #commit} answers {@link CommitResult.Outcome#NODE_FULL} when a node's account is
 *       empty, {@link CommitResult.Outcome#LIMIT_REACHED} when the directory has less room than 64
 *       MiB beyond what is wanted, and {@link CommitResult.Outcome#LOST_RACE} when pages fell on
 *       another node although the account had room. It reserves no blocks: other writers to the
 *       directory can still fill it, and an access then fails with {@link InternalError}.
 *   <li>{@link #purge} and {@link #release} zero what was committed, and return nothing to the
 *       host; a file goes when the last buffer that views it is unreachable.
 *   <li>{@link #currentNode} spreads threads over the nodes that have CPUs, by their number, and a
 *       thread stays on its node: Java cannot tell the CPU.
 * </ul>
 */
public final class EmulatedSource implements MemorySource {
  /** The name of this source and of its provider. */
  static final String NAME = "emulated";

  private static final List<Integer> OS_PAGE_BYTES = List.of(4 << 10, 16 << 10, 64 << 10);

  private final Machine machine;
  private final int osPageBytes;
  private final IntSupplier currentNode;
  private final BackingFiles files;
  private final EmulatedKernel kernel;

  /** One committer per node at a time, or two would count on the same free memory. */
  private final Map<Integer, ReentrantLock> committers = new HashMap<>();

  EmulatedSource(Machine machine, int osPageBytes, IntSupplier currentNode, BackingFiles files) {
    this(
        machine,
        osPageBytes,
        currentNode,
        files,
        new EmulatedKernel(machine, osPageBytes, currentNode));
  }

  EmulatedSource(
      Machine machine,
      int osPageBytes,
      IntSupplier currentNode,
      BackingFiles files,
      EmulatedKernel kernel) {
    this.machine = Objects.requireNonNull(machine, "machine");
    this.currentNode = Objects.requireNonNull(currentNode, "currentNode");
    if (!OS_PAGE_BYTES.contains(osPageBytes)) {
      throw new IllegalArgumentException(
          "no such page size: osPageBytes=" + osPageBytes + ", sizes=" + OS_PAGE_BYTES);
    }
    if (machine.withMemory().isEmpty()) {
      throw new IllegalArgumentException("machine has no memory: online=" + machine.online());
    }
    this.osPageBytes = osPageBytes;
    this.files = files;
    this.kernel = kernel;
    machine.nodes().forEach(node -> committers.put(node.id(), new ReentrantLock()));
  }

  /**
   * Emulates a machine with OS pages of 4 KiB.
   *
   * @param machine the machine; at least one node has memory
   * @return a new source, all of whose memory is free
   * @throws IllegalArgumentException if no node has memory
   */
  public static EmulatedSource of(Machine machine) {
    return of(machine, OS_PAGE_BYTES.get(0));
  }

  /**
   * Emulates a machine.
   *
   * @param machine the machine; at least one node has memory
   * @param osPageBytes the size of its pages, in bytes: 4096, 16384 or 65536, whatever the host's
   *     is
   * @return a new source, all of whose memory is free
   * @throws IllegalArgumentException if no node has memory, or there is no such page size
   */
  public static EmulatedSource of(Machine machine, int osPageBytes) {
    return of(machine, osPageBytes, spreadByThread(machine));
  }

  /**
   * Emulates a machine whose threads run where the caller says.
   *
   * @param machine the machine; at least one node has memory
   * @param osPageBytes the size of its pages, in bytes: 4096, 16384 or 65536, whatever the host's
   *     is
   * @param currentNode asked by each {@link #currentNode()} on the calling thread; returns a node
   *     of the machine
   * @return a new source, all of whose memory is free
   * @throws IllegalArgumentException if no node has memory, or there is no such page size
   */
  public static EmulatedSource of(Machine machine, int osPageBytes, IntSupplier currentNode) {
    return new EmulatedSource(
        machine, osPageBytes, currentNode, BackingFiles.inTemporaryDirectory());
  }

  @Override
  public String name() {
    return NAME;
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

  /**
   * {@inheritDoc}
   *
   * @throws IllegalArgumentException if the supplier given to {@link #of(Machine, int,
   *     IntSupplier)} names a node that the machine does not have
   */
  @Override
  public int currentNode() {
    return requireNode(currentNode.getAsInt());
  }

  @Override
  public long freeBytes(int node) {
    return kernel.freeBytes(requireNode(node));
  }

  @Override
  public CommitResult room(int node, long bytes) {
    requireMemory(requireNode(node), Stripe.of(node));
    if (bytes <= 0) {
      throw new IllegalArgumentException("size is not positive: bytes=" + bytes);
    }
    return EmulatedRegion.room(kernel, node, files, bytes);
  }

  /**
   * {@inheritDoc} It may be larger than its nodes: what is committed counts.
   *
   * @throws IllegalArgumentException also if it has more than 2<sup>31</sup> − 1 pages
   * @throws java.io.UncheckedIOException if the file cannot be made, extended or mapped; the
   *     message names the directory
   */
  @Override
  public Region reserve(Stripe stripe, long bytes) {
    int[] nodes = stripe.nodes().stream().map(this::requireNode).toArray();
    for (int node : nodes) {
      requireMemory(node, stripe);
    }
    if (bytes <= 0 || bytes % osPageBytes != 0 || bytes / osPageBytes > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          "not the size of a region: bytes="
              + bytes
              + ", osPageBytes="
              + osPageBytes
              + ", limit="
              + (long) Integer.MAX_VALUE * osPageBytes);
    }
    return new EmulatedRegion(this, kernel, this::lock, files, stripe, bytes);
  }

  @Override
  public CommitResult commit(Region region, long offset, long bytes) {
    EmulatedRegion emulated = requirePages(region, offset, bytes);
    return emulated.commit(page(offset), page(offset + bytes));
  }

  /** {@inheritDoc} Moving is booking: an account gives, another takes, and no byte is copied. */
  @Override
  public MoveResult move(Region region, long offset, long bytes, int node) {
    EmulatedRegion emulated = requirePages(region, offset, bytes);
    requireMemory(requireNode(node), Stripe.of(node));
    return emulated.move(page(offset), page(offset + bytes), node);
  }

  /** {@inheritDoc} Locking is booking, against the limit that {@link #limitLocks} sets. */
  @Override
  public LockResult lock(Region region, long offset, long bytes) {
    EmulatedRegion emulated = requirePages(region, offset, bytes);
    return emulated.lock(page(offset), page(offset + bytes));
  }

  @Override
  public void unlock(Region region, long offset, long bytes) {
    EmulatedRegion emulated = requirePages(region, offset, bytes);
    emulated.unlock(page(offset), page(offset + bytes));
  }

  /**
   * Limits what can be locked of all regions, as {@code ulimit -l} does; what is locked stays so.
   *
   * @param bytes the most that may be locked at a time; {@link Long#MAX_VALUE} at first
   */
  public void limitLocks(long bytes) {
    kernel.limitLocks(bytes);
  }

  /**
   * Returns what is locked of all regions.
   *
   * @return bytes, not negative
   */
  public long lockedBytes() {
    return kernel.lockedBytes();
  }

  /**
   * {@inheritDoc}
   *
   * @return 0: the range is zeroed, and the accounts of its nodes get it back
   */
  @Override
  public long purge(Region region, long offset, long bytes) {
    EmulatedRegion emulated = requirePages(region, offset, bytes);
    emulated.purge(page(offset), page(offset + bytes));
    return 0;
  }

  @Override
  public void release(Region region) {
    requireOurs(region).release();
  }

  /** {@inheritDoc} It may show memory that is not committed: zeros. */
  @Override
  public ByteBuffer view(Region region, long offset, int bytes) {
    EmulatedRegion emulated = requireOurs(region);
    emulated.requireLive();
    return emulated.slice(offset, bytes);
  }

  /**
   * Always fails: the core asks the JVM itself, and where that is refused, Java has no other way.
   *
   * @throws UnsupportedOperationException always
   */
  @Override
  public long addressOf(ByteBuffer buffer) {
    throw new UnsupportedOperationException(
        "address of a buffer is not known to plain Java: source="
            + NAME
            + "; use a JVM that tells it (java.lang.foreign on 22 and later, sun.misc.Unsafe before)"
            + " or a source with native code");
  }

  @Override
  public Residency residency(Region region, long offset, long bytes) {
    EmulatedRegion emulated = requirePages(region, offset, bytes);
    return new Residency(osPageBytes, emulated.nodes(page(offset), page(offset + bytes)), NAME);
  }

  @Override
  public Diagnosis diagnosis() {
    return new Diagnosis(
        true,
        List.of(
            NAME
                + ": machine="
                + machine.origin()
                + ", nodes="
                + machine.online()
                + "; placement is this process's own bookkeeping, no kernel was asked, and nothing"
                + " about it is a measurement"));
  }

  private static IntSupplier spreadByThread(Machine machine) {
    int[] nodes = machine.withCpus().stream().toArray();
    int first = machine.online().first();
    return () ->
        nodes.length == 0 ? first : nodes[(int) (Thread.currentThread().getId() % nodes.length)];
  }

  private int requireNode(int node) {
    if (!machine.online().contains(node)) {
      throw new IllegalArgumentException(
          "no such node: node=" + node + ", online=" + machine.online());
    }
    return node;
  }

  private ReentrantLock lock(int node) {
    return committers.get(node);
  }

  private void requireMemory(int node, Stripe stripe) {
    if (!machine.withMemory().contains(node)) {
      throw new IllegalArgumentException(
          "node has no memory: node="
              + node
              + ", stripe="
              + stripe
              + ", withMemory="
              + machine.withMemory());
    }
  }

  private int page(long offset) {
    return (int) (offset / osPageBytes);
  }

  private EmulatedRegion requireOurs(Region region) {
    Objects.requireNonNull(region, "region");
    if (region instanceof EmulatedRegion emulated && emulated.isOf(this)) {
      return emulated;
    }
    throw new IllegalArgumentException(
        "region is of another source: node=" + region.node() + ", source=" + NAME);
  }

  private EmulatedRegion requirePages(Region region, long offset, long bytes) {
    EmulatedRegion emulated = requireOurs(region);
    if (offset < 0 || bytes <= 0 || bytes > region.bytes() || offset > region.bytes() - bytes) {
      throw outside(region, offset, bytes);
    }
    if (offset % osPageBytes != 0 || bytes % osPageBytes != 0) {
      throw new IllegalArgumentException(
          "not whole OS pages: offset="
              + offset
              + ", bytes="
              + bytes
              + ", osPageBytes="
              + osPageBytes);
    }
    return emulated;
  }

  private static IllegalArgumentException outside(Region region, long offset, long bytes) {
    return new IllegalArgumentException(
        "range is not in the region: offset="
            + offset
            + ", bytes="
            + bytes
            + ", regionBytes="
            + region.bytes());
  }
}
