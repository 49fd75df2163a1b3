/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import com.sun.jna.Native;
import com.sun.jna.Pointer;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.Diagnosis;
import org.cdmalloc.spi.Explanation;
import org.cdmalloc.spi.LockResult;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.MoveResult;
import org.cdmalloc.spi.Region;
import org.cdmalloc.spi.Residency;
import org.cdmalloc.spi.Stripe;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.NodeMask;

/**
 * Memory of this host's nodes, placed by the kernel. All that changes a region happens under the
 * lock of its node, one per process: two sources are one committer per node all the same. Of a
 * striped region it happens under the locks of all its nodes, which everybody takes by ascending
 * number.
 */
final class LinuxSource implements MemorySource {
  private static final Map<Integer, ReentrantLock> NODE_LOCKS = new ConcurrentHashMap<>();

  private final Kernel kernel;
  private final Machine machine;
  private final Diagnosis diagnosis;
  private final Headroom headroom;
  private final AddressSpace space;
  private final CommitProtocol protocol;
  private final ResidencyQuery residency;
  private final DisplacementFigures figures;
  private final Migration migration;
  private final PageLocks pageLocks;
  private final long limitBytes;
  private final int pageBytes;
  private final int[] nodeOfCpu;

  LinuxSource(
      Kernel kernel, Machine machine, Capability capability, MappingBudget budget, Path proc) {
    this(kernel, machine, capability, budget, proc, Machine.SYSFS);
  }

  /** Makes a source that reads the kernel's figures elsewhere. */
  LinuxSource(
      Kernel kernel,
      Machine machine,
      Capability capability,
      MappingBudget budget,
      Path proc,
      Path sysfs) {
    this.kernel = kernel;
    this.machine = machine;
    this.diagnosis = capability.diagnosis();
    this.pageBytes = kernel.pageBytes();
    int cpus = machine.nodes().stream().mapToInt(node -> node.cpus().size()).sum();
    ControlGroup group =
        ControlGroup.find(proc, Path.of("/"), cpus * ControlGroup.LAG_PAGES * pageBytes);
    this.headroom = new Headroom(proc, sysfs, group, pageBytes);
    boolean countsWritable = KeyedText.of(proc.resolve("sys/vm/overcommit_memory")).single() == 2;
    this.space = new AddressSpace(kernel, budget, diagnosis.binds(), !countsWritable);
    this.residency = new ResidencyQuery(kernel, capability.residency());
    this.pageLocks = new PageLocks(kernel, headroom, residency, budget);
    this.protocol = new CommitProtocol(kernel, headroom, capability, budget, machine);
    this.figures = new DisplacementFigures(proc, sysfs, machine);
    this.migration = new Migration(kernel, headroom, residency, budget, capability);
    long hostBytes = KeyedText.of(proc.resolve("meminfo")).bytes("MemTotal:");
    this.limitBytes = Math.min(hostBytes > 0 ? hostBytes : Long.MAX_VALUE, group.limitBytes());
    this.nodeOfCpu = nodeOfCpu(machine);
  }

  @Override
  public String name() {
    return "linux";
  }

  @Override
  public boolean isReal() {
    return true;
  }

  @Override
  public Machine machine() {
    return machine;
  }

  @Override
  public int osPageBytes() {
    return pageBytes;
  }

  @Override
  public long limitBytes() {
    return limitBytes;
  }

  @Override
  public int currentNode() {
    int cpu = kernel.currentCpu();
    return cpu >= 0 && cpu < nodeOfCpu.length ? nodeOfCpu[cpu] : machine.online().first();
  }

  @Override
  public long freeBytes(int node) {
    return machine.node(node).hasMemory() ? headroom.freeBytes(node) : 0;
  }

  @Override
  public long presentBytes(int node) {
    long once = machine.node(node).bytes();
    long now = headroom.presentBytes(node);
    // Of a node that comes back cpusets are told a moment after it has memory.
    NodeMask allowed = kernel.allowedNodes();
    if (!allowed.isEmpty() && !allowed.contains(node)) {
      return 0;
    }
    return now < 0 ? once : Math.min(once, now);
  }

  @Override
  public CommitResult room(int node, long bytes) {
    requireMemory(node);
    if (bytes <= 0) {
      throw new IllegalArgumentException("size is not positive: bytes=" + bytes);
    }
    return headroom.room(node, bytes);
  }

  @Override
  public Region reserve(Stripe stripe, long bytes) {
    stripe.nodes().stream().forEach(this::requireMemory);
    if (bytes <= 0 || bytes % pageBytes != 0) {
      throw new IllegalArgumentException(
          "size is not whole OS pages: bytes=" + bytes + ", os_page_bytes=" + pageBytes);
    }
    return space.reserve(stripe, bytes);
  }

