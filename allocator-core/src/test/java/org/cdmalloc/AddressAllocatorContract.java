/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

/**
 * What {@link NodeAllocator}, {@link SystemMemory}, {@link NodeArena} and {@link DeviceNode}
 * promise on every memory source, one that is addresses alone included. A subclass gives the
 * source. Above each assertion stands the sentence of the Javadoc that it checks. Each topic is a
 * class: blocks, alignments, placements, devices, arenas, trimming, options, closing.
 */
public abstract class AddressAllocatorContract extends ClosedContract {}
