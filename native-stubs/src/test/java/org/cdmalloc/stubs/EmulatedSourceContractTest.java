/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import java.util.OptionalLong;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.MemorySourceContract;
import org.cdmalloc.topology.Machine;
import org.junit.jupiter.api.Nested;

/** The emulated machine keeps the contract, whatever its nodes and its page size are. */
final class EmulatedSourceContractTest {
  private abstract static class Contract extends MemorySourceContract {
    private final Machine machine;
    private final int osPageBytes;
    private EmulatedSource opened;

    Contract(Machine machine, int osPageBytes) {
      this.machine = machine;
      this.osPageBytes = osPageBytes;
    }

    @Override
    protected MemorySource open() {
      opened = EmulatedSource.of(machine, osPageBytes);
      return opened;
    }

    @Override
    protected OptionalLong lockedBytes() {
      return OptionalLong.of(opened.lockedBytes());
    }

    @Override
    protected boolean limitLocks(long bytes) {
      opened.limitLocks(bytes);
      return true;
    }

    @Override
    protected OptionalLong bytesBeyondNode(MemorySource source, int node) {
      return OptionalLong.of(machine.node(node).bytes() + osPageBytes);
    }

    @Override
    protected boolean viewsCrossRoots() {
      return false;
    }
  }

  @Nested
  final class OneNode extends Contract {
    OneNode() {
      super(Machines.oneNode(), 4 << 10);
    }
  }

  @Nested
  final class OneNodeOfLargePages extends Contract {
    OneNodeOfLargePages() {
      super(Machines.oneNode(), 64 << 10);
    }
  }

  @Nested
  final class TwoSocketsAndADevice extends Contract {
    TwoSocketsAndADevice() {
      super(Machines.twoSocketsAndADevice(), 4 << 10);
    }
  }

  @Nested
  final class TwoSocketsAndADeviceOfLargePages extends Contract {
    TwoSocketsAndADeviceOfLargePages() {
      super(Machines.twoSocketsAndADevice(), 64 << 10);
    }
  }
}
