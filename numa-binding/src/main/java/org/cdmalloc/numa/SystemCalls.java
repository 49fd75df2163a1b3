/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.util.Map;
import java.util.Optional;

/**
 * The numbers that differ between architectures: system calls without a wrapper in the C library,
 * and one mmap flag. Numbers are from arch/x86/entry/syscalls/syscall_64.tbl, arch/powerpc and
 * arch/s390 kernel/syscalls/syscall.tbl, and include/uapi/asm-generic/unistd.h for arm64 and riscv;
 * the flag from include/uapi/asm-generic/mman.h and arch/powerpc/include/uapi/asm/mman.h.
 *
 * @param mbind number of mbind(2)
 * @param getMempolicy number of get_mempolicy(2)
 * @param movePages number of move_pages(2)
 * @param mapNoReserve MAP_NORESERVE of mmap(2)
 */
record SystemCalls(int mbind, int getMempolicy, int movePages, int mapNoReserve) {
  private static final int GENERIC_NORESERVE = 0x4000;
  private static final int POWERPC_NORESERVE = 0x40;

  private static final SystemCalls GENERIC = new SystemCalls(235, 236, 239, GENERIC_NORESERVE);

  private static final Map<String, SystemCalls> BY_ARCHITECTURE =
      Map.of(
          "amd64", new SystemCalls(237, 239, 279, GENERIC_NORESERVE),
          "aarch64", GENERIC,
          "riscv64", GENERIC,
          "ppc64le", new SystemCalls(259, 260, 301, POWERPC_NORESERVE),
          "s390x", new SystemCalls(268, 269, 310, GENERIC_NORESERVE));

  /**
   * Returns the numbers of an architecture.
   *
   * @param architecture as the system property {@code os.arch} names it
   */
  static Optional<SystemCalls> of(String architecture) {
    return Optional.ofNullable(BY_ARCHITECTURE.get(architecture));
  }
}
