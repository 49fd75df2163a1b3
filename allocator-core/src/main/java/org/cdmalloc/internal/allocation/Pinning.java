/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import org.cdmalloc.MoveReport;
import org.cdmalloc.NodeAccessException;
import org.cdmalloc.NodeMemoryExhaustedException.Reason;
import org.cdmalloc.Placement;
import org.cdmalloc.spi.LockResult;
import org.cdmalloc.spi.Residency;

/**
 * Keeps a held block on one node: it is moved there, locked in memory, and asked for. Safe for use
 * by any number of threads; what all pins of a block share is the block's {@link HeldBlock.Place}.
 */
final class Pinning {
  /*
   * Algorithmic notes.
   *
   * The place's lock is held while pages are moved and locked: a second pin of a block waits until the
   * first one is in place, or failed. The block is held before, so that its user can neither move nor
   * free it meanwhile. Locks are taken in the order the place's, those of moves and commits, a zone's.
   */

  private final AllocationPath allocation;
  private final HeldBlock block;
  private final BackedZone zone;
  private final HeldBlock.Place place;

  /**
   * Prepares to pin a block.
   *
   * @param allocation explains what cannot be done
   * @param block a block that is held
   * @param zone the block's zone
   */
  Pinning(AllocationPath allocation, HeldBlock block, BackedZone zone) {
    this.allocation = allocation;
    this.block = block;
    this.zone = zone;
    this.place = block.place();
  }

  /**
   * Puts the block on a node and keeps it there.
   *
   * @param target the node, and who pays for what is moved there
   * @param placement what named it, for messages
   */
  void pin(Destination target, Placement placement) {
    place.lock().lock();
    try {
      if (place.pins() > 0 && place.host() != target.zone()) {
        throw new IllegalStateException(
            "block is pinned on another node: "
                + block
                + ", node="
                + place.host().node()
                + ", wanted="
                + target.zone().node()
                + "; close that pin first");
      }
      if (!place.isKept()) {
        requireWholeOsPages();
        place.keep(target.zone(), putInPlace(target, placement));
      }
      place.pinned();
    } finally {
      place.lock().unlock();
    }
  }

  private boolean putInPlace(Destination target, Placement placement) {
    boolean moved = false;
    boolean kept = false;
    try {
      moved = moveTo(target, placement);
      lockMemory(target, placement);
      requireInPlace(target, placement);
      kept = true;
      return moved;
    } finally {
      if (!kept) {
        letGo(moved);
      }
    }
  }

  /**
   * Ends a pin; the last one lets the block go. Where that fails the pin has not ended, but nothing
   * keeps the block any more: the next one puts it in place again.
   */
  void unpin() {
    place.lock().lock();
    try {
      if (place.pins() == 1) {
        place.letGo();
        letGo(place.isMoved());
      }
      place.unpinned();
    } finally {
      place.lock().unlock();
    }
  }

  private void requireWholeOsPages() {
    int osPageBytes = allocation.source().osPageBytes();
    if (block.offset() % osPageBytes != 0 || block.bytes() % osPageBytes != 0) {
      throw new IllegalArgumentException(
          "block shares an OS page with others: "
              + block
              + ", os_page_bytes="
              + osPageBytes
              + "; pin blocks of whole OS pages");
    }
  }

  /** Moves the block if it is not there; returns whether it was. */
  private boolean moveTo(Destination target, Placement placement) {
    if (zone.nodesOf(block.page(), block.pages()).equals(target.nodes())) {
      return false;
    }
    if (block.isLent()) {
      throw new IllegalStateException(
          "block is lent and lies elsewhere: " + block + "; pin it before, or once it is returned");
    }
    MovedBlocks.Answer answer = zone.move(block.offset(), block, target.host(block.account()));
    if (answer.refusal() != null) {
      throw new BlockMoves(allocation)
          .noRoom(block.bytes(), answer.refusal(), target.zone(), placement);
    }
    MoveReport report = answer.report();
    if (report == null) {
      throw new IllegalStateException("block is being freed: " + block);
    }
    if (!report.isComplete()) {
      goHome();
      MoveReport.Unmoved first = report.unmoved().get(0);
      String why = "node=" + first.node() + ", bytes=" + first.bytes() + ": " + first.reason();
      Refusal refusal = new Refusal(Reason.MEMORY_REFUSED, why);
      throw new BlockMoves(allocation).noRoom(block.bytes(), refusal, target.zone(), placement);
    }
    return true;
  }

  private void lockMemory(Destination target, Placement placement) {
    LockResult result = zone.lock(block.offset(), block.bytes());
    if (!result.isLocked()) {
      Refusal refusal = new Refusal(Reason.LOCK_REFUSED, result.detail());
      throw new BlockMoves(allocation).noRoom(block.bytes(), refusal, target.zone(), placement);
    }
  }

  private void requireInPlace(Destination target, Placement placement) {
    Residency residency = zone.residency(block.offset(), block.bytes());
    int wanted = target.zone().backingNode();
    for (int page = 0; page < residency.pages(); page++) {
      int node = residency.node(page);
      if (node == Residency.UNKNOWN) {
        throw new NodeAccessException(
            "nobody can tell here where memory lies, so it cannot be pinned: "
                + block
                + ", asked_by="
                + residency.askedBy()
                + "; "
                + allocation.source().diagnosis().obstacle());
      }
      if (node != wanted) {
        Refusal refusal = new Refusal(Reason.MEMORY_REFUSED, "found_on_node=" + node);
        throw new BlockMoves(allocation).noRoom(block.bytes(), refusal, target.zone(), placement);
      }
    }
  }

  /** Unlocks the block, and sends it home if it came for the pin and its user still has it. */
  private void letGo(boolean moved) {
    zone.unlock(block.offset(), block.bytes());
    if (moved && !block.isLeft() && !block.isLent()) {
      goHome();
    }
  }

  /** Where there is no room at home any more it stays where it is. */
  private void goHome() {
    if (zone.isOpen()) {
      zone.move(block.offset(), block, zone);
    }
  }

  /** Returns where the pages are now. */
  Residency residency() {
    return zone.residency(block.offset(), block.bytes());
  }
}
