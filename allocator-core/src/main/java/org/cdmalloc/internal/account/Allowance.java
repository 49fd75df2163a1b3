/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.account;

import java.util.concurrent.atomic.AtomicLong;

/**
 * A number of bytes that may be used, and how many are. Safe for use by any number of threads; it
 * may be used by several accounts.
 */
public final class Allowance {
  /*
   * Algorithmic notes.
   *
   * State: one word, the bytes in use, and its sign bit once nothing more may be used.
   *
   * Invariant: 0 <= used, and used <= limit at every moment while the limit stands; where it is
   * lowered nothing is added until enough went back, but for what was being added as it was. So bytes
   * are added by a compare-and-set that never exceeds the limit, not by an addition that is undone: what can never be served must not turn away,
   * for a moment, what can (the kernel's page_counter_try_charge of mm/page_counter.c documents that
   * race).
   *
   * Linearisation points: the successful compare-and-set of tryAdd, the read that showed too little
   * room or the sign; the addition of subtract; the or of end. After end no tryAdd succeeds. A tryAdd
   * is held against the limit that it reads, in each round anew.
   */

  /** The limit of an allowance without one. */
  public static final long UNLIMITED = Long.MAX_VALUE;

  private static final long ENDED = Long.MIN_VALUE;

  private volatile long limitBytes;
  private final AtomicLong used = new AtomicLong();

  /**
   * Makes an allowance of which nothing is used.
   *
   * @param limitBytes the most that may be used, 0 or more
   */
  public Allowance(long limitBytes) {
    this.limitBytes = limitBytes;
  }

  /**
   * Uses bytes, all or none.
   *
   * @param bytes how many, not negative
   * @return false if they do not fit, or nothing is given any more
   */
  boolean tryAdd(long bytes) {
    long now = used.get();
    while (now >= 0 && bytes <= limitBytes - now) {
      long seen = used.compareAndExchange(now, now + bytes);
      if (seen == now) {
        return true;
      }
      now = seen;
    }
    return false;
  }

  /** Gives back what was added. */
  void subtract(long bytes) {
    used.addAndGet(-bytes);
  }

  /** Gives nothing any more; what is in use is not touched. */
  void end() {
    used.getAndUpdate(now -> now | ENDED);
  }

  /**
   * Changes the limit. What is in use beyond the new one stays so until it is given back.
   *
   * @param bytes the most that may be used from now on, 0 or more
   */
  public void limit(long bytes) {
    limitBytes = bytes;
  }

  boolean isEnded() {
    return used.get() < 0;
  }

  /**
   * Returns the most that may be used.
   *
   * @return bytes, or {@link #UNLIMITED}
   */
  public long limitBytes() {
    return limitBytes;
  }

  /**
   * Returns what is in use.
   *
   * @return bytes, never more than the limit, unless that was lowered since
   */
  public long usedBytes() {
    return used.get() & ~ENDED;
  }
}
