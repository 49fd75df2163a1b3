/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.util.OptionalLong;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.MemorySourceContract;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.Nested;

/** The kernel of this host keeps the contract, with all its calls and without the newer ones. */
final class LinuxSourceContractTest {
  private abstract static class Contract extends MemorySourceContract {
    @Override
    protected NodeMask nodesUnderTest(MemorySource source) {
      return NodeMask.of(source.machine().withMemory().and(source.machine().withCpus()).first());
    }

    @Override
    protected boolean countsFreeBytesExactly() {
      return false;
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
  }
}
