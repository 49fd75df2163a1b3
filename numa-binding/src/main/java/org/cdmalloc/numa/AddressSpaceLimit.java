/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.nio.file.Path;

/**
 * How much address space a process may map: setrlimit(2), {@code ulimit -v} for all of it and
 * {@code ulimit -d} for what is private and writable. A JVM that finds none left for a thread's
 * stack or for malloc aborts, so a reservation leaves it a margin.
 *
 * @param name the tighter of the two limits, as the shell and proc(5) name it
 * @param limitBytes what it allows, or {@link Long#MAX_VALUE}
 * @param usedBytes what the process has mapped of it
 */
record AddressSpaceLimit(String name, long limitBytes, long usedBytes) {
  /**
   * What is left to the JVM: glibc maps 128 MiB when a thread first calls malloc, and each thread
   * has a stack of a MiB.
   */
  static final long MARGIN_BYTES = 256L << 20;

  private static final AddressSpaceLimit NONE =
      new AddressSpaceLimit("unlimited", Long.MAX_VALUE, 0);

  /**
   * Reads the limits of a process.
   *
   * @param self its directory in procfs
   */
  static AddressSpaceLimit read(Path self) {
    KeyedText limits = KeyedText.of(self.resolve("limits"));
    long space = limits.bytes("Max address space");
    long data = limits.bytes("Max data size");
    if (space < 0 && data < 0) {
      return NONE;
    }
    KeyedText status = KeyedText.of(self.resolve("status"));
    AddressSpaceLimit ofSpace = of("ulimit -v", space, status.bytes("VmSize:"));
    AddressSpaceLimit ofData = of("ulimit -d", data, status.bytes("VmData:"));
    return ofSpace.spareBytes() <= ofData.spareBytes() ? ofSpace : ofData;
  }

  private static AddressSpaceLimit of(String name, long limitBytes, long usedBytes) {
    return limitBytes < 0 ? NONE : new AddressSpaceLimit(name, limitBytes, usedBytes);
  }

  /** Returns what a reservation may take; negative if the margin is used already. */
  long spareBytes() {
    return limitBytes == Long.MAX_VALUE ? limitBytes : limitBytes - usedBytes - MARGIN_BYTES;
  }

  /** Prints the figures that decide, and what changes them. */
  @Override
  public String toString() {
    return limitBytes == Long.MAX_VALUE
        ? "address_space=unlimited"
        : "limit_bytes="
            + limitBytes
            + ", used_bytes="
            + usedBytes
            + ", margin_bytes="
            + MARGIN_BYTES
            + " (lower capacity(node, bytes), or raise "
            + name
            + ')';
  }
}
