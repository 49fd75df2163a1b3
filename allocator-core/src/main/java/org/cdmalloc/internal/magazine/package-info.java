/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Blocks that are kept ready for threads: magazines, which a thread has for itself, and a depot per
 * zone, where threads exchange them (J. Bonwick and J. Adams, Magazines and Vmem: extending the
 * slab allocator to many CPUs and arbitrary resources, USENIX 2001).
 */
package org.cdmalloc.internal.magazine;
