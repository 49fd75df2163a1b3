/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import org.cdmalloc.MemoryCorruptionError;
import org.cdmalloc.NodeFailedException;
import org.cdmalloc.internal.account.BlockOwner;
import org.cdmalloc.internal.zone.Zone;

/**
 * Begins and ends the uses of blocks beside their users': pins and loans.
 *
 * @param allocation the allocation whose blocks they are
 */
record Holds(AllocationPath allocation) {
  /**
   * Holds a live block for a use beside its user's.
   *
   * @param address its first byte
   * @param use what for
   * @return the block, in use until {@link HeldBlock#end}
   * @throws IllegalArgumentException if no block begins there
   * @throws MemoryCorruptionError if the block that began there is free
   * @throws NodeFailedException if it lies on a node that was lost
   * @throws IllegalStateException if closed
   */
  HeldBlock hold(long address, HeldBlock.Use use) {
    AddressMap.Extent extent = allocation.require(address);
    BackedZone zone = extent.zone();
    long offset = extent.offsetOf(address);
    zone.requireOpen();
    AllocationPath.requireOwnPages(extent, address);
    int pages = AllocationPath.requireRun(extent, address);
    allocation.requireSound(zone, Pages.page(offset), pages, address);
    while (true) {
      BlockOwner owner = AllocationPath.owner(zone, offset);
      boolean ended = owner instanceof HeldBlock held && held.hasEnded();
      if (owner instanceof HeldBlock held && held.begin(use)) {
        return held;
      }
      if (!ended) {
        if (owner != null && !owner.isLive()) {
          throw AllocationPath.wrong(address, offset, Zone.NOT_LIVE, zone);
        }
        HeldBlock held =
            new HeldBlock(zone, Pages.page(offset), owner, block -> freeHeld(zone, block));
        held.begin(use);
        int answer = zone.exchangeOwner(Pages.page(offset), owner, held);
        if (answer > 0) {
          return requireNotLeft(zone, held, owner, use);
        }
        if (answer != Zone.OWNED) {
          throw AllocationPath.wrong(address, offset, answer, zone);
        }
      }
    }
  }

  /** Ends a use at once if the block was taken from its owner just before it was held. */
  private static HeldBlock requireNotLeft(
      BackedZone zone, HeldBlock held, BlockOwner owner, HeldBlock.Use use) {
    if (owner != null && !owner.isLive()) {
      held.end(use);
      throw AllocationPath.wrong(held.address(), held.offset(), Zone.NOT_LIVE, zone);
    }
    return held;
  }

  /** Frees a held block for its user: its memory goes when it is held no more. */
  void leave(HeldBlock held) {
    if (!held.isLeft()) {
      allocation.free(held.address());
    }
  }

  /** Frees a block that its user left while it was held; of a closed allocator it is gone. */
  private void freeHeld(BackedZone zone, HeldBlock held) {
    int freed = allocation.free(zone, held.offset(), held);
    if (freed <= 0 && freed != Zone.CLOSED) {
      throw AllocationPath.wrong(held.address(), held.offset(), freed, zone);
    }
  }
}
