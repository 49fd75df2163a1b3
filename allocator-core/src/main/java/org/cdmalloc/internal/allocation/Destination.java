/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import org.cdmalloc.internal.account.Account;
import org.cdmalloc.topology.NodeMask;

/**
 * Where a block is moved to, and in whose right.
 *
 * @param zone the zone of the node
 * @param account whose capability it is; null for a system node
 */
public record Destination(BackedZone zone, Account account) {
  /** Returns the node. */
  NodeMask nodes() {
    return NodeMask.of(zone.node());
  }

  /**
   * Returns who pays for the pages of a block there.
   *
   * @param payer who pays for the block as such, or null
   */
  Host host(Account payer) {
    if (account == null) {
      return zone;
    }
    account.requireNotEnded();
    // A block of one of the device's holders is paid for already, wherever it lies.
    boolean paid = payer != null && payer.root() == account.root();
    return paid ? zone : new ChargedHost(zone, account);
  }
}
