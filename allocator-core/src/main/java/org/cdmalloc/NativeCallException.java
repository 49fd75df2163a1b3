/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.util.Objects;

/**
 * Thrown when a call of the operating system fails in a way that is neither the caller's mistake
 * nor exhaustion.
 */
public final class NativeCallException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** The function that failed, by its name in C. */
  private final String function;

  /** Its error number. */
  private final int errno;

  /**
   * Makes the exception.
   *
   * @param function the function that failed, for example {@code mbind}
   * @param errno its error number
   * @param errorName the number's name, for example {@code EPERM}
   * @param arguments what it was called with, as {@code name=value} pairs
   */
  public NativeCallException(String function, int errno, String errorName, String arguments) {
    super(
        Objects.requireNonNull(function, "function")
            + " failed: errno="
            + Objects.requireNonNull(errorName, "errorName")
            + " ("
            + errno
            + "), "
            + Objects.requireNonNull(arguments, "arguments"));
    this.function = function;
    this.errno = errno;
  }

  /**
   * Returns the function that failed.
   *
   * @return its name in C
   */
  public String function() {
    return function;
  }

  /**
   * Returns the error number.
   *
   * @return as errno(3)
   */
  public int errno() {
    return errno;
  }
}
