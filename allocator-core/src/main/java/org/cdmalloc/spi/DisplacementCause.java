/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.spi;

/**
 * What probably moved pages away from the node on which they were committed. A kernel keeps no
 * record of who moved a page and why: a cause is what its figures make likely at the moment of
 * asking.
 */
public enum DisplacementCause {
  /**
   * Reclaim moved them to a slower tier of memory, as it does under pressure where that is enabled;
   * it heeds no memory policy.
   */
  DEMOTION,

  /**
   * Somebody pinned them for long, for I/O: memory that must stay removable cannot be pinned, so
   * the kernel moved them to memory that need not.
   */
  LONG_TERM_PIN,

  /** The node, or part of its memory, was taken offline. */
  NODE_OFFLINE,

  /** They were written to swap, and lie on no node until they are touched. */
  SWAPPED_OUT,

  /** Nothing that the platform tells makes one of the others likely. */
  UNKNOWN
}
