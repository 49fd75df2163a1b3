/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import com.sun.jna.Native;
import java.util.Map;
import org.cdmalloc.NativeCallException;

/** Error numbers by name, as in include/uapi/asm-generic/errno-base.h and errno.h. */
final class Errno {
  static final int EPERM = 1;
  static final int ENOENT = 2;
  static final int EIO = 5;
  static final int EAGAIN = 11;
  static final int ENOMEM = 12;
  static final int EACCES = 13;
  static final int EFAULT = 14;
  static final int EBUSY = 16;
  static final int EINVAL = 22;
  static final int ENOSYS = 38;

  private static final Map<Integer, String> NAMES =
      Map.ofEntries(
          Map.entry(EPERM, "EPERM"),
          Map.entry(ENOENT, "ENOENT"),
          Map.entry(3, "ESRCH"),
          Map.entry(EIO, "EIO"),
          Map.entry(7, "E2BIG"),
          Map.entry(9, "EBADF"),
          Map.entry(EAGAIN, "EAGAIN"),
          Map.entry(ENOMEM, "ENOMEM"),
          Map.entry(EACCES, "EACCES"),
          Map.entry(EFAULT, "EFAULT"),
          Map.entry(EBUSY, "EBUSY"),
          Map.entry(19, "ENODEV"),
          Map.entry(EINVAL, "EINVAL"),
          Map.entry(ENOSYS, "ENOSYS"),
          Map.entry(95, "EOPNOTSUPP"),
          Map.entry(133, "EHWPOISON"));

  private Errno() {}

  /** Returns the calling thread's error number. */
  static int last() {
    return Native.getLastError();
  }

  /** Names an error number. */
  static String name(int errno) {
    return NAMES.getOrDefault(errno, "errno " + errno);
  }

  /** Makes the exception for a call that failed; the only place that does. */
  static NativeCallException failed(String function, int errno, String arguments) {
    return new NativeCallException(function, errno, name(errno), arguments);
  }
}
