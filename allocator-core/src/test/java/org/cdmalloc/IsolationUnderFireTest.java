/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.SplittableRandom;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.UnaryOperator;
import java.util.stream.LongStream;
import org.cdmalloc.internal.zone.Seeds;
import org.cdmalloc.topology.NodeMask;
import org.junit.jupiter.api.TestReporter;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * What the library is for, under fire: no request that names no device gets a byte of one, however
 * full RAM is, whatever moves, fails, comes and goes meanwhile; and no request of a device's holder
 * gets a byte of anything else. {@code -Disolation.requests=100000000} takes a few minutes.
 */
final class IsolationUnderFireTest {
  private static final long REQUESTS = Long.getLong("isolation.requests", 10_000_000);
  private static final long REQUESTS_OF_A_FIRE = 160_000;
  private static final int MOST_THREADS = 4;

  private final Violations violations = new Violations();
  private final IsolationFire.Figures figures = new IsolationFire.Figures();

  static LongStream seeds() {
    return Seeds.upTo(1);
  }

  private void burn(long seed, long requests, UnaryOperator<NodeMask> told) throws Exception {
    SplittableRandom random = new SplittableRandom(seed);
    ExecutorService threads = Executors.newFixedThreadPool(MOST_THREADS, GuardedSource.Caller::new);
    try {
      while (figures.requests() < requests && violations.isEmpty()) {
        int count = random.nextInt(2, MOST_THREADS + 1);
        IsolationFire fire = new IsolationFire(random.split(), told, violations);
        figures.add(fire.run(threads, count, REQUESTS_OF_A_FIRE));
      }
    } catch (Exception | AssertionError failure) {
      throw Seeds.failure(seed, failure);
    } finally {
      threads.shutdownNow();
    }
  }

  @ParameterizedTest
  @MethodSource("seeds")
  void noImplicitBlockLiesOnADevice(long seed, TestReporter reporter) throws Exception {
    burn(seed, REQUESTS, all -> all);
    reporter.publishEntry("seed=" + seed, figures.toString());
    assertTrue(violations.isEmpty(), () -> "-Dseed=" + seed + ": " + violations);
    assertTrue(figures.refused > figures.implicit / 50, figures::toString);
    assertTrue(figures.fellBack > figures.implicit / 50, figures::toString);
    assertTrue(figures.deviceRefused > figures.device / 50, figures::toString);
  }

  /** What is looked for can be seen: allocators are told of one device fewer than there are. */
  @ParameterizedTest
  @MethodSource("seeds")
  void theOracleSeesADeviceInAFallbackList(long seed, TestReporter reporter) throws Exception {
    burn(seed, 1, all -> all.without(NodeMask.of(all.first())));
    reporter.publishEntry("seed=" + seed, violations.toString());
    assertTrue(violations.count(IsolationFire.IMPLICIT_ON_DEVICE) > 0, violations::toString);
  }
}
