/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.util.List;
import java.util.concurrent.locks.ReentrantLock;
import org.cdmalloc.MoveReport;
import org.cdmalloc.NodeAccessException;
import org.cdmalloc.NodeMemoryExhaustedException.Reason;
import org.cdmalloc.Placement;
import org.cdmalloc.spi.LockResult;
import org.cdmalloc.spi.Residency;

/**
 * What keeps a held block on one node: it was moved there, is locked in memory, and was found
 * there. All pins of a block share it.
 */
final class Pinning {
  /*
   * Algorithmic notes.
   *
   * State: how many pins there are; the node's zone while there are any, and whether the block was
   * moved there for them. Under the lock, which is held while pages are moved and locked: a second pin
   * waits until the first one is in place, or failed.
   *
   * The block is held before, so that its user can neither move nor free it meanwhile. Locks are taken
   * in the order this lock, those of moves and commits, a zone's.
   */

  private final HeldBlock block;
  private final AllocationPath allocation;
  private final ReentrantLock lock = new ReentrantLock();

  // Guarded by lock.
  private int pins;
  private BackedZone place;
  private boolean moved;

  Pinning(HeldBlock block, AllocationPath allocation) {
    this.block = block;
    this.allocation = allocation;
  }

  /**
   * Puts the block on a node and keeps it there.
   *
   * @param target the node, and who pays for what is moved there
   * @param placement what named it, for messages
   */
  void pin(Destination target, Placement placement) {
    lock.lock();
    try {
      if (pins == 0) {
        requireWholeOsPages();
        boolean kept = false;
        try {
          moved = moveTo(target, placement);
          lockMemory(target, placement);
          requireInPlace(target, placement);
          kept = true;
        } finally {
          if (!kept) {
            letGo();
          }
        }
        place = target.zone();
      } else if (place != target.zone()) {
        throw new IllegalStateException(
            "block is pinned on another node: "
                + block
                + ", node="
                + place.node()
                + ", wanted="
                + target.zone().node()
                + "; close that pin first");
      }
      pins++;
    } finally {
      lock.unlock();
    }
  }

  /** Ends a pin; the last one lets the block go. */
  void unpin() {
    lock.lock();
    try {
      if (pins == 1) {
        letGo();
        place = null;
      }
      pins--;
    } finally {
      lock.unlock();
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
    if (block.zone().nodesOf(block.page(), block.pages()).equals(target.nodes())) {
      return false;
    }
    if (block.isLent()) {
      throw new IllegalStateException(
          "block is lent and lies elsewhere: " + block + "; pin it before, or once it is returned");
    }
    MovedBlocks.Answer answer =
        block.zone().move(block.offset(), block, target.host(block.account()));
    if (answer.refusal() != null) {
      throw allocation.noRoom(block.bytes(), answer.refusal(), target.zone(), placement);
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
      throw allocation.noRoom(block.bytes(), refusal, target.zone(), placement);
    }
    return true;
  }

  private void lockMemory(Destination target, Placement placement) {
    LockResult result = block.zone().lock(block.offset(), block.bytes());
    if (!result.isLocked()) {
      Refusal refusal = new Refusal(Reason.LOCK_REFUSED, result.detail());
      throw allocation.noRoom(block.bytes(), refusal, target.zone(), placement);
    }
  }

  private void requireInPlace(Destination target, Placement placement) {
    Residency residency = block.zone().residency(block.offset(), block.bytes());
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
        throw allocation.noRoom(block.bytes(), refusal, target.zone(), placement);
      }
    }
  }

  /** Unlocks the block, and sends it home if it came for the pin and its user still has it. */
  private void letGo() {
    block.zone().unlock(block.offset(), block.bytes());
    if (moved && !block.isLeft() && !block.isLent()) {
      goHome();
    }
    moved = false;
  }

  /** Where there is no room at home any more it stays where it is. */
  private void goHome() {
    if (block.zone().isOpen()) {
      block.zone().move(block.offset(), block, block.zone());
    }
  }

  /** Returns where the pages are now. */
  Residency residency() {
    return block.zone().residency(block.offset(), block.bytes());
  }

  /** Returns what may move them, in words. */
  List<String> hazards() {
    lock.lock();
    try {
      return place == null ? List.of() : allocation.source().lockHazards(place.backingNode());
    } finally {
      lock.unlock();
    }
  }
}
