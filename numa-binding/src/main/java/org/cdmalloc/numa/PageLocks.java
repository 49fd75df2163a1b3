/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.numa;

import java.nio.file.Path;
import java.util.List;
import org.cdmalloc.numa.RangeSet.Range;
import org.cdmalloc.spi.CommitResult;
import org.cdmalloc.spi.LockResult;
import org.cdmalloc.spi.Residency;
import org.cdmalloc.topology.NodeMask;

/**
 * How committed pages are locked in memory. The caller holds the locks of the region's nodes. What
 * may move such pages all the same, {@link DisplacementFigures#lockHazards} tells.
 */
final class PageLocks {
  /*
   * Algorithmic notes.
   *
   * mlock(2) is not all or nothing: it marks one mapping after the other, then brings pages in, and an
   * error on the way leaves what was marked. So what was not locked before is unlocked again.
   *
   * It brings in what is absent as a touch does, and so kills where the nodes are full: of what was
   * swapped out, or given up when a huge page was split. Room for that is looked for before.
   *
   * A locked range is a mapping of its own, so it costs two more at most. They are charged for each
   * range that was locked, also where the kernel makes one mapping of neighbours: then there is always
   * a mapping to unlock any of them alone.
   *
   * MADV_DONTNEED refuses what is locked, so whoever gives memory back unlocks before. If that fails,
   * MADV_DONTNEED_LOCKED gives it back; the range stays counted, and is unlocked before it is
   * committed again.
   *
   * Whoever locks the process's memory as a whole, mlockall(2), is not asked: an unlock here ends its
   * lock of the range too, and cuts a mapping that nobody counted.
   */

  private static final Path SELF = Path.of("/proc/self");

  private static final String LIFTS =
      "; raise \"ulimit -l\" (LimitMEMLOCK= of systemd, --ulimit memlock= of a container) or give"
          + " CAP_IPC_LOCK";

  /** Asked about at a time, so that the answer stays small. */
  private static final long ASKED_BYTES = 1L << 30;

  private final Kernel kernel;
  private final Headroom headroom;
  private final ResidencyQuery residency;
  private final MappingBudget budget;
  private final int pageBytes;

  PageLocks(Kernel kernel, Headroom headroom, ResidencyQuery residency, MappingBudget budget) {
    this.kernel = kernel;
    this.headroom = headroom;
    this.residency = residency;
    this.budget = budget;
    this.pageBytes = kernel.pageBytes();
  }

  /** Locks a range, all of it or nothing that was not locked before. */
  LockResult lock(LinuxRegion region, long start, long end) {
    if (!region.committed().gaps(start, end).isEmpty()) {
      throw new IllegalArgumentException(
          "range is not committed: " + Kernel.range(region.address() + start, end - start));
    }
    List<Range> fresh = region.locked().gaps(start, end);
    CommitResult room = findRoom(region, start, end);
    if (!room.isCommitted()) {
      return LockResult.refused(room.detail());
    }
    fresh.forEach(range -> region.locked().addApart(range.start(), range.end()));
    if (!budget.change(region.heldMappings(), region.mappings())) {
      fresh.forEach(range -> region.locked().remove(range.start(), range.end()));
      return LockResult.refused(budget.toString());
    }
    int errno = kernel.lock(region.address() + start, end - start);
    if (errno == 0) {
      return LockResult.LOCKED;
    }
    for (Range range : fresh) {
      unlock(region, range.start(), range.end());
    }
    return LockResult.refused(
        refusal(errno, region, start, end, fresh.stream().mapToLong(Range::bytes).sum()));
  }

  /** Ends the locks of a range. */
  void unlock(LinuxRegion region, long start, long end) {
    int errno = tryUnlock(region, start, end);
    if (errno != 0) {
      throw Errno.failed(
          "munlock", errno, Kernel.range(region.address() + start, end - start) + ", " + budget);
    }
  }

  /** Ends the locks of a range; returns 0, or errno if it is locked as before. */
  int tryUnlock(LinuxRegion region, long start, long end) {
    if (region.locked().coveredBytes(start, end) == 0) {
      return 0;
    }
    List<Range> unlocked = region.locked().gaps(start, end);
    region.locked().remove(start, end);
    int errno =
        budget.change(region.heldMappings(), region.mappings())
            ? kernel.unlock(region.address() + start, end - start)
            : Errno.ENOMEM;
    if (errno != 0) {
      region.locked().add(start, end);
      unlocked.forEach(range -> region.locked().remove(range.start(), range.end()));
      budget.change(region.heldMappings(), region.mappings());
    }
    return errno;
  }

  /** Looks for room for what has to be brought in, on every node that it may come from. */
  private CommitResult findRoom(LinuxRegion region, long start, long end) {
    if (!region.isBound()) {
      return CommitResult.COMMITTED;
    }
    NodeMask nodes = region.nodes();
    long absentBytes = 0;
    if (residency.moves()) {
      for (long at = start; at < end; at += ASKED_BYTES) {
        Residency found = residency.ask(region, at, Math.min(end - at, ASKED_BYTES));
        for (int page = 0; page < found.pages(); page++) {
          absentBytes += found.node(page) < 0 ? pageBytes : 0;
        }
        nodes = nodes.or(Migration.nodes(found));
      }
    } else if (KeyedText.of(SELF.resolve("status")).bytes("VmSwap:") > 0) {
      // Nothing tells which pages are absent without bringing them in.
      absentBytes = end - start;
    }
    for (int node : absentBytes > 0 ? nodes.stream().toArray() : new int[0]) {
      CommitResult room = headroom.room(node, absentBytes);
      if (!room.isCommitted()) {
        return room;
      }
    }
    return CommitResult.COMMITTED;
  }

  /** Says what mlock(2) ran into: ENOMEM has two meanings, and EPERM that the limit is 0. */
  private String refusal(int errno, LinuxRegion region, long start, long end, long wantedBytes) {
    long limitBytes = KeyedText.of(SELF.resolve("limits")).bytes("Max locked memory");
    if (errno == Errno.ENOMEM && budget.isFull()) {
      return budget.toString();
    }
    if (errno == Errno.ENOMEM || (errno == Errno.EPERM && limitBytes == 0)) {
      return "memlock_limit_bytes="
          + (limitBytes < 0 ? "unlimited" : limitBytes)
          + ", locked_bytes="
          + KeyedText.of(SELF.resolve("status")).bytes("VmLck:")
          + ", wanted_bytes="
          + wantedBytes
          + LIFTS;
    }
    if (errno == Errno.EAGAIN) {
      return "nodes="
          + region.nodes()
          + ", mlock=EAGAIN, wanted_bytes="
          + wantedBytes
          + "; pages could not be brought in";
    }
    throw Errno.failed("mlock", errno, Kernel.range(region.address() + start, end - start));
  }
}
