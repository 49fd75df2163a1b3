/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import org.cdmalloc.DeviceNode;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.NodeMemoryExhaustedException;
import org.cdmalloc.Placement;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.Residency;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.NodeMask;

/**
 * Fills nodes to the last byte that the kernel gives without a kill, again and again. It does what
 * the lines that it reads say, as {@link ExhaustionTest} writes them to child processes; by hand,
 * on a host with several nodes:
 *
 * <pre>
 * echo node 1 200 | java -cp … org.cdmalloc.numa.ExhaustionProbe
 * echo device 2 200 | java -cp … org.cdmalloc.numa.ExhaustionProbe
 * echo implicit 0 200 | java -cp … org.cdmalloc.numa.ExhaustionProbe
 * echo implicit 0 1 | java -cp … org.cdmalloc.numa.ExhaustionProbe without-headroom
 * echo touch 2 | java -cp … org.cdmalloc.numa.ExhaustionProbe
 * </pre>
 *
 * <p>The first three are requests that insist on a node, requests of a device's holder, and
 * requests that name no node: local and interleaved ones in turn. An attempt ends when all kinds of
 * them are refused, and counts if it got a block; then {@value #FREED_BLOCKS} blocks of 1 MiB go
 * back to the kernel. Each attempt is a line, and the figures of all of them are one more. {@code
 * without-headroom} believes that every node is nearly empty. {@code touch} does what the protocol
 * avoids: it brings pages of a full node in that is bound.
 */
final class ExhaustionProbe {
  private static final long MIB = 1L << 20;
  private static final int FREED_BLOCKS = 16;
  private static final int QUERIES = 200;

  private static final long BETWEEN_QUERIES_NANOS = 10_000_000;
  private static final Path PROC = Path.of("/proc");

  /** A main class of its own: the words are what it is for. */
  private final PrintStream out =
      new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);

  private final MemorySource host;
  private final List<Long> blocks = new ArrayList<>();
  private int pagesElsewhere;
  private int pagesAbsent;
  private WatchedHost watched;

  private ExhaustionProbe(MemorySource host) {
    this.host = host;
  }

  /** Does what the lines say that are written to it. */
  public static void main(String[] args) throws IOException {
    ExhaustionProbe probe =
        new ExhaustionProbe(args.length == 0 ? ThisHost.source() : sourceWithoutHeadroom());
    probe.out.println("ready");
    BufferedReader in =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      String[] words = line.split(" ", -1);
      int node = Integer.parseInt(words[1]);
      if (words[0].equals("touch")) {
        probe.touchBound(node);
      } else {
        probe.exhaust(words[0], node, Integer.parseInt(words[2]));
      }
      probe.out.println("done: " + line);
    }
  }

  /** A source to which every node looks as if a tebibyte of it were free. */
  private static MemorySource sourceWithoutHeadroom() throws IOException {
    Path sysfs = Files.createTempDirectory("sysfs");
    for (int node : Machine.fromSysfs(Machine.SYSFS).online().stream().toArray()) {
      Path directory = Files.createDirectories(sysfs.resolve("devices/system/node/node" + node));
      Files.writeString(directory.resolve("meminfo"), "MemFree: 1073741824 kB\n");
    }
    return ThisHost.source(PROC, sysfs);
  }

  private void touchBound(int node) {
    Kernel kernel = ThisHost.KERNEL;
    long bytes = host.machine().node(node).bytes();
    long address = kernel.map(bytes, Kernel.PROT_READ_WRITE);
    require(kernel.bind(address, bytes, NodeMask.of(node), 0) == 0, "mbind");
    out.println("populate: " + kernel.advise(address, bytes, Kernel.MADV_POPULATE_WRITE));
  }

  private static void require(boolean holds, String otherwise) {
    if (!holds) {
      throw new IllegalStateException(otherwise);
    }
  }

  private void exhaust(String kind, int node, int attempts) throws IOException {
    Machine machine = host.machine();
    NodeMask system = machine.withMemory().without(machine.memoryOnly());
    NodeMask wanted = kind.equals("implicit") ? system : NodeMask.of(node);
    watched = new WatchedHost(host);
    pagesElsewhere = 0;
    pagesAbsent = 0;
    // Without the purging thread: what goes back, and when, is part of the attempt.
    NodeAllocator.Builder builder =
        NodeAllocator.builder().source(watched.source()).purgeDelay(Duration.ZERO);
    machine.withMemory().stream().forEach(id -> builder.capacity(id, machine.node(id).bytes()));
    try (NodeAllocator memory = builder.open()) {
      List<Placement> placements =
          switch (kind) {
            case "node" -> List.of(Placement.onNode(node));
            case "device" -> List.of(online(memory.device(node)));
            case "implicit" -> List.of(Placement.LOCAL, Placement.interleave(system));
            default -> throw new IllegalArgumentException("no such kind: " + kind);
          };
      for (int attempt = 1; attempt <= attempts; ) {
        int before = blocks.size();
        String refusal = fill(memory, placements);
        int got = blocks.size() - before;
        check(memory, before, wanted);
        if (got > 0) {
          out.println("attempt=" + attempt + ", blocks=" + got + ": " + refusal);
          attempt++;
        }
        if (attempt <= attempts) {
          giveBack(memory, FREED_BLOCKS);
        }
      }
      check(memory, 0, wanted);
      sayFigures(machine.withMemory().without(wanted));
      giveBack(memory, blocks.size());
    }
  }

  private void sayFigures(NodeMask others) throws IOException {
    long elsewhere = pagesElsewhere + watched.mappedPages(others);
    out.println(
        "blocks="
            + blocks.size()
            + ", pages_elsewhere="
            + elsewhere
            + ", pages_absent="
            + pagesAbsent
            + ", races="
            + watched.races()
            + ", commits="
            + watched.outcomes());
  }

  private static Placement online(DeviceNode device) {
    device.online();
    return device.placement();
  }

  /** Allocates in turn until all kinds of requests are refused; returns what the last one said. */
  private String fill(NodeAllocator memory, List<Placement> placements) {
    List<Placement> open = new ArrayList<>(placements);
    String refusal = "";
    while (!open.isEmpty()) {
      for (Placement placement : List.copyOf(open)) {
        try {
          blocks.add(memory.allocate(MIB, placement));
        } catch (NodeMemoryExhaustedException e) {
          refusal = e.getMessage();
          open.remove(placement);
        }
      }
    }
    return refusal;
  }

  private void giveBack(NodeAllocator memory, int most) {
    for (int i = 0; i < most && !blocks.isEmpty(); i++) {
      memory.free(blocks.remove(blocks.size() - 1));
    }
    memory.trim();
  }

  /** Counts the pages of the blocks from one on that are not where they were asked for. */
  private void check(NodeAllocator memory, int first, NodeMask wanted) {
    for (long block : blocks.subList(first, blocks.size())) {
      Residency residency = memory.residency(block);
      // A page that the kernel just moves, to make room for a huge one, is nowhere for a moment,
      // which is long where the host is busy.
      for (int i = 0; i < QUERIES && hasAbsent(residency); i++) {
        LockSupport.parkNanos(BETWEEN_QUERIES_NANOS);
        residency = memory.residency(block);
      }
      for (int page = 0; page < residency.pages(); page++) {
        int node = residency.node(page);
        if (node == Residency.NOT_PRESENT) {
          pagesAbsent++;
        } else if (!wanted.contains(node)) {
          pagesElsewhere++;
        }
      }
    }
  }

  private static boolean hasAbsent(Residency residency) {
    return residency.pagesByNode().containsKey(Residency.NOT_PRESENT);
  }
}
