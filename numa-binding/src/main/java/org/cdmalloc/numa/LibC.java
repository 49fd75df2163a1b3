/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;

/**
 * The C library's functions, with their C names, direct-mapped. Pointers are {@code long}s: only
 * 64-bit systems are served. After a call that returned −1, {@link Native#getLastError()} is errno
 * of the same thread.
 *
 * <p>The memory policy calls have no wrapper in the C library and go through {@code syscall}. It is
 * variadic in C, and JNA calls it as a function of seven integers, which some ABIs pass otherwise
 * (ppc64le owes a variadic function a save area). That is no trap with glibc, whose {@code syscall}
 * is assembly on each architecture of {@link SystemCalls} and takes its arguments from where any
 * caller puts seven integers.
 */
final class LibC {
  static {
    Native.register(LibC.class, NativeLibrary.getInstance("c"));
  }

  private LibC() {}

  static native long mmap(long addr, long length, int prot, int flags, int fd, long offset);

  static native int munmap(long addr, long length);

  static native int mprotect(long addr, long length, int prot);

  static native int mlock(long addr, long length);

  static native int munlock(long addr, long length);

  static native int madvise(long addr, long length, int advice);

  static native int sched_getcpu();

  static native int sched_setaffinity(int pid, long cpusetsize, long mask);

  static native int sched_getaffinity(int pid, long cpusetsize, long mask);

  static native long sysconf(int name);

  static native long syscall(long number, long a, long b, long c, long d, long e, long f);
}
