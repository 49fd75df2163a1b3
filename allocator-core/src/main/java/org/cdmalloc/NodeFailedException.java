/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.util.Objects;

/**
 * Thrown to those whose memory lies on a device node that was lost, or who ask for more of it: the
 * content of such a block cannot be relied on. It can be freed, and nobody else is concerned.
 */
public final class NodeFailedException extends IllegalStateException {
  private static final long serialVersionUID = 1L;

  /** The device node that was lost. */
  private final int node;

  /**
   * Makes an exception.
   *
   * @param node the device node
   * @param message what was asked, why the node was lost, and what to do next
   */
  public NodeFailedException(int node, String message) {
    super(Objects.requireNonNull(message, "message"));
    this.node = node;
  }

  /**
   * Returns the node that was lost.
   *
   * @return its number
   */
  public int node() {
    return node;
  }
}
