/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.util.Objects;

/**
 * Thrown when a request names a node that it may not use: a device node without its capability, or
 * any node by name where the kernel refuses to bind, so that nobody could tell where the memory
 * lies.
 */
public final class NodeAccessException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /**
   * Makes the exception.
   *
   * @param message which node, why it is out of reach, and what reaches it
   */
  public NodeAccessException(String message) {
    super(Objects.requireNonNull(message, "message"));
  }
}