  @Override
  public CommitResult commit(Region region, long offset, long bytes) {
    LinuxRegion target = own(region);
    requirePages(target, offset, bytes);
    return exclusively(target, () -> protocol.commit(target, offset, offset + bytes));
  }

  @Override
  public MoveResult move(Region region, long offset, long bytes, int node) {
    LinuxRegion target = own(region);
    requirePages(target, offset, bytes);
    requireMemory(node);
    NodeMask nodes = target.nodes().or(NodeMask.of(node));
    return exclusively(
        target,
        nodes.stream().toArray(),
        () -> migration.move(target, offset, offset + bytes, node));
  }

  @Override
  public LockResult lock(Region region, long offset, long bytes) {
    LinuxRegion target = own(region);
    requirePages(target, offset, bytes);
    return exclusively(target, () -> pageLocks.lock(target, offset, offset + bytes));
  }

  @Override
  public void unlock(Region region, long offset, long bytes) {
    LinuxRegion target = own(region);
    requirePages(target, offset, bytes);
    exclusively(
        target,
        () -> {
          pageLocks.unlock(target, offset, offset + bytes);
          return target;
        });
  }

  @Override
  public List<String> lockHazards(int node) {
    return figures.lockHazards(machine.node(node).id(), pageBytes);
  }

  @Override
  public long purge(Region region, long offset, long bytes) {
    LinuxRegion target = own(region);
    requirePages(target, offset, bytes);
    return exclusively(
        target,
        () -> {
          long had = target.committed().coveredBytes(offset, offset + bytes);
          protocol.giveBack(target, offset, offset + bytes);
          return had;
        });
  }

  @Override
  public void release(Region region) {
    LinuxRegion target = own(region);
    exclusively(
        target,
        () -> {
          protocol.release(target);
          return target;
        });
  }

  @Override
  public ByteBuffer view(Region region, long offset, int bytes) {
    LinuxRegion target = own(region);
    requireLive(target);
    return target.slice(offset, bytes);
  }

  @Override
  public long addressOf(ByteBuffer buffer) {
    return Pointer.nativeValue(Native.getDirectBufferPointer(buffer));
  }

  @Override
  public Residency residency(Region region, long offset, long bytes) {
    LinuxRegion target = own(region);
    requirePages(target, offset, bytes);
    return exclusively(target, () -> residency.ask(target, offset, bytes));
  }

  @Override
  public Explanation explain(int home, int found) {
    return figures.explain(home, found);
  }

  @Override
  public Diagnosis diagnosis() {
    return diagnosis;
  }

  private static <T> T exclusively(LinuxRegion region, Supplier<T> action) {
    return exclusively(region, region.nodeNumbers(), action);
  }

  private static <T> T exclusively(LinuxRegion region, int[] nodes, Supplier<T> action) {
    int held = 0;
    try {
      while (held < nodes.length) {
        nodeLock(nodes[held]).lock();
        held++;
      }
      requireLive(region);
      return action.get();
    } finally {
      while (held > 0) {
        held--;
        nodeLock(nodes[held]).unlock();
      }
    }
  }

  private static ReentrantLock nodeLock(int node) {
    return NODE_LOCKS.computeIfAbsent(node, unused -> new ReentrantLock());
  }

  private void requireMemory(int node) {
    if (!machine.node(node).hasMemory()) {
      throw new IllegalArgumentException(
          "node has no memory: node=" + node + ", with_memory=" + machine.withMemory());
    }
  }

  private LinuxRegion own(Region region) {
    if (region instanceof LinuxRegion linuxRegion && space.owns(linuxRegion)) {
      return linuxRegion;
    }
    throw new IllegalArgumentException("region is of another source: " + region);
  }

  private static void requireLive(LinuxRegion region) {
    if (region.isReleased()) {
      throw new IllegalStateException(
          "region is released: stripe=" + region.stripe() + ", bytes=" + region.bytes());
    }
  }

  private void requirePages(LinuxRegion region, long offset, long bytes) {
    if (offset < 0
        || bytes <= 0
        || offset % pageBytes != 0
        || bytes % pageBytes != 0
        || offset > region.bytes() - bytes) {
      throw new IllegalArgumentException(
          "range is not whole OS pages of the region: offset="
              + offset
              + ", bytes="
              + bytes
              + ", os_page_bytes="
              + pageBytes
              + ", region_bytes="
              + region.bytes());
    }
  }

  private static int[] nodeOfCpu(Machine machine) {
    int last = machine.nodes().stream().flatMapToInt(node -> node.cpus().stream()).max().orElse(-1);
    int[] nodes = new int[last + 1];
    Arrays.fill(nodes, machine.online().first());
    machine.nodes().forEach(node -> node.cpus().stream().forEach(cpu -> nodes[cpu] = node.id()));
    return nodes;
  }
}
