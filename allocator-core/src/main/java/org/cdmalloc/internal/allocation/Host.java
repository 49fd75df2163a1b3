/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import org.cdmalloc.internal.account.Account;

/** Who pays for pages of other zones' blocks that were moved to a node. */
interface Host {
  /** How often it is tried again to take room that was made, and that others took. */
  int ROOM_TRIES = 3;

  /** Returns the zone whose capacity is used. */
  Host place();

  /** Returns the account that is charged, or null. */
  Account account();

  /** Returns the node that the host's zone stands for. */
  int node();

  /** Returns the node whose memory backs the zone; of a striped zone the first. */
  int backingNode();

  /** Tells whether what is moved here had to give way elsewhere. */
  default boolean isRefuge() {
    return false;
  }

  /** Lets blocks of another zone be moved here; returns why not, or null. */
  Refusal takeGuests(int pages);

  /**
   * Tries to make room for pages that {@link #takeGuests} refused, or for those of a block that is
   * to come home.
   *
   * @return whether there may be room now
   */
  boolean makeRoom(int pages);

  /** Takes the capacity back that {@link #takeGuests} gave. */
  void returnGuests(int pages);
}
