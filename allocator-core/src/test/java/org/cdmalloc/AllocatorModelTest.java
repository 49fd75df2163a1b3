/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.EnumMap;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.LongStream;
import org.cdmalloc.ModelAllocator.Outcome;
import org.cdmalloc.internal.zone.Seeds;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Long random lives of allocators, each step judged by {@link ModelAllocator}: all placements, all
 * sizes, arenas, purges, and machines so small that they are full much of the time. {@code
 * -Dmodel.steps=…} takes that many steps in all, with as many more seeds.
 */
final class AllocatorModelTest {
  private static final int STEPS = 320_000;
  private static final int STEPS_PER_SEED = 40_000;
  private static final int STEPS_PER_EPISODE = 2_000;

  static LongStream seeds() {
    return Seeds.upTo((Integer.getInteger("model.steps", STEPS) - 1) / STEPS_PER_SEED + 1);
  }

  @ParameterizedTest
  @MethodSource("seeds")
  void whateverAnAllocatorDoesIsWhatTheRulesSay(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    Map<Outcome, Integer> outcomes = new EnumMap<>(Outcome.class);
    for (int step = 0; step < STEPS_PER_SEED; step += STEPS_PER_EPISODE) {
      ModelEpisode episode = new ModelEpisode(random.split(), outcomes);
      try {
        episode.run(STEPS_PER_EPISODE);
      } catch (RuntimeException | AssertionError failure) {
        throw Seeds.failure(seed, new AssertionError(episode + ": " + failure, failure));
      }
    }
    // Or the lives are too easy to tell anything.
    assertEquals(Set.of(Outcome.values()), outcomes.keySet(), outcomes::toString);
  }
}
