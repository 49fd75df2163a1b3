/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

/** How much the allocator does to find misuse of its memory. */
public enum Checks {
  /**
   * What costs next to nothing: addresses and second frees, but not who reads or writes a block. Of
   * two threads that free a block at once both may succeed where threads keep blocks ready ({@code
   * Builder.magazineBytes}). The default.
   */
  STANDARD,
  /**
   * Beside that, of several threads that free one block at once all but one are told, also where
   * threads keep blocks ready ({@code Builder.magazineBytes}), which costs an atomic operation for
   * each free there. And no CPU and no device ever share a block that is lent ({@link DeviceLoan}).
   * The device works on a copy of it elsewhere on its node. The block is filled with a pattern of
   * each loan's own, which is what a CPU reads that does not wait; on the way back whoever wrote to
   * it is found with a {@link MemoryCorruptionError}, and the device's bytes are copied in. A
   * buffer over a lent block is refused. Costs a second block, charged as one, and four passes over
   * the memory for each loan.
   */
  PARANOID
}
