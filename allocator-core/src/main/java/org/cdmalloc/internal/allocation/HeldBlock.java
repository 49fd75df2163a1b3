/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import org.cdmalloc.internal.account.BlockOwner;
import org.cdmalloc.internal.account.OuterOwner;
import org.cdmalloc.internal.zone.Zone;

/**
 * A live block that somebody uses beside its user: it is pinned, or lent to a device. Who frees it
 * meanwhile is done with it; its memory goes when the last use ends.
 */
final class HeldBlock extends OuterOwner {
  /*
   * Algorithmic notes.
   *
   * State: how many pins and loans there are, whether the block's user is done with it (left), and
   * whether this is the run's owner no more (ended); all under the lock. The run's owner before, or
   * null, is the inner one: it is the owner again when the last use ends first.
   *
   * Invariants: (I1) until it ended, this is the run's owner in the zone; (I2) a use begins only
   * while it has not ended and the block has not been left; (I3) a block that was left is freed once:
   * by whoever ends the last use; where that fails it is live again.
   *
   * A free finds this as the run's owner and leaves it here. Or it took the block from the inner
   * owner just before the block was held, and finds this when it comes to the zone: then the inner
   * owner is told to this, and nobody frees it twice. A free that finds an owner which ended
   * meanwhile looks again.
   *
   * Locks are taken in the order this lock, a scope's lock, a zone's lock. The block is freed after
   * the lock is released.
   */

  /** What a block is in use for. */
  enum Use {
    PIN,
    LOAN
  }

  /** What keeps the block on one node. Guarded by its own lock, held while pages are moved. */
  static final class Place {
    private final ReentrantLock lock = new ReentrantLock();
    private int pins;
    private Host host;
    private boolean kept;
    private boolean moved;

    /** Returns the lock that guards all else. */
    ReentrantLock lock() {
      return lock;
    }

    /** Returns how many pins there are. */
    int pins() {
      return pins;
    }

    /** Returns the zone of the node that the block is kept on, or null without a pin. */
    Host host() {
      return host;
    }

    /** Tells whether the block is in place and locked; not so while its last pin fails to end. */
    boolean isKept() {
      return kept;
    }

    /** Tells whether the block came for its pins. */
    boolean isMoved() {
      return moved;
    }

    /** Takes note that the block is in place and locked. */
    void keep(Host at, boolean cameForIt) {
      host = at;
      kept = true;
      moved |= cameForIt;
    }

    /** Takes note that this is about to end. */
    void letGo() {
      kept = false;
    }

    /** Takes note of one more pin. */
    void pinned() {
      pins++;
    }

    /** Takes note of one less. */
    void unpinned() {
      pins--;
      if (pins == 0) {
        host = null;
        moved = false;
      }
    }
  }

  private final Consumer<HeldBlock> free;
  private final Home home;
  private final int page;

  private final Place place = new Place();
  private final ReentrantLock lock = new ReentrantLock();

  // Guarded by lock.
  private int pins;
  private int loans;
  private boolean left;
  private boolean ended;

  /**
   * Makes a block that nobody uses yet.
   *
   * @param home its zone
   * @param page its first page
   * @param inner its run's owner, or null
   * @param free frees the block once its user left it and the last use ended
   */
  HeldBlock(Home home, int page, BlockOwner inner, Consumer<HeldBlock> free) {
    super(inner);
    this.home = home;
    this.page = page;
    this.free = free;
  }

  /**
   * Begins a use.
   *
   * @return false if the block was left, or this is its owner no more
   */
  boolean begin(Use use) {
    lock.lock();
    try {
      if (ended || left) {
        return false;
      }
      count(use, 1);
      return true;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Ends a use; the last one frees the block if its user left it. If that fails, the block is the
   * inner owner's again, so that it can be freed.
   */
  void end(Use use) {
    boolean frees = false;
    lock.lock();
    try {
      used();
      if (pins + loans == 1) {
        frees = left;
        if (!left) {
          giveBack();
        }
      }
      count(use, -1);
    } finally {
      lock.unlock();
    }
    if (frees) {
      free();
    }
  }

  private void free() {
    boolean freed = false;
    try {
      free.accept(this);
      freed = true;
    } finally {
      if (!freed) {
        stay();
      }
    }
  }

  /** Makes the inner owner the run's again; the lock is held. */
  private void giveBack() {
    home.zone().exchangeOwner(page, this, inner());
    ended = true;
  }

  private void count(Use use, int more) {
    if (use == Use.PIN) {
      pins += more;
    } else {
      loans += more;
    }
  }

  /** Takes note that the block was taken from the inner owner; returns whether that is in time. */
  boolean leaveFor(BlockOwner owner) {
    lock.lock();
    try {
      if (owner != inner() || ended) {
        return false;
      }
      left = true;
      return true;
    } finally {
      lock.unlock();
    }
  }

  boolean isOver(BlockOwner owner) {
    return owner == inner();
  }

  /** Tells whether a device may be using the block. */
  boolean isLent() {
    lock.lock();
    try {
      return loans > 0;
    } finally {
      lock.unlock();
    }
  }

  /** Says what the block is in use for, for messages. */
  String uses() {
    lock.lock();
    try {
      return pins > 0 && loans > 0 ? "pinned and lent" : pins > 0 ? "pinned" : "lent";
    } finally {
      lock.unlock();
    }
  }

  /** Tells whether this was the run's owner and is no more. */
  boolean hasEnded() {
    lock.lock();
    try {
      return ended;
    } finally {
      lock.unlock();
    }
  }

  @Override
  public boolean isLive() {
    lock.lock();
    try {
      return !left && !ended && (inner() == null || inner().isLive());
    } finally {
      lock.unlock();
    }
  }

  @Override
  public boolean leave() {
    lock.lock();
    try {
      if (left || ended || (inner() != null && !inner().leave())) {
        return false;
      }
      left = true;
      return true;
    } finally {
      lock.unlock();
    }
  }

  /** The last use frees the block: nothing has to be done now. */
  @Override
  public boolean defersFree() {
    return true;
  }

  /** Only a pin moves a held block, which goes home when it ends: its budgets pay meanwhile too. */
  @Override
  public void arrived(long bytes, long there) {}

  @Override
  public void stay() {
    lock.lock();
    try {
      if (home.zone().owner(page) == this) {
        left = false;
        if (inner() != null) {
          inner().stay();
        }
        giveBack();
      }
    } finally {
      lock.unlock();
    }
  }

  /** Returns the first byte of the block. */
  long address() {
    return home.addressAt(offset());
  }

  /** Returns how long the block is. */
  long bytes() {
    return (long) pages() * Zone.PAGE_BYTES;
  }

  /** Returns how many pages of 4 KiB it has. */
  int pages() {
    return Math.max(0, home.zone().pages(page));
  }

  int page() {
    return page;
  }

  /** Returns what keeps it on a node. */
  Place place() {
    return place;
  }

  long offset() {
    return (long) page * Zone.PAGE_BYTES;
  }

  /** Prints {@code address=0x7f…, bytes=4096}. */
  @Override
  public String toString() {
    return "address=0x" + Long.toHexString(address()) + ", bytes=" + bytes();
  }

  /** Tells whether the block's user is done with it, and only its uses keep it. */
  boolean isLeft() {
    lock.lock();
    try {
      return left;
    } finally {
      lock.unlock();
    }
  }
}
