/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.spi;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.IntFunction;

/**
 * What came of a {@link MemorySource#move move}.
 *
 * @param refusal empty if the platform was asked to move pages; else what was full, as {@code
 *     name=value} pairs, and nothing was moved
 * @param residency where each OS page of the range lay afterwards
 * @param unmoved the pages that are not on the node which was asked for, ascending, each once; all
 *     of them after a refusal
 */
public record MoveResult(String refusal, Residency residency, List<Unmoved> unmoved) {
  /**
   * Neighbouring pages that stayed on one node for one reason.
   *
   * @param page the first, counted from the range's first OS page
   * @param pages how many, positive
   * @param node where they lie, or a negative value of {@link Residency}
   * @param reason what the platform said of the first of them, and what it means: that the node
   *     filled up meanwhile, that the page is pinned, or shares a huge page with a neighbour of the
   *     range that stays
   */
  public record Unmoved(int page, int pages, int node, String reason) {
    /**
     * Makes a part.
     *
     * @param page as {@link #page()}
     * @param pages as {@link #pages()}
     * @param node as {@link #node()}
     * @param reason as {@link #reason()}
     * @throws NullPointerException if the reason is null
     */
    public Unmoved {
      Objects.requireNonNull(reason, "reason");
    }
  }

  /**
   * Makes a result; the list is copied.
   *
   * @param refusal as {@link #refusal()}
   * @param residency as {@link #residency()}
   * @param unmoved as {@link #unmoved()}
   * @throws NullPointerException if an argument or an element is null
   */
  public MoveResult {
    Objects.requireNonNull(refusal, "refusal");
    Objects.requireNonNull(residency, "residency");
    unmoved = List.copyOf(unmoved);
  }

  /**
   * Tells whether nothing was tried.
   *
   * @return true if there is a refusal
   */
  public boolean isRefused() {
    return !refusal.isEmpty();
  }

  /**
   * Makes the result of a move that was refused.
   *
   * @param refusal what was full
   * @param residency where the pages lie
   * @param node where they should have gone
   * @return a result whose pages stayed for that reason
   */
  public static MoveResult refused(String refusal, Residency residency, int node) {
    Objects.requireNonNull(refusal, "refusal");
    return new MoveResult(refusal, residency, unmoved(residency, node, page -> refusal));
  }

  /**
   * Makes the result of a move that was tried.
   *
   * @param residency where the pages lie now
   * @param node where they should have gone
   * @param reasons asked for the first of neighbouring pages that stayed on one node
   * @return a result
   */
  public static MoveResult of(Residency residency, int node, IntFunction<String> reasons) {
    Objects.requireNonNull(reasons, "reasons");
    return new MoveResult("", residency, unmoved(residency, node, reasons));
  }

  private static List<Unmoved> unmoved(Residency residency, int node, IntFunction<String> reasons) {
    List<Unmoved> unmoved = new ArrayList<>();
    int pages = residency.pages();
    for (int page = 0; page < pages; ) {
      int found = residency.node(page);
      int end = page + 1;
      while (end < pages && residency.node(end) == found) {
        end++;
      }
      if (found != node) {
        unmoved.add(new Unmoved(page, end - page, found, reasons.apply(page)));
      }
      page = end;
    }
    return unmoved;
  }
}
