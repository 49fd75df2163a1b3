/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

/**
 * What threads keep ready of one node's memory ({@link NodeAllocator.Builder#magazineBytes}): free,
 * and not free to others until it comes back, by {@link NodeAllocator#trim()} or when memory runs
 * short. Immutable.
 *
 * @param threadBytes what threads have in their magazines
 * @param idleBytes what waits for the next thread, in full magazines and in slabs that are in use
 * @param lockings how often a thread took the lock under which magazines are exchanged; beside the
 *     number of requests it says how often the magazines were of no help. Never less than before
 */
public record MagazineReport(long threadBytes, long idleBytes, long lockings) {
  /** Of a node without magazines. */
  public static final MagazineReport NONE = new MagazineReport(0, 0, 0);
}
