/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

/** Ends an emulated system call with an error number; never leaves {@link EmulatedKernel}. */
final class ErrnoException extends Exception {
  private static final long serialVersionUID = 1L;

  private final int errno;

  ErrnoException(int errno) {
    // An expected result, met millions of times in a random test: no stack trace.
    super("errno=" + errno, null, false, false);
    this.errno = errno;
  }

  int errno() {
    return errno;
  }
}
