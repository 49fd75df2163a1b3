/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.internal.zone;

import java.util.stream.LongStream;

/** The seeds of the random tests: a fixed set, or the one given by {@code -Dseed=…}. */
public final class Seeds {
  private Seeds() {}

  /**
   * Returns the seeds of a test.
   *
   * @param count how many
   * @return 1 … count, or the one seed given
   */
  public static LongStream upTo(int count) {
    Long given = Long.getLong("seed");
    return given == null ? LongStream.rangeClosed(1, count) : LongStream.of(given);
  }

  /**
   * Returns a failure that says how to see it again.
   *
   * @param seed of the test that failed
   * @param cause what went wrong
   * @return an error with the cause's message
   */
  public static AssertionError failure(long seed, Throwable cause) {
    return new AssertionError("-Dseed=" + seed + ": " + cause.getMessage(), cause);
  }
}
