/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc.peers;

/**
 * What a fork found.
 *
 * @param nanos the time of an allocation and a free together: the median over the fork's iterations
 *     or, where steps are sampled, over the steps
 * @param tailNanos where steps are sampled, the time that one step in a thousand exceeds; else 0
 * @param garbageBytes what of the Java heap each pair used
 * @param roundTripNanos of a work of several threads, how far apart their processors were, as
 *     {@link RoundTrip} says; else 0
 */
record Sample(double nanos, double tailNanos, double garbageBytes, double roundTripNanos) {
  /** Makes what a fork of one thread found. */
  Sample(double nanos, double tailNanos, double garbageBytes) {
    this(nanos, tailNanos, garbageBytes, 0);
  }

  Sample withRoundTrip(double found) {
    return new Sample(nanos, tailNanos, garbageBytes, found);
  }
}
