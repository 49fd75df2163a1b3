/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.spi;

import org.cdmalloc.topology.NodeMask;

/**
 * The memory policy calls of a kernel, raw: section 2 of the Linux manual. Masks are words of 64
 * bits, with the {@code maxnode} of the call; results are 0 or −errno. A policy that is set for the
 * thread is the calling thread's.
 */
public interface PolicyCalls {
  /** What a call returns that a kernel would have answered with a kill: of an emulation only. */
  int KILLED = Integer.MIN_VALUE;

  /**
   * Returns the kernel's release.
   *
   * @return as {@code uname -r} prints it, for example {@code 6.18.44}
   */
  String release();

  /**
   * Returns the size of a page.
   *
   * @return bytes
   */
  int pageBytes();

  /**
   * Returns the number of nodes that the kernel was built for, MAX_NUMNODES.
   *
   * @return at least 1
   */
  int maxNodes();

  /**
   * Tells whether the process may move pages of others, CAP_SYS_NICE.
   *
   * @return true if so
   */
  boolean hasSysNice();

  /**
   * Returns the nodes that are there.
   *
   * @return online nodes, with memory or without
   */
  NodeMask online();

  /**
   * Returns the nodes with memory.
   *
   * @return at least one
   */
  NodeMask withMemory();

  /**
   * Maps fresh private memory of which no page is there.
   *
   * @param bytes whole pages
   * @return its address
   */
  long map(long bytes);

  /**
   * Calls munmap(2).
   *
   * @param address of the range
   * @param bytes its length
   * @return 0 or −errno
   */
  int unmap(long address, long bytes);

  /**
   * Calls mlock(2).
   *
   * @param address of the range
   * @param bytes its length
   * @return 0 or −errno, or {@link #KILLED}
   */
  int lock(long address, long bytes);

  /**
   * Calls munlock(2).
   *
   * @param address of the range
   * @param bytes its length
   * @return 0 or −errno
   */
  int unlock(long address, long bytes);

  /**
   * Writes a byte.
   *
   * @param address where
   * @return 0, or {@link #KILLED}
   */
  int touch(long address);

  /**
   * Calls madvise(2).
   *
   * @param address of the range
   * @param bytes its length
   * @param advice 4 for MADV_DONTNEED, 23 for MADV_POPULATE_WRITE
   * @return 0, −errno or {@link #KILLED}
   */
  int advise(long address, long bytes, int advice);

  /**
   * Calls set_mempolicy(2).
   *
   * @param mode mode and flags
   * @param mask its words; null for the null pointer
   * @param maxnode as the call takes it
   * @return 0 or −errno
   */
  int setMempolicy(int mode, long[] mask, long maxnode);

  /**
   * Calls mbind(2).
   *
   * @param address of the range
   * @param bytes its length
   * @param mode mode and flags
   * @param mask its words; null for the null pointer
   * @param maxnode as the call takes it
   * @param flags MPOL_MF_STRICT and its like
   * @return 0 or −errno
   */
  int mbind(long address, long bytes, int mode, long[] mask, long maxnode, int flags);

  /**
   * Calls set_mempolicy_home_node(2).
   *
   * @param address of the range
   * @param bytes its length
   * @param node the home node
   * @param flags as the call takes them
   * @return 0 or −errno
   */
  int setMempolicyHomeNode(long address, long bytes, long node, long flags);

  /**
   * Calls get_mempolicy(2).
   *
   * @param value receives the mode or the node in its element 0
   * @param mask receives the nodes; null for the null pointer
   * @param maxnode as the call takes it
   * @param address as the call takes it
   * @param flags MPOL_F_NODE and its like
   * @return 0 or −errno
   */
  int getMempolicy(int[] value, long[] mask, long maxnode, long address, long flags);

  /**
   * Calls move_pages(2) for the calling process.
   *
   * @param addresses one per page
   * @param nodes the target of each; null to ask only
   * @param status receives a node or −errno per page
   * @param flags MPOL_MF_MOVE and its like
   * @return 0 or −errno; the number of pages that were not moved, where a kernel says so
   */
  int movePages(long[] addresses, int[] nodes, int[] status, int flags);
}
