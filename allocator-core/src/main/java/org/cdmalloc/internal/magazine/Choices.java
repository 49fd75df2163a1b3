/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.magazine;

import java.nio.ByteBuffer;
import org.cdmalloc.internal.slab.ReadyBlock;
import org.cdmalloc.internal.slab.SizeClasses;

/**
 * What threads chose for the requests at one placement. Safe for use by any number of threads; each
 * sees its own choice only.
 */
public final class Choices {
  private final ThreadMagazines threads;

  /**
   * Makes choices for requests.
   *
   * @param threads the magazines of all threads
   */
  public Choices(ThreadMagazines threads) {
    this.threads = threads;
  }

  /**
   * Allocates a block out of the magazines that the caller chose.
   *
   * @param bytes its size
   * @param alignment of its address
   * @return its address, or 0 if there is none at hand, or it is time to choose
   */
  public long hit(long bytes, long alignment) {
    int sizeClass = SizeClasses.of(bytes, alignment);
    Choice choice = sizeClass < 0 ? null : mine();
    long block = choice == null ? Magazines.NONE : choice.take(sizeClass);
    return block < 0 ? 0 : choice.base() + ReadyBlock.offset(block);
  }

  /**
   * Allocates a buffer out of the magazines that the caller chose.
   *
   * @param bytes its capacity
   * @param zeroes whether what a user may have written is overwritten
   * @return a direct, big-endian buffer; or null as {@link #hit} returns 0
   */
  public ByteBuffer hitBuffer(int bytes, boolean zeroes) {
    int sizeClass = SizeClasses.of(bytes);
    Choice choice = sizeClass < 0 ? null : mine();
    long block = choice == null ? Magazines.NONE : choice.take(sizeClass);
    return block < 0 ? null : choice.magazines().buffer(sizeClass, block, bytes, zeroes);
  }

  private Choice mine() {
    Choice choice = Latest.choice(this);
    return choice != null ? choice : threads.choice(this);
  }
}
