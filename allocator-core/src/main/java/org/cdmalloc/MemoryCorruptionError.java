/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.util.Objects;

/**
 * Thrown when memory was used in a way that breaks the allocator's account of it, such as freeing a
 * block twice. The program has a defect that may have damaged other data; nothing was changed by
 * the call that found it.
 */
public final class MemoryCorruptionError extends Error {
  private static final long serialVersionUID = 1L;

  /**
   * Makes the error.
   *
   * @param message what was found, with addresses in hexadecimal
   */
  public MemoryCorruptionError(String message) {
    super(Objects.requireNonNull(message, "message"));
  }
}
