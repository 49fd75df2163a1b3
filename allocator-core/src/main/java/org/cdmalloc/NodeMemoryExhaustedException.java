/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.util.List;

/**
 * Thrown when no node that a request may use has room for it. Expected under load: nothing is
 * broken, nothing was taken, and the same request may succeed once memory was freed.
 */
public final class NodeMemoryExhaustedException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** The size asked for, in bytes. */
  private final long requestedBytes;

  private final transient List<Attempt> attempts;

  /**
   * What one node answered.
   *
   * @param node the node that was tried
   * @param reason why it could not serve, with figures
   */
  public record Attempt(int node, String reason) {}

  /**
   * Makes the exception.
   *
   * @param requestedBytes the size asked for, in bytes
   * @param placement where it was asked for, in words
   * @param attempts the nodes in the order in which they were tried
   */
  public NodeMemoryExhaustedException(
      long requestedBytes, String placement, List<Attempt> attempts) {
    super(message(requestedBytes, placement, attempts));
    this.requestedBytes = requestedBytes;
    this.attempts = List.copyOf(attempts);
  }

  private static String message(long requestedBytes, String placement, List<Attempt> attempts) {
    StringBuilder text = new StringBuilder(256);
    text.append("no memory for the request: bytes=")
        .append(requestedBytes)
        .append(", placement=")
        .append(placement);
    for (Attempt attempt : attempts) {
      text.append("; node=").append(attempt.node()).append(": ").append(attempt.reason());
    }
    return text.append("; free blocks, raise capacity(node, bytes), or name more nodes").toString();
  }

  /**
   * Returns the size asked for.
   *
   * @return bytes
   */
  public long requestedBytes() {
    return requestedBytes;
  }

  /**
   * Returns what each node answered.
   *
   * @return in the order in which the nodes were tried; null after deserialisation
   */
  public List<Attempt> attempts() {
    return attempts;
  }
}
