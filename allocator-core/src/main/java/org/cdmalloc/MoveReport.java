/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.util.List;
import java.util.Objects;

/**
 * What came of a {@link NodeAllocator#move move}: where the pages lay when the platform was asked
 * after it. Immutable.
 *
 * @param node the node that was asked for
 * @param movedBytes what lies there now and counts as the node's, whether or not it did before
 * @param unmoved what does not, by address; empty if all of it does
 */
public record MoveReport(int node, long movedBytes, List<Unmoved> unmoved) {
  /**
   * Neighbouring pages that stayed where they were.
   *
   * @param address the first byte
   * @param bytes how much, whole OS pages
   * @param node where they lie, in the numbers of {@link NodeAllocator#source()}'s machine;
   *     negative where that is not known, as {@link org.cdmalloc.spi.Residency} has it
   * @param reason why: the platform's error of the first of them, and what it means; or what was
   *     full
   */
  public record Unmoved(long address, long bytes, int node, String reason) {
    /**
     * Makes a part.
     *
     * @param address as {@link #address()}
     * @param bytes as {@link #bytes()}
     * @param node as {@link #node()}
     * @param reason as {@link #reason()}
     * @throws NullPointerException if the reason is null
     */
    public Unmoved {
      Objects.requireNonNull(reason, "reason");
    }
  }

  /**
   * Makes a report; the list is copied.
   *
   * @param node as {@link #node()}
   * @param movedBytes as {@link #movedBytes()}
   * @param unmoved as {@link #unmoved()}
   * @throws NullPointerException if the list or an element is null
   */
  public MoveReport {
    unmoved = List.copyOf(unmoved);
  }

  /**
   * Tells whether all pages lie on the node.
   *
   * @return true if so
   */
  public boolean isComplete() {
    return unmoved.isEmpty();
  }
}
