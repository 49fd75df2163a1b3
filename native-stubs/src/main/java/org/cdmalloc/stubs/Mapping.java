/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.stubs;

/**
 * Pages in a row with one policy, all of them locked or none: what a line of /proc/self/maps shows,
 * the kernel's {@code struct vm_area_struct}. Immutable. Pages are numbered through the address
 * space.
 *
 * @param start the first page
 * @param end the page after the last
 * @param policy theirs, {@link MemoryPolicy#DEFAULT} if they have none
 * @param locked true if they stay in memory: VM_LOCKED
 * @param frames tells where they lie; shared with the other mappings of the same reservation
 */
record Mapping(long start, long end, MemoryPolicy policy, boolean locked, Frames frames) {
  /** Returns the same pages with another policy. */
  Mapping with(MemoryPolicy other) {
    return new Mapping(start, end, other, locked, frames);
  }

  /** Returns the same pages, locked or not. */
  Mapping with(boolean lock) {
    return new Mapping(start, end, policy, lock, frames);
  }

  /** Returns some of these pages. */
  Mapping part(long from, long to) {
    return new Mapping(from, to, policy, locked, frames);
  }

  /** Tells whether this and the mapping behind it are one. */
  boolean joins(Mapping next) {
    return end == next.start
        && frames == next.frames
        && locked == next.locked
        && policy.equals(next.policy);
  }
}
