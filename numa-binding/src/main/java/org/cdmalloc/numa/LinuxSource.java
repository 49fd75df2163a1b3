/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import com.sun.jna.Pointer;
import java.lang.ref.Cleaner;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.ReentrantLock;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.CommitResult.Outcome;
import org.cdmalloc.spi.Diagnosis;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Region;
import org.cdmalloc.spi.Residency;
import org.cdmalloc.topology.Machine;

/** Memory of this host's nodes, placed by the kernel. */
final class LinuxSource implements MemorySource {
  /** The alignment of regions, and what is asked of the kernel at a time: one huge page. */
  private static final long CHUNK_BYTES = 2L << 20;

  /** How much a region is opened at a time where the kernel will not promise all of it. */
  private static final long WINDOW_BYTES = 1L << 30;

  /** Pages asked about in one call: keeps the arrays of a large query small. */
  private static final int QUERY_PAGES = 1 << 14;

  private static final Cleaner CLEANER = Cleaner.create();

  /*
   * Algorithmic notes.
   *
   * Why the policy is set as it is. Touching a page of a node that is bound and full is not an error
   * but a kill, so no page is touched under BIND. A region has the policy PREFERRED from its
   * reservation on, set once over the whole of it. A chunk is populated under PREFERRED, which places
   * what does not fit elsewhere, and only then bound with MPOL_MF_STRICT, which says EIO if a page lies
   * elsewhere. The same call with MPOL_MF_MOVE then moves such pages, once: migration reclaims page
   * cache on the node and gives up with EIO instead of killing; the chunk is then given back. It is not
   * tried again, because with swap a second try drives out what was committed before. STATIC_NODES
   * keeps the kernel from remapping the policy to another node when one goes offline.
   *
   * Why mappings stay few. A policy set on a part that was never touched gives that part an anon_vma
   * of its own at its first fault, and mappings with different ones never merge. So policy is changed
   * only on parts that were populated; commits in address order then move one boundary along.
   *
   * State: per region what is committed and what has BIND, guarded by the lock of its node. Invariant:
   * what is committed is bound where regions are bound; everything else has PREFERRED, or is in the set
   * of BIND because changing it back was beyond the mapping budget.
   */

  private final Kernel kernel;
  private final Machine machine;
  private final Headroom headroom;
  private final Capability capability;
  private final MappingBudget budget;
  private final long limitBytes;
  private final int pageBytes;
  private final int[] nodeOfCpu;
  private final Map<Integer, ReentrantLock> nodeLocks = new ConcurrentHashMap<>();

