/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.cdmalloc.numa.Capability.ResidencyCall;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.CommitResult.Outcome;
import org.cdmalloc.spi.Region;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.Node;
import org.junit.jupiter.api.Test;

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

  /** This host's kernel, some of whose pages seem to have fallen on a device node. */
  private final class Overflowing extends Kernel {
    private boolean overflows = true;

    Overflowing() {
      super(SystemCalls.of(System.getProperty("os.arch")).orElseThrow());
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
      return NumaMaps.of(List.of("1000 default N0=1" + (overflows ? " N" + DEVICE + "=3" : "")));
    }
  }

  @Test
  void whatFellOnADeviceNodeIsGivenBack() {
    for (ResidencyCall call :
        new ResidencyCall[] {
          ResidencyCall.MOVE_PAGES, ResidencyCall.GET_MEMPOLICY, ResidencyCall.NUMA_MAPS
        }) {
      Overflowing kernel = new Overflowing();
      Capability unbound = new Capability(false, true, call, List.of("refused"));
      LinuxSource source =
          new LinuxSource(kernel, machine, unbound, new MappingBudget(1000), Path.of("/proc"));
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
}
