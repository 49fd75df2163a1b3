/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

/**
 * A cache that can give memory of a node back: what a shrinker of Linux is to a zone. It is
 * registered for a node, {@link NodeAllocator#shrinker(int, Shrinker)} or {@link
 * DeviceNode#shrinker(Shrinker)}, and called when that node runs short of our memory and for no
 * other node's sake: pressure on one node starts reclaim there alone (M. Hocko, linux-mm, 21
 * February 2017, on the coherent-device-memory patches).
 *
 * <p><b>When.</b> A node's shrinkers are called in the order of their registration when its free
 * pages fall below its low mark, or a request would have taken them there, round after round while
 * they give something, until as much is free as its high mark; then they are left alone. If a
 * request that names the node, or gets so far, finds nothing, they are called at least once. A node
 * whose {@link NodeAttributes#reclaim()} is false is never looked at: its shrinkers may be
 * registered, and are not called. What can be had of what threads keep ready of the node ({@link
 * NodeAllocator.Builder#magazineBytes}) is taken first.
 *
 * <p><b>Where.</b> On a daemon thread of the node, so that a shrinker which blocks holds up this
 * node's reclaim alone; requests that need it wait a bounded time. No lock of the allocator is
 * held. A shrinker may allocate, and gets memory or the exception without waiting for reclaim; it
 * may register and close registrations, and close the allocator. It must be safe for a call by
 * another thread than the cache's users.
 *
 * <p><b>Failures.</b> What it throws is logged once per registration as a warning, and the next one
 * is called.
 */
@FunctionalInterface
public interface Shrinker {
  /**
   * Frees blocks that are not needed, by the allocator's {@code free}.
   *
   * @param bytes about how much is wanted, positive; more and less are both fine
   * @return about how much was freed; 0 or less if there is nothing left to give. A hint: a
   *     shrinker is called again only if it says that it freed something and pages of the node came
   *     free meanwhile. Interleaved blocks are pages of a node again once their memory went back to
   *     the kernel, blocks of a slab once the last of them is free
   */
  long shrink(long bytes);
}
