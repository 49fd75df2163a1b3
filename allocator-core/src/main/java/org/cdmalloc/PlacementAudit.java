/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.util.List;

/**
 * What an audit found: where the committed memory of an allocator lies, by the kernel's word, and
 * where not. All figures are in whole OS pages, read window by window while others allocate and
 * free. Immutable.
 *
 * @param askedBytes how much was asked about: all memory that was committed, in blocks or not, and
 *     is bound to nodes. Memory that could not be bound promises nothing and is not asked about
 * @param unknownBytes how much of it may lie anywhere, and is in no displacement: the kernel would
 *     not tell, or it said that the pages are on no node and nothing says why, as it does of those
 *     that it is just moving
 * @param returnedBytes how much of what is in {@code displacements} was given back to the kernel at
 *     once, because its commit unit of 2 MiB was in no block: it comes again on its own node
 * @param displacements what does not lie where it was committed; by node, then by where it was
 *     found
 */
public record PlacementAudit(
    long askedBytes, long unknownBytes, long returnedBytes, List<Displacement> displacements) {
  /**
   * Makes a result; the list is copied.
   *
   * @param askedBytes as {@link #askedBytes()}
   * @param unknownBytes as {@link #unknownBytes()}
   * @param returnedBytes as {@link #returnedBytes()}
   * @param displacements as {@link #displacements()}
   * @throws NullPointerException if the list or an element is null
   */
  public PlacementAudit {
    displacements = List.copyOf(displacements);
  }

  /**
   * Returns how much memory does not lie where it was committed.
   *
   * @return bytes; 0 if all that the kernel told about is in place
   */
  public long displacedBytes() {
    return displacements.stream().mapToLong(Displacement::bytes).sum();
  }
}
