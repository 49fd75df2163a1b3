/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.spi;

import java.nio.ByteBuffer;
import java.util.List;
import org.cdmalloc.NodeAccessException;
import org.cdmalloc.topology.Machine;

/**
 * All that a platform can do for the allocator: reserve address space on a node, back it with that
 * node's memory, give the memory back, and tell where pages are.
 *
 * <p><b>Ranges.</b> Offsets and sizes are in bytes, whole multiples of {@link #osPageBytes()}, and
 * lie in the region. Whatever breaks this rule is an {@link IllegalArgumentException} and changes
 * nothing. Ranges of concurrent calls on one region do not overlap; the allocator sees to it.
 *
 * <p><b>Threads.</b> Every method may be called by any number of threads at once.
 *
 * <p><b>Failures.</b> A node or a limit that is full is a value, {@link CommitResult}: expected,
 * and nothing of the range is then committed. A call of the platform that fails in a way which the
 * method does not name is an unchecked exception with the function's name, its error and its
 * arguments; what the failing method had taken so far has then been given back. After {@link
 * #release} a region may not be used again: {@link IllegalStateException}. A region of another
 * source is an {@link IllegalArgumentException}.
 *
 * <p><b>What is never done.</b> No method touches memory that was not committed, though a kernel
 * may back the rest of a huge page; and none writes to memory that was, except that {@link #purge}
 * and {@link #release} may zero it.
 */
public interface MemorySource {
  /** The bytes between the starts of two root buffers of a region: 1 GiB. */
  long ROOT_BYTES = 1L << 30;

  /** What the address of every root buffer is a multiple of: the size of a huge page, 2 MiB. */
  long ALIGNMENT_BYTES = 2L << 20;

  /**
   * Names the source.
   *
   * @return a word: {@code linux}, {@code emulated}
   */
  String name();

  /**
   * Tells whether placement is the work of a kernel. Figures about an emulated machine's placement
   * are no measurements, and reports say so.
   *
   * @return true if pages really lie where {@link #residency} says
   */
  boolean isReal();

  /**
   * Returns the machine whose memory this is.
   *
   * @return its online nodes as they were when the source was opened
   */
  Machine machine();

  /**
   * Returns the size of the pages in which the platform thinks.
   *
   * @return a power of two, in bytes: 4, 16 or 64 KiB
   */
  int osPageBytes();

  /**
   * Returns the most memory that this process may use: the host's, or less where a control group
   * says so.
   *
   * @return bytes, positive
   */
  long limitBytes();

  /**
   * Tells which node's CPU runs the calling thread. A hint: the thread may move at any time.
   *
   * @return a node of {@link #machine()}
   */
  int currentNode();

  /**
   * Returns the memory of a node that nothing uses at this moment, by the platform's own account.
   *
   * @param node a node of {@link #machine()}
   * @return bytes, not negative; 0 for a node without memory
   * @throws IllegalArgumentException if the machine has no such node
   */
  long freeBytes(int node);

  /**
   * Returns how much memory a node has for this process at this moment, in use or not: less than
   * {@link #machine()} says while the platform has taken some of it offline, or denies it.
   *
   * @param node a node of {@link #machine()}
   * @return bytes, not negative; by default what the machine says
   * @throws IllegalArgumentException if the machine has no such node
   */
  default long presentBytes(int node) {
    return machine().node(node).bytes();
  }

  /**
   * Tells whether as much memory of a node could be committed now, by the checks that a commit
   * makes first. A hint: nothing is taken, and others may be faster.
   *
   * @param node a node of {@link #machine()} with memory
   * @param bytes how much, positive
   * @return {@link CommitResult#COMMITTED} if there is room, or what is full
   * @throws IllegalArgumentException if the machine has no such node, it has no memory, or the size
   *     is not as said
   */
  CommitResult room(int node, long bytes);

  /**
   * Reserves address space whose memory shall come from one node: {@link #reserve(Stripe, long)}
   * with {@link Stripe#of}.
   *
   * @param node a node of {@link #machine()} with memory
   * @param bytes how much, as there
   * @return a region of that node alone
   * @throws IllegalArgumentException if there is no such node, it has no memory, or the size is not
   *     as said
   */
  default Region reserve(int node, long bytes) {
    return reserve(Stripe.of(node), bytes);
  }

  /**
   * Reserves address space whose memory shall come from the nodes of a stripe: its OS page i,
   * counted from the region's first byte, from {@link Stripe#node node(i)}. No memory is used yet.
   * Every root, and the region where it has an address, begins at a multiple of {@link
   * #ALIGNMENT_BYTES}.
   *
   * @param stripe nodes of {@link #machine()} with memory
   * @param bytes how much, positive, a whole multiple of {@link #osPageBytes()}
   * @return the region; {@link Region#isBound()} is false if the platform refuses to bind, and
   *     {@link #diagnosis()} then says why
   * @throws IllegalArgumentException if one of the nodes does not exist or has no memory, or the
   *     size is not as said
   */
  Region reserve(Stripe stripe, long bytes);

  /**
   * Backs a range with memory of the region's node, or each page with that of the node which the
   * stripe names, zeroed unless something wrote to the range while it was not committed. Either all
   * of the range is then resident there, or nothing is, and the result says what was full. One node
   * of a stripe that is full is enough. Never ends in a kill by the kernel where a check with a
   * margin could have told. Committing what is committed keeps its content.
   *
   * @param region a region of this source
   * @param offset of the range's first byte in the region
   * @param bytes the range's length, positive
   * @return {@link CommitResult#COMMITTED}, or what was full
   */
  CommitResult commit(Region region, long offset, long bytes);