  LinuxSource(
      Kernel kernel, Machine machine, Capability capability, MappingBudget budget, Path proc) {
    this.kernel = kernel;
    this.machine = machine;
    this.capability = capability;
    this.budget = budget;
    this.pageBytes = kernel.pageBytes();
    ControlGroup group = ControlGroup.find(proc, Path.of("/"));
    this.headroom = new Headroom(proc, Machine.SYSFS, group, machine, pageBytes);
    this.limitBytes =
        Math.min(KeyedText.of(proc.resolve("meminfo")).bytes("MemTotal:"), group.limitBytes());
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
  public Region reserve(int node, long bytes) {
    if (!machine.node(node).hasMemory()) {
      throw new IllegalArgumentException(
          "node has no memory: node=" + node + ", with_memory=" + machine.withMemory());
    }
    if (bytes <= 0 || bytes % pageBytes != 0) {
      throw new IllegalArgumentException(
          "size is not whole OS pages: bytes=" + bytes + ", os_page_bytes=" + pageBytes);
    }
    long opened = bytes;
    long address = mapAligned(bytes, Kernel.PROT_READ_WRITE);
    if (address == -Errno.ENOMEM) {
      // vm.overcommit_memory=2 counts what is writable, not what is used: open it as it is needed.
      opened = 0;
      address = mapAligned(bytes, Kernel.PROT_NONE);
    }
    if (address < 0) {
      throw Errno.failed("mmap", (int) -address, "bytes=" + bytes + ", node=" + node);
    }
    boolean reserved = false;
    try {
      kernel.adviseOrThrow(address, bytes, Kernel.MADV_DONTFORK);
      if (capability.binds()) {
        kernel.bindOrThrow(address, bytes, Kernel.MPOL_PREFERRED, node);
      }
      LinuxRegion region =
          new LinuxRegion(node, bytes, capability.binds(), address, roots(address, bytes), opened);
      if (!budget.change(region.heldMappings(), region.mappings())) {
        throw new IllegalStateException(
            "too many memory mappings: mappings="
                + budget.used()
                + ", mapping_budget="
                + budget.limit()
                + "; raise vm.max_map_count or close allocators");
      }
      unmapWhenUnreachable(region);
      reserved = true;
      return region;
    } finally {
      if (!reserved) {
        kernel.unmap(address, bytes);
      }
    }
  }

  /** Maps a range that begins at a whole chunk; returns its address or −errno. */
  private long mapAligned(long bytes, int protection) {
    long mapped = kernel.map(bytes + CHUNK_BYTES, protection);
    if (mapped < 0) {
      return mapped;
    }
    long address = (mapped + CHUNK_BYTES - 1) & -CHUNK_BYTES;
    long before = address - mapped;
    if (before > 0) {
      kernel.unmap(mapped, before);
    }
    kernel.unmap(address + bytes, CHUNK_BYTES - before);
    return address;
  }

  /**
   * Makes the root buffers: one per GiB, each as long as a buffer can be, so that a block of up to
   * 2 GiB − 1 is a slice of one of them. JNA cuts longer lengths silently on JDK 17.
   */
  private static List<ByteBuffer> roots(long address, long bytes) {
    List<ByteBuffer> roots = new ArrayList<>();
    for (long offset = 0; offset < bytes; offset += ROOT_BYTES) {
      long length = Math.min(bytes - offset, Integer.MAX_VALUE);
      roots.add(new Pointer(address + offset).getByteBuffer(0, length).order(ByteOrder.BIG_ENDIAN));
    }
    return roots;
  }

  private void unmapWhenUnreachable(LinuxRegion region) {
    Runnable unmap =
        new Unmap(
            kernel,
            region.address(),
            region.bytes(),
            new AtomicInteger(region.roots().size()),
            budget,
            region.heldMappings());
    region.roots().forEach(root -> CLEANER.register(root, unmap));
  }

  /** Unmaps a region once all its roots are unreachable. Holds none of them. */
  private record Unmap(
      Kernel kernel,
      long address,
      long bytes,
      AtomicInteger roots,
      MappingBudget budget,
      AtomicInteger heldMappings)
      implements Runnable {
    @Override
    public void run() {
      if (roots.decrementAndGet() == 0) {
        kernel.unmap(address, bytes);
        budget.change(heldMappings, 0);
      }
    }
  }

  @Override
  public CommitResult commit(Region region, long offset, long bytes) {
    LinuxRegion target = own(region);
    requirePages(target, offset, bytes);
    ReentrantLock lock = lock(target);
    try {
      requireLive(target);
      List<long[]> fresh = new ArrayList<>();
      CommitResult result = null;
      try {
        result = commitChunks(target, offset, offset + bytes, fresh);
        return result;
      } finally {
        if (result == null || !result.isCommitted()) {
          for (long[] range : fresh) {
            giveBack(target, range[0], range[1]);
          }
        }
      }
    } finally {
      lock.unlock();
    }
  }

  private CommitResult commitChunks(LinuxRegion region, long start, long end, List<long[]> fresh) {
    List<long[]> gaps = new ArrayList<>();
    region.committed().forEachGap(start, end, (from, to) -> gaps.add(new long[] {from, to}));
    long wanted = gaps.stream().mapToLong(gap -> gap[1] - gap[0]).sum();
    if (wanted > CHUNK_BYTES) {
      // What cannot fit as a whole is refused before the node is filled with a part of it.
      CommitResult room = headroom.check(region.node(), wanted);
      if (!room.isCommitted()) {
        return room;
      }
    }
    for (long[] gap : gaps) {
      for (long at = gap[0]; at < gap[1]; ) {
        long next = Math.min(gap[1], (at / CHUNK_BYTES + 1) * CHUNK_BYTES);
        CommitResult result = commitChunk(region, at, next);
        if (!result.isCommitted()) {
          return result;
        }
        fresh.add(new long[] {at, next});
        at = next;
      }
    }
    return CommitResult.COMMITTED;
  }

  /** Commits a range of which nothing is committed. */
  private CommitResult commitChunk(LinuxRegion region, long start, long end) {
    CommitResult room = headroom.check(region.node(), end - start);
    if (!room.isCommitted()) {
      return room;
    }
    CommitResult open = openWindow(region, end);
    if (!open.isCommitted()) {
      return open;
    }
    long address = region.address() + start;
    long bytes = end - start;
    if (region.isBound() && region.policyBind().coveredBytes(start, end) > 0) {
      kernel.bindOrThrow(address, bytes, Kernel.MPOL_PREFERRED, region.node());
    }
    boolean bound = region.isBound();
    if (bound && !extendBind(region, start, end)) {
      return new CommitResult(
          Outcome.LIMIT_REACHED,
          "mappings=" + budget.used() + ", mapping_budget=" + budget.limit());
    }
    boolean done = false;
    try {
      int errno = populate(region, start, bytes);
      if (errno == Errno.ENOMEM) {
        return new CommitResult(
            Outcome.NODE_FULL,
            "node=" + region.node() + ", populate=ENOMEM, wanted_bytes=" + bytes);
      }
      if (errno != 0) {
        throw Errno.failed("madvise(MADV_POPULATE_WRITE)", errno, Kernel.range(address, bytes));
      }
      errno = bound ? bindWherePopulated(region.node(), address, bytes) : 0;
      if (errno == Errno.EIO) {
        return new CommitResult(
            Outcome.LOST_RACE,
            "node=" + region.node() + ", mbind_strict=EIO, wanted_bytes=" + bytes);
      }
      if (errno != 0) {
        throw Errno.failed("mbind", errno, Kernel.range(address, bytes) + ", mode=BIND, strict");
      }
      region.committed().add(start, end);
      done = true;
      return CommitResult.COMMITTED;
    } finally {
      if (!done) {
        giveBack(region, start, end);
      }
    }
  }

  /**
   * Binds a populated range if all of it lies on its node; what fell elsewhere is moved there once,
   * which drops page cache for it and fails where a touch would kill. Returns 0 or errno.
   */
  private int bindWherePopulated(int node, long address, long bytes) {
    int errno = kernel.bind(address, bytes, Kernel.MPOL_BIND, node, Kernel.MPOL_MF_STRICT);
    return errno == Errno.EIO
        ? kernel.bind(
            address, bytes, Kernel.MPOL_BIND, node, Kernel.MPOL_MF_STRICT | Kernel.MPOL_MF_MOVE)
        : errno;
  }

  /** Counts a range as bound if the budget has the mappings for it. */
  private boolean extendBind(LinuxRegion region, long start, long end) {
    List<long[]> added = new ArrayList<>();
    region.policyBind().forEachGap(start, end, (from, to) -> added.add(new long[] {from, to}));
    region.policyBind().add(start, end);
    if (budget.change(region.heldMappings(), region.mappings())) {
      return true;
    }
    added.forEach(range -> region.policyBind().remove(range[0], range[1]));
    return false;
  }

  /** Opens windows up to an offset, for a region that is not open as a whole. */
  private CommitResult openWindow(LinuxRegion region, long end) {
    while (region.openedBytes() < end) {
      long from = region.openedBytes();
      long to = Math.min(region.bytes(), from + WINDOW_BYTES);
      int errno = kernel.protect(region.address() + from, to - from, Kernel.PROT_READ_WRITE);
      if (errno == Errno.ENOMEM) {
        return new CommitResult(
            Outcome.LIMIT_REACHED,
            "overcommit_memory=2, mprotect=ENOMEM, window_bytes=" + (to - from));
      }
      if (errno != 0) {
        throw Errno.failed("mprotect", errno, Kernel.range(region.address() + from, to - from));
      }
      region.openedBytes(to);
    }
    return CommitResult.COMMITTED;
  }

  /** Brings in the pages of a range of which none is committed; returns 0 or errno. */
  private int populate(LinuxRegion region, long start, long bytes) {
    if (capability.populates()) {
      return kernel.advise(region.address() + start, bytes, Kernel.MADV_POPULATE_WRITE);
    }
    Pointer memory = new Pointer(region.address() + start);
    for (long at = 0; at < bytes; at += pageBytes) {
      memory.setByte(at, (byte) 0);
    }
    return 0;
  }

  @Override
  public long purge(Region region, long offset, long bytes) {
    LinuxRegion target = own(region);
    requirePages(target, offset, bytes);
    ReentrantLock lock = lock(target);
    try {
      requireLive(target);
      long had = target.committed().coveredBytes(offset, offset + bytes);
      if (had > 0) {
        giveBack(target, offset, offset + bytes);
      }
      return had;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Returns the policy of a range to PREFERRED where the budget allows, then its memory: in this
   * order no part that is absent is bound, where a stray touch could kill.
   */
  private void giveBack(LinuxRegion region, long start, long end) {
    if (region.isBound() && shrinkBind(region, start, end)) {
      kernel.bindOrThrow(
          region.address() + start, end - start, Kernel.MPOL_PREFERRED, region.node());
    }
    kernel.adviseOrThrow(region.address() + start, end - start, Kernel.MADV_DONTNEED);
    region.committed().remove(start, end);
  }

  /** Counts a range as not bound any more if it was and the budget has the mappings for it. */
  private boolean shrinkBind(LinuxRegion region, long start, long end) {
    if (region.policyBind().coveredBytes(start, end) == 0) {
      return false;
    }
    List<long[]> absent = new ArrayList<>();
    region.policyBind().forEachGap(start, end, (from, to) -> absent.add(new long[] {from, to}));
    region.policyBind().remove(start, end);
    if (budget.change(region.heldMappings(), region.mappings())) {
      return true;
    }
    region.policyBind().add(start, end);
    absent.forEach(gap -> region.policyBind().remove(gap[0], gap[1]));
    return false;
  }

  @Override
  public void release(Region region) {
    LinuxRegion target = own(region);
    ReentrantLock lock = lock(target);
    try {
      requireLive(target);
      target.release();
      if (target.isBound()) {
        kernel.bindOrThrow(target.address(), target.bytes(), Kernel.MPOL_PREFERRED, target.node());
      }
      kernel.adviseOrThrow(target.address(), target.bytes(), Kernel.MADV_DONTNEED);
      budget.change(target.heldMappings(), target.mappings());
    } finally {
      lock.unlock();
    }
  }

  @Override
  public ByteBuffer view(Region region, long offset, int bytes) {
    LinuxRegion target = own(region);
    requireLive(target);
    if (bytes < 0 || offset < 0 || offset > target.bytes() - bytes) {
      throw new IllegalArgumentException(
          "range is not in the region: offset="
              + offset
              + ", bytes="
              + bytes
              + ", region_bytes="
              + target.bytes());
    }
    int index = (int) Math.min(offset / ROOT_BYTES, target.roots().size() - 1L);
    int within = (int) (offset - index * ROOT_BYTES);
    ByteBuffer root = target.roots().get(index);
    if (bytes > root.capacity() - within) {
      throw new IllegalArgumentException(
          "range is longer than one buffer can show here: offset="
              + offset
              + ", bytes="
              + bytes
              + "; a block of up to "
              + Integer.MAX_VALUE
              + " bytes that begins at a multiple of its size can be viewed");
    }
    return root.slice(within, bytes);
  }

  @Override
  public long addressOf(ByteBuffer buffer) {
    return Pointer.nativeValue(com.sun.jna.Native.getDirectBufferPointer(buffer));
  }

  @Override
  public Residency residency(Region region, long offset, long bytes) {
    LinuxRegion target = own(region);
    requirePages(target, offset, bytes);
    int pages = Math.toIntExact(bytes / pageBytes);
    int[] nodes = new int[pages];
    ReentrantLock lock = lock(target);
    try {
      requireLive(target);
      for (int from = 0; from < pages; from += QUERY_PAGES) {
        int[] part = new int[Math.min(QUERY_PAGES, pages - from)];
        ask(target, offset + (long) from * pageBytes, part);
        System.arraycopy(part, 0, nodes, from, part.length);
      }
    } finally {
      lock.unlock();
    }
    return new Residency(pageBytes, nodes, capability.residency().callName());
  }

  private void ask(LinuxRegion region, long offset, int[] nodes) {
    long address = region.address() + offset;
    switch (capability.residency()) {
      case MOVE_PAGES -> {
        int errno = kernel.queryPages(address, pageBytes, nodes);
        if (errno != 0) {
          throw Errno.failed("move_pages", errno, "address=0x" + Long.toHexString(address));
        }
        for (int i = 0; i < nodes.length; i++) {
          nodes[i] = node(nodes[i]);
        }
      }
      case GET_MEMPOLICY -> {
        // This call brings absent pages in, so it is asked about committed ones only.
        for (int i = 0; i < nodes.length; i++) {
          long page = offset + (long) i * pageBytes;
          nodes[i] =
              region.committed().contains(page)
                  ? node(kernel.nodeOfPage(region.address() + page))
                  : Residency.NOT_PRESENT;
        }
      }
      default -> Arrays.fill(nodes, Residency.UNKNOWN);
    }
  }

  /** A page that was never written is ENOENT, or EFAULT where it was read as the page of zeros. */
  private static int node(int status) {
    if (status >= 0) {
      return status;
    }
    return status == -Errno.ENOENT || status == -Errno.EFAULT
        ? Residency.NOT_PRESENT
        : Residency.UNKNOWN;
  }

  @Override
  public Diagnosis diagnosis() {
    return capability.diagnosis();
  }

  private ReentrantLock lock(LinuxRegion region) {
    ReentrantLock lock = nodeLocks.computeIfAbsent(region.node(), node -> new ReentrantLock());
    lock.lock();
    return lock;
  }

  private static LinuxRegion own(Region region) {
    if (region instanceof LinuxRegion linuxRegion) {
      return linuxRegion;
    }
    throw new IllegalArgumentException("region is of another source: " + region);
  }

  private static void requireLive(LinuxRegion region) {
    if (region.isReleased()) {
      throw new IllegalStateException(
          "region is released: node=" + region.node() + ", bytes=" + region.bytes());
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
