/* SPDX-License-Identifier: Apache-2.0 */
/**
 * One buddy allocator over page numbers. It knows neither addresses nor nodes, and all that it
 * remembers lies in arrays on the Java heap: the memory it describes is never touched.
 *
 * <p>Words are the kernel's: a <em>page</em> is {@link org.cdmalloc.internal.zone.Zone#PAGE_BYTES}
 * and is named by its number from the start of the zone; a <em>block</em> is 2<sup>order</sup>
 * pages, aligned to its size; its <em>buddy</em> is the block with which it makes up one of the
 * next order; a <em>run</em> is what a caller was given, any number of pages from the first page of
 * a block.
 *
 * <p>{@link org.cdmalloc.internal.zone.Zone} is the lock, the counts and the marks. Below it,
 * without a lock of their own: {@code Buddy} splits and merges, {@code FreeArea} holds the free
 * blocks of one order, {@code PageMap} the live runs, {@code CommitMap} which pages have memory
 * behind them, {@code WrittenMap} which of those may hold something else than zeros, {@code
 * NumaEvents} what allocations were to the node.
 */
package org.cdmalloc.internal.zone;
