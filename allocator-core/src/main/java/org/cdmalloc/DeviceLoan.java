/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Objects;
import java.util.function.Supplier;
import org.cdmalloc.internal.lifecycle.Ownership;

/**
 * A block that is lent to a device: from the moment it is lent the device alone reads and writes
 * it, until the loan ends and it is the CPU's again. Code on the CPU that acts for the device, a
 * driver or a thread that waits for it, is the <i>device side</i>; all other code is the CPU's.
 *
 * <p>A loan ends once: the device side says that it is done ({@link #complete}), the CPU takes the
 * block back without that ({@link #recall}), or the node fails. Only a loan that was completed has
 * the device's result. A block that is freed while it is lent stays where it is until the loan
 * ends, and is then freed by the thread that ends it.
 *
 * <p><b>Who sees what.</b> On the way out: what a thread did before it lent the block, happens
 * before what the device side does after it called {@link #buffer}, however it got hold of this
 * object; a device side that uses the address alone has to get the object by a queue, an executor,
 * or another hand-over that orders. On the way back: what the device side did before {@code
 * complete} happens before what a thread does once {@link #await()} returned true, or {@link
 * #isReturned} did.
 *
 * <p><b>What hardware has to do.</b> These rules order what threads do. Where device and CPU are
 * cache coherent, the device sees what the CPU wrote before it was told to start, if the telling is
 * ordered after it; a driver does that where it rings the device's bell. That the device's own
 * writes have arrived is known from its completion alone: an interrupt, or a flag in memory that
 * the device writes last and that is read with acquire. Call {@code complete} after that, not
 * before. The two ends of a transfer may not be guessed from a time that went by.
 *
 * <p>Where the allocator's {@link Checks} are {@link Checks#PARANOID}, the device side works on a
 * block of its own, and a CPU that wrote to the lent block meanwhile is found when the loan ends.
 *
 * <p>Safe for use by any number of threads. Costs some hundred bytes of the Java heap.
 */
public final class DeviceLoan {
  private final long address;
  private final long bytes;
  private final String holder;
  private final Supplier<ByteBuffer> view;
  private final Ownership ownership;

  /**
   * Makes the loan of a block that is the device's already.
   *
   * @param view makes a buffer over what the device works on
   */
  DeviceLoan(
      long address, long bytes, String holder, Supplier<ByteBuffer> view, Ownership ownership) {
    this.address = address;
    this.bytes = bytes;
    this.holder = holder;
    this.view = view;
    this.ownership = ownership;
  }

  /**
   * Returns where the device works.
   *
   * @return an address; under {@link Checks#PARANOID} not that of the block
   */
  public long address() {
    return address;
  }

  /**
   * Returns how much is lent.
   *
   * @return the block's usable bytes
   */
  public long bytes() {
    return bytes;
  }

  /**
   * Returns who lent the block, for reports and messages.
   *
   * @return as {@link DeviceNode#holder()}
   */
  public String holder() {
    return holder;
  }

  /**
   * Returns what the device works on, for the device side. Shows what was written to the block
   * before it was lent. Not to be used after the loan ended.
   *
   * @return a new direct, big-endian buffer of {@link #bytes()}
   * @throws IllegalStateException if the loan ended
   * @throws UnsupportedOperationException if the block is larger than a buffer can be
   */
  public ByteBuffer buffer() {
    if (!ownership.isLent()) {
      throw new IllegalStateException(
          "the loan ended, the block is not the device's any more: "
              + this
              + "; lend the block again");
    }
    if (bytes > Integer.MAX_VALUE) {
      throw new UnsupportedOperationException(
          "no buffer shows so large a block: bytes=" + bytes + "; use its address");
    }
    return view.get();
  }

  /**
   * Tells whether the block is the CPU's again, whoever ended the loan.
   *
   * @return true from then on
   */
  public boolean isReturned() {
    return ownership.isReturned();
  }

  /**
   * Ends the loan: the device is done and touches the block no more. Called by the device side,
   * after the device's own completion was seen. What the end of the loan brings with it, a deferred
   * free and the checks, happens in this call.
   *
   * @return true for the call that ended the loan; false if it had ended: the block was recalled or
   *     its node failed, and may be in other hands, or it was completed before
   * @throws MemoryCorruptionError under {@link Checks#PARANOID}, if a CPU wrote to the block while
   *     it was lent; the loan has ended, and the block has the device's bytes
   */
  public boolean complete() {
    return ownership.complete();
  }

  /**
   * Waits until the loan ends.
   *
   * @return true if the device completed; false if the block was recalled or the node failed, so
   *     that the block is the CPU's and what is in it is undefined
   * @throws InterruptedException if the thread was interrupted; the block is still the device's
   * @throws MemoryCorruptionError as for {@link #complete}, in each thread that waits
   */
  public boolean await() throws InterruptedException {
    return ownership.await(Long.MAX_VALUE);
  }

  /**
   * Waits until the loan ends, for so long. When the time is over nothing has changed: the block is
   * still the device's. Wait on, or {@link #recall} it.
   *
   * @param time the longest time to wait; zero or negative to look only
   * @return true if the device completed; false if not, and {@link #isReturned()} then tells
   *     whether the block is the CPU's nevertheless
   * @throws InterruptedException as for {@link #await()}
   * @throws MemoryCorruptionError as for {@link #await()}
   */
  public boolean await(Duration time) throws InterruptedException {
    return ownership.await(nanos(Objects.requireNonNull(time, "time")));
  }

  private static long nanos(Duration time) {
    try {
      return time.toNanos();
    } catch (ArithmeticException beyond292Years) {
      return time.isNegative() ? 0 : Long.MAX_VALUE;
    }
  }

  /**
   * Takes the block back although the device did not complete. From then on {@link #complete}
   * returns false. This stops no device: one that is still at work goes on writing to memory that
   * is the CPU's, and, once it was freed, somebody else's; under {@link Checks#PARANOID} that is at
   * once. So reset the device first, or have it give up the transfer, and know that it did.
   *
   * @return true for the call that ended the loan; what is in the block is undefined then. False if
   *     it had ended or is just ending: {@link #await()} tells how, without waiting for the device
   * @throws MemoryCorruptionError as for {@link #complete}
   */
  public boolean recall() {
    return ownership.recall();
  }

  /** Prints {@code DeviceLoan[lent, holder=device2, address=0x7f…, bytes=8192]}. */
  @Override
  public String toString() {
    return "DeviceLoan["
        + ownership
        + ", holder="
        + holder
        + ", address=0x"
        + Long.toHexString(address)
        + ", bytes="
        + bytes
        + "]";
  }
}
