/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import com.sun.jna.Memory;
import com.sun.jna.NativeLibrary;
import com.sun.jna.Pointer;

/**
 * Memory that the kernel may not move: registered with an io_uring as a buffer, as RDMA and VFIO
 * pin theirs (io_uring_register(2); Documentation/core-api/pin_user_pages.rst).
 */
final class PinnedRange implements AutoCloseable {
  /** The same numbers on all architectures, as for all calls since Linux 5.1. */
  private static final int IO_URING_SETUP = 425;

  private static final int IO_URING_REGISTER = 427;
  private static final int IORING_REGISTER_BUFFERS = 0;
  private static final int IORING_UNREGISTER_BUFFERS = 1;
  private static final int PARAMS_BYTES = 120;

  private final int ring;

  /** Pins a range until this is closed. */
  PinnedRange(long address, long bytes) {
    try (Memory params = new Memory(PARAMS_BYTES);
        Memory vector = new Memory(2L * Long.BYTES)) {
      params.clear();
      ring = (int) call("io_uring_setup", IO_URING_SETUP, 1, Pointer.nativeValue(params), 0, 0);
      vector.setLong(0, address);
      vector.setLong(Long.BYTES, bytes);
      call(
          "io_uring_register",
          IO_URING_REGISTER,
          ring,
          IORING_REGISTER_BUFFERS,
          Pointer.nativeValue(vector),
          1);
    }
  }

  private static long call(String function, int number, long a, long b, long c, long d) {
    long result = LibC.syscall(number, a, b, c, d, 0, 0);
    if (result < 0) {
      throw Errno.failed(function, Errno.last(), "number=" + number);
    }
    return result;
  }

  /** Tells whether the kernel took the pin. */
  boolean isPinned() {
    return ring >= 0;
  }

  @Override
  public void close() {
    call("io_uring_register", IO_URING_REGISTER, ring, IORING_UNREGISTER_BUFFERS, 0, 0);
    NativeLibrary.getInstance("c").getFunction("close").invokeInt(new Object[] {ring});
  }
}