  /**
   * Moves the pages of a committed range to another node, as far as they can be moved. Addresses
   * and content stay, and others may read and write them meanwhile. The range stays committed, on
   * the nodes where its pages then are, until it is moved again or purged. A node that has no room
   * for all of it is a value, and nothing was moved. No neighbour of the range is moved.
   *
   * @param region a region of this source
   * @param offset of the range's first byte in the region
   * @param bytes the range's length, positive
   * @param node a node of {@link #machine()} with memory; one of the region's own, too
   * @return what was refused, or where each page is now
   * @throws IllegalArgumentException if there is no such node, it has no memory, or not all of the
   *     range is committed
   * @throws NodeAccessException if the platform does not let this process move pages and see where
   *     they are; nothing was moved
   */
  MoveResult move(Region region, long offset, long bytes, int node);

  /**
   * Locks the pages of a committed range in memory: they are neither swapped out nor demoted until
   * the range is unlocked, purged or released. Content and place stay; what of the range is not
   * present is brought in. All of it is then locked, or nothing of it that was not before, and the
   * result says which limit was reached or what was full. Locks do not nest: locking what is locked
   * keeps it locked, and one {@link #unlock} ends it. A range that is moved stays locked.
   *
   * <p>Locked is not fixed: a platform may still put pages elsewhere. Linux does so for compaction
   * (on the same node; mlock(2), NOTES, and vm.compact_unevictable_allowed), when memory goes
   * offline, when I/O pins pages for long that lie in ZONE_MOVABLE or in CMA, and when a process
   * that may do so moves them by move_pages(2), migrate_pages(2) or the memory nodes of a cpuset.
   * Whoever must know asks {@link #lockHazards} before, and {@link #residency} after.
   *
   * @param region a region of this source
   * @param offset of the range's first byte in the region
   * @param bytes the range's length, positive
   * @return {@link LockResult#LOCKED}, or what was refused
   * @throws IllegalArgumentException if not all of the range is committed
   */
  LockResult lock(Region region, long offset, long bytes);

  /**
   * Ends the locks of a range. What of it is not locked stays as it is; what is on both sides stays
   * locked. From then on its pages may also be swapped out and demoted, besides all that may move
   * them while they are locked, see {@link #lock}.
   *
   * @param region a region of this source
   * @param offset of the range's first byte in the region
   * @param bytes the range's length, positive
   */
  void unlock(Region region, long offset, long bytes);

  /**
   * Tells what may still move locked pages of a node, by what the platform's figures say now. A
   * figure that cannot be read names no hazard, and what other processes may do shows in none.
   *
   * @param node a node of {@link #machine()}
   * @return a sentence for each hazard, with the figures as {@code name=value} pairs; empty by
   *     default
   * @throws IllegalArgumentException if the machine has no such node
   */
  default List<String> lockHazards(int node) {
    machine().node(node);
    return List.of();
  }

  /**
   * Gives the memory of a range back, whether or not all of it is committed, and ends its locks.
   * The range reads as zeros afterwards and holds nothing until it is committed again; a stray
   * access to it is harmless.
   *
   * @param region a region of this source
   * @param offset of the range's first byte in the region
   * @param bytes the range's length, positive
   * @return the bytes that the platform really took back: 0 where a source can only zero
   */
  long purge(Region region, long offset, long bytes);

  /**
   * Gives up a region: all its memory and its locks at once, its address space as soon as no buffer
   * that views it can be reached any more, so that a stale buffer reads zeros and never faults.
   *
   * @param region a region of this source, not released before
   */
  void release(Region region);

  /**
   * Returns a buffer over a range that may be larger than the region's own root buffers can show.
   *
   * @param region a region of this source
   * @param offset of the range's first byte in the region, in bytes; any
   * @param bytes the range's length, 0 … 2<sup>31</sup> − 1; any
   * @return a direct, big-endian buffer of exactly that capacity, which keeps the region mapped
   * @throws IllegalArgumentException if the range is not in the region, or crosses more root
   *     buffers than one buffer can show; the message names the largest block that the source can
   *     view
   * @throws UnsupportedOperationException if the region has no root buffers
   */
  ByteBuffer view(Region region, long offset, int bytes);

  /**
   * Returns the address of a direct buffer's index 0, for a JVM that will not tell the core itself.
   *
   * @param buffer a direct buffer
   * @return its address
   * @throws UnsupportedOperationException if the source cannot know it
   */
  long addressOf(ByteBuffer buffer);

  /**
   * Asks where the pages of a range lie. Never brings a page in.
   *
   * @param region a region of this source
   * @param offset of the range's first byte in the region
   * @param bytes the range's length, positive
   * @return one entry per OS page: a node, or a negative value of {@link Residency}
   */
  Residency residency(Region region, long offset, long bytes);

  /**
   * Tells what probably moved pages away from their node, by what the platform's figures say now. A
   * figure that cannot be read is no failure, it makes nothing likely.
   *
   * @param home the node on which they were committed, one of {@link #machine()}
   * @param found the node on which {@link #residency} finds them, or {@link Residency#NOT_PRESENT}
   * @return the cause, and the figures that make it likely; {@link Explanation#UNKNOWN} by default
   */
  default Explanation explain(int home, int found) {
    return Explanation.UNKNOWN;
  }

  /**
   * Says in words what this source can and cannot do here: whether binding works, and if not, what
   * blocks it and what lifts it.
   *
   * @return the same value each time
   */
  Diagnosis diagnosis();
}
