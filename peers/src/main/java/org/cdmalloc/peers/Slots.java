/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.peers;

/** Blocks of a peer that live, by index. */
public interface Slots {
  /**
   * Allocates.
   *
   * @param slot where to keep the block; holds none
   * @param bytes its size
   */
  void allocate(int slot, int bytes);

  /**
   * Frees.
   *
   * @param slot where a block is kept; afterwards none
   */
  void free(int slot);
}
