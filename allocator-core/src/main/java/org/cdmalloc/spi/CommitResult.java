/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.spi;

import java.util.Objects;

/**
 * What came of a {@link MemorySource#commit commit}.
 *
 * @param outcome what happened
 * @param detail for what was full, the figures that decided, as {@code name=value} pairs; for what
 *     is committed, what had lain elsewhere for a moment; else empty
 */
public record CommitResult(Outcome outcome, String detail) {
  /** The range is resident on its node, each page of a striped region on its own. */
  public static final CommitResult COMMITTED = new CommitResult(Outcome.COMMITTED, "");

  /** What happened. */
  public enum Outcome {
    /** The range is resident on its node, each page of a striped region on its own. */
    COMMITTED,
    /** The node, or one of a stripe, has too little free memory above its low mark. */
    NODE_FULL,
    /** The control group or the host has too little left above the margin. */
    LIMIT_REACHED,
    /**
     * The kernel placed pages elsewhere although the node seemed to have room; they were returned.
     */
    LOST_RACE
  }

  /**
   * Makes a result.
   *
   * @param outcome as {@link #outcome()}
   * @param detail as {@link #detail()}
   * @throws NullPointerException if an argument is null
   */
  public CommitResult {
    Objects.requireNonNull(outcome, "outcome");
    Objects.requireNonNull(detail, "detail");
  }

  /**
   * Tells whether the range is committed.
   *
   * @return true if so
   */
  public boolean isCommitted() {
    return outcome == Outcome.COMMITTED;
  }
}
