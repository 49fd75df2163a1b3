/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.spi.MemorySourceContract;
import org.cdmalloc.spi.Region;
import org.junit.jupiter.api.Nested;

/** A wrapper that records, and one without rules, keep the contract of the source inside. */
final class FaultSourceContractTest {
  private abstract static class Contract extends MemorySourceContract {
    final MemorySource inside() {
      return EmulatedSource.of(Machines.twoSocketsAndADevice(), 4 << 10);
    }

    @Override
    protected Region foreign() {
      return inside().reserve(0, CHUNK_BYTES);
    }

    @Override
    protected boolean viewsCrossRoots() {
      return false;
    }
  }

  @Nested
  final class Recording extends Contract {
    @Override
    protected MemorySource open() {
      return new RecordingSource(inside());
    }
  }

  @Nested
  final class WithoutFaults extends Contract {
    @Override
    protected MemorySource open() {
      return new FaultInjectingSource(inside());
    }
  }
}
