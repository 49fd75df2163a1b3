/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

/**
 * When memory is zeroed that a block used before. Memory that comes fresh from the kernel holds
 * zeros and is never zeroed again; {@code allocateBufferUninitialized} and raw addresses are not
 * zeroed on allocation under any of these.
 */
public enum Zeroing {
  /** Buffers are zeroed when they are allocated. The default. */
  ON_ALLOCATE,
  /**
   * Blocks are zeroed when they are freed, so that all memory holds zeros when it is handed out,
   * raw addresses too, and secrets do not outlive their block. Costs every free a write of the
   * whole block.
   */
  ON_FREE,
  /** Nothing is zeroed: buffers may show what a block held before. */
  NEVER
}
