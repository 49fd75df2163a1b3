/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import org.cdmalloc.internal.account.Account;

/**
 * A block, or what was moved of one, and the account that pays for it.
 *
 * @param account who pays
 * @param address the block's first byte
 * @param bytes what is charged for it
 * @param spilledBytes how much of it the account's budgets pay for
 */
record PaidRun(Account account, long address, long bytes, long spilledBytes) {}
