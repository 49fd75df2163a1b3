/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import com.sun.jna.NativeLibrary;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Supplier;
import org.cdmalloc.DeviceNode;
import org.cdmalloc.DevicePin;
import org.cdmalloc.NativeCallException;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.NodeMemoryExhaustedException;
import org.cdmalloc.Placement;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.LockResult;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Region;
import org.cdmalloc.topology.Machine;

/**
 * What the allocator does when a limit of this process is reached. Runs by hand wherever the limit
 * is set, as tests run it in child processes:
 *
 * <pre>
 * java -cp … org.cdmalloc.numa.LimitProbe cgroup 100
 * java -cp … org.cdmalloc.numa.LimitProbe cgroup 100 without-margin
 * java -cp … org.cdmalloc.numa.LimitProbe address-space
 * java -cp … org.cdmalloc.numa.LimitProbe locked
 * java -cp … org.cdmalloc.numa.LimitProbe lock
 * java -cp … org.cdmalloc.numa.LimitProbe pin
 * java -cp … org.cdmalloc.numa.LimitProbe locks-what-it-maps 1024
 * java -cp … org.cdmalloc.numa.LimitProbe locks-what-it-has
 * java -cp … org.cdmalloc.numa.LimitProbe mappings 300
 * java -cp … org.cdmalloc.numa.LimitProbe mappings 300 without-count
 * java -cp … org.cdmalloc.numa.LimitProbe overcommit
 * </pre>
 *
 * <p>Each prints figures line by line and {@code done} at the end; what is not as it should be is
 * an exception, status 1.
 */
final class LimitProbe {
  private static final long MIB = 1L << 20;

  /** The number of a device node that no host has. */
  private static final int DEVICE = 1000;

  private static final Path PROC = Path.of("/proc");
  private static final int COLLECTIONS = 200;

  /** Of mlockall(2): all that is mapped, or will be. */
  private static final int MCL_CURRENT = 1;

  private static final int MCL_FUTURE = 2;

  /** What a JVM of 16 MiB of heap may grow by meanwhile. */
  private static final long SLACK_BYTES = 48 * MIB;

