/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

/** Another library that uses up this process's mappings: every second page of it is closed. */
final class MappingFiller implements AutoCloseable {
  private static final Kernel KERNEL = ThisHost.KERNEL;
  private static final int SETTLING_STEPS = 10;

  private final long address;
  private final long bytes;

  /** Fills the table until the process has so many mappings, or the kernel gives no more. */
  MappingFiller(int target) {
    long page = KERNEL.pageBytes();
    this.bytes = 2L * target * page;
    this.address = KERNEL.map(bytes, Kernel.PROT_READ_WRITE);
    if (address < 0) {
      throw Errno.failed("mmap", (int) -address, "bytes=" + bytes);
    }
    long at = page;
    for (int step = 0; step < SETTLING_STEPS; step++) {
      for (int more = (target - MappingBudget.countMappings()) / 2; more > 0; more--) {
        KERNEL.protect(address + at, page, Kernel.PROT_NONE);
        at += 2 * page;
      }
    }
  }

  @Override
  public void close() {
    KERNEL.unmap(address, bytes);
  }
}
