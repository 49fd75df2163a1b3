/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;
import org.cdmalloc.MoveReport;
import org.cdmalloc.Placement;
import org.cdmalloc.internal.account.BlockOwner;
import org.cdmalloc.internal.account.OuterOwner;

/**
 * Blocks that are freed together. Each block knows its scope by its owner in the zone, so that it
 * can be freed on its own, through whatever object, and then is the scope's no more.
 */
public final class Scope {
  /*
   * Algorithmic notes.
   *
   * State: a list of the live blocks, linked both ways, and whether the scope is closed; both under
   * the lock. A block is linked after its run was taken, and unlinked before its run is freed.
   *
   * Invariant: a run is freed by the thread that unlinked its block, and by no other; so a free by
   * hand and a close that meet free it once. A block that close unlinked is freed by close. Whoever
   * unlinked a block and could not free it links it again, so that the next close tries.
   */

  /** A block of the scope: what its run's owner is in the zone. */
  final class Block extends OuterOwner {
    private long address;
    private Block previous;
    private Block next;
    private boolean linked;

    private Block(BlockOwner payer) {
      super(payer);
    }

    @Override
    public boolean isLive() {
      lock.lock();
      try {
        return linked;
      } finally {
        lock.unlock();
      }
    }

    @Override
    public boolean leave() {
      lock.lock();
      try {
        if (!linked) {
          return false;
        }
        unlink(this);
        return true;
      } finally {
        lock.unlock();
      }
    }

    @Override
    public void stay() {
      lock.lock();
      try {
        link(this);
      } finally {
        lock.unlock();
      }
    }
  }

  private final AllocationPath allocation;
  private final ReentrantLock lock = new ReentrantLock();

  // Guarded by lock.
  private Block first;
  private boolean closed;
  private long blocks;

  /**
   * Makes a scope without blocks.
   *
   * @param allocation takes the blocks back
   */
  public Scope(AllocationPath allocation) {
    this.allocation = allocation;
  }

  /**
   * Returns an owner for a block that is about to be allocated.
   *
   * @param payer who pays for it, or null
   */
  Block newBlock(BlockOwner payer) {
    lock.lock();
    try {
      requireOpen();
      return new Block(payer);
    } finally {
      lock.unlock();
    }
  }

  /**
   * Takes a block in that was just allocated; if the scope was closed meanwhile, the block is
   * freed.
   *
   * @throws IllegalStateException if the scope is closed
   */
  void enter(Block block, long address) {
    boolean entered = false;
    block.address = address;
    lock.lock();
    try {
      requireOpen();
      link(block);
      entered = true;
    } finally {
      lock.unlock();
      if (!entered) {
        allocation.freeOwned(address, block);
      }
    }
  }

  /**
   * Frees all blocks. Does nothing the second time, except that blocks which could not be freed are
   * tried again. One of them keeps none of the others.
   */
  public void close() {
    RuntimeException failure = null;
    Block next = takeAll();
    try {
      while (next != null) {
        Block block = next;
        next = block.next;
        try {
          allocation.freeOwned(block.address, block);
        } catch (RuntimeException e) {
          failure = Failures.joined(failure, e);
        }
      }
    } finally {
      // After an error: what is left goes with the next close.
      while (next != null) {
        Block block = next;
        next = block.next;
        block.stay();
      }
    }
    if (failure != null) {
      throw failure;
    }
  }

  private Block takeAll() {
    lock.lock();
    try {
      closed = true;
      Block all = first;
      for (Block block = all; block != null; block = block.next) {
        block.linked = false;
      }
      first = null;
      blocks = 0;
      return all;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Moves the memory of all blocks to another node.
   *
   * @param target where to
   * @param placement what named it, for messages
   * @return where the pages are of blocks that were not freed meanwhile
   */
  public MoveReport move(Destination target, Placement placement) {
    allocation.requireOpen();
    long movedBytes = 0;
    List<MoveReport.Unmoved> unmoved = new ArrayList<>();
    for (Block block : blocks()) {
      MoveReport report =
          new BlockMoves(allocation).moveOwned(block.address, block, target, placement);
      if (report != null) {
        movedBytes += report.movedBytes();
        unmoved.addAll(report.unmoved());
      }
    }
    return new MoveReport(target.zone().node(), movedBytes, unmoved);
  }

  private List<Block> blocks() {
    lock.lock();
    try {
      List<Block> all = new ArrayList<>();
      for (Block block = first; block != null; block = block.next) {
        all.add(block);
      }
      return all;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Returns how many blocks would be freed by a close.
   *
   * @return 0 or more
   */
  public long liveBlocks() {
    lock.lock();
    try {
      return blocks;
    } finally {
      lock.unlock();
    }
  }

  private void link(Block block) {
    block.previous = null;
    block.next = first;
    if (first != null) {
      first.previous = block;
    }
    first = block;
    block.linked = true;
    blocks++;
  }

  private void unlink(Block block) {
    if (block.previous == null) {
      first = block.next;
    } else {
      block.previous.next = block.next;
    }
    if (block.next != null) {
      block.next.previous = block.previous;
    }
    block.linked = false;
    blocks--;
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException("arena is closed; open another one");
    }
  }
}
