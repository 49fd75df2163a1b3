/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import org.cdmalloc.spi.AddressOnlySource;
import org.cdmalloc.spi.MemorySource;
import org.cdmalloc.topology.Machine;

/** D. Hansen's machine with 200 GiB of device memory, over addresses without memory behind them. */
final class HansensMachineTest extends HansensMachineContract {
  @Override
  protected MemorySource source(Machine machine) {
    return AddressOnlySource.of(machine);
  }

  @Override
  protected long ramNodeBytes() {
    return 1L << 30;
  }
}
