/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

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

    /** Other processes use the node, and per-CPU lists hold some MiB. */
    @Override
    protected long freeBytesTolerance() {
      return 64L << 20;
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
