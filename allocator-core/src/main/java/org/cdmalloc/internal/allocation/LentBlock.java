/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.allocation;

import java.nio.ByteBuffer;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;
import org.cdmalloc.internal.lifecycle.Ownership;

/**
 * A block that is a device's until its loan ends.
 *
 * @param address where the device works
 * @param bytes how much is lent
 * @param view makes a buffer over what the device works on
 * @param ownership whose it is
 */
public record LentBlock(long address, long bytes, Supplier<ByteBuffer> view, Ownership ownership) {
  /** Of each loan another one. */
  private static final AtomicLong SEEDS = new AtomicLong();

  /** Lends a held block as it is. */
  static LentBlock of(AllocationPath allocation, HeldBlock block, Runnable wayBack) {
    long address = block.address();
    long bytes = block.bytes();
    return new LentBlock(
        address, bytes, () -> allocation.view(address, (int) bytes), new Ownership(wayBack));
  }

  /**
   * Lends a second block in its place, so that a CPU which uses the held one meanwhile is found.
   *
   * @param other the second block, of the same size; freed on the way back
   * @param isLost tells whether the memory must not be touched any more
   * @param holder who lends it, for messages
   */
  static LentBlock bounced(
      AllocationPath allocation,
      HeldBlock block,
      long other,
      Supplier<Boolean> isLost,
      String holder,
      Runnable wayBack) {
    long address = block.address();
    long bytes = block.bytes();
    Bounce bounce =
        Bounce.begin(
            (offset, length) -> allocation.view(address + offset, length),
            (offset, length) -> allocation.view(other + offset, length),
            bytes,
            SEEDS.incrementAndGet());
    Runnable withBounce =
        () -> {
          try {
            if (!isLost.get()) {
              allocation.requireVisible(address);
              allocation.requireVisible(other);
              bounce.end(address, holder);
            }
          } finally {
            try {
              allocation.free(other);
            } finally {
              wayBack.run();
            }
          }
        };
    return new LentBlock(
        other, bytes, () -> allocation.view(other, (int) bytes), new Ownership(withBounce));
  }
}
