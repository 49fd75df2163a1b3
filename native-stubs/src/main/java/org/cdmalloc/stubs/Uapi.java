/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

/**
 * The numbers of the kernel's interface, under its names: include/uapi/linux/mempolicy.h,
 * asm-generic/mman-common.h and asm-generic/errno.h.
 */
final class Uapi {
  static final int MPOL_F_NUMA_BALANCING = 1 << 13;
  static final int MPOL_F_RELATIVE_NODES = 1 << 14;
  static final int MPOL_F_STATIC_NODES = 1 << 15;
  static final int MPOL_MODE_FLAGS =
      MPOL_F_NUMA_BALANCING | MPOL_F_RELATIVE_NODES | MPOL_F_STATIC_NODES;

  static final int MPOL_MF_STRICT = 1;
  static final int MPOL_MF_MOVE = 1 << 1;
  static final int MPOL_MF_MOVE_ALL = 1 << 2;

  static final int MPOL_F_NODE = 1;
  static final int MPOL_F_ADDR = 1 << 1;
  static final int MPOL_F_MEMS_ALLOWED = 1 << 2;

  static final int MADV_DONTNEED = 4;
  static final int MADV_POPULATE_WRITE = 23;
  static final int MADV_DONTNEED_LOCKED = 24;

  static final int EPERM = 1;
  static final int ENOENT = 2;
  static final int EIO = 5;
  static final int ENOMEM = 12;
  static final int EFAULT = 14;
  static final int ENODEV = 19;
  static final int EINVAL = 22;
  static final int EOPNOTSUPP = 95;

  private Uapi() {}
}
