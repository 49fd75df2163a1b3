/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.OptionalLong;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.MemorySourceContract;
import org.cdmalloc.spi.Region;
import org.cdmalloc.topology.Machine;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.condition.DisabledIf;
import org.junit.jupiter.api.io.TempDir;

/** The kernel of this host keeps the contract, with all its calls and without the newer ones. */
final class LinuxSourceContractTest {
  private static final String IS_GUEST = "org.cdmalloc.numa.ThisHost#isGuest";

  private abstract static class Contract extends MemorySourceContract {
    /** Far more than any test commits. */
    private static final long FREE_BYTES = 512L << 20;

    @Override
    protected NodeMask nodesUnderTest(MemorySource source) {
      int[] roomy =
          source.machine().withMemory().stream()
              .filter(node -> source.freeBytes(node) >= FREE_BYTES)
              .toArray();
      return roomy.length > 0 ? NodeMask.of(roomy) : NodeMask.of(ThisHost.NODE);
    }

    @Override
    protected NodeMask nodesToStripe(MemorySource source) {
      return source.machine().withMemory();
    }

    @Override
    protected boolean countsFreeBytesExactly() {
      return false;
    }

    @Override
    protected OptionalLong lockedBytes() {
      return OptionalLong.of(ThisHost.lockedBytes());
    }

    /** Of the same kind, so that only its source tells it from the source's own. */
    @Override
    protected Region foreign() {
      MemorySource other = ThisHost.source();
      return other.reserve(nodesUnderTest(other).first(), CHUNK_BYTES);
    }

    /** More than the node has is refused before any of it is asked for. */
    @Override
    protected OptionalLong bytesBeyondNode(MemorySource source, int node) {
      return OptionalLong.of((source.machine().node(node).bytes() / CHUNK_BYTES + 1) * CHUNK_BYTES);
    }
  }

  @Nested
  final class AsTheHostIs extends Contract {
    @Override
    protected MemorySource open() {
      return ThisHost.source();
    }
  }

  @Nested
  final class WithoutPopulateWriteAndMovePages extends Contract {
    @Override
    protected MemorySource open() {
      Capability host = ThisHost.capability();
      return ThisHost.source(
          new Capability(
              host.binds(), false, Capability.ResidencyCall.GET_MEMPOLICY, host.findings()),
          MappingBudget.PROCESS);
    }

    @Override
    protected boolean moves() {
      return false;
    }
  }

  /** As where move_pages(2) and get_mempolicy(2) are refused. */
  @Nested
  final class ByNumaMaps extends Contract {
    @Override
    protected MemorySource open() {
      return ThisHost.source(
          new Capability(true, true, Capability.ResidencyCall.NUMA_MAPS, List.of()),
          MappingBudget.PROCESS);
    }

    @Override
    protected boolean tellsPagesOfStripes() {
      return false;
    }

    @Override
    protected boolean moves() {
      return false;
    }
  }

  /** As with a second node beside the host's: its stripes have two nodes on any host. */
  @Nested
  @DisabledIf(value = IS_GUEST, disabledReason = "a guest has a second node, see AsTheHostIs")
  final class WithOneNodeMore extends Contract {
    @TempDir private Path sysfs;

    @Override
    protected MemorySource open() {
      TwoNodeKernel.writeFree(sysfs, TwoNodeKernel.NODE_BYTES, TwoNodeKernel.NODE_BYTES);
      return new LinuxSource(
          new TwoNodeKernel(),
          TwoNodeKernel.machine(),
          ThisHost.capability(),
          MappingBudget.PROCESS,
          Path.of("/proc"),
          sysfs);
    }

    @Override
    protected NodeMask nodesUnderTest(MemorySource source) {
      return source.machine().withMemory();
    }
  }

  /** As in a container whose profile refuses mbind(2). */
  @Nested
  final class Unbound extends Contract {
    @Override
    protected MemorySource open() {
      return ThisHost.source(ThisHost.unbound(), MappingBudget.PROCESS);
    }

    @Override
    protected boolean moves() {
      return false;
    }
  }

  /** As with vm.overcommit_memory=2: a region is opened as it is needed. */
  @Nested
  final class WhereTheKernelCountsWhatIsWritable extends Contract {
    @TempDir private Path proc;

    @Override
    protected MemorySource open() {
      try {
        return ThisHost.source(ThisHost.procThatCountsWhatIsWritable(proc));
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  /** A multiple of the kernel's pages serves as well as its own. */
  private abstract static class OfLargerPages extends Contract {
    /** Without zoneinfo, whose figures would be taken for larger pages. */
    @TempDir private Path proc;

    final MemorySource open(int osPageBytes) {
      Kernel kernel = new FaultyKernel(osPageBytes);
      try {
        Path meminfo = proc.resolve("meminfo");
        Files.copy(Path.of("/proc/meminfo"), meminfo, StandardCopyOption.REPLACE_EXISTING);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
      return new LinuxSource(
          kernel,
          Machine.fromSysfs(Machine.SYSFS),
          ThisHost.capability(kernel),
          MappingBudget.PROCESS,
          proc);
    }
  }

  /** As arm64 kernels may be configured. */
  @Nested
  @DisabledIf(value = IS_GUEST, disabledReason = "a guest shows one multiple of its pages, 64 KiB")
  final class OsPagesOf16KiB extends OfLargerPages {
    @Override
    protected MemorySource open() {
      return open(16 << 10);
    }
  }

  /** As ppc64le kernels are, and arm64 ones may be. */
  @Nested
  final class OsPagesOf64KiB extends OfLargerPages {
    @Override
    protected MemorySource open() {
      return open(64 << 10);
    }
  }
}
