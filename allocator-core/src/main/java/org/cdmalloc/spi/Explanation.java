/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.spi;

import java.util.Objects;

/**
 * Why pages probably lie elsewhere than where they were committed.
 *
 * @param cause what probably moved them
 * @param evidence the figures that make it likely, read when it was asked for: {@code name=value}
 *     pairs; empty where nothing was read
 */
public record Explanation(DisplacementCause cause, String evidence) {
  /** Nothing was read, and nothing is known. */
  public static final Explanation UNKNOWN = new Explanation(DisplacementCause.UNKNOWN, "");

  /**
   * Makes an explanation.
   *
   * @param cause as {@link #cause()}
   * @param evidence as {@link #evidence()}
   * @throws NullPointerException if an argument is null
   */
  public Explanation {
    Objects.requireNonNull(cause, "cause");
    Objects.requireNonNull(evidence, "evidence");
  }
}
