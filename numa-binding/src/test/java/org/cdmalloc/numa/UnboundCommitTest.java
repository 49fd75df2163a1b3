/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.cdmalloc.NodeAllocator;
import org.cdmalloc.PlacementAudit;
import org.cdmalloc.numa.Capability.ResidencyCall;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.CommitResult.Outcome;
import org.cdmalloc.spi.Region;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Where binding is refused the kernel places pages as it likes. What is known to have fallen on a
 * device node is given back, whichever way of asking is left.
 */
final class UnboundCommitTest {
  private static final int DEVICE = 7;
  private static final long CHUNK = CommitProtocol.CHUNK_BYTES;

  private final int here = ThisHost.source().machine().withMemory().first();
  private final Machine machine =
      Machine.builder()
          .node(Node.of(here, "0", 1L << 40))
          .node(Node.of(DEVICE, "", 1L << 40))
          .build();

  /**
   * This host's kernel, some of whose pages seem to have fallen on a device node. Some of the
   * region's pages were moved there long ago.
   */
  private class Overflowing extends Kernel {
    boolean overflows = true;
    private boolean isPopulated;
    int counted;

    Overflowing() {
      super(SystemCalls.of(System.getProperty("os.arch")).orElseThrow());
    }

    @Override
    int advise(long address, long bytes, int advice) {
      isPopulated = advice == MADV_POPULATE_WRITE;
      return super.advise(address, bytes, advice);
    }

    @Override
    int queryPages(long address, int pageBytes, int[] status) {
      Arrays.fill(status, here);
      status[status.length - 1] = overflows ? DEVICE : here;
      return 0;
    }

    @Override
    int nodeOfPage(long address) {
      return overflows && (address & (CHUNK - 1)) == CHUNK / 2 ? DEVICE : here;
    }

    @Override
    NumaMaps numaMaps() {
      counted++;
      int onDevice = overflows && isPopulated ? 4 : 3;
      return NumaMaps.of(List.of("1000 default N0=1 N" + DEVICE + "=" + onDevice));
    }
  }

  private LinuxSource source(Kernel kernel, ResidencyCall call) {
    return source(kernel, call, Path.of("/proc"), Machine.SYSFS);
  }

  private LinuxSource source(Kernel kernel, ResidencyCall call, Path proc, Path sysfs) {
    Capability unbound = new Capability(false, true, call, List.of("refused"));
    return new LinuxSource(kernel, machine, unbound, new MappingBudget(1000), proc, sysfs);
  }

  @Test
  void whatFellOnADeviceNodeIsGivenBack() {
    for (ResidencyCall call :
        new ResidencyCall[] {
          ResidencyCall.MOVE_PAGES, ResidencyCall.GET_MEMPOLICY, ResidencyCall.NUMA_MAPS
        }) {
      Overflowing kernel = new Overflowing();
      LinuxSource source = source(kernel, call);
      Region region = source.reserve(here, 2 * CHUNK);
      CommitResult result = source.commit(region, 0, CHUNK);
      assertEquals(Outcome.LOST_RACE, result.outcome(), call::toString);
      assertTrue(result.detail().contains("devices=" + DEVICE), result.detail());
      int[] status = new int[1];
      assertEquals(0, ThisHost.KERNEL.queryPages(region.address(), source.osPageBytes(), status));
      assertTrue(status[0] < 0, call + ": status=" + status[0]);
      kernel.overflows = false;
      assertTrue(source.commit(region, 0, CHUNK).isCommitted(), call::toString);
      source.release(region);
    }
  }

  /** This host's kernel, and the files in which it counts what it placed on the device node. */
  private final class Counting extends Overflowing {
    private final Path numastat;
    private boolean arrives;
    private long placed = 100;

    Counting(Path sysfs) throws IOException {
      Path nodes = sysfs.resolve("devices/system/node");
      numastat = nodes.resolve("node" + DEVICE + "/numastat");
      Files.createDirectories(numastat.getParent());
      Path meminfo = nodes.resolve("node" + here + "/meminfo");
      Files.createDirectories(meminfo.getParent());
      Files.writeString(meminfo, "Node 0 MemFree: 8388608 kB\n");
      write();
    }

    private void write() throws IOException {
      Files.writeString(numastat, "numa_hit 7\nnuma_miss " + placed + "\nnuma_foreign 0\n");
    }

    @Override
    int advise(long address, long bytes, int advice) {
      if (advice == MADV_POPULATE_WRITE && arrives) {
        placed++;
        try {
          write();
        } catch (IOException e) {
          throw new UncheckedIOException(e);
        }
      }
      return super.advise(address, bytes, advice);
    }
  }

  @Test
  void countsAreReadOnlyWhereSomethingWasPlacedOnADevice(@TempDir Path proc, @TempDir Path sysfs)
      throws IOException {
    Files.copy(Path.of("/proc/meminfo"), proc.resolve("meminfo"));
    Path counts = Files.createDirectories(proc.resolve("sys/vm")).resolve("numa_stat");
    Files.writeString(counts, "1\n");
    Counting kernel = new Counting(sysfs);
    LinuxSource source = source(kernel, ResidencyCall.NUMA_MAPS, proc, sysfs);
    Region region = source.reserve(here, 16 * CHUNK);
    assertTrue(source.commit(region, 0, 8 * CHUNK).isCommitted());
    assertEquals(0, kernel.counted);
    kernel.arrives = true;
    assertEquals(Outcome.LOST_RACE, source.commit(region, 8 * CHUNK, CHUNK).outcome());
    assertEquals(2, kernel.counted);
    // What arrives there is another's, or is a page of ours that was moved before.
    kernel.overflows = false;
    assertTrue(source.commit(region, 8 * CHUNK, CHUNK).isCommitted());
    assertEquals(4, kernel.counted);
    // What a stray access brought in before was not counted, and may lie anywhere.
    kernel.arrives = false;
    source.view(region, 10 * CHUNK, 8).putLong(0, 42);
    assertTrue(source.commit(region, 10 * CHUNK, CHUNK).isCommitted());
    assertEquals(0, source.view(region, 10 * CHUNK, 8).getLong(0));
    assertEquals(4, kernel.counted);
    // A kernel that does not count what it places is asked each time.
    Files.writeString(counts, "0\n");
    assertTrue(source.commit(region, 9 * CHUNK, CHUNK).isCommitted());
    assertEquals(6, kernel.counted);
    source.purge(region, 9 * CHUNK, CHUNK);
    kernel.overflows = true;
    assertEquals(Outcome.LOST_RACE, source.commit(region, 9 * CHUNK, CHUNK).outcome());
    source.release(region);
  }

  @Test
  void memoryThatIsNotBoundPromisesNothingToAnAudit() {
    try (NodeAllocator memory =
        NodeAllocator.builder()
            .source(ThisHost.source(ThisHost.unbound(), MappingBudget.PROCESS))
            .open()) {
      long block = memory.allocate(1);
      assertEquals(new PlacementAudit(0, 0, 0, List.of()), memory.audit());
      memory.free(block);
    }
  }
}
