/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import org.cdmalloc.NodeMemoryExhaustedException.Reason;
import org.cdmalloc.internal.account.Account;
import org.cdmalloc.internal.zone.Zone;

/**
 * Why memory was not to be had: a limit of our own, or the source's answer.
 *
 * @param reason what kind of limit
 * @param detail its figures
 */
record Refusal(Reason reason, String detail) {
  /** Says that a zone has no room for blocks that were to be moved. */
  static Refusal ofCapacity(int pages, Zone zone) {
    return new Refusal(
        Reason.CAPACITY_HELD, "wanted_pages=" + pages + ", free_pages=" + zone.freePages());
  }

  /** Says that a holder has used what it may. */
  static Refusal ofQuota(Account full) {
    return new Refusal(
        Reason.QUOTA_REACHED,
        "holder="
            + full.holder()
            + ", quota_bytes="
            + full.quota().limitBytes()
            + ", used_bytes="
            + full.quota().usedBytes());
  }
}
