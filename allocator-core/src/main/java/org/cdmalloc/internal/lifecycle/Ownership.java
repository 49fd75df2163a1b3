/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.lifecycle;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.Objects;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.cdmalloc.MemoryCorruptionError;

/**
 * Whose a block is that was lent to a device: the device's, until one of three ends it once and for
 * all. The device completes, the CPU takes the block back without waiting any longer, or the node
 * fails. Safe for use by any number of threads, virtual ones too.
 */
public final class Ownership {
  /*
   * Algorithmic notes.
   *
   * State: one word, LENT until an end is chosen, RETURNING while whoever chose it gives the block
   * back, then the end; a latch that opens with the end; what the way back found. The word's default,
   * 0, reads as neither lent nor returned: a thread that got the object by a race may see it, unless it
   * came by a final field.
   *
   * Invariants: (I1) the word only grows; (I2) of all calls of complete, recall and fail one returns
   * true, and that one runs the way back, once; (I3) a block that is returned has been given back: its
   * bytes are in place and nothing holds it; (I4) the way back ends in a return even if it throws, so
   * nobody waits forever.
   *
   * The hold on the block ends with the device's use, and not when a CPU looks: a loan that nobody
   * waits for keeps nothing.
   *
   * Linearisation points: the compare-and-set that leaves LENT, for the three that compete; the
   * release write of the end, for those who read or wait.
   *
   * Memory order: the constructor releases what the CPU wrote to the block, isLent acquires it, also
   * where the object came by a race. The write of the end releases what the device wrote before it
   * completed, and what the way back did; isReturned and await acquire it. So each side reads what the
   * other one wrote before it handed over. A recall or a failure orders nothing of a device that did not
   * complete.
   */

  private static final int LENT = 1;
  private static final int RETURNING = 2;
  private static final int COMPLETED = 3;
  private static final int RECALLED = 4;
  private static final int FAILED = 5;

  private static final VarHandle STATE;

  static {
    try {
      STATE = MethodHandles.lookup().findVarHandle(Ownership.class, "state", int.class);
    } catch (ReflectiveOperationException e) {
      throw new ExceptionInInitializerError(e);
    }
  }

  private final Runnable wayBack;
  private final CountDownLatch returned = new CountDownLatch(1);

  /** What the way back found; written before the end is. */
  private MemoryCorruptionError corruption;

  @SuppressWarnings("unused") // by its handle
  private int state;

  /**
   * Lends a block. From now on it is the device's.
   *
   * @param wayBack gives the block back; run once, by the thread that ends the loan, before anybody
   *     is told that it ended
   */
  public Ownership(Runnable wayBack) {
    this.wayBack = Objects.requireNonNull(wayBack, "wayBack");
    STATE.setRelease(this, LENT);
  }

  /**
   * Tells whether the block is the device's. Who sees that it is, sees what was written to it
   * before it was lent.
   *
   * @return true from the start until a call ends the loan
   */
  public boolean isLent() {
    return (int) STATE.getAcquire(this) == LENT;
  }

  /**
   * Tells whether the block is the CPU's again. Who sees that it is, sees what the device wrote
   * before it completed.
   *
   * @return true once the loan ended, whoever ended it, and the block was given back
   */
  public boolean isReturned() {
    return (int) STATE.getAcquire(this) >= COMPLETED;
  }

  /**
   * Ends the loan for the device, which has done its part and does not touch the block any more.
   *
   * @return true if this call ended the loan; false if it ended before or is about to
   * @throws MemoryCorruptionError if the way back finds that a CPU used the block; the loan has
   *     ended
   */
  public boolean complete() {
    return end(COMPLETED);
  }

  /**
   * Ends the loan for a CPU that does not wait for the device any longer.
   *
   * @return as {@link #complete}
   * @throws MemoryCorruptionError as for {@link #complete}
   */
  public boolean recall() {
    return end(RECALLED);
  }

  /**
   * Ends the loan because the device's node failed.
   *
   * @return as {@link #complete}
   * @throws MemoryCorruptionError as for {@link #complete}
   */
  public boolean fail() {
    return end(FAILED);
  }

  private boolean end(int how) {
    if (!STATE.compareAndSet(this, LENT, RETURNING)) {
      return false;
    }
    try {
      wayBack.run();
    } catch (MemoryCorruptionError e) {
      corruption = e;
      throw e;
    } finally {
      STATE.setRelease(this, how);
      returned.countDown();
    }
    return true;
  }

  /**
   * Waits until the loan ended.
   *
   * @param nanos the longest time, {@link Long#MAX_VALUE} for any; 0 or less does not wait
   * @return true if the device completed; false if the loan ended otherwise, or not yet
   * @throws InterruptedException if the thread was interrupted; the loan is not touched
   * @throws MemoryCorruptionError what the way back threw
   */
  public boolean await(long nanos) throws InterruptedException {
    if (!returned.await(nanos, TimeUnit.NANOSECONDS)) {
      return false;
    }
    int how = (int) STATE.getAcquire(this);
    if (corruption != null) {
      throw corruption;
    }
    return how == COMPLETED;
  }

  /** Prints how the loan stands: {@code lent}, {@code completed}, {@code recalled}. */
  @Override
  public String toString() {
    return switch ((int) STATE.getAcquire(this)) {
      case RETURNING -> "returning";
      case COMPLETED -> "completed";
      case RECALLED -> "recalled";
      case FAILED -> "failed";
      default -> "lent";
    };
  }
}
