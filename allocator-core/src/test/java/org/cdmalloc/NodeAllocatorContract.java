/* SPDX-License-Identifier: Apache-2.0 */
package org.cdmalloc;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import org.cdmalloc.internal.address.BufferAddress;
import org.junit.jupiter.api.Test;

/**
 * What the allocator promises on every memory source that can be looked at: all of {@link
 * AddressAllocatorContract}, and what is about contents: buffers, zeroing, and load. A subclass
 * gives the source. Above each assertion stands the sentence of the Javadoc that it checks.
 */
public abstract class NodeAllocatorContract extends ZeroingContract {
  private static final int THREADS = 4;
  private static final int STEPS = 2000;

  @Test
  void blocksNeverOverlapUnderARandomLoad() throws InterruptedException {
    long seed = Long.getLong("seed", 20170308L);
    List<Callable<Void>> tasks = new ArrayList<>();
    for (int thread = 0; thread < THREADS; thread++) {
      SplittableRandom random = new SplittableRandom(seed + thread);
      int mark = thread + 1;
      Door door = doors().get(thread % 2 == 0 ? thread : 4);
      tasks.add(
          () -> {
            churn(door, random, mark);
            return null;
          });
    }
    atOnce("replay with -Dseed=" + seed, tasks);
    assertNothingTaken();
  }

  /** Holds up to 20 blocks, each filled with a mark that must still be there when it is freed. */
  private void churn(Door door, SplittableRandom random, int mark) {
    List<ByteBuffer> live = new ArrayList<>();
    for (int step = 0; step < STEPS; step++) {
      if (live.size() < 20 && random.nextBoolean()) {
        ByteBuffer buffer = door.tryBuffer().apply(1 << random.nextInt(17));
        if (buffer != null) {
          assertEquals(-1, firstOther(buffer, 0));
          fill(buffer, mark);
          live.add(buffer);
        }
      } else if (!live.isEmpty()) {
        ByteBuffer buffer = live.remove(random.nextInt(live.size()));
        assertEquals(-1, firstOther(buffer, mark));
        if (random.nextBoolean()) {
          memory.free(BufferAddress.of(buffer));
        } else {
          door.free(buffer);
        }
      }
      if (random.nextInt(200) == 0) {
        memory.trim();
      }
    }
    live.forEach(memory::free);
  }
}
