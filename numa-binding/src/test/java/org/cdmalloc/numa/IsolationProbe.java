/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.cdmalloc.DeviceNode;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.NodeMemoryExhaustedException;
import org.cdmalloc.Placement;
import org.cdmalloc.SystemMemory;
import org.cdmalloc.internal.address.BufferAddress;
import org.cdmalloc.spi.Residency;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.NodeMask;

/**
 * Asks for RAM with all placements and from two threads until the kernel has no more, gives a part
 * of it back and asks again. It does what the lines that it reads say, as {@link
 * IsolationGuestTest} writes them: {@code hold 2 8} takes 8 MiB of device 2 as its holder and keeps
 * them, {@code fire 1 6} is six waves drawn from the seed 1, whose blocks it keeps too. By hand, on
 * a host with several nodes:
 *
 * <pre>
 * echo fire 1 6 | java -cp … org.cdmalloc.numa.IsolationProbe
 * </pre>
 */
final class IsolationProbe {
  private static final int THREADS = 2;
  private static final long MIB = 1L << 20;

  /** A wave ends after so many requests that nobody could serve. */
  private static final int REFUSED_PER_WAVE = 16;

  private final PrintStream out =
      new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
  private final WatchedHost host = new WatchedHost(ThisHost.source());
  private final Machine machine = ThisHost.source().machine();
  private final NodeMask devices = machine.memoryOnly();
  private final NodeMask system = machine.withMemory().without(devices);
  private final NodeAllocator memory = open();
  private final SystemMemory[] ways;

  /** The pages that a holder has of devices. */
  private long heldPages;

  private IsolationProbe() {
    Map<Integer, Integer> weights = new HashMap<>();
    system.stream().forEach(node -> weights.put(node, 1 + 2 * weights.size()));
    int last = system.last();
    List<Placement> placements = new ArrayList<>();
    system.stream()
        .forEach(
            node ->
                placements.addAll(
                    List.of(
                        Placement.onNode(node),
                        Placement.preferred(node),
                        Placement.preferredMany(NodeMask.of(node)),
                        Placement.bind(system).withHomeNode(node),
                        Placement.preferredMany(system).withHomeNode(node))));
    placements.addAll(
        List.of(
            Placement.LOCAL,
            Placement.bind(system),
            Placement.preferredMany(system),
            Placement.interleave(system),
            Placement.interleave(NodeMask.of(last)),
            Placement.weightedInterleave(weights)));
    ways = placements.stream().map(memory::at).toArray(SystemMemory[]::new);
  }

  private NodeAllocator open() {
    NodeAllocator.Builder builder =
        NodeAllocator.builder().source(host.source()).purgeDelay(Duration.ofMillis(100));
    machine.withMemory().stream().forEach(id -> builder.capacity(id, machine.node(id).bytes()));
    return builder.open();
  }

  /** Does what the lines say that are written to it. */
  public static void main(String[] args) throws Exception {
    IsolationProbe probe = new IsolationProbe();
    probe.out.println("ready");
    BufferedReader in =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      String[] words = line.split(" ", -1);
      if (words[0].equals("hold")) {
        probe.hold(Integer.parseInt(words[1]), Integer.parseInt(words[2]) * MIB);
      } else {
        probe.fire(Long.parseLong(words[1]), Integer.parseInt(words[2]));
      }
      probe.out.println("done: " + line);
    }
  }

  private void hold(int node, long bytes) {
    DeviceNode device = memory.device(node);
    device.online();
    device.allocate(bytes);
    heldPages += bytes / ThisHost.KERNEL.pageBytes();
  }

  private void fire(long seed, int waves) throws Exception {
    List<Worker> workers = new ArrayList<>();
    for (int i = 0; i < THREADS; i++) {
      workers.add(new Worker(new SplittableRandom(seed * THREADS + i), waves));
    }
    ExecutorService threads = Executors.newFixedThreadPool(THREADS);
    try {
      for (Future<Void> done : threads.invokeAll(workers)) {
        done.get();
      }
    } finally {
      threads.shutdownNow();
    }
    long requests = 0;
    long refused = 0;
    long onDevices = 0;
    long blocks = 0;
    for (Worker worker : workers) {
      requests += worker.requests;
      refused += worker.refused;
      blocks += worker.blocks.size();
      onDevices += worker.pagesOnDevices();
    }
    long displaced = memory.audit().displacedBytes();
    out.println(
        "requests="
            + requests
            + ", refused="
            + refused
            + ", blocks="
            + blocks
            + ", pages_on_devices="
            + (onDevices + host.mappedPages(devices) - heldPages)
            + ", displaced_bytes="
            + displaced
            + ", races="
            + host.races()
            + ", commits="
            + host.outcomes());
  }

  /** What one thread does. */
  private final class Worker implements Callable<Void> {
    private final SplittableRandom random;
    private final int waves;
    private final List<Long> blocks = new ArrayList<>();
    private long requests;
    private long refused;

    Worker(SplittableRandom random, int waves) {
      this.random = random;
      this.waves = waves;
    }

    @Override
    public Void call() {
      for (int wave = 0; wave < waves; wave++) {
        giveBack();
        for (long end = refused + REFUSED_PER_WAVE; refused < end; ) {
          allocate();
        }
      }
      return null;
    }

    private void giveBack() {
      int kept = blocks.size() * random.nextInt(1, 8) / 8;
      while (blocks.size() > kept) {
        int at = random.nextInt(blocks.size());
        memory.free(blocks.set(at, blocks.get(blocks.size() - 1)));
        blocks.remove(blocks.size() - 1);
      }
      if (random.nextBoolean()) {
        memory.trim();
      }
    }

    private void allocate() {
      SystemMemory way = ways[random.nextInt(ways.length)];
      long bytes = random.nextLong(1L << random.nextInt(12, 23));
      requests++;
      long block =
          switch (random.nextInt(8)) {
            case 0 -> allocateOrThrow(way, bytes);
            case 1, 2 -> allocateBuffer(way, (int) bytes);
            default -> way.tryAllocate(bytes);
          };
      if (block != 0) {
        blocks.add(block);
      } else {
        refused++;
      }
    }

    private long allocateBuffer(SystemMemory way, int bytes) {
      ByteBuffer buffer = way.tryAllocateBuffer(bytes);
      return buffer == null ? 0 : BufferAddress.of(buffer);
    }

    /** Whatever is not the exception of exhaustion, or names a device, ends the process. */
    private long allocateOrThrow(SystemMemory way, long bytes) {
      try {
        return way.allocate(bytes);
      } catch (NodeMemoryExhaustedException e) {
        boolean isFair =
            !e.attempts().isEmpty()
                && e.attempts().stream().allMatch(attempt -> system.contains(attempt.node()));
        if (!isFair) {
          throw new IllegalStateException(e);
        }
        return 0;
      }
    }

    long pagesOnDevices() {
      long pages = 0;
      for (long block : blocks) {
        Residency residency = memory.residency(block);
        for (int page = 0; page < residency.pages(); page++) {
          pages += devices.contains(residency.node(page)) ? 1 : 0;
        }
      }
      return pages;
    }
  }
}
