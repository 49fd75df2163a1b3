/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.account;

/**
 * All blocks of an account that its device served: whoever frees one does so in the account's name.
 *
 * @param account who pays
 */
public record PaidBlocks(Account account) implements BlockOwner {
  @Override
  public boolean leave() {
    return true;
  }

  @Override
  public void freed(long bytes) {
    account.touch();
    account.credit(bytes);
  }
}
