/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.nio.ByteBuffer;
import java.util.List;
import org.cdmalloc.MoveReport;
import org.cdmalloc.NodeMemoryExhaustedException;
import org.cdmalloc.NodeMemoryExhaustedException.Attempt;
import org.cdmalloc.Placement;
import org.cdmalloc.internal.account.Account;
import org.cdmalloc.internal.account.BlockOwner;
import org.cdmalloc.internal.zone.Zone;
import org.cdmalloc.spi.Residency;

/**
 * Moves blocks that are named by their addresses, and says why one cannot be moved. Safe for use by
 * any number of threads.
 *
 * @param allocation the allocation whose blocks they are
 */
public record BlockMoves(AllocationPath allocation) {
  private static final String SHARED = "block shares an OS page with others";

  /**
   * Moves the memory of a block to another node.
   *
   * @param address its first byte
   * @param target where to
   * @param placement what named it, for messages
   * @return where its pages are
   */
  public MoveReport move(long address, Destination target, Placement placement) {
    MovedBlocks.Answer answer = tryMove(address, target);
    AddressMap.Extent extent = allocation.require(address);
    if (answer.answer() < 0) {
      throw AllocationPath.wrong(address, extent.offsetOf(address), answer.answer(), extent.zone());
    }
    if (answer.held() != null) {
      throw new IllegalStateException(
          "block cannot be moved, it is "
              + answer.held().uses()
              + ": address="
              + AllocationPath.hex(address)
              + "; close its pins and let its loans be completed");
    }
    if (answer.refusal() != null) {
      throw noRoom(answer, target.zone(), placement);
    }
    if (answer.report() == null) {
      throw new IllegalArgumentException(
          SHARED
              + ": address="
              + AllocationPath.hex(address)
              + ", bytes="
              + Pages.offset(answer.answer())
              + ", os_page_bytes="
              + allocation.osPageBytes()
              + "; move blocks of whole OS pages");
    }
    return answer.report();
  }

  /**
   * Moves the memory of a buffer's block to another node.
   *
   * @param buffer as for {@link AllocationPath#free(ByteBuffer)}
   * @param target as for a block
   * @param placement as for a block
   * @return as for a block
   */
  public MoveReport move(ByteBuffer buffer, Destination target, Placement placement) {
    return move(allocation.address(buffer), target, placement);
  }

  /**
   * Moves the memory of a block of a scope to another node, if it is there still.
   *
   * @return where its pages are; why there was no room is their reason; null if it was freed
   */
  MoveReport moveOwned(long address, BlockOwner owner, Destination target, Placement placement) {
    AddressMap.Extent extent = allocation.require(address);
    BlockOwner now = AllocationPath.owner(extent.zone(), extent.offsetOf(address));
    boolean isHeld = now instanceof HeldBlock held && held.isOver(owner);
    MovedBlocks.Answer answer =
        tryMove(extent, extent.offsetOf(address), isHeld ? now : owner, target);
    if (answer.report() != null || answer.answer() < 0) {
      return answer.report();
    }
    String reason;
    if (answer.held() != null) {
      reason = "block is " + answer.held().uses();
    } else if (answer.refusal() != null) {
      reason = noRoom(answer, target.zone(), placement).getMessage();
    } else {
      reason = SHARED;
    }
    long bytes = Pages.offset(answer.answer());
    return new MoveReport(
        target.zone().node(),
        0,
        List.of(new MoveReport.Unmoved(address, bytes, Residency.UNKNOWN, reason)));
  }

  private MovedBlocks.Answer tryMove(long address, Destination target) {
    AddressMap.Extent extent = allocation.require(address);
    BackedZone zone = extent.zone();
    long offset = extent.offsetOf(address);
    zone.requireOpen();
    AllocationPath.requireOwnPages(extent, address);
    if ((offset & Pages.MASK) != 0) {
      return MovedBlocks.Answer.of(zone.pages(offset));
    }
    while (true) {
      // Whose the block is decides who pays: where that changes meanwhile, it is another block.
      BlockOwner owner = AllocationPath.owner(zone, offset);
      MovedBlocks.Answer answer =
          owner == null || owner.isLive()
              ? tryMove(extent, offset, owner, target)
              : MovedBlocks.Answer.of(Zone.NOT_LIVE);
      if (answer.answer() != Zone.OWNED) {
        return answer;
      }
    }
  }

  private MovedBlocks.Answer tryMove(
      AddressMap.Extent extent, long offset, BlockOwner owner, Destination target) {
    extent.zone().requireOpen();
    target.zone().requireOpen();
    int page = Pages.page(offset);
    int pages = extent.zone().pages(offset);
    if (pages > 0) {
      allocation.requireSound(extent.zone(), page, pages, extent.zone().addressAt(offset));
    }
    if (pages > 0 && owner instanceof HeldBlock held) {
      return MovedBlocks.Answer.held(pages, held);
    }
    if (owner != null) {
      owner.used();
    }
    Account account = owner == null ? null : owner.account();
    return extent.zone().move(offset, owner, target.host(account));
  }

  /**
   * Brings a block of a zone home that lies elsewhere, if there is room or can be made. Does
   * nothing with a block that is held, or that another one than the holder, or none below, pays
   * for.
   */
  void bringHome(long address, BackedZone zone, Account holder) {
    AddressMap.Extent extent = allocation.nodes().addresses().find(address);
    long offset = extent == null ? 0 : extent.offsetOf(address);
    if (extent != null
        && extent.zone() == zone
        && (offset & Pages.MASK) == 0
        && zone.zone().awayPages(Pages.page(offset)) > 0) {
      BlockOwner owner = AllocationPath.owner(zone, offset);
      boolean isFree = owner != null && owner.isLive() && !(owner instanceof HeldBlock);
      int pages = zone.pages(offset);
      if (isFree && pages > 0 && owner.account().isWithin(holder)) {
        allocation.requireSound(zone, Pages.page(offset), pages, address);
        owner.used();
        zone.move(offset, owner, zone);
      }
    }
  }

  private NodeMemoryExhaustedException noRoom(
      MovedBlocks.Answer answer, BackedZone target, Placement placement) {
    return noRoom(Pages.offset(answer.answer()), answer.refusal(), target, placement);
  }

  /** Says why a block cannot be put on a node. */
  NodeMemoryExhaustedException noRoom(
      long bytes, Refusal refusal, BackedZone target, Placement placement) {
    Attempt attempt = ZoneReports.noRoom(target, bytes, refusal, allocation.source());
    return new NodeMemoryExhaustedException(bytes, placement.toString(), List.of(attempt));
  }
}
