/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.cdmalloc.DrainReport.Blocker;
import org.cdmalloc.DrainReport.Cause;
import org.cdmalloc.MoveReport;
import org.cdmalloc.internal.account.Account;
import org.cdmalloc.internal.account.BlockOwner;
import org.cdmalloc.internal.zone.Zone;

/**
 * One attempt to empty a node whose zone is isolated: what belongs elsewhere goes home, what the
 * node has may go where it is demoted to, and what is left is told by name. Used by one thread.
 */
final class Drain {
  private static final String SYSTEM = "system";

  private final AllocationPath allocation;
  private final BackedZone zone;

  /** Null where the node's blocks stay. */
  private final Host demotion;

  /** Why blocks could not be moved, by address. */
  private final Map<Long, String> obstacles = new HashMap<>();

  private long movedBytes;

  Drain(AllocationPath allocation, BackedZone zone, Host demotion) {
    this.allocation = allocation;
    this.zone = zone;
    this.demotion = demotion;
  }

  /** Sends blocks of other zones home, and the node's own where they are demoted to. */
  void moveAway() {
    for (BackedZone other : allocation.zones()) {
      for (MovedBlocks.Guest guest : other.guestsAt(zone)) {
        BlockOwner owner = owner(other, guest.page());
        if (!(owner instanceof HeldBlock)) {
          move(other, guest.page(), owner, other);
        }
      }
    }
    if (demotion != null) {
      List<Zone.OwnedRun> own = new ArrayList<>();
      zone.owners(own::add);
      for (Zone.OwnedRun run : own) {
        BlockOwner owner = (BlockOwner) run.owner();
        boolean isHere = run.awayPages() < run.pages();
        if (isHere && owner.isLive() && !(owner instanceof HeldBlock)) {
          move(zone, run.page(), owner, demotion);
        }
      }
    }
  }

  private void move(BackedZone home, int page, BlockOwner owner, Host target) {
    MovedBlocks.Answer answer = home.move(Pages.offset(page), owner, target);
    MoveReport report = answer.report();
    long address = home.addressAt(Pages.offset(page));
    if (report != null) {
      movedBytes += report.movedBytes();
      if (!report.isComplete()) {
        obstacles.put(address, report.unmoved().get(0).reason());
      }
    } else if (answer.refusal() != null) {
      Refusal refusal = answer.refusal();
      obstacles.put(
          address,
          "node=" + target.node() + ": " + refusal.reason().words() + ": " + refusal.detail());
    } else if (answer.answer() > 0) {
      obstacles.put(address, "it shares an OS page with others");
    }
  }

  /** Gives the node's memory back; returns whether nothing lies there any more. */
  boolean vacate() {
    return zone.vacate() && zone.zone().committedPages() == 0;
  }

  long movedBytes() {
    return movedBytes;
  }

  /** Returns what lies on the node now, by address. */
  List<Blocker> blockers() {
    List<Blocker> blockers = new ArrayList<>();
    zone.owners(
        run -> {
          int here = run.pages() - run.awayPages();
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

  private Blocker blocker(BackedZone home, int page, int pages, BlockOwner owner, Account guest) {
    Account account = guest != null || owner == null ? guest : owner.account();
    Cause cause = cause(owner);
    long address = home.addressAt(Pages.offset(page));
    return new Blocker(
        cause,
        account == null ? SYSTEM : account.holder(),
        address,
        Pages.offset(pages),
        reason(cause, obstacles.get(address)));
  }

  private static Cause cause(BlockOwner owner) {
    if (owner instanceof HeldBlock held) {
      return held.isLent() ? Cause.LENT : Cause.PINNED;
    }
    return owner == null || owner.isLive() ? Cause.OUTSTANDING : Cause.IN_WORK;
  }

  private static String reason(Cause cause, String obstacle) {
    return switch (cause) {
      case PINNED -> "close its pins";
      case LENT -> "its loan is not completed";
      case OUTSTANDING ->
          "free it, or move it to another node" + (obstacle == null ? "" : "; " + obstacle);
      case IN_WORK -> "it is being allocated or freed";
    };
  }

  private static BlockOwner owner(BackedZone home, int page) {
    return (BlockOwner) home.zone().owner(page);
  }
}
