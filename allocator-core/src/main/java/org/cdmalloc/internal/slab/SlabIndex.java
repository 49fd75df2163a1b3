/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.slab;

import java.util.ArrayList;
import java.util.List;
import org.cdmalloc.internal.zone.Zone;

/**
 * From an offset in a region to the slab that it may be in: a slot for every {@value #SLOT_PAGES}
 * pages, which is enough because every slab begins at a multiple of that, and is longer than a
 * half. Slots exist in groups, from the first slab of each on; a slab stays in its first slot when
 * it is closed, to be opened again. Written under the lock of the slab cache; whoever has an object
 * got it from somebody who saw the slot.
 */
public final class SlabIndex {
  /** The pages of a slot. */
  public static final int SLOT_PAGES = 8;

  private static final int SLOT_SHIFT = Integer.numberOfTrailingZeros(SLOT_PAGES * Zone.PAGE_BYTES);
  private static final int GROUP_SHIFT = 12;
  private static final int GROUP_SLOTS = 1 << GROUP_SHIFT;

  private final Slab[][] groups;

  SlabIndex(int regionPages) {
    int slots = (regionPages - 1) / SLOT_PAGES + 1;
    this.groups = new Slab[((slots - 1) >>> GROUP_SHIFT) + 1][];
  }

  /**
   * Returns the slab that may hold an offset.
   *
   * @param offset in the region
   * @return a slab that begins at or before it, open or closed; or null
   */
  public Slab at(long offset) {
    Slab[] group = groups[(int) (offset >>> (SLOT_SHIFT + GROUP_SHIFT))];
    return group == null ? null : group[(int) (offset >>> SLOT_SHIFT) & (GROUP_SLOTS - 1)];
  }

  /**
   * Gives an object to its user.
   *
   * @param block the {@link ReadyBlock}
   */
  public void give(long block) {
    at(ReadyBlock.offset(block)).give(block);
  }

  /** Returns a closed slab for a page, and sees to it that {@link #enter} needs no memory. */
  Slab prepare(int page, int sizeClass) {
    int first = page / SLOT_PAGES;
    int end = first + slots(sizeClass);
    for (int slot = first; slot < end; slot++) {
      if (groups[slot >>> GROUP_SHIFT] == null) {
        groups[slot >>> GROUP_SHIFT] = new Slab[GROUP_SLOTS];
      }
    }
    Slab before = groups[first >>> GROUP_SHIFT][first & (GROUP_SLOTS - 1)];
    boolean fits = before != null && before.page() == page && before.sizeClass() == sizeClass;
    return fits ? before : new Slab(page, sizeClass);
  }

  /** A block that is a run is found by its first page only, the objects of a slab by all pages. */
  private static int slots(int sizeClass) {
    return SizeClasses.isObject(sizeClass) ? SizeClasses.runPages(sizeClass) / SLOT_PAGES : 1;
  }

  /** Enters a slab in its slots. */
  void enter(Slab slab) {
    set(slab, 0, slab);
  }

  /** Leaves a slab that is closed in its first slot only: the others may be other runs'. */
  void leave(Slab slab) {
    set(slab, 1, null);
  }

  private void set(Slab slab, int from, Slab entry) {
    int first = slab.page() / SLOT_PAGES;
    int end = first + slots(slab.sizeClass());
    for (int slot = first + from; slot < end; slot++) {
      groups[slot >>> GROUP_SHIFT][slot & (GROUP_SLOTS - 1)] = entry;
    }
  }

  /** Returns every slab that is in its first slot, open or closed. */
  List<Slab> all() {
    List<Slab> all = new ArrayList<>();
    for (int slot = 0; slot < groups.length * GROUP_SLOTS; slot++) {
      Slab[] group = groups[slot >>> GROUP_SHIFT];
      Slab slab = group == null ? null : group[slot & (GROUP_SLOTS - 1)];
      if (slab != null && slab.page() / SLOT_PAGES == slot) {
        all.add(slab);
      }
    }
    return all;
  }
}