  /** A main class of its own: the words are what it is for. */
  private final PrintStream out =
      new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);

  private final MemorySource host = ThisHost.source();
  private final int node = host.machine().withMemory().first();
  private final long page = host.osPageBytes();

  private LimitProbe() {}

  /** Runs one case. */
  public static void main(String[] args) throws IOException {
    LimitProbe probe = new LimitProbe();
    switch (args[0]) {
      case "cgroup" -> probe.cgroup(Integer.parseInt(args[1]), args.length == 2);
      case "address-space" -> probe.addressSpace();
      case "locked" -> probe.locked();
      case "lock" -> probe.lock();
      case "pin" -> probe.pin();
      case "locks-what-it-maps" -> probe.locksWhatItMaps(Integer.parseInt(args[1]) * MIB);
      case "locks-what-it-has" -> probe.locksWhatItHas();
      case "mappings" -> probe.mappings(Integer.parseInt(args[1]), args.length == 2);
      case "overcommit" -> probe.overcommit();
      default -> throw new IllegalArgumentException("no such case: " + args[0]);
    }
    probe.say("done");
  }

  private void say(String line) {
    out.println(line);
  }

  private static void require(boolean holds, Supplier<String> otherwise) {
    if (!holds) {
      throw new IllegalStateException(otherwise.get());
    }
  }

  private NodeAllocator open(MemorySource source, long bytes) {
    long capacity = Math.min(bytes, host.machine().node(node).bytes());
    // Without the thread that purges and audits: glibc maps 128 MiB when a thread first allocates,
    // of the same margin.
    return NodeAllocator.builder()
        .source(source)
        .capacity(node, capacity)
        .purgeDelay(Duration.ZERO)
        .auditPeriod(Duration.ZERO)
        .open();
  }

  /** What a request that was refused had got before, and what it said. */
  private record Filled(long bytes, String message) {}

  /** Allocates until there is no more, and frees all of it. */
  private Filled fill(MemorySource source, long capacity) {
    List<Long> blocks = new ArrayList<>();
    try (NodeAllocator memory = open(source, capacity)) {
      String message = null;
      while (message == null) {
        try {
          blocks.add(memory.allocate(MIB));
        } catch (NodeMemoryExhaustedException e) {
          message = e.getMessage();
        }
      }
      blocks.forEach(memory::free);
      return new Filled(blocks.size() * MIB, message);
    }
  }

  /** Fills the group again and again; attempts that found it filled by others do not count. */
  private void cgroup(int attempts, boolean withMargin) {
    MemorySource source = withMargin ? host : withoutMargin();
    for (int attempt = 1; attempt <= attempts; ) {
      Filled filled = fill(source, 1024 * MIB);
      require(filled.message().contains("LIMIT_REACHED cgroup=/"), filled::message);
      if (filled.bytes() > 0) {
        say("attempt=" + attempt + ", bytes=" + filled.bytes() + ": " + filled.message());
        attempt++;
      }
    }
  }

  /** This host's source, which commits as if no margin were needed. */
  private MemorySource withoutMargin() {
    Capability capability = ThisHost.capability();
    ControlGroup group = ControlGroup.find(PROC, Path.of("/"));
    Headroom headroom = new Headroom(PROC, Machine.SYSFS, group, (int) page, 0);
    CommitProtocol protocol =
        new CommitProtocol(
            ThisHost.KERNEL, headroom, capability, MappingBudget.PROCESS, host.machine());
    return (MemorySource)
        Proxy.newProxyInstance(
            LimitProbe.class.getClassLoader(),
            new Class<?>[] {MemorySource.class},
            (proxy, method, args) -> {
              if (method.getName().equals("commit")) {
                long start = (long) args[1];
                return protocol.commit((LinuxRegion) args[0], start, start + (long) args[2]);
              }
              try {
                return method.invoke(host, args);
              } catch (InvocationTargetException e) {
                throw e.getCause();
              }
            });
  }

  /** Asks for too much address space, then for an eighth less, until it fits. */
  private void addressSpace() {
    int refused = 0;
    for (long bytes = host.machine().node(node).bytes(); bytes >= MIB; bytes = bytes / 8 * 7) {
      long capacity = bytes / page * page;
      try {
        use(capacity);
        say("opened: bytes=" + capacity + ", refused=" + refused);
        return;
      } catch (NativeCallException e) {
        refused++;
        require(e.errno() == Errno.ENOMEM, e::toString);
        say("refused: " + e.getMessage());
      }
    }
    throw new IllegalStateException("nothing fits");
  }

  /** Opens an allocator, uses a block of it, and starts threads as a program does after that. */
  private void use(long capacity) {
    try (NodeAllocator memory = open(host, capacity)) {
      long left = AddressSpaceLimit.read(PROC.resolve("self")).spareBytes();
      require(left > -MIB, () -> "the margin of address space is used: left=" + left);
      ByteBuffer buffer = memory.allocateBuffer((int) MIB);
      buffer.putLong(0, 42);
      require(buffer.getLong(0) == 42 && buffer.getLong(8) == 0, () -> "content");
      memory.free(buffer);
      List<Thread> threads = new ArrayList<>();
      for (int i = 0; i < 16; i++) {
        Thread thread = new Thread(() -> memory.free(memory.allocate(4096)));
        thread.start();
        threads.add(thread);
      }
      threads.forEach(LimitProbe::join);
    }
  }

  private static void join(Thread thread) {
    try {
      thread.join();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  private void locked() {
    use(64 * MIB);
    say("locked_bytes=" + lockedBytes());
  }

  /** Locks 128 KiB, then as much as may be locked, then all of it again. */
  private void lock() {
    Region region = host.reserve(node, MIB);
    require(host.commit(region, 0, MIB).isCommitted(), () -> "commit");
    long bytes = 128 << 10;
    if (sayLock(region, bytes) || !sayLock(region, bytes / 2)) {
      return;
    }
    require(!sayLock(region, bytes), () -> "more than the limit is locked");
    say("still locked: locked_bytes=" + lockedBytes());
    host.release(region);
    say("released: locked_bytes=" + lockedBytes());
  }

  private boolean sayLock(Region region, long bytes) {
    LockResult result = host.lock(region, 0, bytes);
    say(
        result.isLocked()
            ? "locked: locked_bytes=" + lockedBytes()
            : "refused: " + result.detail());
    return result.isLocked();
  }

  /** Pins a block that is too large, and half of it twice. */
  private void pin() {
    NodeAllocator.Builder builder =
        NodeAllocator.builder()
            .source(host)
            .capacity(node, 8 * MIB)
            .deviceArena(DEVICE, node, 4 * MIB)
            .purgeDelay(Duration.ZERO)
            .auditPeriod(Duration.ZERO);
    try (NodeAllocator memory = builder.open()) {
      DeviceNode device = memory.device(DEVICE);
      device.online();
      long large = memory.allocate(128 << 10, Placement.onNode(node));
      sayPin(() -> device.pin(large));
      sayPin(() -> device.copyOf(ByteBuffer.allocate(128 << 10)));
      say("moved_in_bytes=" + memory.report().node(DEVICE).movedInBytes());
      say("used_bytes=" + memory.report().node(DEVICE).usedBytes());
      try (DevicePin pin = device.copyOf(ByteBuffer.allocate(64 << 10))) {
        sayPin(() -> device.pin(pin.address()));
      }
      say("closed: locked_bytes=" + lockedBytes());
      memory.free(large);
    }
  }

  private void sayPin(Supplier<DevicePin> request) {
    try (DevicePin pin = request.get()) {
      say("pinned: locked_bytes=" + lockedBytes() + ", in_place=" + pin.isInPlace());
    } catch (NodeMemoryExhaustedException e) {
      say("not pinned: " + e.getMessage());
    }
  }

  /** mlockall(2), as a program calls it that shall not be swapped out. */
  private static void lockAll(int flags) {
    int result =
        NativeLibrary.getInstance("c").getFunction("mlockall").invokeInt(new Object[] {flags});
    require(result == 0, () -> "mlockall: " + Errno.name(Errno.last()));
  }

  private static long resident() {
    return KeyedText.of(PROC.resolve("self/status")).bytes("VmRSS:");
  }

  private static long lockedBytes() {
    return ThisHost.lockedBytes();
  }

  /** Opens an allocator that may be larger than what there is, and fills it. */
  private void locksWhatItMaps(long capacity) throws IOException {
    lockAll(MCL_FUTURE);
    long before = resident();
    try (NodeAllocator memory = open(host, capacity)) {
      long grown = resident() - before;
      require(grown < SLACK_BYTES, () -> "brought in by open(): bytes=" + grown);
      memory.free(memory.allocate(MIB));
    } catch (NativeCallException e) {
      say("refused: " + e.getMessage());
      return;
    }
    Filled filled = fill(host, capacity);
    say("filled: bytes=" + filled.bytes() + ": " + filled.message());
    long left = resident() - before;
    require(left < SLACK_BYTES, () -> "not given back: bytes=" + left);
    Region region = host.reserve(node, 1024 * page);
    for (long at = 0; at < region.bytes(); at += page) {
      require(host.commit(region, at, page).isCommitted(), () -> "commit");
    }
    say("region: mappings=" + MappingsTest.mappings(region));
    host.release(region);
  }

  /** Locks regions behind the allocator's back: the kernel brings in all that is accessible. */
  private void locksWhatItHas() throws IOException {
    Path proc = ThisHost.procThatCountsWhatIsWritable(Files.createTempDirectory("proc"));
    MemorySource strict = ThisHost.source(proc);
    Region windowed = strict.reserve(node, 64 * MIB);
    Region region = host.reserve(node, 64 * MIB);
    require(host.commit(region, 0, 32 * MIB).isCommitted(), () -> "commit");
    host.view(region, 0, 8).putLong(0, 42);
    host.view(region, 16 * MIB, 8).putLong(0, 43);
    lockAll(MCL_CURRENT);
    require(lockedBytes() >= 64 * MIB, () -> "locked_bytes=" + lockedBytes());
    host.purge(region, 0, 16 * MIB);
    say("purged: present=" + present(region, 0, 16 * MIB));
    require(host.commit(region, 0, 64 * MIB).isCommitted(), () -> "commit");
    require(host.view(region, 0, 8).getLong(0) == 0, () -> "content");
    require(host.view(region, 16 * MIB, 8).getLong(0) == 43, () -> "content");
    say("region: mappings=" + MappingsTest.mappings(region));
    host.release(region);
    say("released: present=" + present(region, 0, 64 * MIB));
    require(strict.commit(windowed, 0, 2 * MIB).isCommitted(), () -> "commit");
    say("window: present=" + present(windowed, 0, 64 * MIB));
    strict.release(windowed);
  }

  private long present(Region region, long offset, long bytes) {
    int[] status = new int[(int) (bytes / page)];
    int errno = ThisHost.KERNEL.queryPages(region.address() + offset, (int) page, status);
    require(errno == 0, () -> Errno.name(errno));
    return Arrays.stream(status).filter(s -> s >= 0).count();
  }

  /** Works in a process whose mappings another library has used up but for a few. */
  private void mappings(int left, boolean counts) {
    int most = (int) KeyedText.of(PROC.resolve("sys/vm/max_map_count")).single();
    MappingBudget budget = counts ? MappingBudget.PROCESS : new MappingBudget(most);
    LinuxSource source = ThisHost.source(ThisHost.capability(), budget);
    long pages = 6000;
    Region region = source.reserve(node, pages * page);
    require(source.commit(region, 0, region.bytes()).isCommitted(), () -> "commit");
    for (long at = 0; at < pages; at++) {
      source.view(region, at * page, 8).putLong(0, at + 1);
    }
    MappingFiller filler = new MappingFiller(most - left);
    say("vm.max_map_count=" + most + ", process_mappings=" + MappingBudget.countMappings());
    int absent = 0;
    for (long at = 0; at < pages; at += 3) {
      source.purge(region, at * page, page);
      absent += source.residency(region, at * page, page).isAllOn(node) ? 0 : 1;
    }
    say("purged=" + (pages / 3) + ", absent=" + absent + ", " + budget);
    say("lock refused: " + source.lock(region, 4 * page, page).detail());
    // Those that the kernel would not split come first, while no mapping is left.
    for (int pass = 1; pass <= 2; pass++) {
      say("pass=" + pass + ": " + recommit(source, region));
    }
    say("second allocator " + second(counts));
    for (long at = 0; at < pages; at++) {
      long content = source.view(region, at * page, 8).getLong(0);
      long expected = at % 3 == 0 ? 0 : at + 1;
      long index = at;
      require(content == expected, () -> "page " + index + " holds " + content);
    }
    say("content intact");
    source.release(region);
    filler.close();
    say("released, present=" + present(region, 0, region.bytes()));
    use(64 * MIB);
    say("works again, process_mappings=" + MappingBudget.countMappings());
  }

  private String recommit(MemorySource source, Region region) {
    int committed = 0;
    CommitResult refused = CommitResult.COMMITTED;
    for (long at = region.bytes() / page / 3 * 3 - 3; at >= 0; at -= 3) {
      CommitResult result = source.commit(region, at * page, page);
      committed += result.isCommitted() ? 1 : 0;
      refused = result.isCommitted() ? refused : result;
    }
    return "recommitted=" + committed + ", refused: " + refused;
  }

  /** Opens an allocator in a process that is near the limit when its mappings are first counted. */
  private String second(boolean counts) {
    MappingBudget budget = counts ? MappingBudget.ofProcess() : new MappingBudget(1000);
    MemorySource source = ThisHost.source(ThisHost.capability(), budget);
    try (NodeAllocator memory = open(source, 8 * MIB)) {
      memory.free(memory.allocate(MIB));
      return "opened";
    } catch (NativeCallException | NodeMemoryExhaustedException e) {
      return "refused: " + e.getMessage();
    }
  }

  /** Fills what the kernel promises with windows, where it counts what is writable. */
  private void overcommit() {
    long mode = KeyedText.of(PROC.resolve("sys/vm/overcommit_memory")).single();
    say("vm.overcommit_memory=" + mode + ", " + promised());
    if (mode != 2) {
      say("the kernel counts what is used, not what is writable: sysctl vm.overcommit_memory=2");
      return;
    }
    Filled filled = fill(host, Long.MAX_VALUE);
    say("refused: bytes=" + filled.bytes() + ": " + filled.message());
    require(filled.message().contains("mprotect=ENOMEM"), filled::message);
    say("closed, " + promised());
    long before = committed();
    for (int i = 0; i < COLLECTIONS && committed() > before - filled.bytes() / 2; i++) {
      System.gc();
    }
    say("unmapped, " + promised());
    use(64 * MIB);
    say("works again, " + promised());
  }

  private static long committed() {
    return KeyedText.of(PROC.resolve("meminfo")).bytes("Committed_AS:");
  }

  private static String promised() {
    KeyedText host = KeyedText.of(PROC.resolve("meminfo"));
    return "commit_limit_bytes=" + host.bytes("CommitLimit:") + ", committed_bytes=" + committed();
  }
}
