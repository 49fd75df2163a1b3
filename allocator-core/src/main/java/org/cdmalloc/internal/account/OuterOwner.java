/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.account;

/** An owner around another one, which pays for the block, or around none. */
public abstract class OuterOwner implements BlockOwner {
  /** Null where nobody pays. */
  private final BlockOwner inner;

  /**
   * Makes an owner.
   *
   * @param inner the owner that pays, or null
   */
  protected OuterOwner(BlockOwner inner) {
    this.inner = inner;
  }

  /**
   * Returns the owner that pays.
   *
   * @return the owner inside this one, or null
   */
  protected final BlockOwner inner() {
    return inner;
  }

  /** Nothing to do: whoever puts an owner around a block has it. */
  @Override
  public void handOver() {}

  @Override
  public final void freed(long bytes) {
    if (inner != null) {
      inner.freed(bytes);
    }
  }

  @Override
  public final Account account() {
    return inner == null ? null : inner.account();
  }

  @Override
  public final long spilledBytes() {
    return inner == null ? 0 : inner.spilledBytes();
  }

  @Override
  public void arrived(long bytes, long there) {
    if (inner != null) {
      inner.arrived(bytes, there);
    }
  }

  @Override
  public final void used() {
    if (inner != null) {
      inner.used();
    }
  }

  @Override
  public final long usedNanos() {
    return inner == null ? 0 : inner.usedNanos();
  }

  @Override
  public final void cancelSpill() {
    if (inner != null) {
      inner.cancelSpill();
    }
  }
}
