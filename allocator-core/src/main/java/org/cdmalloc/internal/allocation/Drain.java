/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.cdmalloc.DrainReport.Blocker;
import org.cdmalloc.DrainReport.Cause;
import org.cdmalloc.MoveReport;
import org.cdmalloc.internal.account.Account;
import org.cdmalloc.internal.account.BlockOwner;

/**
 * One attempt to empty a node whose zone is isolated: what belongs elsewhere goes home, and what is
 * left is told by name. Used by one thread.
 */
final class Drain {
  private static final String SYSTEM = "system";

  private final AllocationPath allocation;
  private final BackedZone zone;
  private long movedBytes;

  Drain(AllocationPath allocation, BackedZone zone) {
    this.allocation = allocation;
    this.zone = zone;
  }

  /** Sends blocks of other zones home. */
  void moveAway() {
    for (BackedZone other : allocation.zones()) {
      for (MovedBlocks.Guest guest : other.guestsAt(zone)) {
        BlockOwner owner = owner(other, guest.page());
        if (!(owner instanceof HeldBlock)) {
          move(other, guest.page(), owner, other);
        }
      }
    }
  }

  private void move(BackedZone home, int page, BlockOwner owner, Host target) {
    MoveReport report = home.move(BackedZone.offset(page), owner, target).report();
    if (report != null) {
      movedBytes += report.movedBytes();
    }
  }

  /** Gives the node's memory back; returns whether nothing lies there any more. */
  boolean vacate() {
    return zone.vacate() && zone.zone().committedPages() == 0;
  }

  /** Tells whether all that lies there is about to be free, or to be a block. */
  boolean mayEndSoon() {
    return blockers().stream().allMatch(blocker -> blocker.cause() == Cause.IN_WORK);
  }

  long movedBytes() {
    return movedBytes;
  }

  /** Returns what lies on the node now, by address. */
  List<Blocker> blockers() {
    List<Blocker> blockers = new ArrayList<>();
    zone.owners(
        run -> {
          int here = run.pages() - zone.zone().awayPages(run.page());
          if (here > 0) {
            blockers.add(blocker(zone, run.page(), here, (BlockOwner) run.owner(), null));
          }
        });
    for (BackedZone other : allocation.zones()) {
      for (MovedBlocks.Guest guest : other.guestsAt(zone)) {
        BlockOwner owner = owner(other, guest.page());
        blockers.add(blocker(other, guest.page(), guest.pages(), owner, guest.account()));
      }
    }
    blockers.sort(Comparator.comparingLong(Blocker::address));
    return blockers;
  }

  private static Blocker blocker(
      BackedZone home, int page, int pages, BlockOwner owner, Account guest) {
    Account account = guest != null || owner == null ? guest : owner.account();
    Cause cause = cause(owner);
    return new Blocker(
        cause,
        account == null ? SYSTEM : account.holder(),
        home.addressAt(BackedZone.offset(page)),
        BackedZone.offset(pages),
        reason(cause));
  }

  private static Cause cause(BlockOwner owner) {
    if (owner instanceof HeldBlock held) {
      return held.isLent() ? Cause.LENT : Cause.PINNED;
    }
    return owner == null || owner.isLive() ? Cause.OUTSTANDING : Cause.IN_WORK;
  }

  private static String reason(Cause cause) {
    return switch (cause) {
      case PINNED -> "close its pins";
      case LENT -> "its loan is not completed";
      case OUTSTANDING -> "free it, or move it to another node";
      case IN_WORK -> "it is being allocated or freed";
    };
  }

  private static BlockOwner owner(BackedZone home, int page) {
    return (BlockOwner) home.zone().owner(page);
  }
}
