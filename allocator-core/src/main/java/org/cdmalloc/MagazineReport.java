/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

/**
 * What threads keep ready of one node's memory ({@link NodeAllocator.Builder#magazineBytes}): free,
 * and not free to others until it comes back, by {@link NodeAllocator#trim()}, when memory runs
 * short, or by and by when nobody uses it ({@link NodeAllocator.Builder#purgeDelay}). Immutable.
 *
 * @param threadBytes what threads have in their magazines, what virtual threads share, and what
 *     threads left that have ended, until it is taken from there
 * @param idleBytes what waits for the next thread that asks for the same size, in full magazines
 *     and in slabs that are in use; and what is left over at the ends of slabs
 * @param lockings how often a thread took the lock under which magazines are exchanged; beside the
 *     number of requests it says how often the magazines were of no help. Never less than before
 */
public record MagazineReport(long threadBytes, long idleBytes, long lockings) {
  /** Of a node without magazines. */
  public static final MagazineReport NONE = new MagazineReport(0, 0, 0);
}
