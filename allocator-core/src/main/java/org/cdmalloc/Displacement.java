/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.util.Objects;
import org.cdmalloc.spi.DisplacementCause;
import org.cdmalloc.spi.Residency;

/**
 * Memory that does not lie where it was committed. The kernel placed it right, and moved it later.
 * Immutable.
 *
 * @param node the node on which it was committed; of a designated arena the arena's number
 * @param foundOn the node on which it was found, a number of the source's machine; {@link #NOWHERE}
 *     if its pages are on no node
 * @param bytes how much, in whole OS pages
 * @param cause what probably moved it
 * @param evidence the figures of the platform that make the cause likely, as {@code name=value}
 *     pairs; empty where there are none
 */
public record Displacement(
    int node, int foundOn, long bytes, DisplacementCause cause, String evidence) {
  /** Stands for pages that are on no node, because they are in swap. */
  public static final int NOWHERE = Residency.NOT_PRESENT;

  /**
   * Makes a displacement.
   *
   * @param node as {@link #node()}
   * @param foundOn as {@link #foundOn()}
   * @param bytes as {@link #bytes()}
   * @param cause as {@link #cause()}
   * @param evidence as {@link #evidence()}
   * @throws NullPointerException if an argument is null
   */
  public Displacement {
    Objects.requireNonNull(cause, "cause");
    Objects.requireNonNull(evidence, "evidence");
  }
}
